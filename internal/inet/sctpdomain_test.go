package inet

import (
	"fmt"
	"sync"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wire"
)

// stray is a packet of no association, which is answered.
func stray() []byte {
	b := sctpBytes(wire.SCTP{SrcPort: 9, DstPort: 7, VTag: 5}, &wire.Chunk{Type: wire.ChunkShutdownAck})
	return whole(addrB, addrA, ip.ProtoSCTP, b)
}

// What comes while SCTP's domain is busy is received as if that had been free.
func TestSCTPBusy(t *testing.T) {
	m := newWide(t, addrA+"/24")
	s := m.open("one4")
	s.Host.Enter()
	<-m.comes(stray(), stray())
	if out := m.wired(); len(out) != 0 {
		t.Errorf("%d answers while it is busy", len(out))
	}
	s.Host.Leave()
	for _, p := range m.wired() {
		if c := p.chunks(); len(c) != 1 || c[0] != wire.ChunkShutdownComplete || p.sctp.VTag != 5 {
			t.Errorf("answered with %v, tag %d", c, p.sctp.VTag)
		}
	}
	m.do(func() {
		if c, _ := m.st.SCTPStats(); c.InPackets != 2 || c.OutPackets != 2 || c.OutOfBlues != 2 {
			t.Errorf("%d packets in, %d out, %d out of the blue; want 2 each", c.InPackets, c.OutPackets, c.OutOfBlues)
		}
	})
}

// The UDP port of a host is claimed with the whole host, after the call whose packet is the first that needs it; none is
// lost, and what comes in UDP finds SCTP's domain, busy or not.
func TestSCTPEncapInLanes(t *testing.T) {
	m := newWide(t, addrA+"/24")
	x := m.open("one4").setEncap(portB).with(addrB + ":7")
	out := m.wired()
	if len(out) != 1 || out[0].udp.DstPort != portB || out[0].udp.SrcPort == 0 {
		t.Fatalf("sent %+v, want an INIT to port %d", out, portB)
	}
	h := wire.SCTP{SrcPort: 7, DstPort: x.port(), VTag: out[0].init()}
	abort := inUDP(portB, out[0].udp.SrcPort, 0, sctpBytes(h, &wire.Chunk{Type: wire.ChunkAbort}))
	x.Host.Enter()
	<-m.comes(abort)
	x.Host.Leave()
	if got := x.FinishConnect(); got == nil || name(got) != "ECONNREFUSED" {
		t.Errorf("the attempt ends with %v, want ECONNREFUSED", got)
	}
}

// init returns the tag that the packet's INIT has asked for.
func (p *travelled) init() uint32 { return be32(p.body[4:]) }

// Associations come, carry messages and go, and are peeled off, beside each other and beside all that has the whole host
// (with the race detector).
func TestSCTPBesideOthers(t *testing.T) {
	const sides, rounds = 4, 20
	m := newWide(t, addrA+"/24")
	l := m.listening("many4", "127.0.0.1:7")
	done := make(chan struct{})
	var others, all sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			m.do(func() {
				m.st.SCTPStats()
				m.st.AddrsChanged()
				m.st.Each(func(s *socket.Socket) { s.Proto.Describe(s, new(socket.Info)) })
			})
			m.open("one4").Close()
		}
	})
	for i := range sides {
		all.Go(func() {
			for j := range rounds {
				x := m.open("many4").at(fmt.Sprintf("127.0.0.1:%d", 5000+i))
				x.SetNonblock(false)
				text := fmt.Sprintf("%d.%d", i, j)
				o := socket.Msg{Addr: x.sockaddr("127.0.0.1:7"), HasAddr: true}
				if _, err := x.Send(noContext, []byte(text), &o); err != nil {
					t.Error(err)
				}
				v := abi.AppendStruct(nil, &abi.SCTPPaddrinfo{Address: x.sockaddr(fmt.Sprintf("127.0.0.1:%d", 5000+i))})
				var info abi.SCTPPaddrinfo
				if _, err := l.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_PEER_ADDR_INFO, v); err != nil {
					t.Error(err)
				}
				abi.ParseStruct(v, &info)
				n, err := l.Peel(info.AssocID)
				if err != nil {
					t.Error(err)
					return
				}
				y := &sock{n, m}
				if g := y.plain(100); g.data != text {
					t.Errorf("received %q, %v; want %s", g.data, g.err, text)
				}
				y.Close()
				x.Close()
			}
		})
	}
	all.Wait()
	close(done)
	others.Wait()
}
