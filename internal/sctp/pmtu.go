package sctp

import "time"

// probe is a path's search for its MTU (RFC 8899).
type probe struct {
	at time.Duration
}

// probed takes the answer to a probe of so many bytes.
func (a *Assoc) probed(now time.Duration, p *path, nonce uint64, size int) {}

// lowerMTU goes by an ICMP error that says that packets to p are too large (section 7.3).
func (a *Assoc) lowerMTU(p *path, mtu int) {
	if p.opt.NoPMTUD || mtu >= int(p.flow.mtu) {
		return
	}
	a.snd.setMTU(&p.flow, max(mtu, minPathMTU), p.headers())
}

// minPathMTU is the least path MTU that is believed, Linux's SCTP_DEFAULT_MINSEGMENT.
const minPathMTU = 512
