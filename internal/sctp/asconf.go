package sctp

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/wire"
)

// Dynamic addresses (RFC 5061). An end tells the other of an address that it has got, that it will no longer have, or
// that it would rather be sent to. One ASCONF is under way at a time, and is sent again until it is
// acknowledged (T4). Both chunks are authenticated always: who could forge one could take the association over.

// asconf is an association's state of it, made when it is first needed.
type asconf struct {
	serial     uint32 // of the next ASCONF, or of the one that is under way
	peerSerial uint32 // that the peer's next ASCONF is to have
	asked      []addrRequest
	flying     int    // requests of asked that are under way
	ack        []byte // the last ASCONF-ACK, in case the ASCONF comes again
	at         time.Duration
	due        bool
}

// addrRequest is a request that is not acknowledged.
type addrRequest struct {
	typ  uint16 // ParamAddIP, ParamDeleteIP or ParamSetPrimary
	addr netip.Addr
	id   uint32 // ASCONF-Request Correlation ID
}

// maxRequests is how many requests go in one ASCONF.
const maxRequests = 8

// maxAck bounds what is told of an ASCONF in bytes. It grows by what is refused, and what is not told of
// behind that counts as refused (section 5.2): no more is done then.
const maxAck = 512

// dynamic returns the state, made of the initial TSNs (section 4.1.1).
func (a *Assoc) dynamic() *asconf {
	if a.asconf == nil {
		a.asconf = &asconf{serial: a.tsn, peerSerial: a.peerTSN, at: never}
	}
	return a.asconf
}

// AddAddr tells the peer that this end has another address (SCTP_BINDX_ADD while connected).
func (a *Assoc) AddAddr(now time.Duration, addr netip.Addr) syscall.Errno {
	if slices.Contains(a.local, addr) {
		return 0
	}
	return a.askAddr(wire.ParamAddIP, addr)
}

// DeleteAddr tells the peer that this end will no longer have an address (SCTP_BINDX_REM).
func (a *Assoc) DeleteAddr(now time.Duration, addr netip.Addr) syscall.Errno {
	switch {
	case !slices.Contains(a.local, addr):
		return syscall.EADDRNOTAVAIL
	case len(a.local) == 1:
		return syscall.EBUSY
	}
	if errno := a.askAddr(wire.ParamDeleteIP, addr); errno != 0 {
		return errno
	}
	a.leaveAddr(addr) // the request must not come from there (section 4.2.2)
	return 0
}

// SetLocal tells the peer how the addresses of this end that it may know of have changed.
func (a *Assoc) SetLocal(now time.Duration, addrs []netip.Addr) {
	addrs = told(addrs, a.primary.addr, a.cfg.Scope)
	for _, addr := range addrs {
		a.AddAddr(now, addr)
	}
	for _, addr := range a.local {
		if !slices.Contains(addrs, addr) {
			a.DeleteAddr(now, addr)
		}
	}
}

// SetPeerPrimary asks the peer to send to an address of this end (SCTP_SET_PEER_PRIMARY_ADDR).
func (a *Assoc) SetPeerPrimary(now time.Duration, addr netip.Addr) syscall.Errno {
	if !slices.Contains(a.local, addr) {
		return syscall.EADDRNOTAVAIL
	}
	return a.askAddr(wire.ParamSetPrimary, addr)
}

// askAddr queues a request.
func (a *Assoc) askAddr(typ uint16, addr netip.Addr) syscall.Errno {
	switch {
	case a.caps&capAsconf == 0:
		return syscall.EPERM
	case a.state != Established:
		return syscall.ENOTCONN
	}
	d := a.dynamic()
	id := uint32(1)
	if n := len(d.asked); n > 0 {
		id = d.asked[n-1].id + 1
	}
	d.asked = append(d.asked, addrRequest{typ, addr, id})
	if d.flying == 0 {
		d.due = true
		a.ctl = a.use
	}
	return 0
}

// asconfChunk builds the ASCONF with what is asked for, and starts T4.
func (a *Assoc) asconfChunk(now time.Duration, p *path) []byte {
	d := a.asconf
	d.due, d.at = false, now+p.rto
	if d.flying == 0 {
		d.flying = min(len(d.asked), maxRequests)
	}

	// By this address the peer finds the association.
	from := p.src
	if !from.IsValid() {
		from = a.local[0]
	}
	x := wire.Asconf{Serial: d.serial, Params: wire.AppendAddr(nil, from)}
	for _, q := range d.asked[:d.flying] {
		v := wire.AsconfParam{CorrelationID: q.id, Rest: wire.AppendAddr(nil, q.addr)}
		x.Params = v.Append(x.Params, q.typ)
	}
	return x.Append(nil, wire.ChunkAsconf)
}

// asconfExpired sends the ASCONF again (section 5.1, rule B4).
func (a *Assoc) asconfExpired(now time.Duration) {
	a.cfg.Counters.T4RtoExpireds++
	d := a.asconf
	d.at = never
	if !a.state.beats() || d.flying == 0 {
		return
	}
	a.ctl.backOff(a.snd.rto)
	if !a.failed(now, a.ctl) {
		a.end(syscall.ETIMEDOUT, CommLost, 0, nil)
		return
	}
	a.ctl = a.pathOf(a.snd.retran)
	d.due = true
}

// inAsconf takes an ASCONF, which is authenticated (section 5.2).
func (a *Assoc) inAsconf(now time.Duration, in *In, c *wire.Chunk) {
	x, err := wire.ParseAsconf(c.Value)
	if err != nil || !a.state.beats() {
		return
	}
	d := a.dynamic()
	if x.Serial == d.peerSerial-1 && d.ack != nil {
		a.reply(in, a.peerTag, d.ack, false) // rule C3
		return
	}
	if x.Serial != d.peerSerial {
		return
	}
	first, rest, err := wire.ParseTLV(x.Params)
	if err != nil || first.Type != wire.ParamIPv4 && first.Type != wire.ParamIPv6 {
		return
	}
	d.peerSerial++
	ack := wire.Asconf{Serial: x.Serial}
	failed := false
	for b := rest; len(b) > 0 && len(ack.Params) < maxAck; {
		var q wire.TLV
		if q, b, err = wire.ParseTLV(b); err != nil {
			break
		}
		v, err := wire.ParseAsconfParam(q.Value)
		if err != nil {
			break
		}
		cause := a.changeAddr(now, in, q.Type, v.Rest)
		r := wire.AsconfParam{CorrelationID: v.CorrelationID}
		switch {
		case cause != 0:
			failed = true
			r.Rest = appendCause(nil, cause, q.Append(nil))
			ack.Params = r.Append(ack.Params, wire.ParamErrorCause)
		case failed:
			// Behind an error success has to be told (section 4.2.5).
			ack.Params = r.Append(ack.Params, wire.ParamSuccess)
		}
	}
	d.ack = ack.Append(nil, wire.ChunkAsconfAck)
	a.reply(in, a.peerTag, d.ack, false)
}

// changeAddr does what a parameter of the peer's asks for. It returns the cause why not, or 0.
func (a *Assoc) changeAddr(now time.Duration, in *In, typ uint16, v []byte) uint16 {
	x, _, err := wire.ParseTLV(v)
	if err != nil {
		return wire.CauseInvalidParam
	}
	addr, err := wire.ParseAddr(x.Type, x.Value)
	if err != nil {
		return wire.CauseUnresolvable
	}
	any := addr.IsUnspecified()
	if any {
		addr = in.Src // section 4.2.1: whatever the packet came from
	}
	p := a.path(addr)
	switch {
	case typ == wire.ParamAddIP:
		switch {
		case p != nil:
			return 0
		case len(told([]netip.Addr{addr}, in.Src, a.cfg.Scope)) == 0 || !sameFamily(a.local, in.Src, addr):
			return wire.CauseUnresolvable
		case len(a.paths) >= maxPaths:
			return wire.CauseResource
		}
		p = a.addPath(addr)
		a.notifyPath(p, AddrAdded, 0)
		a.startHeartbeat(now, p)
	case typ == wire.ParamDeleteIP && any:
		// Section 4.2.2: all but the one that the packet came from.
		if p == nil || !p.confirmed() {
			return wire.CauseUnresolvable
		}
		for _, q := range slices.Clone(a.paths) {
			if q != p {
				a.removeAddr(q)
			}
		}
	case typ == wire.ParamDeleteIP:
		switch {
		case p == nil:
			return wire.CauseUnresolvable
		case len(a.paths) == 1, !a.confirmedBeside(p):
			return wire.CauseDeleteLast
		case addr == in.Src:
			return wire.CauseDeleteSource
		}
		a.removeAddr(p)
	case typ == wire.ParamSetPrimary:
		if p == nil {
			return wire.CauseUnresolvable
		}
		a.SetPrimary(now, addr)
	default:
		return wire.CauseUnrecognizedParams
	}
	return 0
}

// confirmedBeside reports whether another address than p's is known to be the peer's.
func (a *Assoc) confirmedBeside(p *path) bool {
	return slices.ContainsFunc(a.paths, func(q *path) bool { return q != p && q.confirmed() })
}

// removeAddr forgets an address of the peer.
func (a *Assoc) removeAddr(p *path) {
	a.notifyPath(p, AddrRemoved, 0)
	a.dropPath(p)
}

// inAsconfAck takes an ASCONF-ACK (section 5.1, rules B3 and B10).
func (a *Assoc) inAsconfAck(now time.Duration, c *wire.Chunk) bool {
	x, err := wire.ParseAsconf(c.Value)
	d := a.dynamic()
	if err != nil || !a.state.beats() || d.flying == 0 && x.Serial != d.serial {
		return true
	}
	if x.Serial != d.serial {
		if int32(x.Serial-d.serial) > 0 {
			a.abort(wire.CauseIllegalAsconf, nil)
			return false
		}
		return true
	}
	if d.flying == 0 {
		return true
	}
	refused := map[uint32]bool{}
	for b := x.Params; len(b) > 0; {
		var q wire.TLV
		if q, b, err = wire.ParseTLV(b); err != nil {
			break
		}
		if v, err := wire.ParseAsconfParam(q.Value); err == nil && q.Type == wire.ParamErrorCause {
			refused[v.CorrelationID] = true
		}
	}
	a.alive(a.ctl, 0)
	for _, q := range d.asked[:d.flying] {
		if !refused[q.id] {
			a.addrChanged(q)
		}
	}
	d.asked = slices.Delete(d.asked, 0, d.flying)
	d.serial++
	d.flying, d.at = 0, never
	d.due = len(d.asked) > 0
	return true
}

// addrChanged goes by that the peer has done what was asked for.
func (a *Assoc) addrChanged(q addrRequest) {
	switch q.typ {
	case wire.ParamAddIP:
		a.local = append(slices.Clone(a.local), q.addr)
	case wire.ParamDeleteIP:
		a.local = without(a.local, q.addr)
		a.leaveAddr(q.addr)
	}
}

// leaveAddr has nothing be sent from an address of this end any more: the routes are asked for anew.
func (a *Assoc) leaveAddr(addr netip.Addr) {
	for _, p := range a.paths {
		if p.src == addr {
			p.src, p.routed = netip.Addr{}, false
		}
	}
}
