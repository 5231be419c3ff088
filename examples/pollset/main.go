// Command pollset is a server of thousands of connections on one goroutine: all
// its sockets are non-blocking and in one poll set, as with epoll(7). Another
// goroutine with a poll set of its own is all the clients.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"usock"
)

const connections = 5000

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
	addr, err := usock.ParseAddr("127.0.0.1:3000")
	if err != nil {
		return err
	}
	listener, err := host.Socket(usock.AF_INET, usock.SOCK_STREAM|usock.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(listener.Bind(addr), listener.Listen(connections)); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- serve(host, listener) }()
	checked, err := clients(host, addr)
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d connections at once, %d answers checked\n", connections, checked)
	return nil
}

// serve accepts, and echoes what comes on each connection until its client has
// closed. It ends when all clients have been served.
func serve(host *usock.Host, listener *usock.Socket) error {
	set := host.NewPollSet()
	defer set.Close()
	if err := set.Add(listener, usock.POLLIN, nil); err != nil {
		return err
	}
	ready := make([]usock.Event, 64)
	buf := make([]byte, 4096)
	for served := 0; served < connections; {
		n, err := set.Wait(context.Background(), ready)
		if err != nil {
			return err
		}
		for _, e := range ready[:n] {
			if e.Socket == listener {
				if err := acceptAll(set, listener); err != nil {
					return err
				}
				continue
			}
			ended, err := echo(e.Socket, buf)
			if err != nil {
				return err
			}
			if ended {
				if err := errors.Join(set.Remove(e.Socket), e.Socket.Close()); err != nil {
					return err
				}
				served++
			}
		}
	}
	return listener.Close()
}

// acceptAll takes all connections that wait.
func acceptAll(set *usock.PollSet, listener *usock.Socket) error {
	for {
		conn, _, err := listener.Accept()
		if errors.Is(err, syscall.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		conn.SetNonblock(true)
		if err := set.Add(conn, usock.POLLIN, nil); err != nil {
			return err
		}
	}
}

// echo sends back what is there now. The requests are so small that an answer
// always fits into the send buffer.
func echo(s *usock.Socket, buf []byte) (ended bool, err error) {
	n, err := s.Recv(buf, 0)
	if errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	if err != nil || n == 0 {
		return err == nil, err
	}
	if sent, err := s.Send(buf[:n], 0); err != nil || sent != n {
		return false, errors.Join(err, io.ErrShortWrite)
	}
	return false, nil
}

// clients opens all connections, then sends a number on each, checks what comes
// back, and closes.
func clients(host *usock.Host, server usock.Addr) (checked int, err error) {
	set := host.NewPollSet()
	defer set.Close()
	all := make([]*usock.Socket, connections)
	for i := range all {
		s, err := host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
		if err != nil {
			return 0, err
		}
		if err := s.Connect(server); err != nil {
			return 0, err
		}
		s.SetNonblock(true)
		if err := set.Add(s, usock.POLLIN, i); err != nil {
			return 0, err
		}
		all[i] = s
	}
	for i, s := range all {
		if _, err := s.Send(number(i), 0); err != nil {
			return 0, err
		}
	}
	ready := make([]usock.Event, 64)
	buf := make([]byte, 16)
	for checked < connections {
		n, err := set.Wait(context.Background(), ready)
		if err != nil {
			return checked, err
		}
		for _, e := range ready[:n] {
			i := e.Data.(int)
			n, err := e.Socket.Recv(buf, 0)
			if errors.Is(err, syscall.EAGAIN) {
				continue
			}
			if err != nil {
				return checked, err
			}
			if !bytes.Equal(buf[:n], number(i)) {
				return checked, fmt.Errorf("connection %d received % x", i, buf[:n])
			}
			checked++
			if err := errors.Join(set.Remove(e.Socket), e.Socket.Close()); err != nil {
				return checked, err
			}
		}
	}
	return checked, nil
}

func number(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
