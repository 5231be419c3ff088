//go:build linux

package interop

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"usock/internal/abi"
)

// hasty has a socket give a path up after a short while.
func hasty(s sctpSocket) error {
	return errors.Join(wide(s),
		s.set(abi.SOL_SCTP, abi.SCTP_RTOINFO, structure(&abi.SCTPRtoinfo{Initial: 200, Min: 100, Max: 400})),
		s.set(abi.SOL_SCTP, abi.SCTP_PEER_ADDR_PARAMS, structure(&abi.SCTPPaddrparams{Hbinterval: 200, Pathmaxrxt: 2, Flags: abi.SPP_HB_ENABLE})),
	)
}

// addresses are the sockaddrs of a stack's addresses with a port.
func (s *sctpStack) addresses(port uint16) (b []byte) {
	for _, a := range s.addrs {
		b = abi.AppendAddr(b, abi.AddrFrom(netip.AddrPortFrom(a, port)))
	}
	return b
}

// pathState returns SCTP_GET_PEER_ADDR_INFO's state of an address.
func pathState(t *testing.T, s sctpSocket, a netip.AddrPort) int32 {
	t.Helper()
	v := abi.SCTPPaddrinfo{Address: abi.AddrFrom(a)}
	b, err := s.ask(abi.SCTP_GET_PEER_ADDR_INFO, structure(&v), abi.Sizeof(&v))
	if err == nil {
		err = abi.ParseStruct(b, &v)
	}
	if err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return v.State
}

// Two networks between the stacks: both know all addresses, and when the network of the primary path
// fails, in the midst of a transfer, it goes on by the other, nothing lost nor doubled. When the network comes
// back, so does the path.
func TestSCTPMultihoming(t *testing.T) {
	eachSide(t, 2, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		server, err := to.open(abi.SOCK_STREAM, false, hasty)
		if err != nil {
			t.Fatal(err)
		}
		defer server.close()
		err = errors.Join(server.set(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_ADD, to.addresses(port)), server.listen())
		if err != nil {
			t.Fatal(err)
		}
		c, err := from.open(abi.SOCK_STREAM, false, hasty)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if err := c.set(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_ADD, from.addresses(port)); err != nil {
			t.Fatal(err)
		}
		if err := c.connect(netip.AddrPortFrom(to.addrs[0], port)); err != nil {
			t.Fatal(err)
		}
		s, err := server.accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for i := range 2 {
			settle(t, "active path", func() bool {
				return pathState(t, c, netip.AddrPortFrom(to.addrs[i], port)) == abi.SCTP_ACTIVE &&
					pathState(t, s, netip.AddrPortFrom(from.addrs[i], port)) == abi.SCTP_ACTIVE
			})
		}

		r := rand.New(rand.NewPCG(5, 6))
		var notes []*note
		for i := range 40 {
			notes = append(notes, &note{data: random(r, 1+r.IntN(20_000)), stream: uint16(i % 5), ppid: ppid + uint32(i)})
		}
		converse(t, c, s, notes)
		l.impair(0, "loss=100%")
		began := time.Now()
		converse(t, c, s, notes)
		converse(t, s, c, notes)
		t.Logf("over the second network after %v", time.Since(began))
		settle(t, "failed path", func() bool {
			return pathState(t, c, netip.AddrPortFrom(to.addrs[0], port)) == abi.SCTP_INACTIVE
		})
		l.impair(0, "")
		settle(t, "path that is back", func() bool {
			return pathState(t, c, netip.AddrPortFrom(to.addrs[0], port)) == abi.SCTP_ACTIVE
		})
		converse(t, c, s, notes)
		converse(t, s, c, notes)
		l.carried(1, "sctp.chunk_type == 0")
	})
}

// A peer that has lost everything, without a word, and begins again from the same port: its other end is told of a
// restart, and goes on.
func TestSCTPRestart(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		server, err := to.open(abi.SOCK_SEQPACKET, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.close()
		at := netip.AddrPortFrom(to.addrs[0], port)
		events := abi.SCTPEventSubscribe{abi.SCTP_ASSOC_CHANGE - abi.SCTP_SN_TYPE_BASE: 1}
		if err := errors.Join(server.bind(at), server.set(abi.SOL_SCTP, abi.SCTP_EVENTS, structure(&events)), server.listen()); err != nil {
			t.Fatal(err)
		}
		begin := func(state uint16) sctpSocket {
			c, err := from.open(abi.SOCK_STREAM, false, nil)
			if err == nil {
				err = errors.Join(c.bind(netip.AddrPortFrom(from.addrs[0], port+1)), c.connect(at), say(c, &note{data: []byte("hello"), ppid: ppid}))
			}
			if err != nil {
				t.Fatal(err)
			}
			wantChange(t, server, state)
			wantText(t, server, "hello")
			return c
		}
		c := begin(abi.SCTP_COMM_UP)
		l.impair(0, "loss=100%") // the ABORT does not arrive
		if err := errors.Join(c.set(abi.SOL_SOCKET, abi.SO_LINGER, abortive), c.close()); err != nil {
			t.Fatal(err)
		}
		settle(t, "ABORT that was lost", func() bool { return l.recorded(0, port+1, port, chunkAbort) })
		l.impair(0, "")
		begin(abi.SCTP_RESTART).close()
		wantChange(t, server, abi.SCTP_SHUTDOWN_COMP)
	})
}

const chunkAbort = 6 // RFC 9260, section 3.2

// abortive is SO_LINGER of no time.
var abortive = abi.AppendInt(abi.AppendInt(nil, 1), 0)

// wantChange receives an SCTP_ASSOC_CHANGE.
func wantChange(t *testing.T, s sctpSocket, state uint16) {
	t.Helper()
	m, err := s.recv(4096)
	var v abi.SCTPAssocChange
	if err == nil && m.Flags&abi.MSG_NOTIFICATION != 0 {
		err = abi.ParseStruct(m.Data, &v)
	}
	if err != nil || v.Type != abi.SCTP_ASSOC_CHANGE || v.State != state {
		t.Fatalf("%+v, %v; want an association change to %d", m, err, state)
	}
}

func wantText(t *testing.T, s sctpSocket, text string) {
	t.Helper()
	if m, err := s.recv(4096); err != nil || string(m.Data) != text {
		t.Fatalf("%+v, %v; want %q", m, err, text)
	}
}
