//go:build linux && (amd64 || arm64)

package run

import (
	"bytes"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// datagrams makes two bound datagram sockets, the second of which is connected to the
// first.
func (p *player) datagrams() (to, from int) {
	p.t.Helper()
	var fds [2]int
	for i := range fds {
		fd, e := p.socket(unix.SOCK_DGRAM)
		p.must(e)
		p.must(p.bind(fd, 0))
		fds[i] = fd
	}
	port, e := p.port(fds[0])
	p.must(e)
	p.must(p.connect(fds[1], port))
	return fds[0], fds[1]
}

// sendPlain sends as a program does without a trap, and does not wait.
func sendPlain(fd int, b []byte) syscall.Errno {
	_, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT)
	e, _ := err.(syscall.Errno)
	return e
}

// recvPlain receives as a program does without a trap, and does not wait.
func recvPlain(fd int) ([]byte, bool) {
	b := make([]byte, 1<<17)
	n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
	return b[:max(n, 0)], err == nil
}

func (p *player) sendNumbered(fd, n int) {
	for i := range n {
		p.must(sendPlain(fd, append([]byte(strconv.Itoa(i)), ' ')))
	}
}

// portOf is the port of a bound socket, without a call.
func (p *player) portOf(fd int) uint16 {
	a, err := p.sock(fd).u.GetSockName()
	if err != nil {
		p.t.Fatal(err)
	}
	return a.Port
}

// arrive wants n datagrams that are numbered, in order, and no more.
func (p *player) arrive(fd, n int) {
	p.t.Helper()
	for i := 0; ; i++ {
		p.idle()
		b, ok := recvPlain(fd)
		if !ok {
			if i != n {
				p.t.Errorf("%d datagrams have come, want %d", i, n)
			}
			return
		}
		if head, _, _ := bytes.Cut(b, []byte(" ")); string(head) != strconv.Itoa(i) {
			p.t.Fatalf("%q has come, want the one numbered %d", head, i)
		}
	}
}

// TestSentBefore has a program send without a trap, and then end what it sent on: all of
// it comes, though the loop is not told of it before the call.
func TestSentBefore(t *testing.T) {
	const many = 100
	ends := []struct {
		name string
		end  func(p *player, fd, other int)
	}{
		{"SHUT_WR", func(p *player, fd, _ int) { p.must(p.shutdown(fd, unix.SHUT_WR)) }},
		{"SHUT_RDWR", func(p *player, fd, _ int) { p.must(p.shutdown(fd, unix.SHUT_RDWR)) }},
		{"connect elsewhere", func(p *player, fd, other int) {
			addr, n := p.addr(p.portOf(other))
			p.must(p.call("connect", uint64(fd), addr, n).err)
		}},
		{"disconnect", func(p *player, fd, _ int) { p.must(p.disconnect(fd)) }},
		{"sendto elsewhere", func(p *player, fd, other int) {
			_, e := p.sendto(fd, []byte("x"), p.portOf(other))
			p.must(e)
			p.before = nil
			p.idle()
			if b, ok := recvPlain(other); !ok || string(b) != "x" {
				p.t.Errorf("%q has come", b)
			}
		}},
	}
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			p := newPlayer(t)
			to, from := p.datagrams()
			other, e := p.socket(unix.SOCK_DGRAM)
			p.must(e)
			p.must(p.bind(other, 0))
			p.before = func() { p.sendNumbered(from, many) }
			end.end(p, from, other)
			p.arrive(to, many)
			if b, ok := recvPlain(other); ok {
				t.Errorf("%q has come to another peer", b)
			}
		})
	}
}

// TestSentBeforeClose has a socket found closed, by a scan and by a datagram for it, before
// the loop is told of what it sent.
func TestSentBeforeClose(t *testing.T) {
	const many = 100
	for _, scanned := range []bool{true, false} {
		p := newPlayer(t)
		to, from := p.datagrams()
		s := p.sock(from)
		p.sendNumbered(from, many)
		p.close(from)
		if scanned {
			s.closed()
		} else {
			s.down.buf = []byte("for it")
			s.datagramsDown()
		}
		if s.state != released {
			t.Error("it is not released")
		}
		p.arrive(to, many)
	}
}

// TestSentBehindAnError has the stack refuse a datagram that was sent without a trap: those
// behind it come all the same.
func TestSentBehindAnError(t *testing.T) {
	p := newPlayer(t)
	to, from := p.datagrams()
	p.must(sendPlain(from, make([]byte, 70000)))
	for i := range 10 {
		p.must(sendPlain(from, append([]byte(strconv.Itoa(i)), ' ')))
	}
	p.arrive(to, 10)
	p.wants(p.soError(from), unix.EMSGSIZE)
}

// TestLaggingReader has a program read without a trap, and always less than there is: the
// list of senders does not grow, and a receive with an address gets the right one.
func TestLaggingReader(t *testing.T) {
	const behind = 200
	p := newPlayer(t)
	to, first := p.datagrams()
	second, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	p.must(p.bind(second, 0))
	p.must(p.connect(second, p.portOf(to)))
	senders := [2]int{first, second}
	ports := [2]uint16{p.portOf(first), p.portOf(second)}
	s := p.sock(to)
	asked := 0
	for i := range 5000 {
		kept := len(s.from)
		p.must(sendPlain(senders[i%2], []byte("x")))
		p.idle()
		switch n := i - behind; {
		case n < 0:
		case len(s.from) < kept: // some were forgotten just now
			asked++
			if b, port, e := p.recvfrom(to, 9, 0); e != 0 || string(b) != "x" || port != ports[n%2] {
				t.Fatalf("%q from %d, %v; want x from %d", b, port, e, ports[n%2])
			}
		default:
			if _, ok := recvPlain(to); !ok {
				t.Fatal("nothing has come")
			}
		}
		if most := 2 * s.most; len(s.from) > most || most > 2000 {
			t.Fatalf("%d senders are kept, of at most %d", len(s.from), most)
		}
	}
	if asked == 0 {
		t.Error("none was forgotten")
	}
}

// TestReceiveBuffer has SO_RCVBUF bound what waits at the program's end. A datagram that is
// larger comes all the same.
func TestReceiveBuffer(t *testing.T) {
	p := newPlayer(t)
	to, from := p.datagrams()
	p.must(p.setOption(to, unix.SOL_SOCKET, unix.SO_RCVBUF, abi.AppendInt(nil, 8192)))
	for _, size := range []int{500, 60000} {
		b := make([]byte, size)
		for range 100 {
			p.must(sendPlain(from, b))
			p.idle()
		}
		n := 0
		for got, ok := recvPlain(to); ok; got, ok = recvPlain(to) {
			if n++; len(got) != size {
				t.Errorf("%d bytes have come, want %d", len(got), size)
			}
		}
		if most := 16384/max(size, datagramCost) + 1; n == 0 || n > most {
			t.Errorf("%d datagrams of %d bytes have waited, want at most %d", n, size, most)
		}
		for range 100 { // the rest, which the stack has kept
			p.idle()
			recvPlain(to)
		}
	}
}

// TestSendShutDown: EPIPE comes with SIGPIPE where a stream cannot send, and alone where a datagram socket cannot.
func TestSendShutDown(t *testing.T) {
	p := newPlayer(t)
	to, from := p.datagrams()
	p.must(p.shutdown(from, unix.SHUT_WR))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGPIPE, unix.SIGWINCH)
	defer signal.Stop(signals)
	for _, x := range []struct {
		fd   int
		want []syscall.Signal
	}{{from, nil}, {p.stream(0), []syscall.Signal{unix.SIGPIPE}}} {
		_, e := p.sendto(x.fd, []byte("x"), p.portOf(to))
		p.wants(e, unix.EPIPE)
		unix.Tgkill(os.Getpid(), p.tid, unix.SIGWINCH) // comes after a SIGPIPE, whose number is lower
		for _, want := range append(x.want, unix.SIGWINCH) {
			if got := <-signals; got != want {
				t.Errorf("%v instead of %v", got, want)
			}
		}
	}
}

// TestCorkedBefore: what was sent without a trap is in the datagram that UDP_CORK lets go.
func TestCorkedBefore(t *testing.T) {
	p := newPlayer(t)
	to, from := p.datagrams()
	cork := func(on byte) { p.must(p.setOption(from, unix.SOL_UDP, unix.UDP_CORK, []byte{on, 0, 0, 0})) }
	cork(1)
	p.must(sendPlain(from, []byte("one ")))
	p.must(sendPlain(from, []byte("two")))
	cork(0)
	p.idle()
	if b, ok := recvPlain(to); !ok || string(b) != "one two" {
		t.Errorf("%q has come", b)
	}
}
