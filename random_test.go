package usock_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/packet"
)

// TestRandomCalls makes random calls on random sockets of one host: nothing may
// panic or hang, streams deliver exactly the bytes that were sent, in order, and
// datagrams arrive whole. -rapid.checks=N has it run for longer.
func TestRandomCalls(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	compared := 0
	before := packet.Live()
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t)
		watchdog := time.AfterFunc(time.Minute, func() {
			debug.SetTraceback("all")
			panic("a call hangs")
		})
		defer watchdog.Stop()
		t.Repeat(map[string]func(*rapid.T){
			"socket": d.socket, "bind": d.bind, "listen": d.listen, "connect": d.connect, "connectListener": d.connectListener,
			"accept": d.accept, "send": d.send, "recv": d.recv, "recvMore": d.recv, "sendTo": d.sendTo,
			"shutdown": d.shutdown, "close": d.close, "setOption": d.setOption, "getOption": d.getOption,
			"look": d.look, "watch": d.watch, "wait": d.wait, "pass": d.pass, "pair": d.pair,
		})
		d.finish(t)
		compared += d.compared
		for end := time.Now().Add(5 * time.Second); packet.Live() != before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d blocks are left", packet.Live()-before)
			}
		}
	})
	t.Logf("%d bytes of streams were compared", compared)
}

// flow is one direction of a connection: byte i of what is sent is a function of
// the flow and i.
type flow struct {
	seed       uint32
	sent, read int
	broken     bool // perhaps reset: not all of it need arrive
	ended      bool // no more is sent
}

func (f *flow) at(i int) byte {
	x := (f.seed + uint32(i)) * 2654435761
	return byte(x>>24) ^ byte(x>>8)
}

// flows are the two flows of a connection, as its client sees them.
type flows struct{ out, in *flow }

type driven struct {
	*usock.Socket
	n      int
	stream bool
	domain int
	flows  flows // nil until connected
	log    []string
}

// driver is the state of a run: the sockets, and what their streams carry.
type driver struct {
	host     *usock.Host
	clock    *clock.Manual // nil: real time
	open     []*driven
	pending  map[string][]flows // connections that were not accepted yet, by server and client name
	poll     *usock.PollSet
	made     int
	seed     uint32
	compared int
}

func newDriver(t *rapid.T) *driver {
	d := &driver{pending: make(map[string][]flows)}
	c := usock.Config{Privileged: rapid.Bool().Draw(t, "privileged")}
	if rapid.Bool().Draw(t, "manual time") {
		d.clock = new(clock.Manual)
		c.Clock = d.clock
	}
	if rapid.Bool().Draw(t, "loopback as a link") {
		c.Loopback = func(l link.Link) link.Link { return l }
	}
	h, err := usock.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	d.host, d.poll = h, h.NewPollSet()
	for _, typ := range []int{usock.SOCK_STREAM, usock.SOCK_DGRAM, usock.SOCK_STREAM, usock.SOCK_DGRAM} {
		s, err := h.Socket(usock.AF_INET, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.add(s, typ == usock.SOCK_STREAM, usock.AF_INET)
	}
	return d
}

// note keeps what was done to a socket, for a report.
func (s *driven) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// report tells the history of both ends of a flow.
func (d *driver) report(f *flow) string {
	out := ""
	for _, s := range d.open {
		if s.flows.in == f || s.flows.out == f {
			in, _ := s.InQueue()
			to, _ := s.OutQueue()
			out += fmt.Sprintf("\nsocket %d, %d bytes in, %d bytes out, %v: %s", s.n, in, to, s.Events(), strings.Join(s.log, "; "))
		}
	}
	return out
}

// any returns one of the open sockets that f takes; the action is not possible
// without one.
func (d *driver) any(t *rapid.T, f func(*driven) bool) *driven {
	var list []*driven
	for _, s := range d.open {
		if f == nil || f(s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		t.Skip("no such socket")
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, "socket")]
}

func isStream(s *driven) bool { return s.stream }

func (d *driver) add(s *usock.Socket, stream bool, domain int) *driven {
	d.made++
	n := &driven{Socket: s, n: d.made, stream: stream, domain: domain}
	s.SetNonblock(true)
	d.open = append(d.open, n)
	return n
}

func (d *driver) socket(t *rapid.T) {
	if len(d.open) >= 24 {
		t.Skip("enough sockets")
	}
	domain := rapid.SampledFrom([]int{usock.AF_INET, usock.AF_INET, usock.AF_INET6}).Draw(t, "domain")
	typ := rapid.SampledFrom([]int{usock.SOCK_STREAM, usock.SOCK_STREAM, usock.SOCK_DGRAM}).Draw(t, "type")
	s, err := d.host.Socket(domain, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.add(s, typ == usock.SOCK_STREAM, domain)
}

// pair makes a connection.
func (d *driver) pair(t *rapid.T) {
	if len(d.open) >= 24 {
		t.Skip("enough sockets")
	}
	l, err := d.host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := usock.Inet(netip.MustParseAddrPort("127.0.0.1:0"))
	if err := errors.Join(l.Bind(a), l.Listen(3)); err != nil {
		t.Fatal(err)
	}
	listener := d.add(l, true, usock.AF_INET)
	s, err := d.host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := d.add(s, true, usock.AF_INET)
	name, _ := l.GetSockName()
	d.connectTo(t, c, name)
	d.acceptFrom(t, listener)
}

var places = []string{
	"127.0.0.1", "127.0.0.1", "0.0.0.0", "127.0.0.2", "::1", "::", "::ffff:127.0.0.1", "192.0.2.1", "255.255.255.255", "224.0.0.9", "ff02::9",
}

func (d *driver) address(t *rapid.T) usock.Addr {
	ip := netip.MustParseAddr(rapid.SampledFrom(places).Draw(t, "address"))
	port := rapid.SampledFrom([]uint16{0, 4001, 4002, 4003, 80}).Draw(t, "port")
	return usock.Inet(netip.AddrPortFrom(ip, port))
}

// expected fails for an error that is no errno.
func expected(t *rapid.T, what string, err error) {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%s: %v", what, err)
	}
}

func (d *driver) bind(t *rapid.T) { expected(t, "bind", d.any(t, nil).Bind(d.address(t))) }

func (d *driver) listen(t *rapid.T) {
	expected(t, "listen", d.any(t, isStream).Listen(rapid.IntRange(-1, 4).Draw(t, "backlog")))
}

func (d *driver) connect(t *rapid.T) {
	s := d.any(t, nil)
	a := d.address(t)
	if rapid.IntRange(0, 5).Draw(t, "dissolve") == 0 {
		a = usock.Addr{}
	}
	d.connectTo(t, s, a)
}

// connectListener connects to a socket that may listen.
func (d *driver) connectListener(t *rapid.T) {
	s, l := d.any(t, nil), d.any(t, nil)
	a, err := l.GetSockName()
	expected(t, "getsockname", err)
	d.connectTo(t, s, a)
}

func (d *driver) connectTo(t *rapid.T, s *driven, a usock.Addr) {
	old := s.flows
	err := s.Connect(a)
	s.note("connect %v: %v", a, err)
	expected(t, "connect", err)
	if !s.stream {
		return
	}
	switch err {
	case nil, syscall.EISCONN, syscall.EALREADY, syscall.EINPROGRESS, syscall.EINVAL, syscall.EAFNOSUPPORT:
	default:
		// Perhaps the attempt that failed had been a connection for a moment.
		if old.out != nil {
			d.broken(s)
			s.flows = flows{}
		}
	}
	if a.Family == usock.AF_UNSPEC {
		d.broken(s)
		s.flows = flows{}
	} else if s.flows.out == nil {
		d.connected(s)
	}
}

// connected gives a socket its flows once its connection stands.
func (d *driver) connected(s *driven) {
	if !s.stream || s.flows.out != nil {
		return
	}
	peer, err := s.GetPeerName()
	name, err2 := s.GetSockName()
	if err != nil || err2 != nil {
		return
	}
	s.flows = flows{d.newFlow(), d.newFlow()}
	if plain(name) == plain(peer) {
		s.flows.in = s.flows.out // connected to itself
		return
	}
	key := plain(peer) + " " + plain(name)
	d.pending[key] = append(d.pending[key], s.flows)
}

func plain(a usock.Addr) string {
	return netip.AddrPortFrom(a.IP.Unmap(), a.Port).String()
}

func (d *driver) newFlow() *flow {
	d.seed += 7919
	return &flow{seed: d.seed}
}

// broken notes that what is under way may be lost.
func (d *driver) broken(s *driven) {
	for _, f := range []*flow{s.flows.in, s.flows.out} {
		if f != nil {
			f.broken = true
		}
	}
}

func (d *driver) accept(t *rapid.T) { d.acceptFrom(t, d.any(t, isStream)) }

func (d *driver) acceptFrom(t *rapid.T, l *driven) {
	for _, s := range d.open {
		d.connected(s)
	}
	n, from, err := l.Accept()
	expected(t, "accept", err)
	if err != nil {
		return
	}
	s := d.add(n, true, l.domain)
	name, _ := n.GetSockName()
	key := plain(name) + " " + plain(from)
	list := d.pending[key]
	if len(list) == 0 {
		// The client was gone before anybody could see its connection.
		s.flows = flows{d.newFlow(), nil}
		return
	}
	s.flows = flows{list[0].in, list[0].out}
	d.pending[key] = list[1:]
}

func (d *driver) send(t *rapid.T) {
	s := d.any(t, nil)
	d.connected(s)
	size := rapid.SampledFrom([]int{0, 1, 10, 1000, 20000, 100000}).Draw(t, "size")
	flags := rapid.SampledFrom([]int{0, 0, usock.MSG_MORE, usock.MSG_DONTWAIT}).Draw(t, "flags")
	if !s.stream {
		_, err := s.Send(datagram(min(size, 60000)), flags&^usock.MSG_MORE)
		expected(t, "send", err)
		return
	}
	f := s.flows.out
	if f == nil {
		f = &flow{} // no connection: the call fails
	}
	p := make([]byte, size)
	for i := range p {
		p[i] = f.at(f.sent + i)
	}
	undo := d.limit(t, s)
	n, err := s.Send(p, flags)
	s.note("send %d, %#x: %d, %v", size, flags, n, err)
	undo()
	expected(t, "send", err)
	if n < 0 || n > size {
		t.Fatalf("send of %d bytes returned %d, %v", size, n, err)
	}
	if n > 0 && s.flows.out == nil {
		t.Fatalf("socket %d sent %d bytes, but was not connected", s.n, n)
	}
	f.sent += n
}

// limit has the next call block for a moment at most, if time is real.
func (d *driver) limit(t *rapid.T, s *driven) (undo func()) {
	if d.clock != nil || rapid.IntRange(0, 9).Draw(t, "block") > 0 {
		return func() {}
	}
	s.SetNonblock(false)
	s.SetDeadline(time.Now().Add(2 * time.Millisecond))
	return func() {
		s.SetDeadline(time.Time{})
		s.SetNonblock(true)
	}
}

// datagram returns n bytes, of which the first ones say what the rest is.
func datagram(n int) []byte {
	n = max(n, 8)
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * n)
	}
	binary.BigEndian.PutUint32(p, uint32(n))
	binary.BigEndian.PutUint32(p[4:], crc32.ChecksumIEEE(p[8:]))
	return p
}

func (d *driver) recv(t *rapid.T) {
	s := d.any(t, nil)
	flags := rapid.SampledFrom([]int{0, 0, 0, usock.MSG_PEEK, usock.MSG_DONTWAIT, usock.MSG_WAITALL}).Draw(t, "flags")
	size := rapid.SampledFrom([]int{1, 100, 5000, 200000}).Draw(t, "size")
	undo := d.limit(t, s)
	err := d.recvFrom(s, size, flags)
	undo()
	var bad mismatch
	if errors.As(err, &bad) {
		t.Fatalf("%v%s", err, d.report(s.flows.in))
	}
	expected(t, "recv", err)
}

type mismatch string

func (m mismatch) Error() string { return string(m) }

// recvFrom receives and compares.
func (d *driver) recvFrom(s *driven, size, flags int) error {
	d.connected(s)
	p := make([]byte, size)
	n, err := s.Recv(p, flags)
	if err != syscall.EAGAIN {
		s.note("recv %d, %#x: %d, %v", size, flags, n, err)
	}
	if n < 0 || n > size {
		return mismatch(fmt.Sprintf("recv of %d bytes returned %d", size, n))
	}
	if err != nil || n == 0 {
		if err != nil && s.stream && err != syscall.EAGAIN && !errors.Is(err, os.ErrDeadlineExceeded) {
			d.broken(s)
		}
		return err
	}
	if !s.stream {
		return checkDatagram(p[:n], size)
	}
	f := s.flows.in
	if f == nil {
		return nil
	}
	for i, b := range p[:n] {
		if b != f.at(f.read+i) {
			return mismatch(fmt.Sprintf("socket %d: byte %d of %d sent is %#x, not %#x", s.n, f.read+i, f.sent, b, f.at(f.read+i)))
		}
	}
	if f.read+n > f.sent {
		return mismatch(fmt.Sprintf("socket %d received %d bytes of %d sent", s.n, f.read+n, f.sent))
	}
	d.compared += n
	if flags&usock.MSG_PEEK == 0 {
		f.read += n
	}
	return nil
}

func checkDatagram(p []byte, size int) error {
	if len(p) < 8 || len(p) == size {
		return nil // cut short, or there may be more
	}
	if n := binary.BigEndian.Uint32(p); int(n) != len(p) {
		return mismatch(fmt.Sprintf("a datagram of %d bytes has %d", n, len(p)))
	}
	if crc32.ChecksumIEEE(p[8:]) != binary.BigEndian.Uint32(p[4:]) {
		return mismatch("a datagram was changed")
	}
	return nil
}

func (d *driver) sendTo(t *rapid.T) {
	s := d.any(t, func(s *driven) bool { return !s.stream })
	a := d.address(t)
	if rapid.Bool().Draw(t, "to a socket") {
		a, _ = d.any(t, func(s *driven) bool { return !s.stream }).GetSockName()
	}
	_, err := s.SendTo(datagram(rapid.SampledFrom([]int{8, 900, 9000, 65507, 70000}).Draw(t, "size")), 0, a)
	expected(t, "sendto", err)
}

func (d *driver) shutdown(t *rapid.T) {
	s := d.any(t, nil)
	d.connected(s)
	how := rapid.IntRange(0, 2).Draw(t, "how")
	err := s.Shutdown(how)
	s.note("shutdown %d: %v", how, err)
	expected(t, "shutdown", err)
	if l, _ := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ACCEPTCONN); s.stream && l == 0 && s.flows.out == nil {
		return
	}
	d.abandoned()
}

// abandoned notes that connections which nobody has accepted may have been reset.
func (d *driver) abandoned() {
	for _, list := range d.pending {
		for _, f := range list {
			f.in.broken, f.out.broken = true, true
		}
	}
}

func (d *driver) close(t *rapid.T) {
	if len(d.open) <= 4 {
		t.Skip("few sockets")
	}
	s := d.any(t, nil)
	d.connected(s)
	d.remove(s)
	linger, _ := getLinger(s)
	expected(t, "close", s.Close())
	if linger || s.flows.in != nil && s.flows.in.read != s.flows.in.sent {
		d.broken(s)
	}
	if s.flows.in != nil {
		s.flows.in.broken = true // what the peer sends from now on is refused
		s.flows.out.ended = true
		if !s.flows.in.ended {
			s.flows.out.broken = true
		}
	}
	d.abandoned()
}

func getLinger(s *driven) (on bool, err error) {
	var b [8]byte
	_, err = s.GetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, b[:])
	return b[0] != 0, err
}

func (d *driver) remove(s *driven) {
	for i, o := range d.open {
		if o == s {
			d.open = append(d.open[:i], d.open[i+1:]...)
			return
		}
	}
}

// options are what setOption sets. Urgent data and its options are left out: they
// take bytes out of a stream.
var options = []struct{ level, name int }{
	{usock.SOL_SOCKET, usock.SO_REUSEADDR}, {usock.SOL_SOCKET, usock.SO_REUSEPORT}, {usock.SOL_SOCKET, usock.SO_KEEPALIVE},
	{usock.SOL_SOCKET, usock.SO_RCVBUF}, {usock.SOL_SOCKET, usock.SO_SNDBUF}, {usock.SOL_SOCKET, usock.SO_RCVLOWAT},
	{usock.SOL_SOCKET, usock.SO_BROADCAST}, {usock.SOL_SOCKET, usock.SO_PRIORITY}, {usock.SOL_SOCKET, usock.SO_ERROR},
	{usock.SOL_IP, usock.IP_TTL}, {usock.SOL_IP, usock.IP_TOS}, {usock.SOL_IP, usock.IP_MTU_DISCOVER}, {usock.SOL_IP, usock.IP_RECVERR},
	{usock.SOL_IP, usock.IP_PKTINFO}, {usock.SOL_IP, usock.IP_FREEBIND}, {usock.SOL_IP, usock.IP_BIND_NO_PORT}, {usock.SOL_IP, usock.IP_MULTICAST_LOOP},
	{usock.SOL_IPV6, usock.IPV6_V6ONLY}, {usock.SOL_IPV6, usock.IPV6_UNICAST_HOPS}, {usock.SOL_IPV6, usock.IPV6_TCLASS}, {usock.SOL_IPV6, usock.IPV6_RECVERR},
	{usock.SOL_TCP, usock.TCP_NODELAY}, {usock.SOL_TCP, usock.TCP_CORK}, {usock.SOL_TCP, usock.TCP_MAXSEG}, {usock.SOL_TCP, usock.TCP_KEEPIDLE},
	{usock.SOL_TCP, usock.TCP_KEEPCNT}, {usock.SOL_TCP, usock.TCP_KEEPINTVL}, {usock.SOL_TCP, usock.TCP_LINGER2}, {usock.SOL_TCP, usock.TCP_DEFER_ACCEPT},
	{usock.SOL_TCP, usock.TCP_WINDOW_CLAMP}, {usock.SOL_TCP, usock.TCP_QUICKACK}, {usock.SOL_TCP, usock.TCP_NOTSENT_LOWAT}, {usock.SOL_TCP, usock.TCP_INFO},
	{usock.SOL_TCP, usock.TCP_SYNCNT}, {99, 1},
}

func (d *driver) setOption(t *rapid.T) {
	s := d.any(t, nil)
	o := rapid.SampledFrom(options).Draw(t, "option")
	v := rapid.SampledFrom([]int{0, 1, 2, 5, 64, 255, 1000, 5000, 100000, -1}).Draw(t, "value")
	if rapid.IntRange(0, 9).Draw(t, "linger") == 0 {
		expected(t, "linger", s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{byte(v & 1), 0, 0, 0, 0, 0, 0, 0}))
		return
	}
	err := s.SetSockOptInt(o.level, o.name, v)
	s.note("set %d:%d %d: %v", o.level, o.name, v, err)
	expected(t, "setsockopt", err)
}

func (d *driver) getOption(t *rapid.T) {
	s := d.any(t, nil)
	o := rapid.SampledFrom(options).Draw(t, "option")
	_, err := s.GetSockOpt(o.level, o.name, make([]byte, rapid.IntRange(0, 300).Draw(t, "room")))
	expected(t, "getsockopt", err)
	if o.name == usock.SO_ERROR && o.level == usock.SOL_SOCKET {
		d.broken(s)
	}
}

func (d *driver) look(t *rapid.T) {
	s := d.any(t, nil)
	s.Events()
	s.GetSockName()
	_, err := s.GetPeerName()
	expected(t, "getpeername", err)
	_, err = s.InQueue()
	expected(t, "inq", err)
	_, err = s.OutQueue()
	expected(t, "outq", err)
}

func (d *driver) watch(t *rapid.T) {
	s := d.any(t, nil)
	mask := usock.Events(rapid.SampledFrom([]int{1, 4, 5, 1 << 13}).Draw(t, "mask"))
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		expected(t, "add", d.poll.Add(s.Socket, mask, s))
	case 1:
		expected(t, "modify", d.poll.Modify(s.Socket, mask|usock.EPOLLET, s))
	default:
		expected(t, "remove", d.poll.Remove(s.Socket))
	}
}

func (d *driver) wait(t *rapid.T) {
	var out [8]usock.Event
	var now context.Context // nil: do not wait
	n, err := d.poll.Wait(now, out[:])
	expected(t, "wait", err)
	for _, e := range out[:n] {
		if e.Events == 0 {
			t.Fatal("an event of nothing")
		}
	}
}

// pass lets time pass.
func (d *driver) pass(t *rapid.T) {
	if d.clock == nil {
		t.Skip("time is real")
	}
	d.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 50, 300, 2000, 61000, 8000000}).Draw(t, "ms")) * time.Millisecond)
}

// finish drains every stream that is whole, and ends the host.
func (d *driver) finish(t *rapid.T) {
	for _, s := range d.open {
		s.SetSockOptInt(usock.SOL_TCP, usock.TCP_CORK, 0)
		s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVLOWAT, 1)
		s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 1<<20)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, s := range d.open {
		f := s.flows.in
		if !s.stream || f == nil {
			continue
		}
		for f.read < f.sent && !f.broken {
			if d.clock == nil {
				s.SetNonblock(false)
				s.SetReadDeadline(time.Now().Add(time.Second))
			}
			at := f.read
			err := d.recvFrom(s, 1<<20, 0)
			if f.read > at {
				deadline = time.Now().Add(20 * time.Second)
			}
			var bad mismatch
			switch {
			case errors.As(err, &bad):
				t.Fatal(err)
			case err == syscall.EAGAIN:
				if d.clock != nil {
					d.clock.Advance(100 * time.Millisecond)
				}
			case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
				f.broken = true
			}
			if time.Now().After(deadline) {
				t.Fatalf("socket %d: %d of %d bytes arrived%s", s.n, f.read, f.sent, d.report(f))
			}
			if end, _ := s.Events(), 0; err == nil && f.read < f.sent && end&usock.POLLRDHUP != 0 && end&usock.POLLIN != 0 {
				if n, _ := s.InQueue(); n == 0 {
					break // shut for reading, or the peer's end with a reset behind it
				}
			}
		}
	}
	if err := d.poll.Close(); err != nil {
		t.Error(err)
	}
	if err := d.host.Close(); err != nil {
		t.Error(err)
	}
	if n := d.host.Timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	for _, s := range d.open {
		if _, err := s.Recv(make([]byte, 1), 0); err != syscall.EBADF {
			t.Errorf("receive on a closed host: %v", err)
		}
	}
}
