// Command udp-iterative is the iterative UDP server: one socket, one datagram
// after another. There is no connection: each datagram brings its sender's
// address, and the answer goes back there. The peers bind nothing; a port is
// chosen for them with their first sendto.
package main

import (
	"fmt"
	"io"
	"os"

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

	server, err := host.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	any, err := usock.ParseAddr("0.0.0.0:3000")
	if err != nil {
		return err
	}
	if err := server.Bind(any); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- serve(w, server) }()

	for _, name := range []string{"first", "second", "third"} {
		if err := peer(w, host, name); err != nil {
			return err
		}
	}
	// An empty datagram is a datagram: here it ends the server.
	last, err := host.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer last.Close()
	if _, err := last.SendTo(nil, 0, local); err != nil {
		return err
	}
	return <-done
}

// serve answers every datagram where it came from, until an empty one comes.
func serve(w io.Writer, s *usock.Socket) error {
	defer s.Close()
	buf := make([]byte, 1500)
	for served := 0; ; served++ {
		n, from, err := s.RecvFrom(buf, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintf(w, "%d datagrams served\n", served)
			return nil
		}
		if _, err := s.SendTo(append([]byte("echo of "), buf[:n]...), 0, from); err != nil {
			return err
		}
	}
}

// local is where the peers find the server.
var local, _ = usock.ParseAddr("127.0.0.1:3000")

// peer sends one datagram and waits for the answer.
func peer(w io.Writer, host *usock.Host, name string) error {
	s, err := host.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.SendTo([]byte("hello from the "+name), 0, local); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, from, err := s.RecvFrom(buf, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %q from %v\n", name, buf[:n], from)
	return nil
}
