// Command tcp-net is the concurrent TCP server with the net package's types: what
// works with net.Listener and net.Conn works with usock's, unchanged.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

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
	l, err := host.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()

	c, err := host.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	lines := bufio.NewScanner(c)
	for _, text := range []string{"one", "two", "three"} {
		fmt.Fprintln(c, text)
		if !lines.Scan() {
			return lines.Err()
		}
		fmt.Fprintln(w, lines.Text())
	}
	// A deadline ends a call that waits for too long.
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	fmt.Fprintln(w, "deadline exceeded:", errors.Is(err, os.ErrDeadlineExceeded))

	l.Close()
	err = <-done
	fmt.Fprintln(w, "listener closed:", errors.Is(err, net.ErrClosed))
	return nil
}

// serve answers each line in capitals.
func serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for lines := bufio.NewScanner(c); lines.Scan(); {
				fmt.Fprintln(c, strings.ToUpper(lines.Text()))
			}
		}()
	}
}
