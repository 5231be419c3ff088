package inet

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/wait"
)

// plain is a receive that asks for bytes and address alone, which copies serve.
func (s *sock) plain(room int) got {
	m := socket.Msg{Flags: abi.MSG_DONTWAIT}
	b := make([]byte, room)
	n, err := s.Recv(noContext, b, &m)
	return got{data: string(b[:n]), from: m.Addr.String(), flags: m.Flags, err: err}
}

// sends sends so many messages: their numbers, from the first on.
func (s *sock) sends(first, n int) {
	s.m.t.Helper()
	for i := range n {
		if err := s.send(fmt.Sprint(first+i), "-"); err != nil {
			s.m.t.Fatal(err)
		}
	}
}

// copies returns how many copies the socket has that were not taken.
func (s *sock) copies() (n int) {
	s.m.do(func() {
		if a := sctpOf(s.Socket).ahead.Load(); a != nil {
			n = a.left()
		}
	})
	return n
}

// promptPair is sctpPair of which the first sends each message at once.
func promptPair(t *testing.T) (x, y *sock) {
	t.Helper()
	a, b := newPair(t, Config{})
	x, y = sctpPair(t, a, b)
	return x.set(abi.SOL_SCTP, abi.SCTP_NODELAY, 1), y
}

// Messages that wait together are received in order, once each, whatever else looks at the queue in between; and some
// of them are received without entering the domain.
func TestSCTPFetched(t *testing.T) {
	x, y := promptPair(t)
	x.sends(0, 100)
	for i := 0; i < 100; i++ {
		want, in := fmt.Sprint(i), 0
		if i%7 == 3 {
			if g := y.recv(abi.MSG_PEEK); g.data != want || g.flags != abi.MSG_EOR {
				t.Errorf("peeked at %q, %#x, %v; want %s", g.data, g.flags, g.err, want)
			}
		}
		if i%13 == 5 {
			if in, _ = y.Queued(false); in != len(want) {
				t.Errorf("%d bytes are to be received, want those of %s", in, want)
			}
		}
		if ev := y.ready(); ev&wait.In == 0 {
			t.Errorf("before %s: not readable", want)
		}
		g := y.plain(100)
		if i%11 == 7 {
			i++
			g = y.recv(0)
			want = fmt.Sprint(i)
		}
		if g.data != want || g.flags != abi.MSG_EOR || g.err != nil || g.from != addrA+fmt.Sprintf(":%d", x.port()) {
			t.Errorf("received %q from %s, %#x, %v; want %s", g.data, g.from, g.flags, g.err, want)
		}
	}
	if y.ready()&wait.In != 0 {
		t.Error("readable without a message")
	}
	if g := y.plain(100); g.err != syscall.EAGAIN {
		t.Errorf("then %q, %v", g.data, g.err)
	}
}

// What is in the way of copies: a notification, a message of a size or in parts, a room that is too small.
func TestSCTPFetchedUpTo(t *testing.T) {
	x, y := promptPair(t)
	y.events(abi.SCTP_SHUTDOWN_EVENT)
	x.sends(0, 10)
	if g := y.plain(100); g.data != "0" || y.copies() != 9 {
		t.Errorf("%q, and %d copies; want 0 and 9", g.data, y.copies())
	}
	long := strings.Repeat("long", 2000)
	x.send(long, "-")
	x.sends(10, 5)
	for i := 1; i < 10; i++ {
		y.plain(100)
	}
	if g := y.plain(4); g.data != "long" || g.flags != 0 || y.copies() != 0 {
		t.Errorf("%q, %#x, and %d copies; want a part and none", g.data, g.flags, y.copies())
	}
	if g := y.plain(10000); g.data != long[4:] || g.flags != abi.MSG_EOR {
		t.Errorf("%d bytes, %#x; want the rest of %d", len(g.data), g.flags, len(long))
	}
	if g := y.plain(1); g.data != "1" || g.flags != 0 {
		t.Errorf("%q, %#x; want a part", g.data, g.flags)
	}
	if g := y.plain(1); g.data != "0" || g.flags != abi.MSG_EOR {
		t.Errorf("%q, %#x; want the rest", g.data, g.flags)
	}
	x.Shutdown(abi.SHUT_WR)
	if g := y.plain(100); g.data != "11" || y.copies() != 3 {
		t.Errorf("%q, and %d copies; want 11 and 3", g.data, y.copies())
	}
	var all []string
	for g := y.plain(100); g.data != ""; g = y.plain(100) {
		if g.flags&abi.MSG_NOTIFICATION != 0 {
			g.data = told(g)
		}
		all = append(all, g.data)
	}
	if want := []string{"12", "13", "14", "shutdown"}; !slices.Equal(all, want) {
		t.Errorf("then %q, want %q", all, want)
	}
}

// A program that looks at what it receives before has nothing copied in vain for each message.
func TestSCTPFetchedForLittle(t *testing.T) {
	x, y := promptPair(t)
	x.sends(0, 60)
	fetches := 0
	for i := range 60 {
		y.recv(abi.MSG_PEEK)
		if g := y.plain(100); g.data != fmt.Sprint(i) {
			t.Fatalf("%q, want %d", g.data, i)
		}
		if y.copies() > 0 {
			fetches++
		}
	}
	if fetches > 4 {
		t.Errorf("copies were made %d times", fetches)
	}
}

// What was received from copies makes room for the peer once the program has to do with the socket again: when the receiver has
// read all and asks for more, by a receive or by poll, the peer is told of the window, and a sender that waits for room goes
// on once it has sent again what there was none for.
func TestSCTPFetchedMakesRoom(t *testing.T) {
	for _, poll := range []bool{false, true} {
		x, y := promptPair(t)
		x.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 8000)
		sent := 0
		for x.send("0123456789", "-") == nil {
			sent++
		}
		if x.ready()&wait.Out != 0 || y.copies() != 0 {
			t.Fatalf("%d sent: there is room", sent)
		}
		y.m.took()
		received := 0
		for {
			if poll && y.ready()&wait.In == 0 {
				break
			}
			if g := y.plain(100); g.err == syscall.EAGAIN {
				break
			} else if g.data != "0123456789" {
				t.Fatalf("%q, %v", g.data, g.err)
			}
			if received++; received == 40*maxAhead && len(y.m.took()) == 0 {
				t.Errorf("poll %v: the peer is told of no window while all is received from copies", poll)
			}
		}
		x.m.clock.Advance(sctp.DefaultSettings().RTOMax)
		for y.plain(100).err == nil {
			received++
		}
		if received != sent || x.ready()&wait.Out == 0 {
			t.Errorf("poll %v: %d received of %d, room %v", poll, received, sent, x.ready()&wait.Out != 0)
		}
	}
}

// A close finds out whether something was not read: copies that nobody has taken were not.
func TestSCTPCloseFetched(t *testing.T) {
	for _, c := range []struct {
		read int
		want syscall.Errno
	}{{5, syscall.ECONNRESET}, {10, 0}} {
		x, y := promptPair(t)
		x.sends(0, 10)
		for range c.read {
			y.plain(100)
		}
		y.Close()
		if got := x.get(abi.SOL_SOCKET, abi.SO_ERROR); got != int(c.want) {
			t.Errorf("%d of 10 read: the peer has error %d, want %d", c.read, got, c.want)
		}
		if g := y.plain(100); g.err != syscall.EBADF {
			t.Errorf("%d of 10 read: a receive after close has %q, %v", c.read, g.data, g.err)
		}
	}
}

// An association that is peeled off takes along what the program has not taken, copied or not.
func TestSCTPPeelFetched(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("many4", addrB+":7")
	x := a.open("many4").at(addrA+":5000").set(abi.SOL_SCTP, abi.SCTP_NODELAY, 1)
	for i := range 10 {
		if err := x.send(fmt.Sprint(i), addrB+":7"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if g := l.plain(100); g.data != fmt.Sprint(i) {
			t.Errorf("%q, want %d", g.data, i)
		}
	}
	if l.copies() != 7 {
		t.Errorf("%d copies, want 7", l.copies())
	}
	v := abi.AppendStruct(nil, &abi.SCTPPaddrinfo{Address: l.sockaddr(addrA + ":5000")})
	if _, err := l.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_PEER_ADDR_INFO, v); err != nil {
		t.Fatal(err)
	}
	var info abi.SCTPPaddrinfo
	abi.ParseStruct(v, &info)
	n, err := l.Peel(info.AssocID)
	if err != nil {
		t.Fatal(err)
	}
	n.SetNonblock(true)
	if got := (&sock{n, b}).text(); got != "3 4 5 6 7 8 9" {
		t.Errorf("the peeled one has %q", got)
	}
	if g := l.plain(100); g.err != syscall.EAGAIN {
		t.Errorf("the other one has %q, %v", g.data, g.err)
	}
}

// A message of which parts were to be read behind copies, and that is given up, is told of as without copies: no message
// comes twice, and no notification is lost with the messages that the program has.
func TestSCTPFetchedBeforeAborted(t *testing.T) {
	var want []string
	for _, copied := range []bool{false, true} {
		a, b := newPair(t, Config{})
		l := b.listening("one4", addrB+":7").set(abi.SOL_SCTP, abi.SCTP_PARTIAL_DELIVERY_POINT, 1000)
		x := a.open("one4").with(addrB+":7").set(abi.SOL_SCTP, abi.SCTP_NODELAY, 1).set(abi.SOL_SOCKET, abi.SO_SNDBUF, 1<<20)
		y := l.accept().events(abi.SCTP_PARTIAL_DELIVERY_EVENT, abi.SCTP_ASSOC_CHANGE)
		x.sends(0, 8)
		var all []string
		read := func() bool {
			g := got{}
			if copied {
				g = y.plain(100)
			} else {
				g = y.recv(0)
			}
			all = append(all, told(g))
			return g.err == nil
		}
		for range 5 {
			read()
		}
		if err := x.send(strings.Repeat("long", 100000), "-"); err != nil {
			t.Fatal(err)
		}
		b.must(x.SetOpt(abi.SOL_SOCKET, abi.SO_LINGER, abi.AppendLinger(nil, abi.Linger{On: true})))
		x.Close()
		for read() {
		}
		if !copied {
			want = all
		}
		if !slices.Equal(all, want) || len(all) != 11 {
			t.Errorf("copied %v: %q, want %q", copied, all, want)
		}
	}
}

// Many that receive from one socket, while it is sent to, have each message once (with the race detector).
func TestSCTPFetchedByMany(t *testing.T) {
	const messages, receivers = 3000, 4
	m := newWide(t, addrA+"/24")
	l := m.listening("one4", "127.0.0.1:7")
	x := m.open("one4").with("127.0.0.1:7")
	x.set(abi.SOL_SCTP, abi.SCTP_NODELAY, 1)
	y := l.accept()
	x.SetNonblock(false)
	y.SetNonblock(false)
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	for range receivers {
		all.Go(func() {
			b := make([]byte, 100)
			for {
				n, err := y.Recv(noContext, b, &socket.Msg{})
				if err != nil {
					t.Error(err)
				}
				if err != nil || string(b[:n]) == "end" {
					return
				}
				mu.Lock()
				got[string(b[:n])]++
				mu.Unlock()
			}
		})
	}
	for i := range messages + receivers {
		text := fmt.Sprint(i)
		if i >= messages {
			text = "end"
		}
		if _, err := x.Send(noContext, []byte(text), &socket.Msg{}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	for text, n := range got {
		if n != 1 {
			t.Errorf("%s was received %d times", text, n)
		}
	}
	if len(got) != messages {
		t.Errorf("%d messages of %d", len(got), messages)
	}
}
