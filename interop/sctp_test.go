//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/uml"
)

// associate connects two sockets of one-to-one style by an address of the network; prepare sets up both before.
func associate(t *testing.T, from, to sctpStack, v6 bool, prepare func(sctpSocket) error) (c, s sctpSocket) {
	t.Helper()
	l, err := to.open(abi.SOCK_STREAM, v6, prepare)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	at := netip.AddrPortFrom(to.addr(v6), port)
	if err := errors.Join(l.bind(at), l.listen()); err != nil {
		t.Fatal(err)
	}
	if c, err = from.open(abi.SOCK_STREAM, v6, prepare); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	if err := c.connect(at); err != nil {
		t.Fatalf("connect: %v", err)
	}
	if s, err = l.accept(); err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() { s.close() })
	return c, s
}

func (s *sctpStack) addr(v6 bool) netip.Addr {
	if v6 {
		return s.six
	}
	return s.addrs[0]
}

// open returns a socket that tells streams with what it receives, and which prepare has set up.
func (s *sctpStack) open(typ int, v6 bool, prepare func(sctpSocket) error) (sctpSocket, error) {
	family := abi.AF_INET
	if v6 {
		family = abi.AF_INET6
	}
	k, err := s.socket(family, typ)
	if err == nil {
		err = errors.Join(k.set(abi.SOL_SOCKET, abi.SO_REUSEADDR, integer(1)), k.set(abi.SOL_SCTP, abi.SCTP_RECVRCVINFO, integer(1)))
	}
	if err == nil && prepare != nil {
		err = prepare(k)
	}
	return k, err
}

// wide has room for a message of a mebibyte and more.
func wide(s sctpSocket) error {
	return errors.Join(s.set(abi.SOL_SOCKET, abi.SO_SNDBUFFORCE, integer(4<<20)), s.set(abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, integer(1<<20)))
}

// note is a message with what goes with it.
type note struct {
	data      []byte
	stream    uint16
	unordered bool
	ppid      uint32
}

func (n *note) String() string {
	return fmt.Sprintf("%d bytes on stream %d, unordered %t, PPID %d", len(n.data), n.stream, n.unordered, n.ppid)
}

// say sends a message.
func say(s sctpSocket, n *note) error {
	v := abi.SCTPSndinfo{SID: n.stream, PPID: n.ppid}
	if n.unordered {
		v.Flags = abi.SCTP_UNORDERED
	}
	return s.send(uml.Message{Data: n.data, Control: abi.AppendCmsg(nil, abi.SOL_SCTP, abi.SCTP_SNDINFO, structure(&v))})
}

// hear receives a whole message; one of no bytes is the end.
func hear(s sctpSocket) (*note, error) {
	n := &note{}
	for {
		m, err := s.recv(256 << 10)
		if err != nil || len(m.Data) == 0 {
			return n, err
		}
		list, err := abi.ParseCmsgs(m.Control)
		if err != nil {
			return n, err
		}
		for _, k := range list {
			var v abi.SCTPRcvinfo
			if k.Level == abi.SOL_SCTP && k.Type == abi.SCTP_RCVINFO && abi.ParseStruct(k.Data, &v) == nil {
				n.stream, n.ppid, n.unordered = v.SID, v.PPID, v.Flags&abi.SCTP_UNORDERED != 0
			}
		}
		n.data = append(n.data, m.Data...)
		if m.Flags&abi.MSG_EOR != 0 {
			return n, nil
		}
	}
}

// converse sends messages from a to b and compares what b hears, in order on each stream. Unordered ones may come at
// any time.
func converse(t *testing.T, a, b sctpSocket, notes []*note) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		for _, n := range notes {
			if err := say(a, n); err != nil {
				sent <- fmt.Errorf("send %v: %w", n, err)
				return
			}
		}
		sent <- nil
	}()
	left := append([]*note(nil), notes...)
	for len(left) > 0 {
		got, err := hear(b)
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(notes)-len(left), len(notes), err)
		}
		found := false
		for i, n := range left {
			if n.stream != got.stream || n.unordered != got.unordered {
				continue
			}
			if bytes.Equal(n.data, got.data) && n.ppid == got.ppid {
				left, found = append(left[:i:i], left[i+1:]...), true
				break
			}
			if !n.unordered {
				t.Fatalf("got %v, want %v", got, n)
			}
		}
		if !found {
			t.Fatalf("got %v, which nobody has sent", got)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// ppid is the first of payload protocol identifiers that are nobody's: tshark looks into what it takes for somebody's.
const ppid = 0x75736f00

// random returns n random bytes.
func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// messageSizes are around what fits into a packet, and into windows.
var messageSizes = []int{1, 2, 3, 4, 5, 100, 1443, 1444, 1448, 1451, 1452, 1453, 2904, 10_000, 65_536, 100_001, 212_992, 1 << 20}

// Messages of all sizes, both ways, over IPv4 and IPv6.
func TestSCTPTransfer(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%t", v6), func(t *testing.T) {
			eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
				c, s := associate(t, from, to, v6, wide)
				r := rand.New(rand.NewPCG(1, 2))
				var notes []*note
				for i, n := range messageSizes {
					notes = append(notes, &note{data: random(r, n), stream: uint16(i % 3), ppid: ppid + uint32(i)})
				}
				converse(t, c, s, notes)
				converse(t, s, c, notes)
			})
		})
	}
}

// Many messages on all streams, some unordered, over a path that loses, reorders and duplicates.
func TestSCTPStreams(t *testing.T) {
	for _, path := range []string{"", "loss=2%", "delay=5ms,reorder=10%", "duplicate=5%,loss=1%"} {
		t.Run(path, func(t *testing.T) {
			eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
				l.impair(0, path)
				c, s := associate(t, from, to, false, wide)
				r := rand.New(rand.NewPCG(3, 4))
				var notes []*note
				for i := range 200 {
					notes = append(notes, &note{data: random(r, 1+r.IntN(5000)), stream: uint16(r.IntN(10)), unordered: i%7 == 0, ppid: ppid + uint32(i)})
				}
				converse(t, c, s, notes)
				converse(t, s, c, notes)
			})
		})
	}
}

// The end of an association by SHUTDOWN: what was sent before arrives, and both sides see the end.
func TestSCTPShutdown(t *testing.T) {
	for _, first := range []string{"client", "server", "both"} {
		t.Run(first, func(t *testing.T) {
			eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
				c, s := associate(t, from, to, false, nil)
				ends := map[string][]sctpSocket{"client": {c, s}, "server": {s, c}, "both": {c, s}}[first]
				var err error
				for i := range 20 {
					err = errors.Join(err, say(ends[0], &note{data: bytes.Repeat([]byte{byte(i + 1)}, 3000), ppid: ppid}))
				}
				err = errors.Join(err, ends[0].shutdown())
				if first == "both" {
					err = errors.Join(err, ends[1].shutdown())
				}
				if err != nil {
					t.Fatal(err)
				}
				for i := range 20 {
					if first == "both" {
						return // nobody is told
					}
					if n, err := hear(ends[1]); err != nil || len(n.data) != 3000 || n.data[0] != byte(i+1) {
						t.Fatalf("message %d: %v, %v", i, n, err)
					}
				}
				if first == "both" {
					return // nobody is told
				}
				if n, err := hear(ends[1]); err != nil || len(n.data) != 0 {
					t.Errorf("%v, %v; want the end", n, err)
				}
			})
		})
	}
}

// An ABORT is told to the peer's program, after what had come before.
func TestSCTPAbort(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		for _, server := range []bool{false, true} {
			c, s := associate(t, from, to, false, nil)
			if server {
				c, s = s, c
			}
			converse(t, c, s, []*note{{data: []byte("before"), ppid: ppid}})
			if err := errors.Join(c.set(abi.SOL_SOCKET, abi.SO_LINGER, abortive), c.close()); err != nil {
				t.Fatal(err)
			}
			if n, err := hear(s); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("server %t: %v, %v; want ECONNRESET", server, n, err)
			}
		}
	})
}

// A connection that nobody listens for is refused.
func TestSCTPRefused(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		s, err := from.open(abi.SOCK_STREAM, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if err := s.connect(netip.AddrPortFrom(to.addrs[0], port+1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v, want ECONNREFUSED", err)
		}
	})
}

// Sockets of one-to-many style on both sides: associations begin with a message, answers go by the association's
// id, and one is peeled off.
func TestSCTPMany(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		server, err := to.open(abi.SOCK_SEQPACKET, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.close()
		at := netip.AddrPortFrom(to.addrs[0], port)
		if err := errors.Join(server.bind(at), server.listen()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			c, err := from.open(abi.SOCK_SEQPACKET, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			text := fmt.Sprintf("from %d", i)
			if err := c.send(uml.Message{Data: []byte(text), Addr: abi.AddrFrom(at)}); err != nil {
				t.Fatal(err)
			}
			m, err := server.recv(100)
			if err != nil || string(m.Data) != text {
				t.Fatalf("%q, %v; want %q", m.Data, err, text)
			}
			var info abi.SCTPRcvinfo
			list, err := abi.ParseCmsgs(m.Control)
			if err != nil || len(list) != 1 || abi.ParseStruct(list[0].Data, &info) != nil {
				t.Fatalf("control messages %v, %v", list, err)
			}
			answer := uml.Message{
				Data:    []byte("to " + text),
				Control: abi.AppendCmsg(nil, abi.SOL_SCTP, abi.SCTP_SNDINFO, structure(&abi.SCTPSndinfo{AssocID: info.AssocID, PPID: ppid})),
			}
			if err := server.send(answer); err != nil {
				t.Fatal(err)
			}
			if n, err := hear(c); err != nil || !bytes.Equal(n.data, answer.Data) || n.ppid != ppid {
				t.Fatalf("%v, %v; want %q", n, err, answer.Data)
			}
		}
	})
}
