package usock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/link"

	"usock"
	"usock/shape"
	"usock/trace"
)

// faultyHost returns a host at whose calls faults strike, and what they log.
func faultyHost(t *testing.T, texts ...string) (*usock.Host, func() []string) {
	t.Helper()
	f, err := shape.ParseFaults(7, texts...)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log []string
	f.Log = func(s shape.FaultStruck) {
		mu.Lock()
		log = append(log, s.String())
		mu.Unlock()
	}
	return newHost(t, usock.Config{Name: "host", Faults: f}), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), log...)
	}
}

// listenAt returns a socket that listens, and its address.
func listenAt(t *testing.T, h *usock.Host) (*usock.Socket, usock.Addr) {
	t.Helper()
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := errors.Join(l.Bind(mustAddr(t, "127.0.0.1:8080")), l.Listen(200)); err != nil {
		t.Fatal(err)
	}
	a, _ := l.GetSockName()
	return l, a
}

// TestFaultyConnect compares what connects meet with what Linux has in their place: a refusal, a time-out, a SYN that is lost for a
// while. A call that waits, one that does not and polls, and one whose time is up before.
func TestFaultyConnect(t *testing.T) {
	for _, c := range []struct {
		fault string
		want  error
		after time.Duration
	}{
		{"connect refused", syscall.ECONNREFUSED, 0},
		{"connect timed out after 3s", syscall.ETIMEDOUT, 3 * time.Second},
		{"connect late by 500ms", nil, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, log := faultyHost(t, c.fault)
			_, a := listenAt(t, h)
			began := time.Now()
			s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
			if err := s.Connect(a); err != c.want || time.Since(began) != c.after {
				t.Errorf("%s: %v after %v, want %v after %v", c.fault, err, time.Since(began), c.want, c.after)
			}

			began = time.Now()
			n := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
			n.SetNonblock(true)
			if err := n.Connect(a); err != syscall.EINPROGRESS {
				t.Errorf("%s: without waiting: %v", c.fault, err)
			}
			if c.after > 0 {
				if err := n.Connect(a); err != syscall.EALREADY || n.Events() != 0 {
					t.Errorf("%s: under way: %v, %v", c.fault, err, n.Events())
				}
			}
			ev, err := n.Poll(context.Background(), usock.POLLOUT)
			want := usock.POLLOUT
			if c.want != nil {
				want |= usock.POLLERR | usock.POLLHUP
			}
			e, _ := n.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ERROR)
			wanted := 0
			if c.want != nil {
				wanted = int(c.want.(syscall.Errno))
			}
			if ev != want || err != nil || e != wanted || time.Since(began) != c.after {
				t.Errorf("%s: %v, %v, SO_ERROR %d after %v", c.fault, ev, err, e, time.Since(began))
			}
			if got := len(log()); got != 2 {
				t.Errorf("%s: told %q", c.fault, log())
			}

			// Closed, dissolved or left alone meanwhile, nothing is left that strikes later.
			for _, end := range []func(*usock.Socket){
				func(s *usock.Socket) { s.Close() },
				func(s *usock.Socket) { s.Connect(usock.Addr{Family: usock.AF_UNSPEC}) },
			} {
				s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
				s.SetNonblock(true)
				s.Connect(a)
				end(s)
			}
			time.Sleep(10 * time.Second) // in the bubble's time
			for _, i := range h.Sockets() {
				if i.State == "SYN-SENT" {
					t.Errorf("%s: left over: %+v", c.fault, i)
				}
			}
		})
	}
}

// TestFaultyConnectAgain has a socket connect that a fault has refused once, which is as if nothing had been.
func TestFaultyConnectAgain(t *testing.T) {
	h, _ := faultyHost(t, "connect refused once")
	_, a := listenAt(t, h)
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := s.Connect(a); err != syscall.ECONNREFUSED {
		t.Fatal(err)
	}
	if err := s.Connect(a); err != nil {
		t.Fatal(err)
	}
}

// connected returns both ends of a connection.
func connected(t *testing.T, h *usock.Host) (cli, srv *usock.Socket) {
	t.Helper()
	l, a := listenAt(t, h)
	cli = mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := cli.Connect(a); err != nil {
		t.Fatal(err)
	}
	srv, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return cli, srv
}

// reads receives until something else than bytes comes.
func reads(s *usock.Socket) (sizes []int, err error) {
	b := make([]byte, 4096)
	for {
		n, err := s.Recv(b, 0)
		if err != nil || n == 0 {
			return sizes, err
		}
		sizes = append(sizes, n)
	}
}

func total(sizes []int) (n int) {
	for _, x := range sizes {
		n += x
	}
	return n
}

// TestFaultyReset has a connection reset: by what the client sends, by what the server receives, and when it is accepted. Who is reset
// gets what a peer's reset gives: ECONNRESET, then EPIPE of a send and the end of a receive (Linux, tcp_reset).
func TestFaultyReset(t *testing.T) {
	for _, c := range []struct {
		fault string
		gets  int
	}{{"reset after 1000 bytes", 1000}, {"reset after 1000 bytes received", 1000}, {"reset at accept", 0}} {
		synctest.Test(t, func(t *testing.T) {
			h, log := faultyHost(t, c.fault)
			cli, srv := connected(t, h)
			_, err := cli.Send(make([]byte, 5000), usock.MSG_NOSIGNAL)
			if c.gets == 0 && err != syscall.ECONNRESET || c.gets > 0 && err != nil {
				t.Errorf("%s: send: %v", c.fault, err)
			}
			sizes, err := reads(srv)
			if total(sizes) != c.gets || err != syscall.ECONNRESET {
				t.Errorf("%s: the server gets %v, %v", c.fault, sizes, err)
			}
			if c.gets > 0 {
				if _, err := reads(cli); err != syscall.ECONNRESET {
					t.Errorf("%s: the client gets %v", c.fault, err)
				}
			}
			for _, s := range []*usock.Socket{cli, srv} {
				if n, err := s.Recv(make([]byte, 1), 0); n != 0 || err != nil {
					t.Errorf("%s: behind the error: %d, %v", c.fault, n, err)
				}
				if _, err := s.Send([]byte("x"), usock.MSG_NOSIGNAL); err != syscall.EPIPE {
					t.Errorf("%s: send behind the error: %v", c.fault, err)
				}
			}
			if len(log()) != 1 {
				t.Errorf("%s: told %q", c.fault, log())
			}
		})
	}
}

// TestFaultyResetNotReached leaves a connection alone that ends before.
func TestFaultyResetNotReached(t *testing.T) {
	h, log := faultyHost(t, "reset after 1000 bytes", "reset after 1000 bytes received")
	cli, srv := connected(t, h)
	cli.Send(make([]byte, 999), 0)
	cli.Close()
	if sizes, err := reads(srv); total(sizes) != 999 || err != nil || len(log()) != 0 {
		t.Errorf("%v, %v, told %q", sizes, err, log())
	}
}

// TestFaultyPieces has receives give the pieces in turn: of a peek one, and of one with MSG_WAITALL as many as it takes.
func TestFaultyPieces(t *testing.T) {
	h, log := faultyHost(t, "read in pieces of 1,7,100 bytes")
	cli, srv := connected(t, h)
	cli.Send(make([]byte, 400), 0)
	cli.Close()
	b := make([]byte, 300)
	var got []int
	for _, flags := range []int{usock.MSG_PEEK, 0, 0, 0, usock.MSG_WAITALL} {
		n, err := srv.Recv(b[:250], flags)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if want := "[1 1 7 100 250]"; fmt.Sprint(got) != want || len(log()) != 1 {
		t.Errorf("%v, want %s; told %q", got, want, log())
	}
}

// TestFaultyStop has the server receive nothing for a time, and then the client send nothing.
func TestFaultyStop(t *testing.T) {
	for _, fault := range []string{"stop reading for 5s after 1000 bytes", "peer stops reading for 5s after 1000 bytes"} {
		synctest.Test(t, func(t *testing.T) {
			h, _ := faultyHost(t, fault)
			cli, srv := connected(t, h)
			began := time.Now()
			cli.Send(make([]byte, 3000), 0)
			cli.Close()
			b := make([]byte, 4096)
			for _, want := range []int{1000, 2000, 0} {
				if n, err := srv.Recv(b, 0); n != want || err != nil {
					t.Errorf("%s: %d, %v, want %d", fault, n, err, want)
				}
				if want == 1000 && (time.Since(began) != 0 || srv.Events()&usock.POLLIN != 0) {
					t.Errorf("%s: after %v it shows %v", fault, time.Since(began), srv.Events())
				}
			}
			if d := time.Since(began); d != 5*time.Second {
				t.Errorf("%s: it took %v", fault, d)
			}
		})
	}
}

// TestFaultyAccept has accept fail, and leave the connection where it is, for a hundred goroutines.
func TestFaultyAccept(t *testing.T) {
	h, log := faultyHost(t, "accept fails with EMFILE at every 3rd")
	l, a := listenAt(t, h)
	const clients = 100
	var wg sync.WaitGroup
	made := make(chan error, 2*clients)
	for range clients {
		wg.Go(func() {
			for {
				s, _, err := l.Accept()
				made <- err
				if err == nil {
					s.Close()
					return
				}
			}
		})
	}
	for range clients {
		s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
		for s.Connect(a) != nil { // the queue was full
		}
		s.Close()
	}
	wg.Wait()
	close(made)
	failed := 0
	for err := range made {
		if err != nil {
			if err != syscall.EMFILE {
				t.Error(err)
			}
			failed++
		}
	}
	if failed != 49 || len(log()) != failed || l.Events() != 0 { // 149 accepts are 100 and their third part
		t.Errorf("%d failed, %d were told, the listener shows %v", failed, len(log()), l.Events())
	}
}

// TestFaultySocket has no socket be made: of the Internet, not of AF_UNIX, which reach no network.
func TestFaultySocket(t *testing.T) {
	for _, want := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		name := map[syscall.Errno]string{syscall.EMFILE: "EMFILE", syscall.ENFILE: "ENFILE", syscall.ENOBUFS: "ENOBUFS", syscall.ENOMEM: "ENOMEM"}[want]
		h, _ := faultyHost(t, "socket fails with "+name+" process host")
		for _, typ := range []int{usock.SOCK_STREAM, usock.SOCK_DGRAM} {
			if _, err := h.Socket(usock.AF_INET6, typ, 0); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
		if _, err := h.Socket(usock.AF_UNIX, usock.SOCK_STREAM, 0); err != nil {
			t.Error(err)
		}
	}
}

// TestFaultyInterrupt has calls fail with EINTR that would wait, and only those. An attempt to connect goes on (connect(2)).
func TestFaultyInterrupt(t *testing.T) {
	h, log := faultyHost(t, "interrupt recv at the 1st", "interrupt accept at the 1st", "interrupt connect at the 1st")
	l, a := listenAt(t, h)
	if _, _, err := l.Accept(); err != syscall.EINTR {
		t.Error("accept:", err)
	}
	cli := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := cli.Connect(a); err != syscall.EINTR {
		t.Error("connect:", err)
	}
	if ev, err := cli.Poll(context.Background(), usock.POLLOUT); ev != usock.POLLOUT || err != nil {
		t.Error("the attempt:", ev, err)
	}
	srv, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Recv(make([]byte, 1), usock.MSG_DONTWAIT); err != syscall.EAGAIN {
		t.Error("a recv that does not wait:", err)
	}
	if _, err := srv.Recv(make([]byte, 1), 0); err != syscall.EINTR {
		t.Error("recv:", err)
	}
	cli.Send([]byte("x"), 0)
	if n, err := srv.Recv(make([]byte, 1), 0); n != 1 || err != nil {
		t.Error("the next one:", n, err)
	}
	if len(log()) != 3 {
		t.Errorf("told %q", log())
	}
}

// TestFaultyNames has the host's resolver meet each fault of names.
func TestFaultyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := shape.ParseFaults(7, "dns NXDOMAIN for nx.test", "dns SERVFAIL for fails.test", "dns late by 2s for late.test", "dns wrong first for wrong.test",
			"dns AAAA only for six.test", "connect refused to wrong.test")
		if err != nil {
			t.Fatal(err)
		}
		names := new(usock.Names)
		for _, n := range []string{"nx.test", "fails.test", "late.test", "wrong.test", "six.test"} {
			names.Set(n, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"))
		}
		h := newHost(t, usock.Config{Names: names, Faults: f})
		look := func(name string) string {
			list, err := h.Resolver().LookupNetIP(context.Background(), "ip", name)
			if e := (*net.DNSError)(nil); errors.As(err, &e) {
				return e.Err
			}
			return fmt.Sprint(list)
		}
		began := time.Now()
		for _, c := range []struct{ name, want string }{
			{"nx.test", "no such host"}, {"fails.test", "server misbehaving"}, {"six.test", "[::1]"}, {"late.test", "[::1 127.0.0.1]"},
			{"wrong.test", "[2001:db8::1 192.0.2.1]"}, {"wrong.test", "[::1 127.0.0.1]"},
		} {
			if got := look(c.name); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("it took %v", d)
		}
		if err := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM).Connect(mustAddr(t, "127.0.0.1:1")); err != syscall.ECONNREFUSED {
			t.Error(err)
		}
	})
}

// TestFaultySCTP has associations refused, late and reset: the ABORT comes behind the message that has the byte.
func TestFaultySCTP(t *testing.T) {
	for _, c := range []struct {
		fault string
		want  error // of the connect
		after time.Duration
		gets  int // messages of 400 bytes that the server gets; -1: it is not connected
	}{
		{"connect refused sctp", syscall.ECONNREFUSED, 0, -1},
		{"connect timed out after 3s", syscall.ETIMEDOUT, 3 * time.Second, -1},
		{"connect late by 500ms to */sctp", nil, 500 * time.Millisecond, 50},
		{"connect refused tcp", nil, 0, 50},
		{"reset at accept", nil, 0, 0},
		{"reset after 1 byte process host at the 1st", nil, 0, 1},
		{"reset after 12000 bytes", nil, 0, 30},
		{"reset after 1000 bytes received", nil, 0, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, log := faultyHost(t, c.fault)
			var packets bytes.Buffer
			w := link.NewPcapWriter(&packets, 0)
			stop, err := h.Record(w)
			if err != nil {
				t.Fatal(err)
			}
			l, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
			if err := errors.Join(err, l.Bind(mustAddr(t, "127.0.0.1:8080")), l.Listen(5)); err != nil {
				t.Fatal(err)
			}
			a, _ := l.GetSockName()
			cli, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			began := time.Now()
			defer h.Trace(func(events []trace.Event) {
				for i := range events {
					if e := &events[i]; e.Time < began.Sub(h.Epoch()) {
						t.Errorf("%s: told as of before: %s", c.fault, e)
					}
				}
			})()
			if err := cli.Connect(a); err != c.want || time.Since(began) != c.after {
				t.Errorf("%s: %v after %v, want %v after %v", c.fault, err, time.Since(began), c.want, c.after)
			}
			if c.gets >= 0 {
				resets := c.gets < 50
				gets, err := messagesOf(t, l, cli)
				if gets != c.gets || resets != (err == syscall.ECONNRESET) {
					t.Errorf("%s: the server gets %d messages, and the client %v", c.fault, gets, err)
				}
				stop()
				w.Close()
				if told := bytes.Contains(packets.Bytes(), []byte("fault: "+c.fault[:8])); told != resets || resets && len(log()) != 1 {
					t.Errorf("%s: told in the recording: %v, and %q", c.fault, told, log())
				}
			}
			if i := slices.IndexFunc(h.Sockets(), func(i usock.SocketInfo) bool { return i.State == "COOKIE_WAIT" }); i >= 0 {
				t.Errorf("%s: left over: %+v", c.fault, h.Sockets()[i])
			}
			stop()
		})
	}
}

// messagesOf has a client send 50 messages of 400 bytes to who connects to l, and returns how many came, and the client's error.
func messagesOf(t *testing.T, l, cli *usock.Socket) (gets int, failed error) {
	t.Helper()
	srv, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		n := 0
		for b := make([]byte, 1000); n < 50; n++ {
			if k, err := srv.Recv(b, 0); k <= 0 || err != nil {
				break
			}
		}
		srv.Close()
		done <- n
	}()
	for range 50 {
		if _, err := cli.Send(make([]byte, 400), usock.MSG_NOSIGNAL); err != nil {
			failed = err
			break
		}
	}
	if failed == nil {
		if _, err := cli.Recv(make([]byte, 1), 0); err != nil {
			failed = err
		}
	}
	return <-done, failed
}

// TestFaultySend has datagrams be not sent: those of UDP, with and without an address, and by net's types.
func TestFaultySend(t *testing.T) {
	h, log := faultyHost(t, "send fails with ENOBUFS to :9 at every 2nd", "send fails with ENOMEM to :10")
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	var got []error
	send := func(err error) { got = append(got, err) }
	for range 2 {
		_, err := u.SendTo([]byte("x"), 0, mustAddr(t, "127.0.0.1:9"))
		send(err)
	}
	if err := u.Connect(mustAddr(t, "127.0.0.1:10")); err != nil {
		t.Fatal(err)
	}
	_, err := u.Send([]byte("x"), 0)
	send(err)
	c, err := h.Dial("udp", "127.0.0.1:10")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = errno
	}
	send(err)
	if want := fmt.Sprint([]error{nil, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOMEM}); fmt.Sprint(got) != want || len(log()) != 3 {
		t.Errorf("%v, want %s; told %q", got, want, log())
	}
	if n := h.Stats().UDP.OutDatagrams; n != 1 {
		t.Errorf("%d datagrams were sent", n)
	}
}

// TestFaultyInterruptSend has a send fail with EINTR that would wait, or say how much it has sent before.
func TestFaultyInterruptSend(t *testing.T) {
	h, _ := faultyHost(t, "interrupt send at the 1st", "interrupt send at the 2nd")
	cli, srv := connected(t, h)
	big := make([]byte, 16<<20)
	first, err := cli.Send(big, 0)
	if first <= 0 || first >= len(big) || err != nil {
		t.Errorf("what was sent before: %d, %v", first, err)
	}
	if n, err := cli.Send(big, 0); n > 0 && err == nil {
		first += n // more room meanwhile
	} else if err != syscall.EINTR {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := cli.Send(big, usock.MSG_DONTWAIT); err != syscall.EAGAIN {
		t.Errorf("one that does not wait: %v", err)
	}
	done := make(chan int)
	go func() {
		sizes, _ := reads(srv)
		done <- total(sizes)
	}()
	if n, err := cli.Send(big, 0); n != len(big) || err != nil {
		t.Errorf("one that is not interrupted: %d, %v", n, err)
	}
	cli.Close()
	if n := <-done; n != first+len(big) {
		t.Errorf("%d bytes have come of %d", n, first+len(big))
	}
}

// TestFaultyNoMore takes faults away while connections go on: they are as others then.
func TestFaultyNoMore(t *testing.T) {
	h, _ := faultyHost(t, "read in pieces of 1,7 bytes", "reset after 1000 bytes", "interrupt recv")
	cli, srv := connected(t, h)
	cli.Send(make([]byte, 900), 0)
	b := make([]byte, 4096)
	for _, want := range []int{1, 7, 1} {
		if n, err := srv.Recv(b, 0); n != want || err != nil {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	h.Faults().Set()
	cli.Send(make([]byte, 3000), 0)
	if n, err := srv.Recv(b[:891+3000], usock.MSG_WAITALL); n != 891+3000 || err != nil {
		t.Errorf("without faults %d, %v", n, err)
	}
}
