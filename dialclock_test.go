package usock_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
)

// silentNet returns a host in manual time, whose link leads to nobody.
func silentNet(t *testing.T, cfg usock.Config) (*usock.Host, *clock.Manual) {
	t.Helper()
	c := new(clock.Manual)
	x, y := link.Pipe(link.PipeConfig{})
	t.Cleanup(func() { y.Close() })
	cfg.Clock, cfg.Interfaces = c, []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24")}}
	return newHost(t, cfg), c
}

// dialing dials on a goroutine of its own, and returns where the error comes.
func dialing(ctx context.Context, d *usock.Dialer, address string) <-chan error {
	out := make(chan error, 1)
	go func() {
		_, err := d.DialContext(ctx, "tcp", address)
		out <- err
	}()
	synctest.Wait()
	return out
}

// pending reports whether nothing has come.
func pending(out <-chan error) bool {
	synctest.Wait()
	return len(out) == 0
}

// TestDialTimeoutClock has a Dialer's Timeout pass by the host's clock, whatever time it is
// elsewhere, and a context's deadline by the time of day.
func TestDialTimeoutClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c := silentNet(t, usock.Config{})
		d := usock.Dialer{Host: h, Timeout: 10 * time.Second}
		out := dialing(t.Context(), &d, "10.0.0.2:80")
		time.Sleep(time.Hour)
		c.Advance(10*time.Second - 1)
		if !pending(out) {
			t.Fatalf("too early: %v", <-out)
		}
		c.Advance(1)
		synctest.Wait()
		var n net.Error
		if err := <-out; !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &n) || !n.Timeout() {
			t.Errorf("%v, want that the time is over", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d.Timeout = 0
		out = dialing(ctx, &d, "10.0.0.2:80")
		c.Advance(10 * time.Second)
		if !pending(out) {
			t.Fatalf("the host's clock ended a context: %v", <-out)
		}
		time.Sleep(time.Second)
		if err := <-out; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the time is over", err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		d.Timeout = time.Minute
		out = dialing(ctx, &d, "10.0.0.2:80")
		cancel()
		if err := <-out; !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that it was given up", err)
		}
	})
}

// TestDialShareClock has each address of a name have its part of the Timeout, by the host's clock.
func TestDialShareClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := new(usock.Names)
		names.Set("both", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3"))
		h, c := silentNet(t, usock.Config{Names: names})
		peer := func() string {
			t.Helper()
			for _, s := range h.Sockets() {
				if s.State == "SYN-SENT" {
					return s.Peer.String()
				}
			}
			return ""
		}
		out := dialing(t.Context(), &usock.Dialer{Host: h, Timeout: 10 * time.Second}, "both:80")
		first := peer()
		time.Sleep(time.Hour)
		c.Advance(5*time.Second - 1)
		if got := peer(); !pending(out) || got != first || first == "" {
			t.Errorf("it dials %q, and dialed %q", got, first)
		}
		c.Advance(1)
		synctest.Wait()
		if got := peer(); got == first || got == "" {
			t.Errorf("it dials %q when the first address has had its part", got)
		}
		c.Advance(5 * time.Second)
		if err := <-out; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the time is over", err)
		}
	})
}

// TestResolverClock has the resolver wait for its servers by the host's clock: twice 5 s for one.
func TestResolverClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c := silentNet(t, usock.Config{NameServers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:53")}})
		out := dialing(t.Context(), &usock.Dialer{Host: h}, "name.example:80")
		for range 2 {
			time.Sleep(time.Hour)
			c.Advance(5*time.Second - 1)
			if !pending(out) {
				t.Fatalf("too early: %v", <-out)
			}
			c.Advance(1)
			synctest.Wait()
		}
		var e *net.DNSError
		if err := <-out; !errors.As(err, &e) || !e.IsTimeout {
			t.Errorf("%v, want that no server has answered", err)
		}
	})
}
