// Command tcp-iterative is the iterative TCP server and its classic client: the
// server accepts a connection, receives what comes to the end of the stream,
// answers and closes; clients that come meanwhile wait in the listener's queue.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"usock"
)

const clients = 3

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
	done := make(chan error, 1)
	go func() { done <- serve(w, listener) }()
	for i := range clients {
		if err := client(w, host, fmt.Sprintf("hello from client %d", i+1)); err != nil {
			return err
		}
	}
	if err := <-done; err != nil {
		return err
	}
	// Nobody listens any more.
	err = client(w, host, "hello?")
	fmt.Fprintln(w, "refused:", errors.Is(err, syscall.ECONNREFUSED))
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
	return s, s.Listen(10)
}

// serve serves one client after another.
func serve(w io.Writer, listener *usock.Socket) error {
	defer listener.Close()
	for range clients {
		conn, _, err := listener.Accept()
		if err != nil {
			return err
		}
		text, err := receive(conn)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "server received %q\n", text)
		if _, err := conn.Send([]byte(strings.ToUpper(text)), 0); err != nil {
			return err
		}
		if err := errors.Join(conn.Shutdown(usock.SHUT_RDWR), conn.Close()); err != nil {
			return err
		}
	}
	return nil
}

// client sends the text, says that it is done, and receives the answer.
func client(w io.Writer, host *usock.Host, text string) error {
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
	if _, err := s.Send([]byte(text), 0); err != nil {
		return err
	}
	if err := s.Shutdown(usock.SHUT_WR); err != nil {
		return err
	}
	answer, err := receive(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "client received %q\n", answer)
	return nil
}

// receive receives to the end of the stream, which is a receive of no bytes.
func receive(s *usock.Socket) (string, error) {
	var text strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := s.Recv(buf, 0)
		if err != nil || n == 0 {
			return text.String(), err
		}
		text.Write(buf[:n])
	}
}
