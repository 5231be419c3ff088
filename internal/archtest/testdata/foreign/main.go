// Command foreign is what somebody else makes of usock: a clock, a link and a congestion
// control of his own, in a module of his own. Two hosts exchange a megabyte over them.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"

	"usock"
	"usock/cc"
)

const size = 1 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run() error {
	clock := newClock()
	defer clock.stop()
	a, b := newCable("cable", 1400)
	server, err := newHost(clock, "192.0.2.1/24", a)
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := newHost(clock, "192.0.2.2/24", b)
	if err != nil {
		return err
	}
	defer client.Close()

	if err := echo(server, client); err != nil {
		return err
	}
	return check(clock, a, b)
}

func newHost(clock *ownClock, addr string, l *end) (*usock.Host, error) {
	tcp := usock.DefaultTCPConfig()
	tcp.Controllers = map[string]func() cc.Controller{"fixed": newFixed}
	return usock.NewHost(usock.Config{
		Clock: clock, TCP: tcp, Congestion: "fixed",
		Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}},
	})
}

// echo has the server send back what the client sends, which ends its direction then.
func echo(server, client *usock.Host) error {
	l, err := server.Listen("tcp", "192.0.2.1:7000")
	if err != nil {
		return err
	}
	defer l.Close()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c)
		c.Close()
	})

	c, err := client.Dial("tcp", "192.0.2.1:7000")
	if err != nil {
		return err
	}
	defer c.Close()
	name := make([]byte, 16)
	n, err := c.(*usock.TCPConn).Socket().GetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, name)
	if got := string(bytes.TrimRight(name[:n], "\x00")); err != nil || got != "fixed" {
		return fmt.Errorf("congestion control %q, %v", got, err)
	}
	return roundTrip(c, &work)
}

func roundTrip(c net.Conn, work *sync.WaitGroup) error {
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	work.Go(func() {
		c.Write(sent)
		c.(*usock.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%d bytes came back, not those that were sent", len(got))
	}
	return nil
}

// check has all three tell that they were used.
func check(clock *ownClock, a, b *end) error {
	switch {
	case clock.asked.Load() == 0:
		return fmt.Errorf("nobody asked the clock")
	case a.payload.Load() < size || b.payload.Load() < size:
		return fmt.Errorf("the link carried %d and %d bytes of data", a.payload.Load(), b.payload.Load())
	case acked.Load() < 2*size:
		return fmt.Errorf("the congestion control was told of %d bytes", acked.Load())
	}
	return nil
}
