package socket

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
	"usock/packet"
)

// A record of a stream ends where the call's data ends, in whatever parts that goes (MSG_EOR of send(2)); each part
// says how much of the call went before.
func TestSendEndsRecord(t *testing.T) {
	const eor = abi.MSG_EOR
	big := strings.Repeat("0123456789abcdef", packet.MaxBlock/16*2) + "rest"
	for _, c := range []struct {
		data  string
		flags int
		room  int // what the protocol takes before it has more, once
		want  []int
		parts string
	}{
		{"data", eor, 4, []int{eor}, "[0]"}, {"data", 0, 4, []int{0}, "[0]"}, {"", eor, 4, []int{eor}, "[0]"},
		{big, eor, len(big), []int{0, 0, eor}, fmt.Sprint([]int{0, chunk, 2 * chunk})}, {big, 0, len(big), []int{0, 0, 0}, fmt.Sprint([]int{0, chunk, 2 * chunk})},
		{big[:2*chunk], eor, 2 * chunk, []int{0, eor}, fmt.Sprint([]int{0, chunk})},
		{big, eor | abi.MSG_MORE, len(big), []int{abi.MSG_MORE, abi.MSG_MORE, eor | abi.MSG_MORE}, fmt.Sprint([]int{0, chunk, 2 * chunk})},
		{"data", eor, 3, []int{eor, eor, eor}, "[0 3 3]"}, // it waits before the last
		{big, eor, chunk - 1, []int{0, 0, 0, 0, eor}, fmt.Sprint([]int{0, chunk - 1, chunk - 1, chunk, 2 * chunk})},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &listener{fake: stream()}
			l.room = c.room
			s := newFake(t, l)
			defer s.Close()
			call := begin(func() (int, error) { return s.Send(noContext, []byte(c.data), &Msg{Flags: c.flags}) })
			if still(call) {
				s.change(wait.Out, func() { l.room = len(c.data) })
			}
			d := <-call
			if d.n != len(c.data) || d.err != nil || strings.Join(l.sent, "") != c.data || fmt.Sprint(l.flags) != fmt.Sprint(c.want) || fmt.Sprint(l.before) != c.parts {
				t.Errorf("%d bytes, flags %x, room for %d: %d, %v, flags %x after %v, want %x after %s", len(c.data), c.flags, c.room, d.n, d.err, l.flags, l.before, c.want, c.parts)
			}
			if last := len(l.waited) - 1; l.waited[0] || l.waited[last] != (c.room < len(c.data)) {
				t.Errorf("%d bytes, room for %d: has waited: %v", len(c.data), c.room, l.waited)
			}
		})
	}
}

// A send that does not wait takes all parts for which there is room.
func TestSendInPartsWithoutWaiting(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", packet.MaxBlock/16*2) + "rest"
	for _, room := range []int{1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 1, len(big), len(big) + 1} {
		for _, flags := range []int{0, abi.MSG_DONTWAIT} {
			f := stream()
			f.room = room
			s := newFake(t, f)
			s.SetNonblock(flags == 0)
			n, err := s.Send(noContext, []byte(big), &Msg{Flags: flags})
			if want := min(room, len(big)); n != want || err != nil || strings.Join(f.sent, "") != big[:want] {
				t.Errorf("room for %d: %d, %v", room, n, err)
			}
		}
	}
}

// A send whose connection another call has dissolved is over: what the socket is connected to by now gets none of
// its data. It returns what it has sent, or the error that the socket has, or EPIPE (Linux, sk_stream_wait_memory).
func TestSendOfLostConnection(t *testing.T) {
	for _, c := range []struct {
		room int // for the first part
		err  syscall.Errno
		n    int
		want error
		left syscall.Errno
	}{
		{0, 0, 0, syscall.EPIPE, 0}, {0, syscall.ECONNRESET, 0, syscall.ECONNRESET, 0}, {2, 0, 2, nil, 0}, {2, syscall.ECONNRESET, 2, nil, syscall.ECONNRESET},
	} {
		for _, views := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := stream()
				f.room = c.room
				s := newFake(t, f)
				defer s.Close()
				call := begin(func() (int, error) {
					if views {
						v := packet.Copy([]byte("data"))
						defer v.Release()
						return s.SendViews(noContext, []packet.View{v}, &Msg{})
					}
					return s.Send(noContext, []byte("data"), &Msg{})
				})
				if !still(call) {
					t.Error("does not wait")
				}
				s.change(wait.Out, func() { s.Dissolved++; s.KeepErr(c.err); f.room = 99 })
				d := <-call
				if d.n != c.n || d.err != c.want || s.Err() != c.left || strings.Join(f.sent, "") != "data"[:c.n] {
					t.Errorf("%+v: %+v, left %v, sent %q", c, d, s.Err(), f.sent)
				}
			})
		}
	}
}

// opener is a stream whose sends begin a connection, as with MSG_FASTOPEN.
type opener struct {
	*fake
	why  syscall.Errno
	went int // with the SYN
}

func (o *opener) Send(s *Socket, m *Msg) (int, error) {
	if m.Before > 0 { // the rest waits, too
		m.Opening = syscall.EALREADY
	} else if m.Opening, m.Len = o.why, o.went; o.went > 0 {
		packet.ReleaseAll(m.Data)
		m.Data = m.Data[:0]
	}
	return 0, syscall.EAGAIN
}

// A send that opens and may not wait for the handshake, or no longer, tells that that is under way, or how much went
// with the SYN (RFC 7413; Linux, tcp_sendmsg_fastopen).
func TestSendOpens(t *testing.T) {
	for _, c := range []struct {
		why  syscall.Errno
		went int
		n    int
		err  error
	}{
		{0, 0, 0, syscall.EAGAIN}, {syscall.EINPROGRESS, 0, 0, syscall.EINPROGRESS}, {syscall.EALREADY, 0, 0, syscall.EALREADY}, {syscall.EINPROGRESS, 3, 3, nil}, {syscall.EINPROGRESS, 1, 1, nil},
	} {
		for _, limit := range []time.Duration{-1, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				s := newFake(t, &opener{stream(), c.why, c.went})
				defer s.Close()
				s.SetTimeo(0, limit)
				began := time.Now()
				m := Msg{Opening: syscall.EPIPE, Len: 77} // of an earlier use
				n, err := s.Send(noContext, []byte("data"), &m)
				if n != c.n || err != c.err || time.Since(began) != max(limit, 0) {
					t.Errorf("%+v: %d, %v after %v", c, n, err, time.Since(began))
				}
			})
		}
	}
	s := newFake(t, stream())
	s.SetNonblock(true)
	if n, err := s.Send(noContext, []byte("data"), &Msg{Opening: syscall.EPIPE, Len: 77}); n != 0 || err != syscall.EAGAIN {
		t.Errorf("%d, %v: what an earlier send has left counts", n, err)
	}
}

// SO_SNDTIMEO is for all of a send, or for each part by itself, as the protocol says (Linux, tcp_sendmsg_locked and
// unix_stream_sendmsg).
func TestSendTimeOfParts(t *testing.T) {
	for _, parted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := stream()
			f.kind.Parted = parted
			s := newFake(t, f)
			defer s.Close()
			s.SetTimeo(0, 3*time.Second)
			began := time.Now()
			call := begin(func() (int, error) { return s.Send(noContext, []byte("data"), &Msg{}) })
			time.Sleep(2 * time.Second)
			s.change(wait.Out, func() { f.room = 2 })
			d := <-call
			want := 3 * time.Second
			if parted {
				want = 5 * time.Second
			}
			if took := time.Since(began); took != want || d.n != 2 || d.err != nil {
				t.Errorf("in parts %v: %+v after %v", parted, d, took)
			}
		})
	}
}

// The time of a call that is over has nothing to end any more.
func TestTimeOfCallIsTakenOff(t *testing.T) {
	for _, k := range waitingCalls {
		if k.name == "poll" {
			continue // has none
		}
		synctest.Test(t, func(t *testing.T) {
			f := stream()
			s := newFake(t, f)
			defer s.Close()
			s.SetTimeo(time.Hour, time.Hour)
			call := begin(func() (int, error) {
				n, err := k.call(noContext, s, abi.MSG_TRUNC) // and throws away what comes
				return n, err
			})
			s.change(k.event(), func() { f.err = syscall.EPIPE; f.ready = []*Socket{s} })
			<-call
			s.Host.Enter()
			if n := s.Host.Host().Timers(); n != 0 {
				t.Errorf("%s: %d timers", k.name, n)
			}
			s.Host.Leave()
		})
	}
}

// waiter is a finisher that remembers who asked.
type waiter struct {
	*finisher
	asked []bool
}

func (w *waiter) FinishConnect(_ *Socket, waiting bool) error {
	w.asked = append(w.asked, waiting)
	return w.outcome
}

// A connect that waits begins one attempt, and asks what became of that, at once and whenever it is told of something; if another call has dissolved the
// connection it fails, whatever the socket is connected to by now (Linux, inet_wait_for_connect).
func TestConnectAsksWhatBecame(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome error
		lost    bool
		err     error
		asked   string
	}{
		{"connected", nil, false, nil, "[true true true]"}, {"refused", syscall.ECONNREFUSED, false, syscall.ECONNREFUSED, "[true true true]"},
		{"dissolved", nil, true, syscall.EPIPE, "[true true]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &waiter{finisher: &finisher{stream(), syscall.EALREADY}}
			w.conn = func(int) error { return syscall.EINPROGRESS }
			s := newFake(t, w)
			defer s.Close()
			call := begin(func() (int, error) { return 0, s.Connect(noContext, abi.Addr{}) })
			s.change(wait.Out, func() {})
			if !still(call) {
				t.Errorf("%s: does not wait", c.name)
			}
			s.change(wait.Out, func() {
				w.outcome = c.outcome
				if c.lost {
					s.Dissolved++
				}
			})
			if d := <-call; d.err != c.err || w.tries != 1 || fmt.Sprint(w.asked) != c.asked {
				t.Errorf("%s: %v, %d attempts, asked %v", c.name, d.err, w.tries, w.asked)
			}
			if s.FinishConnect(); w.asked[len(w.asked)-1] {
				t.Errorf("%s: who does not wait says that he does", c.name)
			}
		})
	}
}

// The urgent byte is one, whatever is asked for (Linux, tcp_recv_urg).
func TestUrgentByteIsOne(t *testing.T) {
	for _, c := range []struct {
		low   int32
		flags int
	}{{1, 0}, {1, abi.MSG_WAITALL}, {5, 0}, {5, abi.MSG_WAITALL}, {5, abi.MSG_PEEK}} {
		f := stream()
		f.oob = "!"
		s := newFake(t, f)
		s.SetRcvLowat(int(c.low))
		b := make([]byte, 3)
		if n, err := s.Recv(noContext, b, &Msg{Flags: abi.MSG_OOB | c.flags}); n != 1 || err != nil || b[0] != '!' {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
		f.oob = "" // and none is waited for
		if n, err := s.Recv(noContext, b, &Msg{Flags: abi.MSG_OOB | c.flags}); n != 0 || err != syscall.EAGAIN {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
}

// A receive of no bytes of a stream looks again at whatever happens; others at what comes alone (Linux,
// tcp_recvmsg_locked).
func TestRecvOfNothingLooksAgain(t *testing.T) {
	for _, c := range []struct {
		f     *fake
		room  int
		event wait.Events
		again bool
	}{
		{stream(), 0, wait.In, true}, {stream(), 0, wait.Out, true}, {stream(), 0, wait.Pri, true}, {stream(), 1, wait.In, true}, {stream(), 1, wait.Out, false}, {stream(), 1, wait.Pri, false},
		{record(), 0, wait.In, true}, {record(), 0, wait.Out, false}, {record(), 0, wait.Pri, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &listener{fake: c.f}
			s := newFake(t, l)
			call := begin(func() (int, error) { return s.Recv(noContext, make([]byte, c.room), &Msg{}) })
			s.change(c.event, func() {})
			if synctest.Wait(); len(l.flags) != 1 && !c.again || len(l.flags) != 2 && c.again || !still(call) {
				t.Errorf("stream %v, %d bytes, %v: looks %d times", c.f.kind.Stream, c.room, c.event, len(l.flags))
			}
			s.Close()
			<-call
		})
	}
}
