package usock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// sctpHosts returns two hosts with two addresses each, in networks of their own, on one link.
func sctpHosts(t *testing.T) (a, b *usock.Host) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	host := func(l link.Link, n string) *usock.Host {
		return newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{
			netip.MustParsePrefix("10.0.0." + n + "/24"), netip.MustParsePrefix("10.1.0." + n + "/24"),
		}}}})
	}
	return host(x, "1"), host(y, "2")
}

// sctpConns returns the two ends of an association of b, which listens, with a.
func sctpConns(t *testing.T, a, b *usock.Host, at string, also ...netip.Addr) (client, server *usock.SCTPConn) {
	t.Helper()
	l, err := b.ListenSCTP("sctp", at, also...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if client, err = a.DialSCTP(ctx, "sctp", l.Addr().String(), also...); err != nil {
		t.Fatal(err)
	}
	if server, err = l.AcceptSCTP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); l.Close() })
	for _, c := range []*usock.SCTPConn{client, server} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return client, server
}

// A net.Conn of SCTP, on loopback and between two hosts: messages with stream and identifier, bytes,
// and the end.
func TestSCTPConn(t *testing.T) {
	one := newHost(t, usock.Config{})
	a, b := sctpHosts(t)
	for _, c := range []struct {
		at             string
		client, server *usock.Host
	}{{"127.0.0.1:7000", one, one}, {"[::1]:7000", one, one}, {"10.0.0.2:7000", a, b}} {
		client, server := sctpConns(t, c.client, c.server, c.at)
		if got := client.RemoteAddr(); got.String() != c.at || got.Network() != "sctp" {
			t.Errorf("the peer is %v", got)
		}
		info := usock.SCTPInfo{Stream: 3, PPID: 51}
		if _, err := client.WriteMsg([]byte("message"), info); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4)
		n, got, err := server.ReadMsg(p)
		if string(p[:n]) != "mess" || got != info || err != nil {
			t.Errorf("%q, %+v, %v", p[:n], got, err)
		}
		info.EOR = true
		if n, got, err = server.ReadMsg(p); string(p[:n]) != "age" || got != info || err != nil {
			t.Errorf("%q, %+v, %v", p[:n], got, err)
		}

		// Bytes in both directions at once, more than the buffers hold.
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		errs := make(chan error, 3)
		go func() { _, err := client.Write(data); errs <- err }()
		go func() { _, err := server.Write(data); errs <- err }()
		go func() {
			got := make([]byte, len(data))
			_, err := io.ReadFull(client, got)
			if err == nil && !bytes.Equal(got, data) {
				err = errors.New("other bytes came")
			}
			errs <- err
		}()
		back := make([]byte, len(data))
		if _, err := io.ReadFull(server, back); err != nil || !bytes.Equal(back, data) {
			t.Errorf("received: %v, equal %v", err, bytes.Equal(back, data))
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}

		if err := client.CloseWrite(); err != nil {
			t.Error(err)
		}
		if n, err := server.Read(p); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
}

// Errors have package net's shape.
func TestSCTPNetErrors(t *testing.T) {
	h := newHost(t, usock.Config{})
	_, err := h.DialSCTP(context.Background(), "sctp", "127.0.0.1:9")
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) || op.Op != "dial" || op.Net != "sctp" {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := h.DialSCTP(context.Background(), "tcp", "127.0.0.1:9"); !errors.As(err, new(net.UnknownNetworkError)) {
		t.Errorf("another network: %v", err)
	}
	if _, err := h.Listen("sctp", "127.0.0.1:9"); !errors.As(err, new(net.UnknownNetworkError)) {
		t.Errorf("Listen: %v", err)
	}
	l, err := h.ListenSCTP("sctp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a closed listener: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.DialSCTP(ctx, "sctp", "127.0.0.1:9"); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// Both ends know both addresses of each other.
func TestSCTPMultihomed(t *testing.T) {
	a, b := sctpHosts(t)
	client, server := sctpConns(t, a, b, "10.0.0.2:7000", netip.MustParseAddr("10.1.0.2"))
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	if n, err := server.Read(p); string(p[:n]) != "hello" {
		t.Errorf("%q, %v", p[:n], err)
	}
	for _, c := range []struct {
		of   *usock.SCTPConn
		want [2]string
	}{{client, [2]string{"10.0.0.2", "10.1.0.2"}}, {server, [2]string{"10.0.0.1", "10.1.0.1"}}} {
		v := make([]byte, 200)
		n, err := c.of.Socket().GetSockOpt(usock.SOL_SCTP, usock.SCTP_GET_PEER_ADDRS, v)
		if err != nil || n != 8+2*16 {
			t.Fatalf("peer's addresses: %d bytes, %v", n, err)
		}
		got := map[string]bool{}
		for i := range 2 {
			s, err := usock.ParseSockaddr(v[8+16*i : 8+16*(i+1)])
			if err != nil {
				t.Fatal(err)
			}
			got[s.IP.String()] = true
		}
		for _, w := range c.want {
			if !got[w] {
				t.Errorf("%s is none of %v", w, got)
			}
		}
	}
}

// Calls that wait, of one-to-many style: recvmsg for a message, sendmsg for room and for an association.
func TestSCTPWaits(t *testing.T) {
	a, b := sctpHosts(t)
	socket := func(h *usock.Host) *usock.Socket {
		s, err := h.Socket(usock.AF_INET, usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP)
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(30 * time.Second))
		return s
	}
	server, client := socket(b), socket(a)
	at := mustAddr(t, "10.0.0.2:7000")
	if err := server.Bind(at); err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(5); err != nil {
		t.Fatal(err)
	}
	const messages, size = 200, 20000
	done := make(chan error)
	go func() {
		for i := range messages {
			if _, err := client.SendTo(bytes.Repeat([]byte{byte(i)}, size), 0, at); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	p := make([]byte, size+1)
	for i := range messages {
		n, from, err := server.RecvFrom(p, 0)
		if err != nil || n != size || p[0] != byte(i) || from.IP.String() != "10.0.0.1" {
			t.Fatalf("message %d: %d bytes from %v, %v", i, n, from, err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func ExampleHost_DialSCTP() {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	l, err := h.ListenSCTP("sctp", "127.0.0.1:3868")
	if err != nil {
		panic(err)
	}
	client, err := h.DialSCTP(context.Background(), "sctp", "127.0.0.1:3868")
	if err != nil {
		panic(err)
	}
	client.WriteMsg([]byte("hello"), usock.SCTPInfo{Stream: 2, PPID: 46})

	server, err := l.AcceptSCTP()
	if err != nil {
		panic(err)
	}
	p := make([]byte, 100)
	n, info, _ := server.ReadMsg(p)
	fmt.Printf("%s on stream %d for protocol %d\n", p[:n], info.Stream, info.PPID)
	// Output: hello on stream 2 for protocol 46
}
