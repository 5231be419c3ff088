//go:build linux

package gateway

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// ICMP types and codes (IANA) of the errors that a gateway tells by itself.
const (
	unreachable4 = 3
	unreachable6 = 1
	tooBig6      = 2

	code4Net, code4Host, code4Protocol, code4Port, code4FragNeeded, code4Filtered = 0, 1, 2, 3, 4, 13
	code6NoRoute, code6Prohibited, code6Address, code6Port                        = 0, 1, 3, 4
)

// codeFor returns the ICMP error that has a program of the family see the errno; ok is false
// if there is none.
func codeFor(e syscall.Errno, v4 bool) (typ, code uint8, ok bool) {
	if v4 {
		switch e {
		case unix.ENETUNREACH:
			return unreachable4, code4Net, true
		case unix.EHOSTUNREACH:
			return unreachable4, code4Host, true
		case unix.ENOPROTOOPT:
			return unreachable4, code4Protocol, true
		case unix.ECONNREFUSED:
			return unreachable4, code4Port, true
		}
		return 0, 0, false
	}
	switch e {
	case unix.ENETUNREACH:
		return unreachable6, code6NoRoute, true
	case unix.EHOSTUNREACH:
		return unreachable6, code6Address, true
	case unix.EACCES:
		return unreachable6, code6Prohibited, true
	case unix.ECONNREFUSED:
		return unreachable6, code6Port, true
	}
	return 0, 0, false
}

// forbidden returns the errno for an address that is not connected to; 0: it may be. The
// machine's loopback is reached by the run's own alone, and what is no unicast not at all.
func (g *Gateway) forbidden(a netip.Addr, own bool) syscall.Errno {
	switch {
	case own:
		return 0
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4() && a.As4()[0] == 0:
		return unix.ENETUNREACH
	case g.addrs.has(a):
		return unix.ECONNREFUSED
	}
	return 0
}

// fail answers a flow that cannot be carried on, and ends its account.
func (g *Gateway) fail(side *side, f *usock.Flow, a *account, fd int, e syscall.Errno) {
	if a == nil {
		a = g.newAccount(unix.IPPROTO_TCP, outward, f.Remote(), f.Local())
	}
	a.failed(e)
	a.end(FlowRefused)
	g.refuse(side, f, fd, e)
}

// refuse answers a flow whose outer connect on fd (-1: there was none) has failed.
func (g *Gateway) refuse(side *side, f *usock.Flow, fd int, e syscall.Errno) {
	switch e {
	case unix.ECONNREFUSED:
		f.Refuse()
		return
	case unix.ETIMEDOUT:
		f.Drop() // the program's own attempt ends as this one has
		return
	}
	if side.own {
		// Inside a host nothing is unreachable: it is told what happened.
		f.Drop()
		g.inner.FailConnect(f.Remote(), f.Local(), e)
		return
	}
	if q, ok := firstError(fd); ok && q.errno == e && q.origin != unix.SO_EE_ORIGIN_LOCAL {
		f.Unreachable(q.offender, q.typ, q.code)
		return
	}
	if typ, code, ok := codeFor(e, f.Local().Addr().Is4()); ok {
		f.Unreachable(g.addrs.router(f.Local().Addr().Is4()), typ, code)
		return
	}
	f.Drop()
	g.inner.FailConnect(f.Remote(), f.Local(), e)
}

// limitHint says what helps against an errno of want.
func limitHint(e syscall.Errno) string {
	switch e {
	case unix.EMFILE:
		return " (raise the limit of descriptors: ulimit -n)"
	case unix.ENFILE:
		return " (the machine has no descriptors left: fs.file-max)"
	}
	return ""
}
