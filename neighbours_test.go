package usock_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// ether makes an end of a pipe carry Ethernet frames.
type ether struct {
	link.Direct
	address [6]byte
}

func (e ether) Info() link.Info {
	i := e.Direct.Info()
	i.Medium, i.Address, i.Checksum, i.Segments = link.Ethernet, e.address, false, false
	return i
}

// stations returns two hosts on an Ethernet, 10.0.0.1 and 10.0.0.2. The first one's link is
// recorded: its neighbours are those of the link inside.
func stations(t *testing.T) (first, second *usock.Host) {
	t.Helper()
	a, b := link.Pipe(link.PipeConfig{})
	var recorded bytes.Buffer
	w := link.NewPcapWriter(&recorded, 0)
	var hosts []*usock.Host
	for n, l := range []link.Link{ether{a, [6]byte{2, 0, 0, 0, 0, 1}}, ether{b, [6]byte{2, 0, 0, 0, 0, 2}}} {
		addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)}), 24)
		f, err := link.Frames(l, link.FramesConfig{Addresses: []netip.Prefix{addr}})
		if err != nil {
			t.Fatal(err)
		}
		var own link.Link = f
		if n == 0 {
			own = link.Pcap(f, w, link.BothWays)
		}
		h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: own, Addrs: []netip.Prefix{addr}}}})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	t.Cleanup(func() {
		hosts[0].Close()
		hosts[1].Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return hosts[0], hosts[1]
}

// neighboursOf shows a host's neighbours as ip-neighbour does.
func neighboursOf(h *usock.Host) string {
	var out []string
	for _, n := range h.Neighbours() {
		out = append(out, fmt.Sprintf("%v dev %d lladdr %v %v", n.Addr, n.Interface, n.Address, n.State))
	}
	return strings.Join(out, "\n")
}

func sendTo(t *testing.T, h *usock.Host, to string) {
	t.Helper()
	c, err := h.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// TestNeighbours follows a neighbour from the first packet for it to the last.
func TestNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := stations(t)
		expect := func(when, want string) {
			t.Helper()
			if got := neighboursOf(h); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		sendTo(t, h, "10.0.0.2:9")
		expect("heard of", "10.0.0.2 dev 2 lladdr 02:00:00:00:00:02 REACHABLE")
		time.Sleep(31 * time.Second)
		expect("after half a minute", "10.0.0.2 dev 2 lladdr 02:00:00:00:00:02 STALE")
		sendTo(t, h, "10.0.0.7:9")
		expect("asked for", "10.0.0.2 dev 2 lladdr 02:00:00:00:00:02 STALE\n10.0.0.7 dev 2 lladdr  INCOMPLETE")
		if err := h.RemoveNeighbour("pipe0", netip.MustParseAddr("10.0.0.2")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		expect("forgotten", "")
	})
}

// TestNeighboursTold has the host say when a neighbour was found, and when it was given up, and
// nothing for the packets between, nor for an address that nobody has.
func TestNeighboursTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, other := stations(t)
		var told atomic.Int32
		stop := h.OnChange(func() {
			h.Neighbours() // nothing is locked
			told.Add(1)
		})
		expect := func(when string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := told.Swap(0); got != want {
				t.Errorf("%s: told %d times, want %d", when, got, want)
			}
		}
		sendTo(t, h, "10.0.0.7:9")
		time.Sleep(4 * time.Second)
		expect("nobody found", 0)
		sendTo(t, h, "10.0.0.2:9")
		expect("found", 1)
		for range 100 {
			sendTo(t, h, "10.0.0.2:9")
		}
		time.Sleep(31 * time.Second)
		expect("known", 0)

		other.Close()
		sendTo(t, h, "10.0.0.2:9")
		time.Sleep(4 * time.Second)
		expect("given up", 1)
		if got := neighboursOf(h); got != "" {
			t.Errorf("%q is left", got)
		}

		stop()
		sendTo(t, h, "10.0.0.2:9")
		time.Sleep(4 * time.Second)
		expect("stopped", 0)
	})
}

// TestStaticNeighbour sends to a neighbour that was added by hand, and has others' word for it
// not heard.
func TestStaticNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, other := stations(t)
		two := netip.MustParseAddr("10.0.0.2")
		var told atomic.Int32
		defer h.OnChange(func() { told.Add(1) })()
		elsewhere := net.HardwareAddr{2, 0, 0, 0, 0, 9}
		if err := h.AddNeighbour("pipe0", two, elsewhere); err != nil {
			t.Fatal(err)
		}
		sendTo(t, other, "10.0.0.1:9") // asks, and says where it is
		const want = "10.0.0.2 dev 2 lladdr 02:00:00:00:00:09 PERMANENT"
		if got := neighboursOf(h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		before := other.Stats().UDP
		sendTo(t, h, "10.0.0.2:9") // goes elsewhere
		if got := other.Stats().UDP; got != before {
			t.Errorf("%+v arrived, %+v before", got, before)
		}
		if err := h.RemoveNeighbour("pipe0", two); err != nil {
			t.Fatal(err)
		}
		sendTo(t, h, "10.0.0.2:9")
		if got := other.Stats().UDP.NoPorts; got != before.NoPorts+1 {
			t.Errorf("%d datagrams arrived, %d before", got, before.NoPorts)
		}
		if n := told.Load(); n != 3 { // added, removed, and found
			t.Errorf("told %d times of 3 changes", n)
		}
	})
}

// TestNeighbourErrors has each error once.
func TestNeighbourErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := stations(t)
		addr, mac := netip.MustParseAddr, net.HardwareAddr{2, 0, 0, 0, 0, 9}
		if err := h.AddNeighbour("pipe0", addr("10.0.0.5"), mac); err != nil {
			t.Fatal(err)
		}
		sendTo(t, h, "10.0.0.2:9")
		for _, c := range []struct {
			what string
			err  error
			want syscall.Errno
		}{
			{"no interface", h.AddNeighbour("none", addr("10.0.0.6"), mac), syscall.ENODEV},
			{"no interface", h.RemoveNeighbour("none", addr("10.0.0.6")), syscall.ENODEV},
			{"no neighbours", h.AddNeighbour("lo", addr("127.0.0.2"), mac), syscall.EOPNOTSUPP},
			{"added", h.AddNeighbour("pipe0", addr("10.0.0.5"), mac), syscall.EEXIST},
			{"found", h.AddNeighbour("pipe0", addr("10.0.0.2"), mac), syscall.EEXIST},
			{"group", h.AddNeighbour("pipe0", addr("224.0.0.1"), mac), syscall.EINVAL},
			{"short", h.AddNeighbour("pipe0", addr("10.0.0.6"), mac[:4]), syscall.EINVAL},
			{"unknown", h.RemoveNeighbour("pipe0", addr("10.0.0.6")), syscall.ENOENT},
		} {
			if c.err != c.want {
				t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
			}
		}
	})
}
