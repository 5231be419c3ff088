package inet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/wire"
)

// udpTo returns a packet from addrB to addrA: a datagram to a port, behind whose end there are so many bytes more.
func udpTo(port uint16, data string, more int) []byte {
	h := wire.IPv4{Src: netip.MustParseAddr(addrB), Dst: netip.MustParseAddr(addrA), TTL: 64, Proto: ip.ProtoUDP}
	h.TotalLen = uint16(wire.IPv4MinLen + udpHeader + len(data) + more)
	p := make([]byte, h.TotalLen)
	h.Put(p[:wire.IPv4MinLen])
	u := p[wire.IPv4MinLen:]
	binary.BigEndian.PutUint16(u, 9)
	binary.BigEndian.PutUint16(u[2:], port)
	binary.BigEndian.PutUint16(u[4:], uint16(udpHeader+len(data)))
	copy(u[udpHeader:], data)
	return p
}

// What comes while its socket's domain is busy is received as if that had been free, also what is shorter
// than the packet that it comes in. Each packet is counted once, also one for nobody.
func TestBusySocket(t *testing.T) {
	m := newWide(t, addrA+"/24")
	s := m.open("udp4").at(addrA + ":7")
	s.Host.Enter()
	<-m.comes(udpTo(7, "one", 0), udpTo(7, "two", 5))
	stray := m.comes(udpTo(8, "three", 0)) // needs the whole host
	s.Host.Leave()
	<-stray
	if got, want := s.text(), "one two"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
	m.do(func() {
		if c := m.st.IP.Counters(); c.InReceives != 3 || c.InDelivers != 3 {
			t.Errorf("%d packets, %d of them delivered; want 3", c.InReceives, c.InDelivers)
		}
		if _, c := m.st.Stats(); c.InDatagrams != 2 || c.NoPorts != 1 {
			t.Errorf("%d datagrams, %d for nobody; want 2 and 1", c.InDatagrams, c.NoPorts)
		}
	})
}

// What waits for a busy socket is bounded.
func TestBusyForLong(t *testing.T) {
	const bound = 16 << 10
	m := newWide(t, addrA+"/24")
	s := m.open("udp4").at(addrA + ":7")
	s.Host.Enter()
	b := udpTo(7, "one", 0)
	batch := make([][]byte, bound+100)
	for i := range batch {
		batch[i] = b
	}
	<-m.comes(batch...)
	s.Host.Leave()
	m.do(func() {
		if n := m.eth.Stats().RxDropped; n != 100 {
			t.Errorf("%d of %d packets dropped, want 100", n, len(batch))
		}
	})
}

// An alarm that has gone off looks at a connection's timer while the socket is connected anew (with the race detector).
func TestAlarmWhileConnecting(t *testing.T) {
	m := newWide(t, addrA+"/24")
	s := m.open("tcp4")
	to := s.sockaddr(addrB + ":80")
	m.do(func() {
		tcp := m.st.tcp
		if err := tcp.Connect(s.Socket, to); err != nil && err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
		e := endpointOf(s.Socket)
		e.dom.SetTimer(&e.timer, m.h.Now())
		for m.h.Timers() > 0 { // until the alarm has taken it
			runtime.Gosched()
		}
		tcp.Connect(s.Socket, abi.Addr{Family: abi.AF_UNSPEC})
		if err := tcp.Connect(s.Socket, to); err != nil && err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
	})
}

// However many connections complete their handshakes at one time, with and without a cookie, the accept queue has one
// more than the backlog.
func TestAcceptQueueBound(t *testing.T) {
	const backlog, clients, rounds = 1, 16, 60
	m := newWide(t, addrB+"/24")
	for round := range rounds {
		port := 1000 + round
		at := fmt.Sprintf("%s:%d", addrB, port)
		l := m.open("tcp4").at(at)
		l.Listen(backlog)
		var acks [][]byte
		m.took()
		for i := range clients {
			from := fmt.Sprintf("%s:%d", addrA, 5000+i)
			<-m.comes(segment{from, at, wire.TCP{Flags: wire.SYN, Seq: 1000, Window: 1000}, "", false}.packet())
			out := m.segments()
			if len(out) != 1 || out[0].Flags != wire.SYN|wire.ACK {
				t.Fatalf("a SYN is answered with %+v", out)
			}
			acks = append(acks, segment{from, at, wire.TCP{Flags: wire.ACK, Seq: 1001, Ack: out[0].Seq + 1, Window: 1000}, "", false}.packet())
		}
		var all sync.WaitGroup
		begin := make(chan struct{})
		for _, ack := range acks {
			all.Go(func() {
				<-begin
				<-m.comes(ack)
			})
		}
		close(begin)
		all.Wait()
		m.do(func() {
			q := endpointOf(l.Socket).listener
			n := 0
			for e := q.head; e != nil; e = e.nextUp {
				n++
			}
			if n != backlog+1 || q.waiting() != n {
				t.Errorf("round %d: %d connections wait to be accepted, and %d are counted; want %d", round, n, q.waiting(), backlog+1)
			}
			l.CloseLocked()
		})
	}
}
