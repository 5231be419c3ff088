//go:build linux

package gateway

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"usock"
)

// waits returns what is said of the host's sockets with a peer at to, and of those without one.
func (r *run) waits(to netip.AddrPort) string {
	list := r.host.Sockets()
	words := make([]string, len(list))
	r.g.Waits(list, words)
	for i := range list {
		if words[i] != "" && (list[i].Peer == to || list[i].Proto == "udp") {
			return words[i]
		}
	}
	return ""
}

// waitsFor waits until the text matches.
func (r *run) waitsFor(to netip.AddrPort, want string) {
	r.t.Helper()
	re := regexp.MustCompile("^" + want + "$")
	within(r.t, want, func() bool { return re.MatchString(r.waits(to)) })
}

// TestWaitsForReader has a server outside read late.
func TestWaitsForReader(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		read := make(chan struct{})
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			<-read
			io.Copy(io.Discard, c)
		})
		s := r.dial(to)
		s.SetDeadline(time.Time{})
		sent := make(chan error)
		go func() {
			_, err := s.Send(make([]byte, 64<<20), 0) // more than all buffers take
			sent <- err
		}()
		r.waitsFor(to, `outside: `+regexp.QuoteMeta(to.String())+` has not taken more for [0-9.]+m?s(, as its window is closed)?`)
		close(read)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		within(t, "all is taken", func() bool { return r.waits(to) == "" || !regexp.MustCompile("taken").MatchString(r.waits(to)) })
		if o := r.g.Outside(); o.Full == 0 || o.Fullest != o.Full || o.FullestPeer != to {
			t.Errorf("%+v", o)
		}
	})
}

// TestWaitsForAnswer has a server outside that takes what is sent and says nothing.
func TestWaitsForAnswer(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		say := make(chan struct{})
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			<-say
			c.Write([]byte("x"))
			io.Copy(io.Discard, c)
		})
		s := r.dial(to)
		if got := r.waits(to); got != "" {
			t.Errorf("nothing was asked: %q", got)
		}
		re := regexp.MustCompile(`^outside: no answer from ` + regexp.QuoteMeta(to.String()) + ` for [0-9.]+m?s$`)
		within(t, "no answer", func() bool { // not in the kernel's jiffy in which the connection was made
			if _, err := s.Send([]byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			return re.MatchString(r.waits(to))
		})
		close(say)
		if _, err := s.Recv(make([]byte, 1), 0); err != nil {
			t.Fatal(err)
		}
		if got := r.waits(to); got != "" {
			t.Errorf("it was answered: %q", got)
		}
		if o := r.g.Outside(); o != (Outside{}) {
			t.Errorf("%+v", o)
		}
	})
}

// TestWaitsForConnect has a server outside that does not answer a SYN, as its queue is full.
func TestWaitsForConnect(t *testing.T) {
	r := newRun(t, Config{})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	unix.Listen(fd, 0)
	name, _ := unix.Getsockname(fd)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	for range 3 {
		s := r.socket(usock.AF_INET, usock.SOCK_STREAM)
		s.SetNonblock(true)
		s.Connect(usock.Inet(to))
	}
	r.waitsFor(to, `outside: `+regexp.QuoteMeta(to.String())+` has not answered the connect for [0-9.]+m?s`)
}

// TestWaitsForResolver has a name server answer one question late, one at once, and one not at all.
func TestWaitsForResolver(t *testing.T) {
	r := newRun(t, Config{})
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(10 * time.Second))
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	r.g.wait(func() { r.g.names = &names{servers: []netip.AddrPort{to}} })
	s := r.bound(to.Addr())
	asks := func(name string, id uint16) {
		t.Helper()
		q := question(t, name, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.ID = id })
		if _, err := s.SendTo(q, 0, usock.Inet(to)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1500)
	answers := func() {
		t.Helper()
		n, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		buf[2] |= 0x80 // QR
		if _, err := server.WriteToUDPAddrPort(buf[:n], from); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(make([]byte, 1500), 0); err != nil {
			t.Fatal(err)
		}
	}
	asks("slow.example.", 1)
	r.waitsFor(to, `resolver: no answer from `+regexp.QuoteMeta(to.String())+` for [0-9.]+m?s to a question about slow\.example`)
	asks("slow.example.", 1) // again: it counts from the first time on
	within(t, "some time has passed", func() bool { o := r.g.Outside(); return o.NoAnswer && o.Slowest > 50*time.Millisecond })
	answers()
	if got := r.waits(to); got != "" {
		t.Errorf("it was answered: %q", got)
	}
	answers() // the second one is nobody's
	asks("quick.example.", 2)
	answers()
	if o := r.g.Outside(); o.Asked != 2 || o.Answered != 2 || o.Name != "slow.example" || o.Server != to || o.Slowest < 50*time.Millisecond || o.NoAnswer {
		t.Errorf("%+v", o)
	}
	first := r.g.Outside().Slowest
	for i := range uint16(3 * maxQuestions) {
		asks("none.example.", 10+i)
	}
	r.g.wait(func() {
		for _, m := range r.g.mappings {
			if len(m.open) > maxQuestions {
				t.Errorf("%d questions are kept", len(m.open))
			}
		}
	})
	within(t, "the one without answer is the slowest", func() bool {
		o := r.g.Outside()
		return o.NoAnswer && o.Name == "none.example" && o.Slowest > first && o.Asked == 2+3*maxQuestions
	})
	if got := r.g.Outside(); got.Answered != 2 {
		t.Errorf("%+v", got)
	}
}

// TestWaitsForResolverByTCP has a name server that is asked by TCP answer a question late, and another one not at all: what is said of
// it, and which name a recording knows afterwards.
func TestWaitsForResolverByTCP(t *testing.T) {
	named := make(chan string, 10)
	r := newRun(t, Config{Named: func(a netip.Addr, name string) { named <- name + " " + a.String() }})
	late := make(chan struct{})
	to := serve(t, netip.MustParseAddr("127.0.0.1"), func(c *net.TCPConn) {
		defer c.Close()
		for range 2 {
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			msg := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, msg); err != nil {
				return
			}
			if <-late; strings.Contains(string(msg), "none") {
				continue
			}
			c.Write(framed(answerTo(t, msg, "192.0.2.9")))
		}
		io.Copy(io.Discard, c)
	})
	r.g.wait(func() { r.g.names = &names{servers: []netip.AddrPort{to}} })
	s := r.dial(to)
	asks := func(name string) {
		t.Helper()
		if _, err := s.Send(framed(question(t, name, dnsmessage.TypeA, nil)), 0); err != nil {
			t.Fatal(err)
		}
	}
	asks("slow.example.")
	r.waitsFor(to, `resolver: no answer from `+regexp.QuoteMeta(to.String())+` for [0-9.]+m?s to a question about slow\.example`)
	close(late)
	if _, err := s.Recv(make([]byte, 1500), 0); err != nil {
		t.Fatal(err)
	}
	if got := <-named; got != "slow.example 192.0.2.9" {
		t.Errorf("the name is %q", got)
	}
	if o := r.g.Outside(); o.Asked != 1 || o.Answered != 1 || o.Name != "slow.example" || o.NoAnswer {
		t.Errorf("%+v", o)
	}
	asks("none.example.")
	r.waitsFor(to, `resolver: no answer from .* to a question about none\.example`)
	s.Close()
	within(t, "the connection is over", func() bool { return r.waits(to) == "" })
	if o := r.g.Outside(); o.Asked != 2 || o.Answered != 1 {
		t.Errorf("%+v", o)
	}
}

// answerTo is an answer with an address to a question.
func answerTo(t *testing.T, msg []byte, addr string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(msg); err != nil {
		t.Error(err)
	}
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()},
	}}
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}
