package socket

import (
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"usock/internal/abi"
	"usock/internal/wait"
)

// listener is a stream that remembers with which flags, and after how many bytes, it was called.
type listener struct {
	*fake
	flags  []int
	before []int
	waited []bool
}

func (l *listener) called(m *Msg) {
	l.flags, l.before, l.waited = append(l.flags, m.Flags), append(l.before, m.Before), append(l.waited, m.Waited)
}

func (l *listener) Send(s *Socket, m *Msg) (int, error) { l.called(m); return l.fake.Send(s, m) }
func (l *listener) Recv(s *Socket, m *Msg) (int, error) { l.called(m); return l.fake.Recv(s, m) }

func (l *listener) Accept(s *Socket, flags int) (*Socket, error) {
	l.called(&Msg{Flags: flags})
	return l.fake.Accept(s, flags)
}

// MSG_DONTWAIT, O_NONBLOCK and a time of none at all are one thing for a protocol: the call does not wait
// (Linux, sock_rcvtimeo and sock_sndtimeo). Each direction goes by its own time.
func TestProtocolKnowsWhoWaits(t *testing.T) {
	for _, c := range []struct {
		name       string
		flags      int
		nonblock   bool
		rcv, snd   time.Duration
		recv, send bool // what is to be told
	}{
		{"waits", 0, false, 0, 0, false, false}, {"MSG_DONTWAIT", abi.MSG_DONTWAIT, false, 0, 0, true, true}, {"another flag", abi.MSG_PEEK, false, 0, 0, false, false},
		{"O_NONBLOCK", 0, true, 0, 0, true, true}, {"no time to receive", 0, false, -1, 0, true, false}, {"no time to send", 0, false, 0, -1, false, true}, {"some time", 0, false, 1, 1, false, false},
	} {
		l := &listener{fake: stream()}
		l.in, l.room, l.ready = []string{"data"}, 10, []*Socket{newFake(t, stream())}
		s := newFake(t, l)
		s.SetNonblock(c.nonblock)
		s.SetTimeo(c.rcv, c.snd)
		s.Recv(noContext, make([]byte, 4), &Msg{Flags: c.flags})
		s.Send(noContext, []byte("data"), &Msg{Flags: c.flags})
		l.in = []string{"data"}
		m := Msg{Flags: c.flags}
		if s.RecvViews(noContext, 4, &m); len(m.Data) == 1 {
			m.Data[0].Release()
		}
		if len(l.flags) != 3 {
			t.Fatalf("%s: %d calls", c.name, len(l.flags))
		}
		for i, want := range []bool{c.recv, c.send, c.recv} {
			if told := l.flags[i]&abi.MSG_DONTWAIT != 0; told != want || l.flags[i]&^abi.MSG_DONTWAIT != c.flags&^abi.MSG_DONTWAIT {
				t.Errorf("%s, call %d: flags %x", c.name, i, l.flags[i])
			}
		}

		l.flags = nil
		s.Accept(noContext) // which has no flags
		if told := l.flags[0] != 0; told != (c.recv && c.flags == 0) {
			t.Errorf("%s, accept: flags %x", c.name, l.flags[0])
		}
	}
}

// What is set while a call waits is for later calls (Linux reads it when the call begins).
func TestSettingsOfCallsThatWait(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(*Socket)
		later func(*Socket)
		after time.Duration // when the call ends where nothing comes; 0: never
	}{
		{"O_NONBLOCK", func(*Socket) {}, func(s *Socket) { s.SetNonblock(true) }, 0},
		{"a time", func(*Socket) {}, func(s *Socket) { s.SetTimeo(time.Second, time.Second) }, 0},
		{"a shorter time", func(s *Socket) { s.SetTimeo(4*time.Second, 4*time.Second) }, func(s *Socket) { s.SetTimeo(time.Second, time.Second) }, 4 * time.Second},
		{"no time any more", func(s *Socket) { s.SetTimeo(4*time.Second, 4*time.Second) }, func(s *Socket) { s.SetTimeo(0, 0) }, 4 * time.Second},
	} {
		for _, k := range waitingCalls {
			if k.name == "poll" {
				continue // waits whatever they say
			}
			synctest.Test(t, func(t *testing.T) {
				s := newFake(t, stream())
				defer s.Close()
				c.first(s)
				began := time.Now()
				call := begin(func() (int, error) { return k.call(noContext, s, 0) })
				c.later(s)
				s.change(k.event(), func() {}) // it looks again, and finds nothing
				if c.after == 0 {
					time.Sleep(time.Hour)
					if !still(call) {
						t.Errorf("%s, %s: over without reason", c.name, k.name)
						return
					}
					s.Close()
					<-call
					return
				}
				if d := <-call; d.err != syscall.EAGAIN || time.Since(began) != c.after {
					t.Errorf("%s, %s: %v after %v", c.name, k.name, d.err, time.Since(began))
				}
			})
		}
	}
}

// event is what the call waits for.
func (k *waitingCall) event() wait.Events {
	if k.read {
		return wait.In
	}
	return wait.Out
}

// A receive of a stream takes what comes until it is SO_RCVLOWAT, as that was when the call began, all with
// MSG_WAITALL, or nothing more can come (recv(2), socket(7)). Once it has some, the end of its waiting is none
// of its errors.
func TestRecvWaitsForEnough(t *testing.T) {
	for _, c := range []struct {
		name  string
		low   int32
		flags int
		in    []string // what comes, one after another
		later int32    // SO_RCVLOWAT after the first
		end   func(*Socket, *listener)
		want  string
		err   error
		calls string // what was received before each call of the protocol that was given something
	}{
		{"one byte", 1, 0, []string{"a"}, 0, nil, "a", nil, "[0]"},
		{"low water", 3, 0, []string{"a", "b", "cd"}, 0, nil, "abcd", nil, "[0 1 2]"},
		{"exactly low water", 2, 0, []string{"a", "b"}, 0, nil, "ab", nil, "[0 1]"},
		{"more than there is room for", 9, 0, []string{"abc", "de"}, 0, nil, "abcde", nil, "[0 3]"},
		{"lower by now", 3, 0, []string{"a", "b", "c"}, 1, nil, "abc", nil, "[0 1 2]"},
		{"higher by now", 2, 0, []string{"a", "b"}, 5, nil, "ab", nil, "[0 1]"},
		{"all", 1, abi.MSG_WAITALL, []string{"a", "bc", "de"}, 0, nil, "abcde", nil, "[0 1 3]"},
		{"all, closed", 1, abi.MSG_WAITALL, []string{"a"}, 0, func(s *Socket, _ *listener) { s.Close() }, "a", nil, "[0]"},
		{"all, the end", 1, abi.MSG_WAITALL, []string{"a"}, 0, func(s *Socket, l *listener) { s.change(wait.In, func() { l.eof = true }) }, "a", nil, "[0]"},
		{"all, an error", 1, abi.MSG_WAITALL, []string{"a"}, 0, func(s *Socket, l *listener) { s.change(wait.In, func() { l.err = syscall.ECONNRESET }) }, "a", nil, "[0]"},
		{"all, an error first", 1, abi.MSG_WAITALL, nil, 0, func(s *Socket, l *listener) { s.change(wait.In, func() { l.err = syscall.ECONNRESET }) }, "", syscall.ECONNRESET, "[]"},
		{"all, dissolved", 1, abi.MSG_WAITALL, []string{"a"}, 0, func(s *Socket, l *listener) {
			s.change(wait.In, func() { s.Dissolved++; l.in = []string{"of another one"} })
		}, "a", nil, "[0]"},
		{"low water, the end", 3, 0, []string{"a"}, 0, func(s *Socket, l *listener) { s.change(wait.In, func() { l.eof = true }) }, "a", nil, "[0]"},
		{"low water, an error", 3, 0, []string{"a"}, 0, func(s *Socket, l *listener) { s.change(wait.In, func() { l.err = syscall.ECONNRESET }) }, "a", nil, "[0]"},
		{"dissolved", 1, 0, nil, 0, func(s *Socket, l *listener) {
			s.change(wait.In, func() { s.Dissolved++; l.in = []string{"of another one"} })
		}, "", syscall.EPIPE, "[]"},
	} {
		for _, views := range []bool{false, true} {
			if views && c.flags&abi.MSG_WAITALL != 0 {
				continue // not a flag of theirs
			}
			synctest.Test(t, func(t *testing.T) {
				l := &listener{fake: stream()}
				s := newFake(t, l)
				defer s.Close()
				s.SetRcvLowat(int(c.low))
				var got string
				call := begin(func() (int, error) {
					if views {
						m := Msg{Flags: c.flags}
						err := s.RecvViews(noContext, 5, &m)
						for _, v := range m.Data {
							got += string(v.Bytes())
							v.Release()
						}
						return len(got), err
					}
					b := make([]byte, 5)
					n, err := s.Recv(noContext, b, &Msg{Flags: c.flags})
					got = string(b[:n])
					return n, err
				})
				var given []int
				for i, data := range c.in {
					if !still(call) {
						t.Errorf("%s: over after %d pieces", c.name, i)
						return
					}
					s.change(wait.In, func() {
						l.in = []string{data}
						if i == 0 && c.later != 0 {
							s.SetRcvLowat(int(c.later))
						}
						given = append(given, l.before[len(l.before)-1])
					})
				}
				if c.end != nil {
					if !still(call) {
						t.Errorf("%s: over before the end", c.name)
						return
					}
					c.end(s, l)
				}
				d := <-call
				if got != c.want || d.err != c.err || fmt.Sprint(given) != c.calls {
					t.Errorf("%s: %q, %v, after %v", c.name, got, d.err, given)
				}
				if len(l.waited) > 1 && (l.waited[0] || !l.waited[len(l.waited)-1]) {
					t.Errorf("%s: has waited: %v", c.name, l.waited)
				}
			})
		}
	}
}

// A socket is two cache lines: an idle connection has two of them.
func TestSocketSize(t *testing.T) {
	if n := unsafe.Sizeof(Socket{}); n > 128 {
		t.Errorf("%d bytes", n)
	}
}
