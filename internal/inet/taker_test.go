package inet

import (
	"iter"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	var named atomic.Int64
	asking.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			for _, from := range []string{":5000", ":5001"} {
				if m.st.Taker(m.eth.Index(), abi.IPPROTO_SCTP, addrport(addrA+":80"), addrport(addrA+from)).PID == 7 {
					named.Add(1)
				}
			}
		}
	})
	told := func() bool { return named.Load() > 0 }
	for range untilTold(50, told) {
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
	if !told() {
		t.Error("it was never told")
	}
}

// TestTakerInLanes asks in lanes while sockets of TCP and UDP come, are connected, accepted or not, and go (with the race detector): it is told of
// the process, and of nobody where there is none, however far a socket is.
func TestTakerInLanes(t *testing.T) {
	m := newWide(t, addrA+"/24")
	var asking sync.WaitGroup
	end := make(chan struct{})
	var round atomic.Int64
	var named [2]atomic.Int64
	for lane := range 2 {
		asking.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				at := m.h.EnterLane(lane)
				one := netip.AddrPortFrom(addr(addrA), 5000+uint16(round.Load()))
				for j, proto := range []uint8{abi.IPPROTO_TCP, abi.IPPROTO_UDP} {
					for _, x := range [][2]netip.AddrPort{{addrport(addrA + ":80"), one}, {one, addrport(addrA + ":80")}} {
						switch got := m.st.Taker(m.eth.Index(), proto, x[0], x[1]); {
						case got.PID == 7 && got.Socket != 0:
							named[j].Add(1)
						case got != (packet.Owner{}) && got.PID != 0:
							t.Errorf("%+v", got)
						}
					}
				}
				at.Leave()
			}
		})
	}
	told := func() bool { return named[0].Load() > 0 && named[1].Load() > 0 }
	for i := range untilTold(50, told) {
		round.Store(int64(i))
		own := addrA + ":" + strconv.Itoa(5000+i)
		l := m.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).at(addrA + ":80")
		u, v := m.open("udp4").at(addrA+":80"), m.open("udp4").at(own)
		c := m.open("tcp4").at(own)
		all := []*sock{l, u, v, c}
		for _, s := range all {
			s.SetOwner(7)
		}
		l.Listen(5)
		c.with(addrA + ":80")
		u.with(own)
		if i%2 == 0 {
			all = append(all, l.accept())
		}
		for k := range all {
			all[(k+i)%len(all)].Close()
		}
	}
	close(end)
	asking.Wait()
	if !told() {
		t.Errorf("it was told %d times of TCP's, %d of UDP's", named[0].Load(), named[1].Load())
	}
}

// untilTold counts rounds, some, and as many as those who ask beside need: one processor may be nobody else's for 10 ms.
func untilTold(least int, told func() bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, end := 0, time.Now().Add(20*time.Second); i < least || !told() && time.Now().Before(end) && i < 40000; i++ {
			if !yield(i) {
				return
			}
		}
	}
}
