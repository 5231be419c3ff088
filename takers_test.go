package usock_test

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"usock"
	"usock/link"
)

// commentsOf returns whose the packets of a capture are that have come in, in their order.
func commentsOf(t *testing.T, b []byte) (list []string) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, _, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			return list
		}
		if options.Flags != nil && options.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound {
			list = append(list, fmt.Sprint(options.Comments))
		}
	}
}

// owned is a socket that acts for a process.
func owned(t *testing.T, h *usock.Host, typ, protocol int, pid int32, at string) *usock.Socket {
	t.Helper()
	s, err := h.SocketFor(pid, usock.AF_INET, typ, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Bind(mustAddr(t, at)); err != nil {
		t.Fatal(err)
	}
	return s
}

// knock has a datagram go to an address. Any goroutine may call it.
func knock(t *testing.T, from *usock.Host, to string) {
	t.Helper()
	c, err := from.Dial("udp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Error(err)
	}
}

// TestComersAreNamed has packets come from outside that nobody has sent for: each is the listening process's, or the one's that is
// bound, in a recording of the link, and in one of the host that begins later; what comes to a connection that another process
// has accepted is that one's as soon as it has sent.
func TestComersAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ofLink, ofHost bytes.Buffer
		wl, wh := link.NewPcapWriter(&ofLink, 0), link.NewPcapWriter(&ofHost, 0)
		a, b := link.Pipe(link.PipeConfig{MTU: 1500})
		h := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: link.Pcap(a, wl, link.BothWays), Addrs: prefixes("10.0.0.1/24")}}})
		out := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: b, Addrs: prefixes("10.0.0.2/24")}}})
		if _, err := h.Record(wh); err != nil {
			t.Fatal(err)
		}
		l := owned(t, h, usock.SOCK_STREAM, 0, 41, "10.0.0.1:7000")
		owned(t, h, usock.SOCK_DGRAM, 0, 43, "10.0.0.1:7000")
		many := owned(t, h, usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP, 44, "10.0.0.1:7000")
		for _, s := range []*usock.Socket{l, many} {
			if err := s.Listen(5); err != nil {
				t.Fatal(err)
			}
		}

		c, err := out.Dial("tcp", "10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.SetOwner(42)
		s.Send([]byte("hello"), 0)
		time.Sleep(time.Second)
		c.Write([]byte("hello"))
		time.Sleep(time.Second)
		for range 2 { // which nobody answers
			knock(t, out, "10.0.0.1:7000")
		}
		out.Dial("tcp", "10.0.0.1:7001") // where nobody listens
		k, err := out.DialSCTP(t.Context(), "sctp", "10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.Close()
		k.Close()
		want := []string{
			"[pid 41 socket 1]", "[pid 41]", // SYN, ACK: that of a connection that nobody has accepted
			"[pid 42 socket 4]", "[pid 42 socket 4]", // ACK, data
			"[pid 43 socket 2]", "[pid 43 socket 2]",
			"[]",
			"[pid 44 socket 3]", "[pid 44 socket 3]", // INIT, COOKIE ECHO
		}
		for _, x := range []struct {
			w    *link.PcapWriter
			file *bytes.Buffer
		}{{wl, &ofLink}, {wh, &ofHost}} {
			if err := x.w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := commentsOf(t, x.file.Bytes()); len(got) < len(want) || fmt.Sprint(got[:len(want)]) != fmt.Sprint(want) {
				t.Errorf("%q", got)
			}
		}
	})
}

// TestComersByLoopback has a gateway's connection and datagram, which are no process's, come to programs of the host by its loopback
// interface, as those to published ports do: they are named after those who listen. What programs send is theirs.
func TestComersByLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ofLink, ofHost bytes.Buffer
		wl, wh := link.NewPcapWriter(&ofLink, 0), link.NewPcapWriter(&ofHost, 0)
		h := newHost(t, usock.Config{Loopback: func(l link.Link) link.Link { return link.Pcap(l, wl, link.Sent) }})
		if _, err := h.Record(wh); err != nil {
			t.Fatal(err)
		}
		l := owned(t, h, usock.SOCK_STREAM, 0, 41, "127.0.0.1:7000")
		owned(t, h, usock.SOCK_DGRAM, 0, 43, "127.0.0.1:7000")
		if err := l.Listen(5); err != nil {
			t.Fatal(err)
		}
		c, err := h.Dial("tcp", "127.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.SetOwner(42)
		s.Send([]byte("hello"), 0)
		synctest.Wait()
		c.Write([]byte("hello"))
		synctest.Wait()
		knock(t, h, "127.0.0.1:7000")
		own := owned(t, h, usock.SOCK_DGRAM, 0, 44, "127.0.0.1:7001")
		own.SendTo([]byte("hello"), 0, mustAddr(t, "127.0.0.1:7000"))
		synctest.Wait()
		for _, x := range []struct {
			w    *link.PcapWriter
			file *bytes.Buffer
		}{{wl, &ofLink}, {wh, &ofHost}} {
			if err := x.w.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := pcapgo.NewNgReader(x.file, pcapgo.NgReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for {
				_, _, options, err := r.ReadPacketDataWithOptions()
				if err != nil {
					break
				}
				if got = append(got, fmt.Sprint(options.Comments)); len(got) > 1 && got[len(got)-1] == got[len(got)-2] {
					got = got[:len(got)-1]
				}
			}
			// SYN; SYN|ACK and ACK; what has been accepted; the datagrams.
			want := []string{"[pid 41 socket 1]", "[pid 41]", "[pid 42 socket 4]", "[pid 43 socket 2]", "[pid 44 socket 6]"}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q", got)
			}
		}
	})
}

// TestComersAreNamedWhileWrapped has a link that tells whose packets are be wrapped while packets of ever new sockets come.
func TestComersAreNamedWhileWrapped(t *testing.T) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	to := link.NewPcapWriter(io.Discard, 0)
	a := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: link.Pcap(x, to, link.BothWays), Addrs: prefixes("10.0.0.1/24")}}})
	b := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	l := hears(t, a, "10.0.0.1:7000")
	var knocking sync.WaitGroup
	end := make(chan struct{})
	knocking.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				knock(t, b, "10.0.0.1:7000")
			}
		}
	})
	for range 20 {
		if _, _, err := l.ReadFrom(make([]byte, 10)); err != nil {
			t.Error(err)
		}
		if err := a.Wrap(a.Interfaces()[1].Name, func(l link.Link) link.Link {
			i, err := link.Impair(l, link.ImpairConfig{})
			if err != nil {
				t.Error(err)
			}
			return i
		}); err != nil {
			t.Error(err)
		}
	}
	close(end)
	knocking.Wait()
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}

// recordedPair is two hosts, of whose first all that passes is recorded by its link and by the host, with settings of SCTP's. named ends
// the recordings, which are to say of the packets that have come whose they are.
func recordedPair(t *testing.T, c *usock.SCTPConfig) (h, out *usock.Host, named func(want ...string)) {
	t.Helper()
	var ofLink, ofHost bytes.Buffer
	wl, wh := link.NewPcapWriter(&ofLink, 0), link.NewPcapWriter(&ofHost, 0)
	a, b := link.Pipe(link.PipeConfig{MTU: 1500})
	h = newHost(t, usock.Config{SCTP: c, Interfaces: []usock.Interface{{Link: link.Pcap(a, wl, link.BothWays), Addrs: prefixes("10.0.0.1/24")}}})
	out = newHost(t, usock.Config{SCTP: c, Interfaces: []usock.Interface{{Link: b, Addrs: prefixes("10.0.0.2/24")}}})
	if _, err := h.Record(wh); err != nil {
		t.Fatal(err)
	}
	return h, out, func(want ...string) {
		t.Helper()
		for _, x := range []struct {
			w    *link.PcapWriter
			file *bytes.Buffer
		}{{wl, &ofLink}, {wh, &ofHost}} {
			if err := x.w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := commentsOf(t, x.file.Bytes()); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q, want\n%q", got, want)
			}
		}
	}
}

// TestComersToDevice has packets come to sockets that are bound to the interface (SO_BINDTODEVICE).
func TestComersToDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out, named := recordedPair(t, nil)
		listens := func(typ, protocol int, pid int32) {
			s, err := h.SocketFor(pid, usock.AF_INET, typ, protocol)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			if err := s.SetSockOpt(usock.SOL_SOCKET, usock.SO_BINDTODEVICE, []byte(h.Interfaces()[1].Name)); err != nil {
				t.Fatal(err)
			}
			if err := s.Bind(mustAddr(t, "0.0.0.0:7000")); err != nil {
				t.Fatal(err)
			}
			if typ != usock.SOCK_DGRAM {
				if err := s.Listen(5); err != nil {
					t.Fatal(err)
				}
			}
		}
		listens(usock.SOCK_STREAM, 0, 41)
		listens(usock.SOCK_DGRAM, 0, 43)
		listens(usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP, 44)
		c, err := out.Dial("tcp", "10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		knock(t, out, "10.0.0.1:7000")
		synctest.Wait()
		k, err := out.DialSCTP(t.Context(), "sctp", "10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		named("[pid 41 socket 1]", "[pid 41]", "[pid 43 socket 2]", "[pid 44 socket 3]", "[pid 44 socket 3]")
		c.Close()
		k.Close()
	})
}

// TestComersInUDP has associations come whose packets are in UDP: those of two processes, of which all have the same addresses and UDP
// ports, are told apart.
func TestComersInUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usock.DefaultSCTPConfig()
		c.UDPPort, c.EncapPort = 9899, 9899
		h, out, named := recordedPair(t, c)
		for i, at := range []string{"10.0.0.1:7000", "10.0.0.1:7001"} {
			if err := owned(t, h, usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP, int32(41+i), at).Listen(5); err != nil {
				t.Fatal(err)
			}
		}
		var conns []io.Writer
		for _, at := range []string{"10.0.0.1:7000", "10.0.0.1:7001"} {
			k, err := out.DialSCTP(t.Context(), "sctp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			synctest.Wait()
			conns = append(conns, k)
		}
		io.WriteString(conns[0], "hello")
		synctest.Wait()
		named("[pid 41 socket 1]", "[pid 41 socket 1]", "[pid 42 socket 2]", "[pid 42 socket 2]", "[pid 41 socket 1]")
	})
}

// TestComersOfICMP has answers to echo requests of two processes come, and an error about a datagram of a third one.
func TestComersOfICMP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, named := recordedPair(t, nil)
		for i := range 2 {
			s := owned(t, h, usock.SOCK_DGRAM, usock.IPPROTO_ICMP, int32(41+i), "10.0.0.1:0")
			if _, err := s.SendTo([]byte{8, 0, 0, 0, 0, 0, 0, 0}, 0, mustAddr(t, "10.0.0.2:0")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s := owned(t, h, usock.SOCK_DGRAM, 0, 43, "10.0.0.1:7000")
		if _, err := s.SendTo([]byte("hello"), 0, mustAddr(t, "10.0.0.2:7000")); err != nil { // where nobody is
			t.Fatal(err)
		}
		synctest.Wait()
		named("[pid 41 socket 1]", "[pid 42 socket 2]", "[pid 43 socket 3]")
	})
}
