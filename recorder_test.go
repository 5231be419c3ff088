package usock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"usock"
	"usock/clock"
	"usock/link"
)

// say has a datagram with the text go from one host to an address, where a socket hears it.
func say(t *testing.T, from *usock.Host, to *usock.UDPConn, text string) {
	t.Helper()
	c, err := from.Dial("udp", to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hears is a socket of a host's.
func hears(t *testing.T, h *usock.Host, addr string) *usock.UDPConn {
	t.Helper()
	p, err := h.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*usock.UDPConn)
}

// textsOf returns what the datagrams of a capture say, in their order, with their interfaces and comments.
func textsOf(t *testing.T, b []byte) (list []string) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, ci, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			return list
		}
		i, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		text := i.Name + " " + string(data[28:])
		for _, c := range options.Comments {
			if strings.HasPrefix(c, "dropped") {
				text += ", " + c
			}
		}
		list = append(list, text)
	}
}

// TestRecord records a host between two calls: both of its interfaces, what its link loses, and one that comes later.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := link.Pipe(link.PipeConfig{Names: [2]string{"eth0", "eth0"}})
		bad, err := link.Impair(a, link.ImpairConfig{})
		if err != nil {
			t.Fatal(err)
		}
		one := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: bad, Addrs: prefixes("10.0.0.1/24")}}})
		other := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: b, Addrs: prefixes("10.0.0.2/24")}}})
		here, there, self := hears(t, one, "10.0.0.1:7007"), hears(t, other, "10.0.0.2:7007"), hears(t, one, "127.0.0.1:7007")
		say(t, one, there, "before")
		var file, second bytes.Buffer
		w, u := link.NewPcapWriter(&file, 0), link.NewPcapWriter(&second, 0)
		stop, err := one.Record(w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := one.Record(w); err == nil {
			t.Error("a writer records a host twice")
		}
		say(t, one, there, "out")
		say(t, other, here, "in")
		say(t, one, self, "self")
		stopSecond, err := one.Record(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := bad.Set(link.Impairment{Loss: 1}, link.Impairment{Loss: 1}); err != nil {
			t.Fatal(err)
		}
		say(t, one, there, "lost")
		say(t, other, here, "lost, too")
		stopSecond()
		x, y := link.Pipe(link.PipeConfig{Names: [2]string{"eth1", "eth1"}})
		if err := one.AddInterface(usock.Interface{Link: x, Addrs: prefixes("10.0.1.1/24")}); err != nil {
			t.Fatal(err)
		}
		if err := other.AddInterface(usock.Interface{Link: y, Addrs: prefixes("10.0.1.2/24")}); err != nil {
			t.Fatal(err)
		}
		say(t, one, hears(t, other, "10.0.1.2:7007"), "new way")
		stop()
		stop() // has no effect
		say(t, one, there, "after")
		say(t, one, self, "after")
		for _, w := range []*link.PcapWriter{w, u} {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"eth0 out", "eth0 in", "lo self", "eth0 lost, dropped: loss", "eth0 lost, too, dropped: loss", "eth1 new way"}
		if got := textsOf(t, file.Bytes()); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q", got)
		}
		if got := textsOf(t, second.Bytes()); fmt.Sprint(got) != fmt.Sprint(want[3:5]) {
			t.Errorf("the second: %q", got)
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Record(link.NewPcapWriter(io.Discard, 0)); err == nil {
			t.Error("a closed host is recorded")
		}
	})
}

// stuck is a writer that takes nothing until it is closed.
type stuck chan struct{}

func (s stuck) Write([]byte) (int, error) {
	<-s
	return 0, io.ErrClosedPipe
}

// TestRecordManual: a host on a clock that its test moves waits for no writer, either.
func TestRecordManual(t *testing.T) {
	h := newHost(t, usock.Config{Clock: new(clock.Manual)})
	to := make(stuck)
	w := link.NewPcapWriter(to, 0)
	stop, err := h.Record(w)
	if err != nil {
		t.Fatal(err)
	}
	here := hears(t, h, "127.0.0.1:7007")
	said := make(chan struct{})
	go func() {
		defer close(said)
		for range 200 {
			say(t, h, here, strings.Repeat("much", 2000))
		}
	}()
	select {
	case <-said:
	case <-time.After(10 * time.Second):
		t.Error("who sends waits for the recording")
	}
	close(to)
	<-said
	stop()
	if err := w.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("closed: %v", err)
	}
}

// TestRecordBusy begins and ends recordings while many send, on links and to themselves.
func TestRecordBusy(t *testing.T) {
	a, b := link.Pipe(link.PipeConfig{})
	one := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: a, Addrs: prefixes("10.0.0.1/24")}}})
	other := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: b, Addrs: prefixes("10.0.0.2/24")}}})
	self := hears(t, one, "127.0.0.1:7009")
	var senders, all sync.WaitGroup
	end := make(chan struct{})
	for _, to := range []*usock.UDPConn{hears(t, other, "10.0.0.2:7007"), hears(t, one, "127.0.0.1:7007"), hears(t, one, "10.0.0.1:7008")} {
		senders.Go(func() {
			c, err := one.Dial("udp", to.LocalAddr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for {
				select {
				case <-end:
					return
				default:
					c.Write([]byte("busy"))
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 50 {
				var file bytes.Buffer
				w := link.NewPcapWriter(&file, 0)
				stop, err := one.Record(w)
				if err != nil {
					t.Error(err)
					return
				}
				w.Resolved(netip.MustParseAddr("10.0.0.2"), "other.test")
				say(t, one, self, "busy")
				stop()
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				if list := textsOf(t, file.Bytes()); len(list) == 0 || !strings.HasSuffix(list[0], " busy") {
					t.Errorf("%.3q", list)
				}
			}
		})
	}
	all.Wait()
	close(end)
	senders.Wait()
}
