package usock_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"usock"
	"usock/link"
)

// pair returns both ends of a TCP connection on h over the loopback address.
func pair(t testing.TB, h *usock.Host, addr string) (cli, srv *usock.Socket) {
	t.Helper()
	a := mustAddr(t, addr)
	l := mustSocket(t, h, a.Family, usock.SOCK_STREAM)
	if err := l.Bind(a); err != nil {
		t.Fatal("bind:", err)
	}
	if err := l.Listen(10); err != nil {
		t.Fatal("listen:", err)
	}
	a, _ = l.GetSockName()
	cli = mustSocket(t, h, a.Family, usock.SOCK_STREAM)
	if err := cli.Connect(a); err != nil {
		t.Fatal("connect:", err)
	}
	srv, from, err := l.Accept()
	if err != nil {
		t.Fatal("accept:", err)
	}
	name, _ := cli.GetSockName()
	if from != name {
		t.Errorf("accepted from %v, client is %v", from, name)
	}
	if err := l.Close(); err != nil {
		t.Error("close listener:", err)
	}
	srv.SetDeadline(time.Now().Add(10 * time.Second))
	return cli, srv
}

func TestTCPEcho(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		h := newHost(t, usock.Config{})
		cli, srv := pair(t, h, addr)
		if n, err := cli.Send([]byte("hello"), 0); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		b := make([]byte, 10)
		if n, err := srv.Recv(b, 0); err != nil || string(b[:n]) != "hello" {
			t.Fatalf("%q, %v", b[:n], err)
		}
		if err := cli.Shutdown(usock.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		if n, err := srv.Recv(b, 0); n != 0 || err != nil {
			t.Fatal("want end of stream:", n, err)
		}
		if n, err := srv.Send([]byte("half"), 0); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := cli.Recv(b, 0); err != nil || string(b[:n]) != "half" {
			t.Fatalf("%q, %v", b[:n], err)
		}
		if err := errors.Join(srv.Close(), cli.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTCPRefused(t *testing.T) {
	h := newHost(t, usock.Config{})
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := s.Connect(mustAddr(t, "127.0.0.1:9")); err != syscall.ECONNREFUSED {
		t.Errorf("connect: %v, want ECONNREFUSED", err)
	}
	// The socket can be used again.
	if err := s.Connect(mustAddr(t, "127.0.0.1:9")); err != syscall.ECONNREFUSED {
		t.Errorf("second connect: %v, want ECONNREFUSED", err)
	}
}

// exchange sends n pseudo-random bytes each way over two ends and compares.
func exchange(t testing.TB, a, b io.ReadWriter, closeA, closeB func() error, n int) {
	t.Helper()
	var wg sync.WaitGroup
	var sent, got [2][32]byte
	run := func(f func()) { wg.Add(1); go func() { defer wg.Done(); f() }() }
	send := func(i int, w io.Writer, end func() error) {
		data := make([]byte, n)
		r := rand.New(rand.NewPCG(uint64(n), uint64(i)))
		for k := range data {
			data[k] = byte(r.Uint32())
		}
		sent[i] = sha256.Sum256(data)
		for len(data) > 0 {
			k := min(len(data), 1+r.IntN(100_000))
			if _, err := w.Write(data[:k]); err != nil {
				t.Error("write:", err)
				return
			}
			data = data[k:]
		}
		if err := end(); err != nil {
			t.Error("end:", err)
		}
	}
	recv := func(i int, r io.Reader) {
		h := sha256.New()
		if k, err := io.Copy(h, r); err != nil || k != int64(n) {
			t.Errorf("read %d of %d bytes: %v", k, n, err)
		}
		copy(got[i][:], h.Sum(nil))
	}
	run(func() { send(0, a, closeA) })
	run(func() { send(1, b, closeB) })
	run(func() { recv(0, b) })
	run(func() { recv(1, a) })
	wg.Wait()
	if sent != got {
		t.Error("bytes differ")
	}
}

type stream interface {
	net.Conn
	CloseWrite() error
}

// connPair returns both ends of a connection from host a to host b.
func connPair(t testing.TB, a, b *usock.Host, addr string) (x, y stream) {
	t.Helper()
	l, err := b.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := a.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(stream), d.(stream)
}

func TestTCPBulkLoopback(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b := connPair(t, h, h, "127.0.0.1:0")
	exchange(t, a, b, a.CloseWrite, b.CloseWrite, 16<<20)
	a.Close()
	b.Close()
}

// twoHosts returns two hosts joined by a pipe: 10.0.0.1 and 10.0.0.2, fd00::1 and
// fd00::2.
func twoHosts(t testing.TB, c link.PipeConfig) (a, b *usock.Host) {
	t.Helper()
	x, y := link.Pipe(c)
	a = newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24", "fd00::1/64")}}})
	b = newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}})
	return a, b
}

func TestTCPBulkPipe(t *testing.T) {
	for _, mtu := range []int{1500, 65535} {
		for _, addr := range []string{"10.0.0.2:0", "[fd00::2]:0"} {
			t.Run(fmt.Sprint(mtu, " ", addr), func(t *testing.T) {
				a, b := twoHosts(t, link.PipeConfig{MTU: mtu})
				x, y := connPair(t, a, b, addr)
				exchange(t, x, y, x.CloseWrite, y.CloseWrite, 8<<20)
				x.Close()
				y.Close()
			})
		}
	}
}

func TestNetTestTCP(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				h, err := usock.NewHost(usock.Config{})
				if err != nil {
					return nil, nil, nil, err
				}
				a, b := connPair(t, h, h, addr)
				return a, b, func() { a.Close(); b.Close(); h.Close() }, nil
			})
		})
	}
}

func TestTCPResetUnread(t *testing.T) {
	h := newHost(t, usock.Config{})
	cli, srv := pair(t, h, "127.0.0.1:0")
	cli.Send([]byte("unread"), 0)
	srv.Close()
	if ev := cli.Events(); ev&(usock.POLLERR|usock.POLLHUP|usock.POLLIN) != usock.POLLERR|usock.POLLHUP|usock.POLLIN {
		t.Errorf("events %#x", ev)
	}
	if _, err := cli.Recv(make([]byte, 1), 0); err != syscall.ECONNRESET {
		t.Errorf("recv: %v, want ECONNRESET", err)
	}
	if n, err := cli.Recv(make([]byte, 1), 0); n != 0 || err != nil {
		t.Errorf("second recv: %d, %v, want end of stream", n, err)
	}
	if _, err := cli.Send([]byte("x"), 0); err != syscall.EPIPE {
		t.Errorf("send: %v, want EPIPE", err)
	}
}

func TestTCPSmallWrites(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b := connPair(t, h, h, "127.0.0.1:0")
	var want bytes.Buffer
	go func() {
		for i := range 20000 {
			fmt.Fprintf(a, "%d,", i)
		}
		a.CloseWrite()
	}()
	for i := range 20000 {
		fmt.Fprintf(&want, "%d,", i)
	}
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d of %d bytes, %v", len(got), want.Len(), err)
	}
}

// TestTCPLinger has close wait for the peer to take the data (SO_LINGER), and no
// longer than it was told.
func TestTCPLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := usock.NewHost(usock.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		fill := func(cli *usock.Socket) (total int) {
			cli.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 20, 0, 0, 0})
			chunk := make([]byte, 64<<10)
			for {
				n, err := cli.Send(chunk, usock.MSG_DONTWAIT)
				if err == syscall.EAGAIN {
					return total
				}
				total += n
			}
		}
		cli, srv := pair(t, h, "127.0.0.1:0")
		cli.SetDeadline(time.Time{})
		total := fill(cli)
		closed := make(chan struct{})
		go func() { cli.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("close did not wait")
		default:
		}
		buf := make([]byte, 64<<10)
		for got := 0; got < total; {
			n, err := srv.Recv(buf, 0)
			if err != nil || n == 0 {
				t.Fatalf("received %d of %d bytes, %v", got, total, err)
			}
			got += n
		}
		<-closed
		srv.Close()

		cli, srv = pair(t, h, "127.0.0.1:0")
		fill(cli)
		start := time.Now()
		cli.Close()
		if d := time.Since(start); d != 20*time.Second {
			t.Errorf("close took %v, want 20s", d)
		}
		srv.Close()
	})
}

func TestTCPLingerZero(t *testing.T) {
	h := newHost(t, usock.Config{})
	cli, srv := pair(t, h, "127.0.0.1:0")
	cli.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	cli.Close()
	if _, err := srv.Recv(make([]byte, 1), 0); err != syscall.ECONNRESET {
		t.Errorf("recv: %v, want ECONNRESET", err)
	}
}
