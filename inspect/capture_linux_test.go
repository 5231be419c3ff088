package inspect

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"usock"
)

// captured returns how many packets a capture has, which must be whole.
func captured(t *testing.T, r io.Reader) (n int) {
	t.Helper()
	p, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, _, err := p.ReadPacketData(); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// sends has a host send datagrams to itself, to nobody.
func sends(t *testing.T, h *usock.Host, n int) {
	t.Helper()
	c, err := h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to := c.LocalAddr()
	for i := range n {
		if _, err := c.WriteTo(fmt.Append(nil, i), to); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCapture has a capture ended by a line, by the end of what is sent, and by the server; each is whole.
func TestCapture(t *testing.T) {
	for name, end := range map[string]func(x *served, c *raw){
		"a line":     func(_ *served, c *raw) { io.WriteString(c, "\n") },
		"half close": func(_ *served, c *raw) { c.CloseWrite() },
		"server":     func(x *served, _ *raw) { go x.s.Close() },
		"host first": func(x *served, _ *raw) { x.h.Close(); go x.s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			x := serve(t, Config{})
			c := x.greeted()
			io.WriteString(c, `{"id":1,"do":"capture","packets":["udp and len > 28"]}`+"\n")
			if line := c.line(); line != `{"id":1}` {
				t.Fatalf("%s", line)
			}
			first, err := c.r.Peek(28) // the section: the recording has begun
			if err != nil || !bytes.HasPrefix(first, []byte("\x0a\x0d\x0d\x0a")) {
				t.Fatalf("%v, %q", err, first)
			}
			awaitCapture(t, x)
			sends(t, x.h, 500)
			end(x, c)
			if n := captured(t, c.r); n != 500 {
				t.Errorf("%d packets", n)
			}
		})
	}
}

// awaitCapture waits until the server's client captures.
func awaitCapture(t *testing.T, x *served) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		x.s.mu.Lock()
		n := len(x.s.writers)
		x.s.mu.Unlock()
		if n > 0 {
			return
		}
	}
	t.Fatal("nobody captures")
}

// TestCaptureUnread has a client that reads nothing: neither the host's traffic waits for it nor the server's end.
func TestCaptureUnread(t *testing.T) {
	x := serve(t, Config{})
	c := x.greeted()
	io.WriteString(c, `{"id":1,"do":"capture"}`+"\n")
	awaitCapture(t, x)
	u, err := x.h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for range 1000 {
		if _, err := u.WriteTo(make([]byte, 60_000), u.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	x.s.Close()
	if took := time.Since(begun); took > 3*endTime {
		t.Errorf("the end took %v", took)
	}
}

// TestCaptureAsked has captures that are not granted.
func TestCaptureAsked(t *testing.T) {
	x := serve(t, Config{})
	for ask, want := range map[string]string{
		`{"id":2,"do":"capture","packets":["prot"]}`: `{"id":2,"error":{"code":"invalid","text":"filter \"prot\", at \"prot\": here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses"},"done":true}`,
		`{"id":3,"do":"capture","snaplen":-1}`:       `{"id":3,"error":{"code":"invalid","text":"a packet has no bytes before its first: snaplen is not negative"},"done":true}`,
	} {
		c := x.greeted()
		io.WriteString(c, ask+"\n")
		if line := c.line(); line != want {
			t.Errorf("%s\n got %s\nwant %s", ask, line, want)
		}
		io.WriteString(c, `{"id":4,"do":"traffic"}`+"\n") // the connection is good still
		if line := c.line(); !bytes.Contains([]byte(line), []byte(`"traffic"`)) {
			t.Errorf("%s", line)
		}
	}
}

// TestCaptureNames has a capture know the names that were given before it and while it goes on.
func TestCaptureNames(t *testing.T) {
	before, later := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	x := serve(t, Config{Names: func() iter.Seq2[netip.Addr, string] {
		return maps.All(map[netip.Addr]string{before: "before.example"})
	}})
	c := x.greeted()
	io.WriteString(c, `{"id":1,"do":"capture"}`+"\n")
	c.line()
	awaitCapture(t, x)
	sends(t, x.h, 1)
	x.s.Resolved(later, "later.example")
	c.CloseWrite()
	b, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{
		string(before.AsSlice()) + "before.example\x00", string(later.AsSlice()) + "later.example\x00",
	} {
		if !bytes.Contains(b, []byte(record)) {
			t.Errorf("no %q in %q", record, b)
		}
	}
}
