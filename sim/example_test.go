package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"usock/link"
	"usock/sim"
)

// example takes the place of a test's *testing.T here.
type example struct{ done []func() }

func (e *example) Helper()                           {}
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (e *example) Cleanup(f func())                  { e.done = append(e.done, f) }

func (e *example) end() {
	for _, f := range slices.Backward(e.done) {
		f()
	}
}

// A server of net/http behind a link, in one line. In a bubble of testing/synctest it answers
// in virtual time.
func ExampleNewServer() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	srv := sim.NewServer(t, http.NotFoundHandler(), sim.Both(link.Impairment{Delay: 5 * time.Millisecond}))
	begin := time.Now()
	r, err := srv.Client().Get(srv.URL)
	if err != nil {
		panic(err)
	}
	r.Body.Close()
	fmt.Println(r.Status, time.Since(begin) >= 20*time.Millisecond)
	// Output: 404 Not Found true
}

// A server whose second connection takes longer, as a rule says in one line.
func ExampleShaped() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	l := sim.NewListener(t, sim.Shaped("to server:80 connection 2: delay 50ms"))
	l.NewConn()
	begin := time.Now()
	l.NewConn()
	fmt.Println(time.Since(begin) >= 100*time.Millisecond)
	// Output: true
}

// A listener, a connection to it, and an error of the test's choice.
func ExampleNewListener() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	l := sim.NewListener(t, sim.Both(link.Impairment{Loss: 0.01}))
	client := l.NewConn()
	server, _ := l.Accept()
	server.Write([]byte("hello"))
	b := make([]byte, 5)
	io.ReadFull(client, b)
	client.SetReadError(errors.New("the cable is out"))
	_, err := client.Read(b)
	fmt.Printf("%s, %v\n", b, errors.Unwrap(err))
	// Output: hello, the cable is out
}

// A client that seems to come from elsewhere, and a server that reads so little that the client
// has to wait for it.
func ExampleConn_SetLocalAddr() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	client, server := sim.NewConnPair(t, sim.LinkConfig{})
	client.SetLocalAddr(netip.MustParseAddrPort("203.0.113.7:1234"))
	fmt.Println(server.RemoteAddr())

	server.SetReadBufferSize(4096)
	client.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	n, err := client.Write(make([]byte, 1<<20))
	fmt.Println(n < 1<<17, errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// 203.0.113.7:1234
	// true true
}

// A listener that seems to be elsewhere: it is reached all the same.
func ExampleListener_SetAddr() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	l := sim.NewListener(t, sim.LinkConfig{})
	l.SetAddr(netip.MustParseAddrPort("203.0.113.9:443"))
	c := l.NewConn()
	fmt.Println(l.Addr(), c.RemoteAddr())
	l.SetAcceptError(errors.New("too many open files"))
	l.Accept() // what waits comes before the error
	_, err := l.Accept()
	fmt.Println(err)
	// Output:
	// 203.0.113.9:443 10.0.0.2:80
	// accept tcp 203.0.113.9:443: too many open files
}

// Sockets at any addresses, each of which is a host.
func ExampleNewPacketNet() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	n := sim.NewPacketNet(t, link.Impairment{Delay: time.Millisecond})
	a, _ := n.NewConn(netip.MustParseAddrPort("192.0.2.1:53"))
	b, _ := n.NewConn(netip.MustParseAddrPort("198.51.100.7:53"))
	a.WriteTo([]byte("hello"), b.LocalAddr())
	p := make([]byte, 10)
	k, from, err := b.ReadFrom(p)
	fmt.Printf("%s from %v, %v\n", p[:k], from, err)
	// Output: hello from 192.0.2.1:53, <nil>
}

// Two hosts and a router between them: a connection over both links, and hosts that know each
// other's names.
func Example() {
	t := new(example) // a test has its *testing.T
	defer t.end()

	n := sim.New(t, 1)
	alpha, r, beta := n.Host("alpha"), n.Router("r"), n.Host("beta")
	n.Link(alpha, r, sim.LinkConfig{})
	n.Link(r, beta, sim.Both(link.Impairment{Delay: 2 * time.Millisecond}))
	n.Start()
	res := n.Flow(alpha, beta, sim.FlowConfig{Bytes: 1 << 20}).Wait()
	fmt.Println(res.Bytes, res.Err)

	names, err := alpha.Resolver().LookupAddr(context.Background(), beta.Addr().String())
	fmt.Println(names, err)
	// Output:
	// 1048576 <nil>
	// [beta] <nil>
}
