package inet

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/offload"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// scripted is a peer without a stack, of a connection that a machine has accepted.
type scripted struct {
	*sock
	segment        // what the next segment begins with
	iss     uint32 // the machine's
}

// dialled has a scripted peer connect to a new listener of m's at to. The peer's data has numbers from 1000 on.
func dialled(t testing.TB, m *machine, from, to string) *scripted {
	t.Helper()
	kind := "tcp4"
	if strings.HasPrefix(to, "[") {
		kind = "tcp6"
	}
	l := m.open(kind).at(to)
	if err := l.Listen(1); err != nil {
		t.Fatal(err)
	}
	m.took()
	p := &scripted{segment: segment{from: from, to: to}}
	p.Window = 60000
	p.Seq, p.Flags = 999, wire.SYN
	p.Options = wire.TCPOptions{MSS: 1460, SACKPermitted: true, HasTimestamp: true, TSVal: 50}
	m.arrive(p.packet())
	p.iss = m.segments()[0].Seq
	p.Options = wire.TCPOptions{HasTimestamp: true, TSVal: 50}
	p.Seq, p.Ack, p.Flags = 1000, p.iss+1, wire.ACK
	m.arrive(p.packet())
	p.sock = l.accept()
	l.Close()
	return p
}

// data returns a segment of n bytes from off on, as f has changed it.
func (p *scripted) data(off, n int, f ...func(*segment)) []byte {
	g := p.segment
	g.Seq += uint32(off)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(off + i)
	}
	g.data = string(b)
	for _, f := range f {
		f(&g)
	}
	return g.packet()
}

// together has packets come from the wire at once.
func (m *machine) together(b ...[]byte) {
	var batch []*packet.Packet
	for _, b := range b {
		batch = append(batch, packet.FromBytes(b))
	}
	m.do(func() { m.st.IP.Whole().Input(m.eth, batch) })
}

// acks are the bytes that the segments which m has sent acknowledge.
func (p *scripted) acks() string {
	var list []string
	for _, h := range p.m.segments() {
		list = append(list, fmt.Sprint(h.Ack-p.Seq))
	}
	return strings.Join(list, " ")
}

// resum corrects the checksum of an IPv4 header.
func resum(b []byte) []byte {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], wire.ChecksumOf(b[:int(b[0]&15)*4]))
	return b
}

// runCases are segments that come together, and what is acknowledged then.
var runCases = []struct {
	name string
	of   func(p *scripted) [][]byte
	want string
	v6   string // if it is another
}{
	{"full ones", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 100), p.data(200, 100)} }, "300", ""},
	{"the last is shorter", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 100), p.data(200, 50)} }, "250", ""},
	{"one in the midst is", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 50), p.data(150, 100)} }, "150 250", ""},
	{"the second is longer", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 150), p.data(250, 150)} }, "100 400", ""},
	{"the first has PSH", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100, flagged(wire.PSH)), p.data(100, 100), p.data(200, 100)}
	}, "100 300", ""},
	{"another has", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, flagged(wire.PSH)), p.data(200, 100)}
	}, "200 300", ""},
	{"the last is a FIN", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100), p.data(200, 100, flagged(wire.FIN))}
	}, "200", ""}, // the program may have something to say, too
	{"ECE", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 100, flagged(wire.ECE))} }, "100 200", ""},
	{"CWR", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 100, flagged(wire.CWR))} }, "100 200", ""},
	{"CWR of both", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100, flagged(wire.CWR)), p.data(100, 100, flagged(wire.CWR))}
	}, "100 200", ""},
	{"urgent", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, flagged(wire.URG), func(g *segment) { g.Urgent = 100 }), p.data(200, 100), p.data(300, 100)}
	}, "100 200 300 400", ""},
	{"another window", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.Window++ })}
	}, "100 200", ""},
	{"another acknowledgment", func(p *scripted) [][]byte {
		p.send("a", "-")
		p.m.took()
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.Ack++ })}
	}, "100 200", ""},
	{"another timestamp", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.Options.TSVal++ })}
	}, "100 200", ""},
	{"another echo", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.Options.TSEcr++ })}
	}, "100 200", ""},
	{"more options", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.Options.NSACK, g.Options.SACK[0] = 1, wire.SACKBlock{Left: 5, Right: 9} })}
	}, "100 200", ""},
	{"one is missing", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(200, 100), p.data(300, 100)} }, "100 100 100", ""},
	{"the first is missing", func(p *scripted) [][]byte {
		return [][]byte{p.data(100, 100), p.data(200, 100), p.data(300, 100), p.data(0, 100), p.data(400, 100), p.data(500, 100)}
	}, "0 0 0 400 600", ""},
	{"what came already", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(0, 100), p.data(100, 100)} }, "100 100 200", ""},
	{"nothing but an acknowledgment", func(p *scripted) [][]byte { return [][]byte{p.data(0, 100), p.data(100, 0), p.data(100, 100)} }, "100 200", ""},
	{"another port", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100, func(g *segment) { g.from = p.from + "0" }), p.data(100, 100)}
	}, "100 4294966296 200", ""}, // a reset, which acknowledges nothing
	{"a wrong checksum", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), p.data(100, 100), p.data(200, 100, func(g *segment) { g.bad = true }), p.data(300, 100)}
	}, "200 200", ""},
	{"more blocks than a segment has views of", func(p *scripted) (list [][]byte) {
		for i := range 8 {
			list = append(list, p.data(100*i, 100))
		}
		return list
	}, "600 800", ""},
	{"another hop limit", func(p *scripted) [][]byte {
		b := p.data(100, 100)
		if b[0]>>4 == 6 {
			b[7]--
			return [][]byte{p.data(0, 100), b}
		}
		b[8]--
		return [][]byte{p.data(0, 100), resum(b)}
	}, "100 200", ""},
	{"marked", func(p *scripted) [][]byte { // Congestion Experienced
		b := p.data(100, 100)
		if b[0]>>4 == 6 {
			b[1] |= 0x30
			return [][]byte{p.data(0, 100), b}
		}
		b[1] |= 3
		return [][]byte{p.data(0, 100), resum(b)}
	}, "100 200", ""},
	{"another number, which IPv4 has", func(p *scripted) [][]byte {
		b := p.data(100, 100)
		if b[0]>>4 == 6 {
			b[3]++ // the flow label
			return [][]byte{p.data(0, 100), b}
		}
		b[5]++
		return [][]byte{p.data(0, 100), resum(b)}
	}, "200", "100 200"},
	{"padded by Ethernet", func(p *scripted) [][]byte {
		return [][]byte{p.data(0, 100), append(p.data(100, 100), 0, 0), p.data(200, 100)}
	}, "100 300", ""},
	{"a header that is wrong", func(p *scripted) [][]byte {
		b := p.data(100, 100)
		if b[0]>>4 == 6 {
			b[5]++ // longer than it is
			return [][]byte{p.data(0, 100), b, p.data(100, 100)}
		}
		b[11]++
		return [][]byte{p.data(0, 100), b, p.data(100, 100)}
	}, "100 200", ""},
}

func flagged(f wire.TCPFlags) func(*segment) { return func(g *segment) { g.Flags |= f } }

// Which segments that come together are one. All that a new connection receives it acknowledges at once (RFC 5681, section 4.2), so that
// the acknowledgments tell.
func TestRuns(t *testing.T) {
	for _, c := range runCases {
		for _, v6 := range []bool{false, true} {
			from, to, want := addrA+":500", addrB+":80", c.want
			if v6 {
				from, to = "["+addrA6+"]:500", "["+addrB6+"]:80"
				if c.v6 != "" {
					want = c.v6
				}
			}
			_, b := newPair(t, Config{})
			b.cut = true
			p := dialled(t, b, from, to)
			list := c.of(p)
			before := b.eth.Stats()
			b.together(list...)
			if got := p.acks(); got != want {
				t.Errorf("%s, IPv6 %v: acknowledged %s, want %s", c.name, v6, got, want)
			}
			if got := b.eth.Stats().RxPackets - before.RxPackets; got != uint64(len(list)) {
				t.Errorf("%s: %d of %d packets counted", c.name, got, len(list))
			}
		}
	}
}

// Segments that were cut from one need no block each, as long as nobody has to see them.
func TestRunOfCutSegment(t *testing.T) {
	seen := 0
	for _, c := range []struct {
		name string
		do   func(p *scripted)
		want string
	}{
		{"nobody looks", func(p *scripted) {}, "2000 2000"},
		{"a tap", func(p *scripted) {
			p.m.do(func() { p.m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) { seen++ }) })
		}, "200 400 600 800 1000 1200 1400 1600 1800 2000 2000"},
		{"a raw socket", func(p *scripted) { p.m.open(fmt.Sprintf("raw4:%d", abi.IPPROTO_TCP)) }, "200 400 600 800 1000 1200 1400 1600 1800 2000 2000"},
		{"a filter", func(p *scripted) {
			p.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 0xff, 0xff, 0, 0})
		}, "200 400 600 800 1000 1200 1400 1600 1800 2000 2000"},
		{"a listener to events", func(p *scripted) { p.m.h.Trace(func([]trace.Event) {}) }, "200 400 600 800 1000 1200 1400 1600 1800 2000 2000"},
	} {
		_, b := newPair(t, Config{})
		b.cut = true
		p := dialled(t, b, addrA+":500", addrB+":80")
		c.do(p)
		large := packet.FromBytes(p.data(0, 2000))
		large.SegmentSize = 200
		var batch []*packet.Packet
		offload.Segment(large, func(s *packet.Packet) { batch = append(batch, s) })
		b.do(func() { b.st.IP.Whole().Input(b.eth, batch) })
		b.arrive(p.data(1900, 100)) // which has come already
		if got := p.acks(); got != c.want {
			t.Errorf("%s: acknowledged %s, want %s", c.name, got, c.want)
		}
		if got := p.text(); got != string(p.data(0, 2000)[52:]) {
			t.Errorf("%s: received %d bytes, which differ", c.name, len(got))
		}
	}
	if seen < 10 {
		t.Errorf("the tap has seen %d packets", seen)
	}
}

// What data lie in decides how many segments find room in one, and not what they say; each gives its packet back.
func TestRunsByBlocks(t *testing.T) {
	for _, c := range []struct {
		name string
		of   func(p *scripted, head func(off int) *packet.Packet) []*packet.Packet
		want string
	}{
		{"the last block goes on", func(p *scripted, head func(int) *packet.Packet) (list []*packet.Packet) {
			for i := range packet.VecCap - 1 {
				list = append(list, packet.FromBytes(p.data(100*i, 100)))
			}
			large := packet.FromBytes(p.data(500, 300))
			large.SegmentSize = 100
			offload.Segment(large, func(s *packet.Packet) { list = append(list, s) })
			return list
		}, "800"},
		{"each block is another", func(p *scripted, head func(int) *packet.Packet) (list []*packet.Packet) {
			for i := range packet.VecCap + 1 {
				list = append(list, head(100*i))
			}
			return list
		}, "600 700"},
		{"the first is a large one", func(p *scripted, head func(int) *packet.Packet) []*packet.Packet {
			large := packet.FromBytes(p.data(0, 200))
			large.SegmentSize = 100
			return []*packet.Packet{large, packet.FromBytes(p.data(200, 200))}
		}, "200 400"},
		{"another is", func(p *scripted, head func(int) *packet.Packet) []*packet.Packet {
			large := packet.FromBytes(p.data(200, 200))
			large.SegmentSize = 100
			return []*packet.Packet{packet.FromBytes(p.data(0, 200)), large}
		}, "200 400"},
	} {
		_, b := newPair(t, Config{})
		b.cut = true
		p := dialled(t, b, addrA+":500", addrB+":80")
		batch := c.of(p, func(off int) *packet.Packet { // its headers are no data
			all := p.data(off, 100)
			q := packet.New()
			copy(q.Prepend(len(all)-100), all)
			q.Payload.Append(packet.Copy(all[len(all)-100:]))
			return q
		})
		all := slices.Clone(batch)
		for _, q := range all {
			q.Note = "kept"
		}
		b.do(func() { b.st.IP.Whole().Input(b.eth, batch) })
		if got := p.acks(); got != c.want {
			t.Errorf("%s: acknowledged %s, want %s", c.name, got, c.want)
		}
		for i, q := range all {
			if q.Note != "" {
				t.Errorf("%s: the packet of segment %d was not given back", c.name, i)
			}
		}
		if got := p.text(); len(got) == 0 || got != string(p.data(0, len(got))[52:]) {
			t.Errorf("%s: received %d bytes, which differ", c.name, len(got))
		}
	}
}

// told is what the machine knows of the connection that segments could have changed.
func (p *scripted) told() string {
	var in socket.Info
	p.m.do(func() { p.Proto.Describe(p.Socket, &in) })
	i := in.Detail.(*tcp.Info)
	c, _ := p.m.st.Stats()
	return fmt.Sprintf("%s, %d segments, %d with data, %d bytes, MSS %d, %d out of order; in all %d, bad %d %d, out of order %d; %+v",
		in.State, i.SegsIn, i.DataSegsIn, i.BytesReceived, i.RcvMSS, i.RcvOOOPack, c.InSegs, c.InErrs, c.InCsumErrors, c.TCPOFOQueue, p.m.eth.Stats().RxBytes)
}

// Whatever comes together, the stream, the state and what is counted are those of segments that come one by one, and so is what is
// acknowledged in the end. There are never more acknowledgments.
func TestRunsWhatever(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 20
	}
	fewer := 0
	for seed := range seeds {
		tell := func(together bool) (told string, acks int) {
			r := rand.New(rand.NewPCG(seed, 1))
			c := &clock.Manual{}
			c.Advance(time.Hour)
			b := newMachine(t, c, Config{}, addrB+"/24", addrB6+"/64")
			from, to := addrA+":500", addrB+":80"
			if r.IntN(2) == 0 {
				from, to = "["+addrA6+"]:500", "["+addrB6+"]:80"
			}
			p := dialled(t, b, from, to)
			var out strings.Builder
			off, last := 0, ""
			for range 30 {
				list := p.train(r, &off)
				if together {
					b.together(list...)
				} else {
					for _, x := range list {
						b.arrive(x)
					}
				}
				if r.IntN(3) == 0 {
					p.Options.TSVal++
				}
				if r.IntN(3) == 0 {
					fmt.Fprintf(&out, "%q\n", p.text())
				}
				if r.IntN(3) == 0 {
					c.Advance(time.Second)
					last = fmt.Sprintln("acknowledged", p.lastAck(&acks))
					out.WriteString(last + p.told() + "\n")
				}
			}
			fmt.Fprintf(&out, "%q\n%s\n", p.text(), p.told())
			b.do(func() { b.st.Close() })
			b.do(b.h.Close)
			return out.String(), acks
		}
		want, all := tell(false)
		got, acks := tell(true)
		if sameLines(t, got, want); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if acks > all {
			t.Errorf("seed %d: %d acknowledgments, and %d of segments one by one", seed, acks, all)
		}
		fewer += all - acks
	}
	if fewer < int(seeds) {
		t.Errorf("%d acknowledgments fewer", fewer)
	}
}

// train returns segments from off on, of which some are lost, out of order, repeated, damaged, or unlike the others.
func (p *scripted) train(r *rand.Rand, off *int) (list [][]byte) {
	size := []int{1, 100, 536, 1000}[r.IntN(4)]
	for range 1 + r.IntN(8) {
		n := size
		if r.IntN(6) == 0 {
			n = 1 + r.IntN(1000)
		}
		b := p.data(*off, n, func(g *segment) {
			if r.IntN(6) == 0 {
				g.Flags |= wire.PSH
			}
			g.bad = r.IntN(15) == 0
			if r.IntN(15) == 0 {
				g.Window -= uint16(r.IntN(1000))
			}
		})
		if r.IntN(12) == 0 {
			continue // sent again below
		}
		if list = append(list, b); r.IntN(12) == 0 {
			list = append(list, b)
		}
		*off += n
		if k := len(list); k > 1 && r.IntN(12) == 0 {
			list[k-1], list[k-2] = list[k-2], list[k-1]
		}
	}
	// What was damaged, or is missing, comes again.
	_, end := p.received()
	for ; end < *off; end += 1000 {
		list = append(list, p.data(end, min(1000, *off-end)))
	}
	return list
}

// received returns how many bytes were read, and have come in order.
func (p *scripted) received() (read, end int) {
	p.m.do(func() {
		x, y := endpointOf(p.Socket).conn.Received()
		read, end = int(x), int(y)
	})
	const first = 1<<32 + 1
	return read - first, end - first
}

// lastAck returns how many bytes the last of the segments that were sent acknowledges, and counts them.
func (p *scripted) lastAck(acks *int) (n uint32) {
	for _, h := range p.m.segments() {
		n = h.Ack - p.Seq
		*acks++
	}
	return n
}
