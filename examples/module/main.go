// Command hello is a module of its own that uses usock from a folder: its go.mod says which
// one by a replace line.
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
	h, err := usock.NewHost(usock.Config{Name: "hello"})
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.Listen("tcp", "hello:8080")
	if err != nil {
		return err
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			fmt.Fprint(c, "hello")
			c.Close()
		}
	}()
	c, err := h.Dial("tcp", "hello:8080")
	if err != nil {
		return err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	fmt.Fprintf(w, "%s from %s\n", b, c.RemoteAddr())
	return err
}
