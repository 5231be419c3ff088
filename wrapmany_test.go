package usock_test

import (
	"bytes"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// nowhere is a link that drops every packet, and counts them.
type nowhere struct {
	link.Direct
	dropped *atomic.Uint64
}

func (n *nowhere) Send(batch []*link.Packet) int {
	for _, p := range batch {
		p.Free()
	}
	n.dropped.Add(uint64(len(batch)))
	return 0
}

// nowhereHost has an interface to a link that drops every packet.
func nowhereHost(t *testing.T) (*usock.Host, *atomic.Uint64) {
	t.Helper()
	a, _ := link.Pipe(link.PipeConfig{})
	dropped := new(atomic.Uint64)
	h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
		Link: &nowhere{a, dropped}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, dropped
}

// What a host keeps of the links that an interface has had does not grow with their number, and no packet that one of them
// has dropped is missing from the counters.
func TestWrapManyTimes(t *testing.T) {
	const times = 10_000
	h, dropped := nowhereHost(t)
	c, err := h.Dial("udp", "10.0.0.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wrap := func(n int) uint64 {
		for range n {
			if err := h.Wrap(h.Interfaces()[1].Name, func(l link.Link) link.Link { return l }); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := wrap(100)
	after := wrap(times)
	if grown := int64(after) - int64(before); grown > 100*times {
		t.Errorf("the heap has grown by %d bytes in %d changes", grown, times)
	}
	if got, want := txDropped(h), dropped.Load(); got != want || want < times {
		t.Errorf("%d packets are counted as dropped, of %d", got, want)
	}
}

// What is on its way to a link when the interface gets another one is counted when it is dropped.
func TestWrapCountsWhatIsUnderWay(t *testing.T) {
	h, dropped := nowhereHost(t)
	var senders sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		c, err := h.Dial("udp", "10.0.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		senders.Go(func() {
			for !stop.Load() {
				c.Write([]byte("x"))
			}
		})
	}
	for n := 0; n < 300 || dropped.Load() < 300; n++ {
		if err := h.Wrap(h.Interfaces()[1].Name, func(l link.Link) link.Link { return l }); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	senders.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got, want := txDropped(h), dropped.Load()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d packets are counted as dropped, of %d", got, want)
		}
	}
}

func txDropped(h *usock.Host) uint64 {
	return h.Interfaces()[1].Stats.TxDropped
}

// A recorded interface that gets another link is recorded by that one alone: of a link inside it, or of the same one, no packet is
// recorded a second time, and when the recording has ended, nothing watches any of them.
func TestWrapWhileRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := link.Pipe(link.PipeConfig{Names: [2]string{"eth0", "eth0"}})
		impaired := func(l link.Link) link.Link {
			m, err := link.Impair(l, link.ImpairConfig{})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		one := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: impaired(a), Addrs: prefixes("10.0.0.1/24")}}})
		other := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: b, Addrs: prefixes("10.0.0.2/24")}}})
		there := hears(t, other, "10.0.0.2:7007")
		var file bytes.Buffer
		w := link.NewPcapWriter(&file, 0)
		stop, err := one.Record(w)
		if err != nil {
			t.Fatal(err)
		}
		say(t, one, there, "as it was")
		for _, c := range []struct {
			what string
			wrap func(link.Link) link.Link
		}{
			{"the same", func(l link.Link) link.Link { return l }},
			{"one around it", impaired},
			{"without the outer one", func(l link.Link) link.Link { return l.(link.Wrapper).Unwrap() }},
		} {
			if err := one.Wrap("eth0", c.wrap); err != nil {
				t.Fatal(c.what, err)
			}
			say(t, one, there, c.what)
		}
		stop()
		say(t, one, there, "after")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{"eth0 as it was", "eth0 the same", "eth0 one around it", "eth0 without the outer one"}
		if got := textsOf(t, file.Bytes()); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// Of what is sent while an interface gets another link, or its own again, all is recorded that the link takes, and once.
func TestWrapRecordsWhatIsUnderWay(t *testing.T) {
	impaired := func(l link.Link) link.Link {
		m, err := link.Impair(l, link.ImpairConfig{})
		if err != nil {
			t.Error(err)
		}
		return m
	}
	same := func(l link.Link) link.Link { return l }
	for range 10 {
		a, _ := link.Pipe(link.PipeConfig{Names: [2]string{"eth0", "eth0"}})
		h := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: &nowhere{a, new(atomic.Uint64)}, Addrs: prefixes("10.0.0.1/24")}}})
		var file bytes.Buffer
		w := link.NewPcapWriter(&file, 0)
		stop, err := h.Record(w)
		if err != nil {
			t.Fatal(err)
		}
		var senders sync.WaitGroup
		var sent atomic.Int64
		for range 2 {
			c, err := h.Dial("udp", "10.0.0.2:9")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			senders.Go(func() {
				for sent.Add(1) < 2000 {
					c.Write([]byte("x"))
				}
			})
		}
		for n, wrap := 0, impaired; sent.Load() < 1000; n, wrap = n+1, same {
			for from := sent.Load(); n == 0 && sent.Load() < from+100; {
				runtime.Gosched()
			}
			if err := h.Wrap("eth0", wrap); err != nil {
				t.Fatal(err)
			}
		}
		senders.Wait()
		stop()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		recorded := len(textsOf(t, file.Bytes()))
		if want := int(h.Interfaces()[1].Stats.TxPackets); recorded+int(w.Dropped()) != want {
			t.Errorf("%d packets are recorded, and %d left out, of %d", recorded, w.Dropped(), want)
		}
	}
}
