package usock_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"usock"
	"usock/internal/wire"
	"usock/trace"
)

// TestTrace follows a connection through its events: calls, states, segments, whose they are, and
// their order.
func TestTrace(t *testing.T) {
	h := newHost(t, usock.Config{})
	var mu sync.Mutex
	var all []trace.Event
	stop := h.Trace(func(events []trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, events...)
	})
	a, b := pair(t, h, "127.0.0.1:5100")
	if _, err := a.Send([]byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := b.Recv(buf, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recv(buf, usock.MSG_DONTWAIT); err == nil {
		t.Fatal("there is more")
	}
	a.Close()
	b.Close()
	stop()

	mu.Lock()
	got := slices.Clone(all)
	mu.Unlock()
	client := mustEvent(t, got, "connect = 0")
	for _, want := range []string{
		"listen = 0", "CLOSED -> SYN-SENT", "sent S 0+1", "received S 0+1", "CLOSED -> SYN-RECEIVED", "received S. 0+1",
		"SYN-SENT -> ESTABLISHED", "SYN-RECEIVED -> ESTABLISHED", "connect = 0", "accept = 0",
		"sent P. 1+5", "received P. 1+5", "send = 5", "recv = 5", "recv = -1, resource temporarily unavailable",
		"close = 0", "ESTABLISHED -> FIN-WAIT-1", "ESTABLISHED -> CLOSE-WAIT",
	} {
		mustEvent(t, got, want)
	}
	last := got[0].Time
	for i := range got {
		e := &got[i]
		if e.Time < last {
			t.Errorf("goes back in time: %s", e)
		}
		last = e.Time
		if e.Kind != trace.Called && (e.Protocol != 6 || !e.Local.IsValid() || !e.Peer.IsValid()) {
			t.Errorf("nobody's: %s", e)
		}
		if e.Kind == trace.Sent && e.Flags == trace.PSH|trace.ACK && (e.Local != client.Local || e.Peer != client.Peer || e.Socket != client.Socket) {
			t.Errorf("the data is another socket's than the connect: %s (socket %d), %s (%d)", e, e.Socket, &client, client.Socket)
		}
	}

	n := len(got)
	pair(t, h, "127.0.0.1:5101")
	mu.Lock()
	defer mu.Unlock()
	if len(all) != n {
		t.Errorf("%d events after the end", len(all)-n)
	}
}

func mustEvent(t *testing.T, events []trace.Event, text string) trace.Event {
	t.Helper()
	for _, e := range events {
		if strings.HasPrefix(e.Text(), text) {
			return e
		}
	}
	t.Errorf("no event %q", text)
	return trace.Event{}
}

// TestTraceKinds: who asks for some kinds is told of those, all of them, whoever else listens, and to what.
func TestTraceKinds(t *testing.T) {
	kinds := []trace.Kind{trace.State, trace.Called}
	for _, beside := range [][]trace.Kind{kinds, {trace.Sent}, nil} { // the last: to all
		h := newHost(t, usock.Config{})
		var mu sync.Mutex
		var some []string
		made := make(map[trace.Kind]int)
		hear := func(f func(*trace.Event)) func([]trace.Event) {
			return func(events []trace.Event) {
				mu.Lock()
				defer mu.Unlock()
				for i := range events {
					f(&events[i])
				}
			}
		}
		stop := h.Trace(hear(func(e *trace.Event) { some = append(some, e.Kind.String()+" "+e.Text()) }), kinds...)
		stopOther := h.Trace(hear(func(e *trace.Event) { made[e.Kind]++ }), beside...)
		a, b := pair(t, h, "127.0.0.1:5100")
		if _, err := a.Send([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		a.Close()
		b.Close()
		stop()
		stopOther()
		mu.Lock()
		all := strings.Join(some, "\n")
		for _, want := range []string{"called listen = 0", "called connect = 0", "state CLOSED -> SYN-SENT", "state SYN-SENT -> ESTABLISHED", "called send = 5", "called close = 0"} {
			if !strings.Contains(all, want) {
				t.Errorf("beside %v: %q is missing in\n%s", beside, want, all)
			}
		}
		for _, text := range some {
			if kind, _, _ := strings.Cut(text, " "); kind != "state" && kind != "called" {
				t.Errorf("beside %v: %s", beside, text)
			}
		}
		for k := range made {
			if len(beside) > 0 && !slices.Contains(beside, k) || made[trace.Sent] == 0 && !slices.Contains(beside, trace.State) {
				t.Errorf("beside %v: the other is told of %v", beside, made)
			}
		}
		mu.Unlock()
	}
}

// TestTraceTwice has two listeners, one of which uses the host from within, and stops itself.
func TestTraceTwice(t *testing.T) {
	h := newHost(t, usock.Config{})
	first, second := 0, 0
	var stop func()
	stop = h.Trace(func(events []trace.Event) {
		if first += len(events); first == len(events) {
			s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
			if err != nil {
				t.Error(err)
			}
			s.Bind(usock.Addr{Family: usock.AF_INET})
			s.Close()
			stop()
		}
	})
	defer h.Trace(func(events []trace.Event) { second += len(events) })()
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if err := u.Listen(1); err == nil {
		t.Fatal("a datagram socket listens")
	}
	if first != 1 {
		t.Errorf("the first one was told of %d events, and had stopped after one", first)
	}
	if second != 3 {
		t.Errorf("the second one was told of %d events", second)
	}
}

// TestTraceMissed has a listener that does not keep up with others' events.
func TestTraceMissed(t *testing.T) {
	h := newHost(t, usock.Config{})
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	const calls = 70_000
	told, missed, inside := 0, 0, false
	defer h.Trace(func(events []trace.Event) {
		if !inside {
			inside = true
			for range calls {
				u.Listen(1)
			}
		}
		for i := range events {
			if events[i].Kind == trace.Missed {
				missed += events[i].Result
			} else {
				told++
			}
		}
	})()
	u.Listen(1)
	if told+missed != calls+1 || missed == 0 || told < 1<<16 {
		t.Errorf("%d told, %d missed", told, missed)
	}
}

// TestTraceCookies floods a listener with SYNs, which are answered with cookies: these events, of
// connections that nothing is kept of, say whose they are as well.
func TestTraceCookies(t *testing.T) {
	h, p := newRawPeer(t, usock.Config{})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "0.0.0.0:8080")); err != nil {
		t.Fatal(err)
	}
	l.Listen(1)
	answers := 0
	defer h.Trace(func(events []trace.Event) {
		for i := range events {
			e := &events[i]
			if e.Local.Port() != 8080 || e.Peer.Addr() != p.local {
				t.Errorf("nobody's: %s", e)
			}
			if e.Kind == trace.Sent && e.Flags == trace.SYN|trace.ACK {
				answers++
			}
		}
	})()
	const flood = 50
	for port := uint16(1); port <= flood; port++ {
		p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")
	}
	if n := h.Stats().TCP.SyncookiesSent; n == 0 || answers != flood {
		t.Errorf("%d cookies, and %d of %d answers were told", n, answers, flood)
	}
}
