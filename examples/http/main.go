// Command http runs net/http, server and client, over TCP in this process: 100
// clients at once, with no port of the system in use.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"usock"
)

const clients = 100

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
	l, err := host.Listen("tcp", "127.0.0.1:80")
	// Ports below 1024 are for privileged hosts.
	fmt.Fprintln(w, "port 80:", err)
	if err == nil {
		l.Close()
	}
	if l, err = host.Listen("tcp", "127.0.0.1:8080"); err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.URL.Query().Get("name"))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	transport := &http.Transport{DialContext: host.DialContext}
	client := &http.Client{Transport: transport}
	var wait sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wait.Go(func() { errs[i] = get(client, fmt.Sprint("client-", i)) })
	}
	wait.Wait()
	transport.CloseIdleConnections()
	if err := errors.Join(append(errs, server.Close())...); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Fprintf(w, "%d clients were greeted by name\n", clients)
	return nil
}

func get(c *http.Client, name string) error {
	r, err := c.Get("http://localhost:8080/?name=" + name)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if string(body) != "hello, "+name {
		return fmt.Errorf("%s received %q", name, body)
	}
	return nil
}
