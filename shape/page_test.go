package shape_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
	"usock/shape"
)

// A page of 50 objects is fetched as a browser does, under each profile, in virtual time: never faster than the profile lets it be and, where
// nothing is lost, not much slower.
func TestPage(t *testing.T) {
	for _, p := range shape.Profiles() {
		if p.Shape.Up.Loss == 1 {
			continue // nothing arrives
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				took := fetch(t, p.Shape)
				least := leastTime(&p.Shape)
				t.Logf("%-16s %8.2f s, at least %7.2f s, %.2f", p.Name, took.Seconds(), least.Seconds(), took.Seconds()/least.Seconds())
				lossless := p.Shape.Down.Loss == 0 && p.Shape.Down.Burst == (link.Burst{}) && p.Shape.Course.Steps == nil
				switch {
				case took < least:
					t.Errorf("the page takes %v, and cannot in less than %v", took, least)
				case lossless && took > least*3/2:
					t.Errorf("the page takes %v, more than half as much again as the %v that it needs", took, least)
				}
			})
		})
	}
}

// The page: an index that names the objects, and the connections by which a browser fetches them.
const (
	objects    = 50
	objectLen  = 20 << 10
	indexLen   = 4 << 10
	perServer  = 6
	pageServer = "10.0.0.2:8080"
)

// leastTime is what the page takes at least: a round trip for the connection and one for the index; then either one for each object of the
// connection that has most of them, as they are fetched one after the other, or one and the bytes at the rate, with 52 of headers for
// each 1448.
func leastTime(s *shape.Shape) time.Duration {
	delay := func(m *link.Impairment) time.Duration { return m.Delay - m.Jitter }
	trip := delay(&s.Up) + delay(&s.Down)
	for i := range s.Course.Steps {
		c := &s.Course.Steps[i]
		trip = min(trip, delay(&c.Up)+delay(&c.Down))
	}
	least := trip * ((objects + perServer - 1) / perServer)
	if s.Down.Rate > 0 {
		const bytes = (objects*objectLen + indexLen) * 1500 / 1448
		least = max(least, trip+time.Duration(bytes*8e9/float64(s.Down.Rate)))
	}
	return 2*trip + least
}

// fetch fetches the page, and returns how long that takes.
func fetch(t *testing.T, s shape.Shape) time.Duration {
	a, b := link.Pipe(link.PipeConfig{MTU: 1500})
	near, err := shape.Impair(a, s, shape.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	host := func(l link.Link, addr string) *usock.Host {
		h, err := usock.NewHost(usock.Config{Seed: 1, Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	client, server := host(near, "10.0.0.1/24"), host(b, "10.0.0.2/24")
	defer client.Close()
	defer server.Close()
	l, err := server.Listen("tcp", pageServer)
	if err != nil {
		t.Fatal(err)
	}
	index, object := strings.Repeat("i", indexLen), strings.Repeat("o", objectLen)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			io.WriteString(w, index)
			return
		}
		io.WriteString(w, object)
	})}
	defer web.Close()
	go web.Serve(l)
	way := &http.Transport{
		MaxConnsPerHost: perServer, MaxIdleConnsPerHost: perServer,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&usock.Dialer{Host: client}).DialContext(ctx, network, address)
		},
	}
	defer way.CloseIdleConnections()
	get := func(path string, want int) {
		r, err := (&http.Client{Transport: way}).Get("http://" + pageServer + path)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Body.Close()
		if b, err := io.ReadAll(r.Body); err != nil || len(b) != want {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
	begun := time.Now()
	get("/", indexLen)
	var all sync.WaitGroup
	for i := range objects {
		all.Go(func() { get(fmt.Sprintf("/%d", i), objectLen) })
	}
	all.Wait()
	return time.Since(begun)
}
