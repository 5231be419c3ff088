package inet

import (
	"sync"
	"testing"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/packet"
)

// TestTakerOfBusy asks who takes packets for sockets whose domains others are at work in: of a connection that waits to be accepted, of one
// that was, and of SCTP's. It is told, and nobody is waited for.
func TestTakerOfBusy(t *testing.T) {
	m := newWide(t, addrA+"/24")
	l := m.open("tcp4").at(addrA + ":80")
	l.SetOwner(1)
	l.Listen(5)
	c := m.open("tcp4").at(addrA + ":5000").with(addrA + ":80")
	c.SetOwner(2)
	many := m.open("many4").at(addrA + ":80")
	many.SetOwner(3)
	many.Listen(5)
	one := m.open("one4").at(addrA + ":5001").with(addrA + ":80")
	one.SetOwner(4)

	to := l // who is to take what comes to the connection
	busy := func(d *host.Domain) {
		t.Helper()
		d.Enter()
		defer d.Leave()
		for _, x := range []struct {
			proto    uint8
			to, from string
			pid      int32
			of       *sock
		}{
			{abi.IPPROTO_TCP, ":80", ":5000", to.Owner.Load(), to},
			{abi.IPPROTO_TCP, ":80", ":5002", 1, l},
			{abi.IPPROTO_TCP, ":5000", ":80", c.Owner.Load(), c},
			{abi.IPPROTO_SCTP, ":80", ":5001", 3, many},
			{abi.IPPROTO_SCTP, ":80", ":5002", 3, many},
			{abi.IPPROTO_SCTP, ":5001", ":80", 4, one},
			{abi.IPPROTO_SCTP, ":81", ":5001", 0, nil},
		} {
			want := packet.Owner{PID: x.pid}
			if x.of != nil {
				want.Socket = x.of.ID
			}
			if got := m.st.Taker(m.eth.Index(), x.proto, addrport(addrA+x.to), addrport(addrA+x.from)); got != want {
				t.Errorf("protocol %d from %s to %s: %+v, want %+v", x.proto, x.from, x.to, got, want)
			}
		}
	}
	busy(endpointOf(c.Socket).dom)
	busy(m.st.sctp.dom)

	to = l.accept()
	to.SetOwner(5)
	busy(endpointOf(c.Socket).dom)
}

// TestTakerWhileUsed asks while SCTP's sockets come, associate and go (with the race detector).
func TestTakerWhileUsed(t *testing.T) {
	m := newWide(t, addrA+"/24")
	var asking sync.WaitGroup
	end := make(chan struct{})
	named := 0
	asking.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			for _, from := range []string{":5000", ":5001"} {
				if m.st.Taker(m.eth.Index(), abi.IPPROTO_SCTP, addrport(addrA+":80"), addrport(addrA+from)).PID == 7 {
					named++
				}
			}
		}
	})
	for range 50 {
		l := m.open("one4").at(addrA + ":80")
		l.SetOwner(7)
		l.Listen(5)
		c := m.open("one4").at(addrA + ":5000").with(addrA + ":80")
		n := l.accept()
		for _, s := range []*sock{c, n, l} {
			s.Close()
		}
		m.do(func() { // the ends have closed the association by now, or never will
			for _, x := range m.st.sctp.byID {
				m.st.sctp.drop(x)
			}
		})
	}
	close(end)
	asking.Wait()
	if named == 0 {
		t.Error("it was never told")
	}
}
