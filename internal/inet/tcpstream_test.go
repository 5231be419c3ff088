package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/packet"
)

// What is received, by flags and options (tcp(7), recv(2), socket(7)).
func TestStreamRecv(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	s.send("abcdefgh", "-")
	for i, x := range []struct {
		room, flags int
		want        string
		n           int
	}{{3, abi.MSG_PEEK, "abc", 3}, {3, 0, "abc", 3}, {2, abi.MSG_TRUNC, "\x00\x00", 2}, {9, abi.MSG_PEEK, "fgh", 3}, {0, 0, "", 0}, {9, 0, "fgh", 3}} {
		buf := make([]byte, x.room)
		n, err := c.Recv(noContext, buf, &socket.Msg{Flags: x.flags | abi.MSG_DONTWAIT})
		if err != nil || n != x.n || string(buf[:n]) != x.want {
			t.Errorf("%d: %d %q %v", i, n, buf, err)
		}
	}
	in, _ := c.Queued(false)
	out, _ := c.Queued(true)
	if n, err := c.Unsent(); in != 0 || out != 0 || n != 0 || err != nil {
		t.Error(in, out, n, err)
	}
	// SO_PEEK_OFF.
	c.set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, 1)
	s.send("abcd", "-")
	for i, x := range []struct {
		room, flags int
		want        string
		off         int
	}{{2, abi.MSG_PEEK, "bc", 3}, {9, abi.MSG_PEEK, "d", 4}, {3, 0, "abc", 1}, {9, 0, "d", 0}} {
		if g := c.recvInto(x.room, x.flags); g.data != x.want || c.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF) != x.off {
			t.Errorf("%d: %+v, then at %d", i, g, c.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF))
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, -1)
	// TCP_INQ tells what is left.
	c.set(abi.SOL_TCP, abi.TCP_INQ, 1)
	s.send("abcd", "-")
	for _, want := range []int{3, 2} {
		if g := c.recvInto(1, 0); g.said() != fmt.Sprintf("%d/%d=%x", abi.SOL_TCP, abi.TCP_INQ, ints(want)) {
			t.Errorf("%s, want %d", g.said(), want)
		}
	}
	c.set(abi.SOL_TCP, abi.TCP_INQ, 0)
	if g := c.recv(0); g.said() != "" || g.data != "cd" {
		t.Errorf("%+v", g)
	}
	// SO_RCVLOWAT keeps from being ready; a receive that does not wait takes what there is.
	c.set(abi.SOL_SOCKET, abi.SO_RCVLOWAT, 4)
	s.send("abc", "-")
	if c.ready()&wait.In != 0 {
		t.Error("ready for less than SO_RCVLOWAT")
	}
	s.send("d", "-")
	if c.ready()&wait.In == 0 {
		t.Error("not ready")
	}
	if got := c.text(); got != "abcd" {
		t.Error(got)
	}
	c.set(abi.SOL_SOCKET, abi.SO_RCVLOWAT, 1)

}

// Urgent data: apart, or in line; where it stands (RFC 6093).
func TestStreamUrgent(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	urgent := func(data string) {
		t.Helper()
		if _, err := s.Send(noContext, []byte(data), &socket.Msg{Flags: abi.MSG_OOB}); err != nil {
			t.Fatal(err)
		}
	}
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	urgent("abX")
	if c.ready()&wait.Pri == 0 {
		t.Error("urgent data is not told")
	}
	if at, _ := c.AtMark(); at {
		t.Error("at the mark already")
	}
	if g := c.recv(abi.MSG_OOB | abi.MSG_PEEK); g.data != "X" || g.flags != abi.MSG_OOB {
		t.Errorf("%+v", g)
	}
	if g := c.recvInto(0, abi.MSG_OOB|abi.MSG_PEEK); g.data != "" || g.flags != abi.MSG_OOB|abi.MSG_TRUNC {
		t.Errorf("%+v", g)
	}
	if g := c.recv(0); g.data != "ab" {
		t.Errorf("%+v", g)
	}
	if at, _ := c.AtMark(); !at {
		t.Error("not at the mark")
	}
	if g := c.recv(abi.MSG_OOB); g.data != "X" {
		t.Errorf("%+v", g)
	}
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	c.set(abi.SOL_SOCKET, abi.SO_OOBINLINE, 1)
	urgent("cdY")
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	if got := c.text(); got != "Xcd Y" {
		t.Error(got)
	}
}

// MSG_MORE and TCP_CORK keep a segment that is not full; TCP_NODELAY and the end of both send it
// (tcp(7)).
func TestStreamCork(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	more := func(data string, flags int) {
		t.Helper()
		if _, err := c.Send(noContext, []byte(data), &socket.Msg{Flags: flags}); err != nil {
			t.Fatal(err)
		}
	}
	more("a", abi.MSG_MORE)
	if got := s.text(); got != "" || c.get(abi.SOL_TCP, abi.TCP_CORK) != 0 {
		t.Errorf("%q is sent already", got)
	}
	if n, _ := c.Unsent(); n != 1 {
		t.Error(n)
	}
	more("b", 0)
	if got := s.text(); got != "ab" {
		t.Error(got)
	}
	c.set(abi.SOL_TCP, abi.TCP_CORK, 1)
	more("c", 0)
	more("d", abi.MSG_MORE)
	more("e", 0)
	if got := s.text(); got != "" {
		t.Errorf("%q is sent already", got)
	}
	c.set(abi.SOL_TCP, abi.TCP_CORK, 0)
	if got := s.text(); got != "cde" {
		t.Error(got)
	}
	a.clock.Advance(time.Second) // all is acknowledged, as Nagle's algorithm asks for
	more("f", abi.MSG_MORE)
	c.set(abi.SOL_TCP, abi.TCP_CORK, 0) // takes MSG_MORE off, too
	if got := s.text(); got != "f" {
		t.Error(got)
	}
}

// When bytes came and left is told as it was asked for.
func TestStreamStamps(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	const soft, rx = abi.SOF_TIMESTAMPING_SOFTWARE, abi.SOF_TIMESTAMPING_RX_SOFTWARE
	now := func() (n int64) { a.do(func() { n = a.h.Stamp() }); return n }
	ts := func(ns int64) string {
		v := binary.NativeEndian.AppendUint64(nil, uint64(ns/1e9))
		return fmt.Sprintf("%d/%d=%x", abi.SOL_SOCKET, abi.SO_TIMESTAMPING, append(binary.NativeEndian.AppendUint64(v, uint64(ns%1e9)), make([]byte, 32)...))
	}
	// Arrivals: that of the last byte that a receive gives.
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|rx)
	s.send("ab", "-")
	first := now()
	a.clock.Advance(time.Second)
	s.send("cd", "-")
	second := now()
	for i, x := range []struct {
		room, flags int
		want        string
		at          int64
	}{{1, abi.MSG_PEEK, "a", first}, {9, abi.MSG_PEEK, "abcd", second}, {2, 0, "ab", first}, {1, 0, "c", second}, {1, 0, "d", second}} {
		if g := c.recvInto(x.room, x.flags); g.data != x.want || g.said() != ts(x.at) {
			t.Errorf("%d: %q %s, want %s", i, g.data, g.said(), ts(x.at))
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0)
	s.send("x", "-")
	if g := c.recv(0); g.said() != "" {
		t.Errorf("%+v", g)
	}
}

// What leaves: by its last byte, when it was sent and acknowledged, with the number of that byte.
func TestStreamSentStamps(t *testing.T) {
	a, b := newPair(t, Config{})
	c, _ := joined(t, a, b, addrB+":80")
	const soft, tx, sched, ack, id, idTCP, only = abi.SOF_TIMESTAMPING_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SCHED, abi.SOF_TIMESTAMPING_TX_ACK, abi.SOF_TIMESTAMPING_OPT_ID, abi.SOF_TIMESTAMPING_OPT_ID_TCP, abi.SOF_TIMESTAMPING_OPT_TSONLY
	for _, bad := range []int{soft | tx, soft | ack} {
		if err := c.SetOpt(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(bad)); err != syscall.ENOPROTOOPT {
			t.Errorf("stamps with data: %v", err)
		}
	}
	if err := a.open("tcp4").SetOpt(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(id)); err != syscall.EINVAL {
		t.Errorf("numbers without a connection: %v", err)
	}
	told := func(want ...string) {
		t.Helper()
		for _, w := range want {
			g := c.recv(abi.MSG_ERRQUEUE)
			got := "nothing"
			if len(g.control) == 2 {
				e := g.control[1].Data
				got = fmt.Sprint(binary.NativeEndian.Uint32(e[8:]), " ", binary.NativeEndian.Uint32(e[12:]))
				if e[4] != originTimestamping || syscall.Errno(binary.NativeEndian.Uint32(e)) != syscall.ENOMSG || g.flags != abi.MSG_ERRQUEUE || g.control[0].Type != abi.SO_TIMESTAMPING {
					t.Errorf("%+v", g)
				}
			}
			if got != w {
				t.Errorf("told %s, want %s", got, w)
			}
		}
		if g := c.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
			t.Errorf("one more: %s", g.said())
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|sched|tx|ack|id|only)
	c.send("abc", "-")
	if c.ready()&wait.Err == 0 {
		t.Error("not told")
	}
	told("1 2", "0 2", "2 2")
	c.send("de", "-")
	told("1 4", "0 4", "2 4")
	a.cut = true
	c.send("f", "-")
	told("1 5", "0 5")
	a.cut = false
	a.clock.Advance(time.Second)
	told("2 5")
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|tx|only)
	c.send("g", "-")
	told("0 0")
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|only)
	c.send("h", "-", cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(tx)))
	told("0 0")
	if err := c.send("h", "-", cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(soft))); err != syscall.EINVAL {
		t.Error(err)
	}
	// Numbers begin at the first byte that is not acknowledged, or with OPT_ID_TCP at the next one.
	for flag, want := range map[int]string{0: "0 5", idTCP: "0 2"} {
		c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0)
		a.cut = true
		c.send("xyz", "-")
		c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|tx|id|flag|only)
		a.cut = false
		a.clock.Advance(time.Second)
		c.send("123", "-")
		told(want)
	}
	// MSG_ZEROCOPY.
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0).set(abi.SOL_SOCKET, abi.SO_ZEROCOPY, 1)
	for range 2 {
		if _, err := c.Send(noContext, []byte("zero"), &socket.Msg{Flags: abi.MSG_ZEROCOPY}); err != nil {
			t.Fatal(err)
		}
	}
	if g := c.recv(abi.MSG_ERRQUEUE); len(g.control) != 1 || !bytes.Equal(g.control[0].Data[4:16], append([]byte{originZeroCopy, 0, zeroCopyCopied, 0}, ints(0, 1)...)) {
		t.Errorf("%s", g.said())
	}
}

// An ICMP error ends an attempt if it is hard, and no connection; one about the size lowers the MSS, where
// it quotes what is under way (RFC 5927; RFC 1191).
func TestStreamErrors(t *testing.T) {
	report := func(m *machine, e *ip.Error) {
		m.do(func() { m.st.tcp.Error(e) })
	}
	quote := func(m *machine) []byte { // of the last segment that was sent
		out := m.took()
		return out[len(out)-1][20:]
	}
	for _, c := range []struct {
		errno syscall.Errno
		hard  bool
		want  string
	}{{syscall.ECONNREFUSED, true, "ECONNREFUSED"}, {syscall.EHOSTUNREACH, false, "EHOSTUNREACH"}, {syscall.ENETUNREACH, false, "ENETUNREACH"}} {
		a, _ := newPair(t, Config{})
		a.cut = true
		s := a.open("tcp4").with(addrB + ":80")
		q := quote(a)
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: c.errno, Hard: c.hard, Quote: q[:7]})
		report(a, &ip.Error{Src: addr(addrA), Dst: addr("10.0.0.9"), Errno: c.errno, Hard: c.hard, Quote: q})
		if s.state() != "SYN-SENT" {
			t.Errorf("%v: ends by a message that says too little", c.errno)
		}
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: c.errno, Hard: c.hard, Quote: q})
		if got := name(s.connect(addrB + ":80")); got != c.want || s.state() != "UNCONN" {
			t.Errorf("%v: %s, %s", c.errno, got, s.state())
		}
	}
	for _, v := range []int{1, 0} {
		a, b := newPair(t, Config{})
		c, _ := joined(t, a, b, addrB+":80")
		c.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, v)
		a.cut = true
		a.took()
		c.send(strings.Repeat("x", 2000), "-")
		q := a.took()[0][20:]
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.EMSGSIZE, MTU: 1000, Quote: q})
		want := map[int]int{1: 1000, 0: 1500}[v]
		if got := c.get(abi.SOL_IP, abi.IP_MTU); got != want || c.state() != "ESTAB" {
			t.Errorf("IP_MTU_DISCOVER %d: an MTU of %d", v, got)
		}
		old := bytes.Clone(q)
		old[4] ^= 0x80 // not under way
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.EMSGSIZE, MTU: 900, Quote: old})
		if got := c.get(abi.SOL_IP, abi.IP_MTU); got != want {
			t.Errorf("an MTU of %d by a segment that was never sent", got)
		}
	}
}

// Of views that a send has no room for, in whole or in part, nothing is kept: they go with the next one.
func TestStreamViewsWithoutRoom(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	c.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 20000)
	var views []packet.View
	text := ""
	for i := range 60 {
		piece := strings.Repeat(string(rune('a'+i%26)), 1000)
		views = append(views, packet.Copy([]byte(piece)))
		text += piece
	}
	got := ""
	for at := 0; at < len(text); {
		rest := appendRest(nil, views, at)
		n, err := c.SendViews(noContext, rest, &socket.Msg{Flags: abi.MSG_DONTWAIT})
		packet.ReleaseAll(rest)
		if at += n; err != nil && err != syscall.EAGAIN || n == 60000 {
			t.Fatalf("%d, %v", n, err)
		}
		if err == syscall.EAGAIN {
			a.clock.Advance(100 * time.Millisecond)
		}
		for {
			g := s.recv(0)
			if got += g.data; g.err != nil {
				break
			}
		}
	}
	a.clock.Advance(time.Second)
	got += strings.ReplaceAll(s.text(), " ", "")
	if got != text {
		t.Errorf("%d bytes of %d, or others, have come", len(got), len(text))
	}
	packet.ReleaseAll(views)
}

// appendRest appends references to what follows the first n bytes of views.
func appendRest(to, views []packet.View, n int) []packet.View {
	for _, v := range views {
		k := min(n, v.Len())
		n -= k
		if v = v.Slice(k, v.Len()); v.Len() > 0 {
			v.Retain()
			to = append(to, v)
		}
	}
	return to
}

// TCP_QUICKACK sends the acknowledgment that waits, and has the next ones not wait; off, they do (tcp(7)).
func TestQuickAck(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	s.set(abi.SOL_TCP, abi.TCP_QUICKACK, 0)
	acks := func() int {
		b.took()
		c.send("data", "-")
		defer func() { a.clock.Advance(time.Second); s.text() }()
		return len(b.took())
	}
	if s.get(abi.SOL_TCP, abi.TCP_QUICKACK) != 0 {
		t.Error("on")
	}
	if n := acks(); n != 0 {
		t.Errorf("off: %d segments at once", n)
	}
	b.took()
	c.send("data", "-")
	s.set(abi.SOL_TCP, abi.TCP_QUICKACK, 1)
	if n := len(b.took()); n != 1 {
		t.Errorf("switched on: %d segments", n)
	}
	s.text()
	if n := acks(); n != 1 || s.get(abi.SOL_TCP, abi.TCP_QUICKACK) != 1 {
		t.Errorf("on: %d segments at once", n)
	}
}

// A larger send buffer makes room, which who waits for it is told of (Linux, sk_setsockopt: sk_write_space).
func TestSendBufferRaised(t *testing.T) {
	a, b := newPair(t, Config{})
	c, _ := joined(t, a, b, addrB+":80")
	c.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 5000)
	a.cut = true
	c.fill()
	set := socket.NewPollSet(a.h)
	defer set.Close()
	if err := set.Add(c.Socket, wait.Out|socket.EdgeTriggered, nil); err != nil {
		t.Fatal(err)
	}
	list := make([]socket.Event, 1)
	if n, _ := set.Wait(noContext, list); n != 0 {
		t.Fatal("there is room")
	}
	c.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 50000)
	if n, _ := set.Wait(noContext, list); n != 1 || list[0].Events != wait.Out || c.send("x", "-") != nil {
		t.Errorf("told %d times", n)
	}
}
