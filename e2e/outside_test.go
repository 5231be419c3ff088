//go:build linux

package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// outerServers are the servers of a network, on each of its addresses: 7001 echoes streams and
// datagrams, 7002 resets a connection in the middle, 7003 closes its half first.
func (n *network) outerServers() {
	n.t.Helper()
	for _, a := range []string{serverAddr4, serverAddr6} {
		n.serve(net.JoinHostPort(a, "7001"), func(c *net.TCPConn) { io.Copy(c, c) })
		n.serve(net.JoinHostPort(a, "7002"), func(c *net.TCPConn) {
			c.Write([]byte("hello"))
			io.ReadFull(c, make([]byte, 4))
			c.SetLinger(0)
		})
		n.serve(net.JoinHostPort(a, "7003"), func(c *net.TCPConn) {
			c.Write([]byte("first"))
			c.CloseWrite()
			io.Copy(io.Discard, c)
		})
		n.echoUDP(net.JoinHostPort(a, "7001"))
	}
}

// serve accepts connections at an address of the server's namespace; each is closed when f
// returns.
func (n *network) serve(addr string, f func(*net.TCPConn)) {
	n.t.Helper()
	var l net.Listener
	var err error
	n.in(serverSide, func() { l, err = net.Listen("tcp", addr) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go accept(l, f)
}

func accept(l net.Listener, f func(*net.TCPConn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			f(c.(*net.TCPConn))
		}()
	}
}

// echoUDP answers datagrams.
func (n *network) echoUDP(addr string) {
	n.t.Helper()
	var p net.PacketConn
	var err error
	n.in(serverSide, func() { p, err = net.ListenPacket("udp", addr) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { p.Close() })
	go answer(p)
}

func answer(p net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		k, from, err := p.ReadFrom(b)
		if err != nil {
			return
		}
		p.WriteTo(b[:k], from)
	}
}

// TestOuterErrors compares what a program sees of a network's servers and dead ends.
func TestOuterErrors(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "outer.py")
	for _, name := range []string{"connects", "polls", "noanswer", "odd", "streams", "datagrams", "sizes", "hops"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time they wait
			n := newNetwork(t)
			n.outerServers()
			w := n.from(asUser)
			w.limit = 2 * twinLimit
			// A packet that was sent once more as nobody answered for its next hop has the router ask again, and the answer of
			// that comes early to who begins meanwhile.
			w.again = func() { n.ip(hopOne, "neigh flush all") }
			twin(t, w, "python3 "+py+" "+name)
		})
	}
}

// TestOuterSilence cuts the way to a server: what a program asked of its connections for that
// (TCP_USER_TIMEOUT, keepalive) holds for the way outside, and it sees the error.
func TestOuterSilence(t *testing.T) {
	need(t, "python3", "python3")
	t.Parallel()
	n := newNetwork(t)
	n.outerServers()
	w := n.from(asUser)
	w.limit = 2 * twinLimit
	var outputs [2]string
	for i, usock := range []bool{false, true} {
		r := w.start(t, usock, "python3 "+script(t, "outer.py")+" silence")
		r.says(t, "ready")
		n.ip(hopTwo, "route add blackhole 10.77.3.2/32", "route add blackhole fd77:3::2/128")
		if err := os.WriteFile(filepath.Join(r.c.Dir, "silent"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		o := r.wait(t)
		n.ip(hopTwo, "route del blackhole 10.77.3.2/32", "route del blackhole fd77:3::2/128")
		if o.late || o.code != 0 {
			t.Error(o)
		}
		outputs[i] = o.stdout
	}
	if outputs[0] != outputs[1] {
		t.Errorf("natively:\n%s--- under usock run:\n%s", outputs[0], outputs[1])
	}
}
