package ip

import (
	"syscall"

	"usock/internal/wire"
)

// error4 reports the ICMP error h, whose message is b, to the protocol that sent
// the quoted packet.
func (l *Lane) error4(b []byte, m *Meta, h wire.ICMP) {
	// Only about packets that this host may have sent: with its source, and the first fragment,
	// which alone has the ports. Whether it was really sent, the transport knows (RFC 5927).
	q, n, err := wire.ParseIPv4(b[wire.ICMPLen:])
	if err != nil {
		l.ICMP.InErrors++
		return
	}
	if q.FragmentOff != 0 || !l.speaksFor(q.Src) {
		return
	}
	quote := b[wire.ICMPLen+n:]

	// Eight bytes of the transport's header is what RFC 792 has routers quote: enough for ports
	// and TCP's sequence number.
	if len(quote) < 8 {
		l.ICMP.InErrors++
		return
	}
	e := Error{
		Src: q.Src, Dst: q.Dst, From: m.Src, Iface: m.Iface, Proto: q.Proto,
		Type: h.Type, Code: h.Code, Info: h.Info, Quote: quote,
	}
	switch h.Type {
	case wire.ICMPv4Unreachable:
		if int(h.Code) >= len(unreachable4) {
			return
		}
		e.Errno, e.Hard = unreachable4[h.Code].errno, unreachable4[h.Code].hard
		if h.Code == wire.ICMPv4FragNeeded {
			// Routers from before RFC 1191 leave the field zero.
			if e.MTU = int(h.Info & 0xffff); e.MTU == 0 {
				e.MTU = plateau(int(q.TotalLen))
			}
		}
	case wire.ICMPv4TimeExceeded:
		e.Errno = syscall.EHOSTUNREACH
	case wire.ICMPv4ParameterProblem:
		e.Errno, e.Hard = syscall.EPROTO, true
	default:
		return // source quench (RFC 6633) and redirect
	}
	l.report(&e)
}

// plateaus are the MTUs that links have (RFC 1191, table 7-1).
var plateaus = [...]int{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68}

// plateau returns the MTU to try next after a packet of n bytes was too large, for
// a router that does not say its own.
func plateau(n int) int {
	for _, p := range plateaus {
		if p < n {
			return p
		}
	}
	return plateaus[len(plateaus)-1]
}

// error6 reports the ICMPv6 error h, whose message is b, to the protocol that sent
// the quoted packet.
func (l *Lane) error6(b []byte, m *Meta, h wire.ICMP) {
	q, err := wire.ParseIPv6(b[wire.ICMPLen:])
	if err != nil {
		l.ICMP.InErrors++
		return
	}
	if !l.speaksFor(q.Src) {
		return
	}
	quote := b[wire.ICMPLen+wire.IPv6Len:]

	// The quotation has our own extension headers in front of the transport's.
	proto, first := q.Next, true
	for isExtension(proto) {
		c := wire.WalkIPv6(proto, quote, first)
		if c.Fault == wire.Truncated {
			return
		}
		if c.Fault != wire.NoFault {
			break // a header of ours that is complained about
		}
		proto, quote, first = c.Next, quote[c.Len:], false
		if proto != wire.IPv6Fragment {
			continue
		}
		f, err := wire.ParseFragmentHeader(quote)
		if err != nil || f.Off != 0 {
			return
		}
		proto, quote = f.Next, quote[wire.IPv6FragmentLen:]
	}
	if len(quote) < 8 {
		l.ICMP.InErrors++
		return
	}
	e := Error{
		Src: q.Src, Dst: q.Dst, From: m.Src, Iface: m.Iface, Proto: proto, V6: true,
		Type: h.Type, Code: h.Code, Info: h.Info, Quote: quote,
	}
	switch h.Type {
	case wire.ICMPv6Unreachable:
		e.Errno = syscall.EPROTO
		if int(h.Code) < len(unreachable6) {
			e.Errno, e.Hard = unreachable6[h.Code].errno, unreachable6[h.Code].hard
		}
	case wire.ICMPv6PacketTooBig:
		e.Errno, e.MTU = syscall.EMSGSIZE, int(min(h.Info, maxLen6))
	case wire.ICMPv6TimeExceeded:
		e.Errno = syscall.EHOSTUNREACH
	case wire.ICMPv6ParameterProblem:
		e.Errno, e.Hard = syscall.EPROTO, true
	default:
		e.Errno = syscall.EPROTO
	}
	l.report(&e)
}

func (l *Lane) report(e *Error) {
	// Raw sockets see errors of all protocols, also of those that have no transport here.
	if l.table.Raw != nil {
		l.table.Raw.Error(e)
	}
	if t := l.table.Transport[e.Proto]; t != nil {
		t.Error(e)
	}
}

// verdict is what Linux makes of a code of destination unreachable.
type verdict struct {
	errno syscall.Errno
	hard  bool
}

// unreachable4 is by code of ICMPv4Unreachable.
var unreachable4 = [...]verdict{
	wire.ICMPv4NetUnreachable:   {syscall.ENETUNREACH, false},
	wire.ICMPv4HostUnreachable:  {syscall.EHOSTUNREACH, false},
	wire.ICMPv4ProtoUnreachable: {syscall.ENOPROTOOPT, true},
	wire.ICMPv4PortUnreachable:  {syscall.ECONNREFUSED, true},
	wire.ICMPv4FragNeeded:       {syscall.EMSGSIZE, false},
	wire.ICMPv4SourceRouteFail:  {syscall.EOPNOTSUPP, false},
	wire.ICMPv4NetUnknown:       {syscall.ENETUNREACH, true},
	wire.ICMPv4HostUnknown:      {syscall.EHOSTDOWN, true},
	wire.ICMPv4HostIsolated:     {errHostIsolated, true},
	wire.ICMPv4NetProhibited:    {syscall.ENETUNREACH, true},
	wire.ICMPv4HostProhibited:   {syscall.EHOSTUNREACH, true},
	wire.ICMPv4NetTOS:           {syscall.ENETUNREACH, false},
	wire.ICMPv4HostTOS:          {syscall.EHOSTUNREACH, false},
	wire.ICMPv4Filtered:         {syscall.EHOSTUNREACH, true},
	wire.ICMPv4PrecViolation:    {syscall.EHOSTUNREACH, true},
	wire.ICMPv4PrecCutoff:       {syscall.EHOSTUNREACH, true},
}

// unreachable6 is by code of ICMPv6Unreachable.
var unreachable6 = [...]verdict{
	wire.ICMPv6NoRoute:            {syscall.ENETUNREACH, false},
	wire.ICMPv6Prohibited:         {syscall.EACCES, true},
	wire.ICMPv6BeyondScope:        {syscall.EHOSTUNREACH, false},
	wire.ICMPv6AddressUnreachable: {syscall.EHOSTUNREACH, false},
	wire.ICMPv6PortUnreachable:    {syscall.ECONNREFUSED, true},
	wire.ICMPv6PolicyFail:         {syscall.EACCES, true},
	wire.ICMPv6RejectRoute:        {syscall.EACCES, true},
}
