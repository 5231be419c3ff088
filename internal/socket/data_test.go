package socket

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
	"usock/packet"
	"usock/trace"
)

// What one receive of a stream returns, by its flags and by what is there (recv(2), tcp(7)).
func TestRecvStream(t *testing.T) {
	const rcvLowat = 1 << 30 // no flag: the option is more than is there
	for _, c := range []struct {
		name  string
		in    []string
		eof   bool
		fail  error
		room  int
		flags int
		want  string
		n     int
		err   error
		left  string
	}{
		{"what is there", []string{"ab", "cd"}, false, nil, 8, 0, "ab", 2, nil, "cd"},
		{"as much as there is room for", []string{"abcd"}, false, nil, 3, 0, "abc", 3, nil, "d"},
		{"all that is asked for", []string{"ab", "cd", "ef"}, false, nil, 5, abi.MSG_WAITALL, "abcde", 5, nil, "f"},
		{"all until the end", []string{"ab", "cd"}, true, nil, 5, abi.MSG_WAITALL, "abcd", 4, nil, ""},
		{"all until an error, which is kept", []string{"ab"}, false, syscall.ECONNRESET, 5, abi.MSG_WAITALL, "ab", 2, nil, ""},
		{"an error", nil, false, syscall.ECONNRESET, 5, 0, "", 0, syscall.ECONNRESET, ""},
		{"the end", nil, true, nil, 5, 0, "", 0, nil, ""},
		{"all, but only a look", []string{"ab", "cd"}, true, nil, 5, abi.MSG_WAITALL | abi.MSG_PEEK, "abcd", 4, nil, "abcd"},
		{"all, but only a look, without waiting", []string{"ab", "cd"}, false, nil, 5, abi.MSG_WAITALL | abi.MSG_PEEK | abi.MSG_DONTWAIT, "abcd", 4, nil, "abcd"},
		{"SO_RCVLOWAT, until the end", []string{"ab", "cd"}, true, nil, 9, rcvLowat, "abcd", 4, nil, ""},
		{"all, without waiting", []string{"ab"}, false, nil, 5, abi.MSG_WAITALL | abi.MSG_DONTWAIT, "ab", 2, nil, ""},
		{"thrown away", []string{"abcd"}, false, nil, 3, abi.MSG_TRUNC, "\x00\x00\x00", 3, nil, "d"},
		{"all thrown away", []string{"ab", "cd"}, false, nil, 3, abi.MSG_TRUNC | abi.MSG_WAITALL, "\x00\x00\x00", 3, nil, "d"},
		{"urgent data that is not there does not wait", []string{"ab"}, false, nil, 3, abi.MSG_OOB, "", 0, syscall.EAGAIN, "ab"},
	} {
		f := stream()
		f.in, f.eof, f.err = slices.Clone(c.in), c.eof, c.fail
		s := newFake(t, f)
		if c.flags&rcvLowat != 0 {
			s.SetRcvLowat(int(7))
		}
		b := make([]byte, c.room)
		n, err := s.Recv(noContext, b, &Msg{Flags: c.flags &^ rcvLowat})
		if n != c.n || err != c.err || string(b[:n]) != c.want || strings.Join(f.in, "") != c.left {
			t.Errorf("%s: %d, %v, %q, left %q", c.name, n, err, b[:n], f.in)
		}
	}
}

// The flags of each attempt are those that were asked for, whatever the last one has left there.
func TestRecvRecord(t *testing.T) {
	for _, c := range []struct {
		name   string
		room   int
		flags  int
		want   string
		n      int
		reply  int
		length int
	}{
		{"one that fits", 8, 0, "datagram", 8, 0, 0},
		{"one that does not", 4, 0, "data", 4, abi.MSG_TRUNC, 8},
		{"one that does not, its length asked for", 4, abi.MSG_TRUNC, "data", 8, abi.MSG_TRUNC, 8},
		{"never more than one", 20, abi.MSG_WAITALL, "datagram", 8, abi.MSG_WAITALL, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := record()
			s := newFake(t, f)
			b := make([]byte, c.room)
			m := Msg{Flags: c.flags}
			call := begin(func() (int, error) { return s.Recv(noContext, b, &m) })
			s.change(wait.In, func() { f.in = []string{"datagram", "more"} })
			if d := <-call; d.n != c.n || d.err != nil || string(b[:min(d.n, len(b))]) != c.want || m.Flags != c.reply || m.Len != c.length {
				t.Errorf("%s: %+v, %q, flags %#x, length %d", c.name, d, b, m.Flags, m.Len)
			}
			s.Close()
		})
	}
}

// teller is a stream that tells of what was sent.
type teller struct {
	*fake
	stamps uint32
	done   bool
	told   []string
}

func (f *teller) Send(s *Socket, m *Msg) (int, error) {
	n, err := f.fake.Send(s, m)
	m.Stamps |= f.stamps
	m.Done = m.Done || f.done
	return n, err
}

func (f *teller) Tell(_ *Socket, m *Msg) { f.told = append(f.told, fmt.Sprint(m.Stamps, m.Done)) }

// A stream is sent in parts of a block, and all of it, unless the call is not to wait; what is told of
// it is told once, after the last part.
func TestSendStream(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", packet.MaxBlock/16*2) + "rest"
	for _, c := range []struct {
		name   string
		data   string
		room   int
		fail   error
		flags  int
		set    func(*Socket)
		n      int
		err    error
		parts  int
		stamps uint32
		done   bool
		told   string
	}{
		{"all", "data", 10, nil, 0, nil, 4, nil, 1, 0, false, "[]"},
		{"nothing", "", 10, nil, 0, nil, 0, nil, 1, 0, false, "[]"},
		{"in parts", big, len(big), nil, 0, nil, len(big), nil, 3, 7, false, "[7 false]"},
		{"without waiting", "data", 3, nil, abi.MSG_DONTWAIT, nil, 3, nil, 1, 0, true, "[0 true]"},
		{"non-blocking", "data", 3, nil, 0, func(s *Socket) { s.SetNonblock(true) }, 3, nil, 1, 0, false, "[]"},
		{"no room, without waiting", "data", 0, nil, abi.MSG_DONTWAIT, nil, 0, syscall.EAGAIN, 0, 0, false, "[]"},
		{"an error", "data", 0, syscall.EPIPE, 0, nil, 0, syscall.EPIPE, 0, 7, true, "[]"},
		{"an error in between", "data", 3, syscall.EPIPE, 0, nil, 3, nil, 1, 7, false, "[7 false]"},
	} {
		f := &teller{fake: stream(), stamps: c.stamps, done: c.done}
		f.room, f.err = c.room, c.fail
		s := newFake(t, f)
		if c.set != nil {
			c.set(s)
		}
		m := Msg{Flags: c.flags, Stamps: 99, Done: true} // of an earlier use of m
		n, err := s.Send(noContext, []byte(c.data), &m)
		if n != c.n || err != c.err || len(f.sent) != c.parts || strings.Join(f.sent, "") != c.data[:n] || fmt.Sprint(f.told) != c.told {
			t.Errorf("%s: %d, %v, in %d parts, told %v", c.name, n, err, len(f.sent), f.told)
		}
		for _, p := range f.sent {
			if len(p) > packet.MaxBlock {
				t.Errorf("%s: a part of %d bytes", c.name, len(p))
			}
		}
	}
}

// A record is sent whole, in blocks, up to what is longer than any.
func TestSendRecord(t *testing.T) {
	for _, c := range []struct {
		n   int
		err error
	}{{0, nil}, {4, nil}, {packet.MaxBlock, nil}, {packet.MaxBlock + 1, nil}, {3*packet.MaxBlock + 5, nil}, {maxRecord, nil}, {maxRecord + 1, syscall.EMSGSIZE}} {
		f := record()
		f.room = 2 * maxRecord
		s := newFake(t, f)
		data := strings.Repeat("0123456789abcdef!", c.n/17+1)[:c.n]
		m := Msg{Stamps: 7}
		n, err := s.Send(noContext, []byte(data), &m)
		if err != c.err || err == nil && (n != c.n || len(f.sent) != 1 || f.sent[0] != data) || err != nil && n != 0 {
			t.Errorf("%d bytes: %d, %v", c.n, n, err)
		}
	}
}

// Views are sent as they lie and stay the caller's, whatever becomes of the call.
func TestSendViews(t *testing.T) {
	for _, c := range []struct {
		name  string
		views []string
		rooms []int // what there is room for, one after the other
		fail  error
		flags int
		set   func(*Socket)
		n     int
		err   error
		sent  string
	}{
		{"all", []string{"ab", "cd"}, []int{10}, nil, 0, nil, 4, nil, "abcd"},
		{"none", nil, []int{10}, nil, 0, nil, 0, nil, ""},
		{"an empty one", []string{"ab", "", "cd"}, []int{10}, nil, 0, nil, 4, nil, "abcd"},
		{"byte by byte", []string{"ab", "cd"}, []int{1, 1, 1, 1}, nil, 0, nil, 4, nil, "a|b|c|d"},
		{"within a view", []string{"abc", "def"}, []int{1, 4, 1}, nil, 0, nil, 6, nil, "a|bcde|f"},
		{"without waiting", []string{"abc"}, []int{2}, nil, abi.MSG_DONTWAIT, nil, 2, nil, "ab"},
		{"non-blocking", []string{"abc"}, []int{2}, nil, 0, func(s *Socket) { s.SetNonblock(true) }, 2, nil, "ab"},
		{"an error", []string{"abc"}, nil, syscall.EPIPE, 0, nil, 0, syscall.EPIPE, ""},
		{"an error in between", []string{"abc"}, []int{2}, syscall.EPIPE, 0, nil, 2, nil, "ab"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := stream()
			f.err = c.fail
			if len(c.rooms) > 0 {
				f.room = c.rooms[0]
			}
			s := newFake(t, f)
			if c.set != nil {
				c.set(s)
			}
			var views []packet.View
			for _, v := range c.views {
				views = append(views, packet.Copy([]byte(v)))
			}
			call := begin(func() (int, error) { return s.SendViews(noContext, views, &Msg{Flags: c.flags}) })
			for _, n := range c.rooms[min(len(c.rooms), 1):] {
				s.change(wait.Out, func() { f.room = n })
				synctest.Wait()
			}
			if d := <-call; d.n != c.n || d.err != c.err || strings.Join(f.sent, "|") != c.sent {
				t.Errorf("%s: %+v, %q", c.name, d, f.sent)
			}
			for i, v := range views {
				if string(v.Bytes()) != c.views[i] {
					t.Errorf("%s: a view has changed to %q", c.name, v.Bytes())
				}
				v.Release()
			}
			s.Close()
		})
	}
	s := newFake(t, record())
	if _, err := s.SendViews(noContext, nil, &Msg{}); err != syscall.EOPNOTSUPP {
		t.Error(err)
	}
	if err := s.RecvViews(noContext, 1, &Msg{}); err != syscall.EOPNOTSUPP {
		t.Error(err)
	}
	// What is received in views is the caller's; flags other than two are not asked for.
	f := stream()
	f.in = []string{"abcd"}
	s = newFake(t, f)
	m := Msg{Flags: abi.MSG_PEEK | abi.MSG_TRUNC}
	if err := s.RecvViews(noContext, 3, &m); err != nil || len(m.Data) != 1 || string(m.Data[0].Bytes()) != "abc" || f.in[0] != "abcd" {
		t.Error(err, m.Data)
	}
	packet.ReleaseAll(m.Data)
	m.Flags = 0
	if err := s.RecvViews(noContext, 3, &m); err != nil || string(m.Data[0].Bytes()) != "abc" || strings.Join(f.in, "") != "d" {
		t.Error(err, f.in)
	}
	packet.ReleaseAll(m.Data)
}

// prefetcher is a protocol of records some of which lie ready outside of the host.
type prefetcher struct {
	*fake
	aside   []string
	recalls int
}

func (f *prefetcher) RecvPrefetched(_ *Socket, m *Msg) (int, bool) {
	if len(f.aside) == 0 {
		return 0, false
	}
	first := f.aside[0]
	f.aside = f.aside[1:]
	n := min(len(first), m.Max)
	m.Data = append(m.Data, packet.Copy([]byte(first[:n])))
	return n, true
}

func (f *prefetcher) Recall(*Socket) { f.recalls++ }

// Records that lie ready go to receives that ask for nothing else than bytes; what comes before them
// calls them back.
func TestPrefetched(t *testing.T) {
	f := &prefetcher{fake: record(), aside: []string{"one", "two", "three"}}
	f.in = []string{"four", "five", "six"}
	s := newFake(t, f)
	for _, c := range []struct {
		m    Msg
		room int
		want string
	}{
		{Msg{}, 8, "one"}, {Msg{Want: true}, 8, "four"}, {Msg{Flags: abi.MSG_DONTWAIT}, 8, "two"}, {Msg{Flags: abi.MSG_PEEK}, 8, "five"},
		{Msg{Max: 1}, 4, "thre"}, {Msg{}, 8, "six"},
	} {
		if got, err := receiveText(s, c.room, &c.m); got != c.want || err != nil {
			t.Errorf("%q, want %q, %v", got, c.want, err)
		}
	}
	for _, c := range []struct {
		name string
		f    func()
		n    int
	}{
		{"a pending error", func() { s.Host.Enter(); s.SetErr(syscall.EPIPE); s.Host.Leave() }, 1},
		{"a deadline", func() { s.SetReadDeadline(time.Now().Add(time.Hour)) }, 1},
		{"none to take off", func() { s.SetWriteDeadline(time.Time{}) }, 0},
		{"one to take off", func() { s.SetReadDeadline(time.Time{}) }, 1},
		{"SIOCGSTAMP", func() { s.Stamp() }, 1},
		{"SO_PEEK_OFF", func() { s.locked(func() error { return PeekOff.Set(s, abi.AppendInt(nil, 3)) }) }, 1},
	} {
		f.recalls = 0
		if c.f(); f.recalls != c.n {
			t.Errorf("%s: called back %d times, want %d", c.name, f.recalls, c.n)
		}
	}
	for _, c := range []struct {
		name string
		m    Msg
		set  func()
		may  bool
	}{
		{"nothing else", Msg{Flags: abi.MSG_DONTWAIT}, func() {}, true},
		{"control messages", Msg{Want: true}, func() {}, false},
		{"a flag", Msg{Flags: abi.MSG_PEEK}, func() {}, false},
		{"a deadline to write", Msg{}, func() { s.SetWriteDeadline(time.Now().Add(time.Hour)) }, true},
		{"a deadline to read", Msg{}, func() { s.SetReadDeadline(time.Now().Add(time.Hour)) }, false},
		{"one that was taken off", Msg{}, func() { s.SetReadDeadline(time.Time{}) }, true},
		{"an error", Msg{}, func() { s.KeepErr(syscall.EPIPE) }, false},
	} {
		s.Host.Enter()
		s.KeepErr(0)
		s.Host.Leave()
		c.set()
		s.Host.Enter()
		if may := s.MayPrefetch(&c.m); may != c.may {
			t.Errorf("%s: records may be set aside: %v", c.name, may)
		}
		s.Host.Leave()
	}
	s.Close()
}

// asker is a stream with everything that can be asked.
type asker struct {
	*fake
	mark   bool
	unsent int
	held   int
}

func (a *asker) AtMark(*Socket) bool       { return a.mark }
func (a *asker) Unsent(*Socket) int        { return a.unsent }
func (a *asker) Hold(_ *Socket, n int)     { a.held += n }
func (a *asker) Listen(*Socket, int) error { return nil }

// What is asked of a protocol, and that nothing is asked of a closed socket.
func TestAsked(t *testing.T) {
	local, peer := abi.AddrFrom(netip.MustParseAddrPort("10.0.0.1:1")), abi.AddrFrom(netip.MustParseAddrPort("10.0.0.2:2"))
	a := &asker{fake: stream(), unsent: 5}
	s := newFake(t, a)
	check := func(what string, err, want error, ok bool) {
		t.Helper()
		if err != want || !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("bind", s.Bind(local), nil, true)
	got, err := s.Name()
	check("name", err, nil, got == local)
	_, err = s.Peer()
	check("no peer", err, syscall.ENOTCONN, true)
	l, p, err := s.Names()
	check("names", err, nil, l == local && p == abi.Addr{})
	a.peer, a.hasPeer = peer, true
	got, err = s.Peer()
	check("peer", err, nil, got == peer)
	l, p, err = s.Names()
	check("names", err, nil, l == local && p == peer)
	a.in, a.sent = []string{"abc"}, []string{"de"}
	in, err := s.Queued(false)
	check("queued", err, nil, in == 3)
	out, err := s.Queued(true)
	check("queued out", err, nil, out == 2)
	at, err := s.AtMark()
	check("mark", err, nil, !at)
	a.mark = true
	at, err = s.AtMark()
	check("mark", err, nil, at)
	n, err := s.Unsent()
	check("unsent", err, nil, n == 5)
	a.unsent = 0
	n, err = s.Unsent()
	check("unsent", err, nil, n == 0)
	a.unsent = -1
	_, err = s.Unsent()
	check("unsent of a listener", err, syscall.EINVAL, true)
	s.Hold(3)
	check("hold", nil, nil, a.held == 3)
	for how, want := range map[int]error{-1: syscall.EINVAL, abi.SHUT_RD: nil, abi.SHUT_WR: nil, abi.SHUT_RDWR: nil, 3: syscall.EINVAL} {
		check("shutdown", s.Shutdown(how), want, true)
	}
	check("ready", nil, nil, s.Ready() == wait.In)
	if ev, err := s.Poll(noContext, wait.In|wait.Out); ev != wait.In || err != nil {
		t.Error(ev, err)
	}
	a.more = wait.Err
	if ev, err := s.Poll(noContext, wait.Out); ev != wait.Err || err != nil {
		t.Error(ev, err)
	}
	a.more = wait.Hup
	if ev, err := s.Poll(noContext, wait.Out); ev != wait.Hup || err != nil {
		t.Error(ev, err)
	}
	if want := "bind shutdown shutdown shutdown"; strings.Join(a.calls, " ") != want {
		t.Errorf("%q, want %q", a.calls, want)
	}
	s.Host.Enter()
	s.SetErr(syscall.EPIPE)
	check("error", s.TakeErr(), syscall.EPIPE, s.Err() == 0)
	check("no error", s.TakeErr(), nil, !s.Closed() && !s.Waited())
	s.Host.Leave()

	s.Close()
	for what, err := range map[string]error{
		"bind": s.Bind(local), "listen": s.Listen(1), "shutdown": s.Shutdown(abi.SHUT_RD), "deadline": s.SetDeadline(time.Now()), "no deadline": s.SetDeadline(time.Time{}),
		"name": second(s.Name()), "peer": second(s.Peer()), "mark": second(s.AtMark()), "unsent": second(s.Unsent()), "stamp": second(s.Stamp()),
		"option": s.SetOpt(abi.SOL_SOCKET, abi.SO_KEEPALIVE, abi.AppendInt(nil, 1)), "options": s.SetOpts([]Setting{{abi.SOL_SOCKET, abi.SO_KEEPALIVE, abi.AppendInt(nil, 1)}}),
		"get": second(s.GetOpt(abi.SOL_SOCKET, abi.SO_KEEPALIVE, make([]byte, 4))), "send": second(s.Send(noContext, []byte("x"), &Msg{})), "recv": second(s.Recv(noContext, nil, &Msg{})),
	} {
		check("closed: "+what, err, syscall.EBADF, true)
	}
	s.Hold(3)
	s.Host.Enter()
	s.CloseLocked()
	s.Host.Leave()
	if a.held != 3 || s.Ready() != wait.Hup || a.calls[len(a.calls)-1] != "close" || a.calls[len(a.calls)-2] == "close" || !s.Closed() {
		t.Errorf("%d, %v, %q", a.held, s.Ready(), a.calls)
	}

	// Of a protocol that has none of it.
	s = newFake(t, record())
	check("mark", second(s.AtMark()), syscall.ENOTTY, true)
	check("unsent", second(s.Unsent()), syscall.ENOTTY, true)
	s.Hold(1)
	s.Close()
}

func second[T any](_ T, err error) error { return err }

// Every call is told to who listens: what it returned, whose it was, and the addresses of then.
func TestCallsAreTold(t *testing.T) {
	local, peer := abi.AddrFrom(netip.MustParseAddrPort("10.0.0.1:1")), abi.AddrFrom(netip.MustParseAddrPort("10.0.0.2:2"))
	f := stream()
	f.name, f.room, f.in = local, 10, []string{"abc"}
	f.conn = func(int) error { return nil }
	s := newFake(t, f)
	s.Owner.Store(7)
	var told []trace.Event
	s.Bind(local) // nobody listens
	stop := s.Host.Host().Trace(func(e []trace.Event) { told = append(told, e...) })
	v := packet.Copy([]byte("xy"))
	s.Bind(local)
	s.Listen(1)
	f.peer, f.hasPeer = peer, true
	s.Connect(noContext, peer)
	s.Send(noContext, []byte("abcd"), &Msg{})
	s.SendViews(noContext, []packet.View{v}, &Msg{})
	s.Recv(noContext, make([]byte, 2), &Msg{})
	m := Msg{}
	s.RecvViews(noContext, 8, &m)
	packet.ReleaseAll(m.Data)
	s.Recv(noContext, make([]byte, 2), &Msg{Flags: abi.MSG_DONTWAIT})
	f.err, f.room = syscall.EPIPE, 0
	s.Send(noContext, []byte("abcd"), &Msg{})
	s.SendViews(noContext, []packet.View{v}, &Msg{})
	v.Release()
	s.Shutdown(abi.SHUT_WR)
	accepted := &fake{kind: f.kind, peer: local, hasPeer: true}
	f.ready = []*Socket{newFake(t, accepted)}
	s.Accept(noContext)
	s.SetNonblock(true)
	s.Accept(noContext)
	s.Close()
	s.Close()
	stop()

	var got []string
	for _, e := range told {
		got = append(got, fmt.Sprintf("%s %d %q %v %v", e.Call, e.Result, e.Err, e.Local, e.Peer))
		if e.Kind != trace.Called || e.Socket != s.ID || e.Owner != 7 || e.Protocol != 6 && e.Local.IsValid() {
			t.Errorf("%+v", e)
		}
	}
	const from, both, gone = "10.0.0.1:1 invalid AddrPort", "10.0.0.1:1 10.0.0.2:2", "invalid AddrPort invalid AddrPort"
	eagain, epipe, ebadf := syscall.EAGAIN.Error(), syscall.EPIPE.Error(), syscall.EBADF.Error()
	want := []string{
		`bind 0 "" ` + from, `listen 0 "" ` + from, `connect 0 "" ` + both, `send 4 "" ` + both, `send 2 "" ` + both, `recv 2 "" ` + both, `recv 1 "" ` + both,
		fmt.Sprintf(`recv -1 %q `, eagain) + both, fmt.Sprintf(`send -1 %q `, epipe) + both, fmt.Sprintf(`send -1 %q `, epipe) + both,
		fmt.Sprintf(`shutdown -1 %q `, epipe) + both, `accept 0 "" 10.0.0.1:1 10.0.0.1:1`, fmt.Sprintf(`accept -1 %q `, eagain) + both,
		`close 0 "" ` + both, fmt.Sprintf(`close -1 %q `, ebadf) + gone,
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%d: got %q, want %q", i, got[i:min(i+1, len(got))], want[i:min(i+1, len(want))])
		}
	}
}
