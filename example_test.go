package usock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"syscall"

	"usock"
	"usock/link"
)

// A host has a loopback interface, and the net package's types run on it unchanged.
func Example() {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Close()

	l, err := h.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from", r.Host)
	}))

	client := http.Client{Transport: &http.Transport{DialContext: h.DialContext}}
	r, err := client.Get("http://127.0.0.1:8080/")
	if err != nil {
		panic(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	fmt.Print(string(b))
	// Output: hello from 127.0.0.1:8080
}

// A host tells of each connection that has ended: here, of both ends of one.
func ExampleConfig_ended() {
	told := make(chan string, 2)
	h, _ := usock.NewHost(usock.Config{Ended: func(c usock.SocketInfo) {
		told <- fmt.Sprintf("port 8080: %v; %d bytes received, %d sent", c.Local.Port() == 8080, c.TCP.BytesReceived, c.TCP.BytesSent)
	}})
	defer h.Close()
	l, _ := h.Listen("tcp", "127.0.0.1:8080")
	client, _ := h.Dial("tcp", "127.0.0.1:8080")
	server, _ := l.Accept()

	client.Write([]byte("hello"))
	client.Close()
	fmt.Println(io.ReadAll(server))
	server.Close()
	fmt.Println(<-told)
	fmt.Println(<-told)
	// Unordered output:
	// [104 101 108 108 111] <nil>
	// port 8080: false; 0 bytes received, 5 sent
	// port 8080: true; 5 bytes received, 0 sent
}

// The BSD calls, with Linux's errors.
func ExampleHost_Socket() {
	h, _ := usock.NewHost(usock.Config{})
	defer h.Close()
	at, _ := usock.ParseAddr("127.0.0.1:3000")

	client, _ := h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	err := client.Connect(at)
	fmt.Println(err, errors.Is(err, syscall.ECONNREFUSED))

	listener, _ := h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	listener.Bind(at)
	listener.Listen(5)
	client.Connect(at)
	client.Send([]byte("hello"), 0)

	server, _, _ := listener.Accept()
	b := make([]byte, 100)
	n, _ := server.Recv(b, 0)
	fmt.Printf("%s\n", b[:n])
	// Output:
	// connection refused true
	// hello
}

// Two hosts on a link, which know each other by name.
func ExampleNames() {
	var names usock.Names
	left, right := link.Pipe(link.PipeConfig{})
	host := func(name, addr string, l link.Link) *usock.Host {
		p := netip.MustParsePrefix(addr)
		names.Set(name, p.Addr())
		h, err := usock.NewHost(usock.Config{
			Name: name, Names: &names, Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{p}}},
		})
		if err != nil {
			panic(err)
		}
		return h
	}
	alpha, beta := host("alpha", "10.0.0.1/24", left), host("beta.test", "10.0.0.2/24", right)
	defer alpha.Close()
	defer beta.Close()

	l, _ := beta.Listen("tcp", ":http-alt")
	defer l.Close()
	c, err := alpha.Dial("tcp", "beta.test:http-alt")
	if err != nil {
		panic(err)
	}
	fmt.Println(c.RemoteAddr())
	_, err = alpha.Dial("tcp", "gamma.test:80")
	fmt.Println(err)
	// Output:
	// 10.0.0.2:8080
	// dial tcp: lookup gamma.test: no such host
}

// Control sets options before the socket is bound: here two sockets share a port.
func ExampleListenConfig() {
	h, _ := usock.NewHost(usock.Config{})
	defer h.Close()
	c := usock.ListenConfig{Host: h, Control: func(network string, s *usock.Socket) error {
		return s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_REUSEPORT, 1)
	}}
	for range 2 {
		l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:8080")
		fmt.Println(l.Addr(), err)
	}
	// Output:
	// 127.0.0.1:8080 <nil>
	// 127.0.0.1:8080 <nil>
}

// A poll set watches any number of sockets from one goroutine.
func ExamplePollSet() {
	h, _ := usock.NewHost(usock.Config{})
	defer h.Close()
	a, b, _ := h.SocketPair(usock.AF_UNIX, usock.SOCK_STREAM, 0)

	set := h.NewPollSet()
	defer set.Close()
	set.Add(a, usock.POLLIN, "a")
	set.Add(b, usock.POLLIN, "b")
	a.Send([]byte("hello"), 0)

	events := make([]usock.Event, 10)
	n, _ := set.Wait(context.Background(), events)
	for _, e := range events[:n] {
		fmt.Println(e.Data, e.Events == usock.POLLIN)
	}
	// Output: b true
}

// Explicit congestion notification by control messages, as golang.org/x/net and quic-go use
// them.
func ExampleUDPConn_ReadMsgUDP() {
	h, _ := usock.NewHost(usock.Config{})
	defer h.Close()
	p, _ := h.ListenPacket("udp", "127.0.0.1:5353")
	server := p.(*usock.UDPConn)
	server.Socket().SetSockOptInt(usock.SOL_IP, usock.IP_RECVTOS, 1)

	client, _ := h.Dial("udp", "127.0.0.1:5353")
	client.(*usock.UDPConn).Socket().SetSockOptInt(usock.SOL_IP, usock.IP_TOS, 2) // ECT(0)
	client.Write([]byte("marked"))

	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, from, err := server.ReadMsgUDP(b, oob)
	fmt.Printf("%s, ECN %d, %v, %v\n", b[:n], oob[oobn-8], from.IP, err) // the message is padded to 8 bytes
	// Output: marked, ECN 2, 127.0.0.1, <nil>
}
