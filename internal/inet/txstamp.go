package inet

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
)

// Stamps of datagrams that leave (SO_TIMESTAMPING). A datagram is scheduled and sent in one
// go here; the error queue tells of each that was asked for, with the datagram as it went
// or, with OPT_TSONLY, without.

// Kinds of stamps (include/uapi/linux/errqueue.h, SCM_TSTAMP_*).
const (
	stampSent      = 0
	stampScheduled = 1
	stampAcked     = 2
)

// txStamp is what is to be told of one datagram.
type txStamp struct {
	flags uint32
	key   uint32
}

// stampFor returns what is to be told of a datagram whose control messages are c, and has
// the packet copied if that is to be told, too.
func (d *dgram) stampFor(c *sendControl, o *ip.Out) txStamp {
	f := d.s.Opt.SendStamping(c.stamps >= 0, uint32(max(c.stamps, 0)))
	t := txStamp{flags: f}
	if f&(abi.SOF_TIMESTAMPING_TX_SOFTWARE|abi.SOF_TIMESTAMPING_TX_SCHED) == 0 {
		t.flags = 0
		return t
	}
	switch {
	case c.hasKey:
		t.key = c.key
	case f&abi.SOF_TIMESTAMPING_OPT_ID != 0:
		t.key = d.txKey
		d.txKey++
	}
	if f&abi.SOF_TIMESTAMPING_OPT_TSONLY == 0 {
		o.Copy = new([]byte)
	}
	return t
}

// stamped tells that a datagram has left.
func (d *dgram) stamped(t txStamp, path *ip.Path, o *ip.Out) {
	if t.flags == 0 {
		return
	}
	x := queuedError{key: t.key, origin: originTimestamping, at: d.s.Host.Stamp()}
	x.Errno = syscall.ENOMSG
	if o.Copy != nil {
		x.quote = *o.Copy
		if path.Iface.Flags()&ip.FlagLoopback != 0 {
			link := loopbackHeader4
			if path.Dst.Is6() {
				link = loopbackHeader6
			}
			x.quote = append(link[:], x.quote...)
		}
		if t.flags&abi.SOF_TIMESTAMPING_OPT_CMSG != 0 || d.s.Domain == abi.AF_INET6 {
			x.From = path.Src
		}
	}
	for _, k := range [...]struct {
		flag uint32
		kind uint32
	}{{abi.SOF_TIMESTAMPING_TX_SCHED, stampScheduled}, {abi.SOF_TIMESTAMPING_TX_SOFTWARE, stampSent}} {
		if t.flags&k.flag != 0 {
			x.Info = k.kind
			d.queueError(x)
		}
	}
}

// stampFlags reads the control message SCM_TIMESTAMPING: what to stamp of this datagram.
func stampFlags(m abi.Cmsg) (int, error) {
	if len(m.Data) != 4 {
		return 0, syscall.EINVAL
	}
	f := binary.NativeEndian.Uint32(m.Data)
	if f&^abi.SOF_TIMESTAMPING_TX_RECORD != 0 {
		return 0, syscall.EINVAL
	}
	return int(f), nil
}
