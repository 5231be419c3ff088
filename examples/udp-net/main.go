// Command udp-net is a UDP server and its peers with the net package's types:
// net.PacketConn, and net.Conn for a peer that is connected, which hears of it
// when nobody serves the port.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"usock"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	host, err := usock.NewHost(usock.Config{Name: "example"})
	if err != nil {
		return err
	}
	defer host.Close()
	server, err := host.ListenPacket("udp", "127.0.0.1:3000")
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- serve(server) }()

	// A peer with a socket of its own port for everybody.
	p, err := host.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := p.WriteTo([]byte("from a packet socket"), server.LocalAddr()); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, from, err := p.ReadFrom(buf)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%q from %v\n", buf[:n], from)

	// A connected peer.
	c, err := host.Dial("udp", "127.0.0.1:3000")
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("from a connected one")); err != nil {
		return err
	}
	if n, err = c.Read(buf); err != nil {
		return err
	}
	fmt.Fprintf(w, "%q\n", buf[:n])

	server.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		return err
	}
	// An ICMP message says that the port is closed; the next call reports it.
	if _, err := c.Write([]byte("anybody?")); err != nil {
		return err
	}
	_, err = c.Read(buf)
	fmt.Fprintln(w, "refused:", errors.Is(err, syscall.ECONNREFUSED))
	return nil
}

func serve(c net.PacketConn) error {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			return err
		}
	}
}
