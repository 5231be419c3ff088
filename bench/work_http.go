//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

const httpClients = 64

// httpKeepAlive has clients request 1 KiB from a net/http server, each over a
// connection that is kept.
func httpKeepAlive(p *pair, t Task) (Result, error) {
	l, err := p.server.ListenTCP(p.at(port))
	if err != nil {
		return Result{}, err
	}
	body := make([]byte, 1024)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }))
	transport := &http.Transport{
		MaxIdleConnsPerHost: httpClients,
		DisableCompression:  true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return p.client.DialTCP(p.at(port))
		},
	}
	client := &http.Client{Transport: transport}
	url := fmt.Sprintf("http://%s/", p.at(port))
	var m meter
	failed := make(chan error, httpClients)
	for range httpClients {
		go func() {
			count := m.counter()
			for !m.stopped.Load() {
				r, err := client.Get(url)
				if err != nil {
					failed <- err
					return
				}
				n, err := io.Copy(io.Discard, r.Body)
				r.Body.Close()
				if err != nil || n != int64(len(body)) {
					failed <- fmt.Errorf("%d bytes of body: %w", n, err)
					return
				}
				count.Add(1)
			}
		}()
	}
	rate, c, err := m.measure(t, failed)
	return Result{Value: rate, More: c.more()}, err
}
