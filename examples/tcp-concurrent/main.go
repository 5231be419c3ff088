// Command tcp-concurrent is the concurrent TCP server: each accepted socket is
// handed to a goroutine of its own, which echoes to the end of the stream. Twenty
// clients at once send 1 MiB each and check every byte that comes back.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"

	"usock"
)

const (
	clients = 20
	size    = 1 << 20 // bytes each way and client
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
	listener, err := listen(host)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(listener) }()

	var wait sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wait.Go(func() { errs[i] = client(host, uint64(i)) })
	}
	wait.Wait()
	listener.Close()
	if err := errors.Join(append(errs, <-served)...); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d clients sent and received %d bytes each, all as sent\n", clients, size)
	return nil
}

func listen(host *usock.Host) (*usock.Socket, error) {
	s, err := host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	any, err := usock.ParseAddr("0.0.0.0:3000")
	if err != nil {
		return nil, err
	}
	if err := s.Bind(any); err != nil {
		return nil, err
	}
	return s, s.Listen(128)
}

// serve accepts until the listener is closed, and waits for what it has begun.
func serve(listener *usock.Socket) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		conn, peer, err := listener.Accept()
		if errors.Is(err, syscall.EBADF) {
			return nil
		}
		if err != nil {
			return err
		}
		wait.Go(func() {
			defer conn.Close()
			if err := echo(conn); err != nil {
				fmt.Fprintf(os.Stderr, "%v: %v\n", peer, err)
			}
		})
	}
}

func echo(s *usock.Socket) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Recv(buf, 0)
		if err != nil || n == 0 {
			return err
		}
		if _, err := s.Send(buf[:n], 0); err != nil {
			return err
		}
	}
}

// client sends and receives at the same time: a client that only sent first would
// wait for a server that waits for it.
func client(host *usock.Host, seed uint64) error {
	s, err := host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	server, err := usock.ParseAddr("127.0.0.1:3000")
	if err != nil {
		return err
	}
	if err := s.Connect(server); err != nil {
		return err
	}
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(data)
	sent := make(chan error, 1)
	go func() {
		_, err := s.Send(data, 0)
		sent <- errors.Join(err, s.Shutdown(usock.SHUT_WR))
	}()
	// MSG_WAITALL waits for all that is asked for; one byte more finds the end.
	back := make([]byte, size+1)
	n, err := s.Recv(back, usock.MSG_WAITALL)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(back[:n], data) {
		return fmt.Errorf("client %d: %d bytes came back, and not those that were sent", seed, n)
	}
	return nil
}
