// Command udp-parallel is the parallel UDP server: several workers receive from
// one socket. All datagrams for the port are in its one queue, and each goes to
// whichever worker receives it first. Many peers, each connected to the server,
// check that what comes back is theirs: connect on a datagram socket keeps
// others' datagrams away.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"usock"
)

const (
	workers   = 4
	peers     = 16
	exchanges = 100
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
	server, err := host.Socket(usock.AF_INET6, usock.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	any, err := usock.ParseAddr("[::]:3000")
	if err != nil {
		return err
	}
	// A socket of AF_INET6 on [::] serves IPv4 too.
	if err := server.Bind(any); err != nil {
		return err
	}

	var serving sync.WaitGroup
	var served atomic.Int64
	failed := make(chan error, workers+peers)
	for range workers {
		serving.Go(func() { failed <- serve(server, &served) })
	}
	var asking sync.WaitGroup
	for i := range peers {
		asking.Go(func() { failed <- peer(host, i) })
	}
	asking.Wait()
	// Calls that wait on a socket end with EBADF when it is closed.
	if err := server.Close(); err != nil {
		return err
	}
	serving.Wait()
	for range workers + peers {
		if err := <-failed; err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%d workers served %d datagrams of %d peers\n", workers, served.Load(), peers)
	return nil
}

// serve is one worker.
func serve(s *usock.Socket, served *atomic.Int64) error {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.RecvFrom(buf, 0)
		if errors.Is(err, syscall.EBADF) {
			return nil
		}
		if err != nil {
			return err
		}
		served.Add(1)
		if _, err := s.SendTo(buf[:n], 0, from); err != nil {
			return err
		}
	}
}

// peer exchanges datagrams with the server over IPv4 or IPv6.
func peer(host *usock.Host, id int) error {
	address := "127.0.0.1:3000"
	if id%2 == 1 {
		address = "[::1]:3000"
	}
	to, err := usock.ParseAddr(address)
	if err != nil {
		return err
	}
	s, err := host.Socket(to.Family, usock.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Connect(to); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for i := range exchanges {
		text := fmt.Sprintf("datagram %d of peer %d", i, id)
		if _, err := s.Send([]byte(text), 0); err != nil {
			return err
		}
		n, err := s.Recv(buf, 0)
		if err != nil {
			return err
		}
		if string(buf[:n]) != text {
			return fmt.Errorf("peer %d received %q, not %q", id, buf[:n], text)
		}
	}
	return nil
}
