//go:build amd64 || arm64

package run_test

import (
	"fmt"
	"os"

	"usock"
	"usock/run"
)

// A program, bash here, reaches what the Go program around it serves on usock's host, and
// nothing else.
func ExampleRun() {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	l, err := h.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		panic(err)
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			fmt.Fprintln(c, "hello from the library")
			c.Close()
		}
	}()

	st, err := run.Run(run.Options{
		Host: h, Path: "/bin/bash", Argv: []string{"bash", "-c", "cat </dev/tcp/127.0.0.1/8080"}, Env: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Warn: os.Stderr,
	})
	fmt.Println(st.Code, err)
	// Output:
	// hello from the library
	// 0 <nil>
}
