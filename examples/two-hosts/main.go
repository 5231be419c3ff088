// Command two-hosts joins two hosts by a link in memory with a delay of 10 ms each
// way, and has two UDP peers talk: neither is server or client, both have bound
// a port, and each sends to the other.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"usock"
	"usock/link"
)

const delay = 10 * time.Millisecond

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	left, right := link.Pipe(link.PipeConfig{})
	slow, err := link.Impair(left, link.ImpairConfig{
		Out: link.Impairment{Delay: delay},
		In:  link.Impairment{Delay: delay},
	})
	if err != nil {
		return err
	}
	alpha, err := newHost("alpha", slow, "192.168.7.1/24")
	if err != nil {
		return err
	}
	defer alpha.Close()
	beta, err := newHost("beta", right, "192.168.7.2/24")
	if err != nil {
		return err
	}
	defer beta.Close()

	a, err := peer(alpha, "192.168.7.1:7000", "192.168.7.2:7000")
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := peer(beta, "192.168.7.2:7000", "192.168.7.1:7000")
	if err != nil {
		return err
	}
	defer b.Close()

	start := time.Now()
	other := make(chan error, 1)
	go func() { other <- talk(w, b, "beta", "pong", false) }()
	if err := errors.Join(talk(w, a, "alpha", "ping", true), <-other); err != nil {
		return err
	}
	fmt.Fprintln(w, "three round trips took no less than the link's time:", time.Since(start) >= 3*2*delay)
	return nil
}

func newHost(name string, l link.Link, addr string) (*usock.Host, error) {
	return usock.NewHost(usock.Config{
		Name:       name,
		Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}},
	})
}

// peer returns a socket that is bound to one address and connected to the other.
func peer(h *usock.Host, local, foreign string) (*usock.Socket, error) {
	s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	for _, step := range []struct {
		address string
		call    func(usock.Addr) error
	}{{local, s.Bind}, {foreign, s.Connect}} {
		a, err := usock.ParseAddr(step.address)
		if err != nil {
			return nil, err
		}
		if err := step.call(a); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// talk sends and receives three datagrams in turns.
func talk(w io.Writer, s *usock.Socket, name, text string, first bool) error {
	buf := make([]byte, 100)
	for i := range 3 {
		if first || i > 0 {
			if _, err := s.Send([]byte(text), 0); err != nil {
				return err
			}
		}
		n, err := s.Recv(buf, 0)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s received %s\n", name, buf[:n])
	}
	if !first {
		_, err := s.Send([]byte(text), 0)
		return err
	}
	return nil
}
