//go:build linux

package gateway

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	"usock"
)

// SCTP as it is leaves where it can (sctpraw.go). Elsewhere the router, on which nobody listens, aborts such an association at
// once, and the user is told of the way that there is. SCTP in UDP is datagrams like others.

// strays is a raw socket of the router's. It is shown what SCTP the host sends outside, until some was seen.
type strays struct {
	g *Gateway
	s *usock.Socket
}

// watchSCTP begins to look for SCTP that is not in UDP.
func (g *Gateway) watchSCTP() error {
	for _, o := range []struct{ family, level, info int }{
		{unix.AF_INET, unix.IPPROTO_IP, unix.IP_PKTINFO}, {unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO},
	} {
		s, err := g.router.Socket(o.family, usock.SOCK_RAW|usock.SOCK_NONBLOCK, usock.IPPROTO_SCTP)
		if err == nil {
			err = s.SetSockOptInt(o.level, o.info, 1)
		}
		if err == nil {
			err = g.set.Add(s, usock.POLLIN, &strays{g, s})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inside implements insider.
func (x *strays) inside(usock.Events) {
	m := usock.Msg{Control: make([]byte, 64)}
	if _, err := x.s.RecvMsg(context.Background(), &m, 0); err != nil {
		return
	}
	var to netip.Addr
	eachCmsg(m.Control, func(level, typ int32, data []byte) {
		switch {
		case level == unix.IPPROTO_IP && typ == unix.IP_PKTINFO:
			to = netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr
		case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_PKTINFO:
			to = netip.AddrFrom16([16]byte(data[:16]))
		}
	})
	x.g.warn("usock: SCTP to %v was refused: as it is it leaves the run of a user with CAP_NET_RAW alone, on a kernel without SCTP; --sctp-encap PORT has it leave in UDP, with a peer that takes it at that port (RFC 6951; mostly 9899)", to)
	x.s.Close()
}
