package shape_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/pcapfile"
	"usock/link"
	"usock/packet"
	"usock/shape"
)

// passage is a link in manual time, on which packets are sent that words describe. Both its ends are recorded.
type passage struct {
	t         *testing.T
	clock     *clock.Manual
	link      *shape.Link
	near, far link.Link
	came      []arrival
	told      []outcome
	files     [2]bytes.Buffer // of the near end, and of the far one
}

// outcome is what has become of a packet.
type outcome struct {
	line  string
	in    bool
	data  string
	at    int64 // when it was sent, in ns since 1970
	found string
}

type arrival struct {
	at   time.Duration
	data string
}

// newPassage has a link be as a shape says.
func newPassage(t *testing.T, s shape.Shape, c shape.Config) *passage {
	t.Helper()
	x := &passage{t: t, clock: new(clock.Manual)}
	near, far := link.Pipe(link.PipeConfig{})
	c.Clock = x.clock
	l, err := shape.Impair(near, s, c)
	if err != nil {
		t.Fatal(err)
	}
	x.link = l
	which := link.BothWays
	if c.Loopback {
		which = link.Sent
	}
	var writers [2]*link.PcapWriter
	for i := range writers {
		writers[i] = link.NewPcapWriter(&x.files[i], 0)
		writers[i].UseClock(x.clock)
	}
	x.near, x.far = link.Pcap(l, writers[0], which), link.Pcap(far, writers[1], link.BothWays)
	take := func(batch []*link.Packet) {
		for _, p := range batch {
			x.came = append(x.came, arrival{x.clock.Now(), string(p.AppendTo(nil))})
			p.Free()
		}
	}
	x.far.(link.Direct).Deliver(take)
	x.near.(link.Direct).Deliver(take)
	t.Cleanup(func() {
		l.Close()
		for _, w := range writers {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		x.compare()
	})
	return x
}

// compare looks in the recordings for what has become of each packet.
func (x *passage) compare() {
	near, far := recordedPackets(x.t, &x.files[0]), recordedPackets(x.t, &x.files[1])
	for i, o := range x.told {
		end := int64(math.MaxInt64)
		if i+1 < len(x.told) {
			end = x.told[i+1].at
		}
		from, to := near, far
		if o.in {
			from, to = far, near
		}
		sent, got := false, "nowhere"
		for _, p := range from {
			sent = sent || p.Time == o.at && p.Direction == pcapfile.Out && string(p.Data) == o.data
		}
		for _, p := range near {
			if o.at <= p.Time && p.Time < end && string(p.Data) == o.data && p.Dropped != "" {
				got = "lost"
			}
		}
		for _, p := range to {
			if o.at <= p.Time && p.Time < end && string(p.Data) == o.data && p.Direction == pcapfile.In && p.Dropped == "" {
				got = time.Duration(p.Time - o.at).String()
			}
		}
		if !sent || got != o.found {
			x.t.Errorf("%s: in the captures it was sent: %v, and then: %s", o.line, sent, got)
		}
	}
}

// recordedPackets returns the packets of a capture.
func recordedPackets(t *testing.T, file io.Reader) (list []pcapfile.Packet) {
	t.Helper()
	r, err := pcapfile.NewReader(file)
	for err == nil {
		var p pcapfile.Packet
		if err = r.Next(&p); err == nil {
			p.Data = bytes.Clone(p.Data)
			list = append(list, p)
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
	return list
}

// rules parses rules.
func rules(t testing.TB, texts ...string) (list []shape.Rule) {
	t.Helper()
	for _, text := range texts {
		r, err := shape.ParseRule(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		list = append(list, r)
	}
	return list
}

// send sends a packet, or has one arrive, and returns it as it is looked for.
func (x *passage) send(d described) string {
	x.t.Helper()
	b := d.bytes(x.t)
	p := packetOf(b, d.head)
	p.Owner.PID = int32(d.pid)
	if d.in {
		x.far.Send([]*link.Packet{p})
	} else {
		x.near.Send([]*link.Packet{p})
	}
	return string(b)
}

var be = binary.BigEndian

// described is a packet in words: out udp 10.0.0.1:1000>10.0.0.2:53 syn=7.
type described struct {
	in       bool
	proto    string
	src, dst netip.AddrPort
	words    map[string]string
	pid      int
	head     int    // as much of it is the packet's head
	data     uint32 // tells it from others
}

var packets uint32

// describe reads the words.
func describe(t testing.TB, text string) described {
	t.Helper()
	f := strings.Fields(text)
	if len(f) < 3 {
		t.Fatalf("%q describes no packet", text)
	}
	src, dst, ok := strings.Cut(f[2], ">")
	d := described{in: f[0] == "in", proto: f[1], src: end(t, src), dst: end(t, dst), words: map[string]string{}}
	if !ok || f[0] != "in" && f[0] != "out" {
		t.Fatalf("%q describes no packet", text)
	}
	for _, w := range f[3:] {
		name, value, _ := strings.Cut(w, "=")
		d.words[name] = value
	}
	d.pid = d.number("pid")
	d.head = d.number("head")
	packets++
	d.data = packets
	return d
}

func (d *described) number(name string) int {
	n, _ := strconv.Atoi(d.words[name])
	return n
}

// end reads an address with a port, or without one.
func end(t testing.TB, text string) netip.AddrPort {
	t.Helper()
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, 0)
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bytes makes the packet. Checksums are not looked at.
func (d *described) bytes(t testing.TB) []byte {
	b := be.AppendUint16(be.AppendUint16(nil, d.src.Port()), d.dst.Port())
	proto := map[string]uint8{"udp": 17, "tcp": 6, "sctp": 132, "icmp": 1, "echo": 1, "reply": 1, "gre": 47, "error": 1}[d.proto]
	v6 := d.src.Addr().Is6()
	switch d.proto {
	case "udp":
		b = be.AppendUint32(b, 0)
	case "tcp":
		flags := uint8(16)
		seq, ack := 1000, 2000
		if v, ok := d.words["syn"]; ok {
			seq, _ = strconv.Atoi(v)
			flags, ack = 2, 0
		}
		if v, ok := d.words["synack"]; ok {
			ack, _ = strconv.Atoi(v)
			flags, ack = 18, ack+1
		}
		b = be.AppendUint32(be.AppendUint32(b, uint32(seq)), uint32(ack))
		b = append(b, 5<<4, flags, 255, 255, 0, 0, 0, 0)
	case "sctp":
		tag, kind := uint32(77), uint8(0)
		own := uint32(0)
		if _, ok := d.words["init"]; ok {
			tag, kind, own = 0, 1, uint32(d.number("init"))
		}
		if _, ok := d.words["initack"]; ok {
			tag, kind, own = uint32(d.number("initack")), 2, 99
		}
		b = be.AppendUint32(be.AppendUint32(b, tag), 0)
		b = append(b, kind, 0, 0, 20)
		b = append(be.AppendUint32(b, own), make([]byte, 12)...)
	case "echo", "reply":
		kinds := map[string][2]uint8{"echo": {8, 128}, "reply": {0, 129}}[d.proto]
		id := max(d.src.Port(), d.dst.Port())
		b = []byte{kinds[0], 0, 0, 0}
		if v6 {
			b[0] = kinds[1]
		}
		b = append(be.AppendUint16(b, id), 0, 1)
	case "error":
		// About a packet of the words: error A>B about=udp,10.0.0.1:1000>10.0.0.2:53.
		kind, ends, _ := strings.Cut(d.words["about"], ",")
		inner := describe(t, "out "+kind+" "+ends)
		b = []byte{3, 1, 0, 0, 0, 0, 0, 0}
		if v6 {
			b[0] = 1
		}
		b = append(b, inner.bytes(t)...)
	case "gre":
		b = []byte{0, 0, 8, 0}
	}
	b = be.AppendUint32(b, d.data)
	var fragment, extension []byte
	if v, ok := d.words["frag"]; ok { // frag=ID,OFFSET,more
		f := strings.Split(v, ",")
		id, _ := strconv.Atoi(f[0])
		off, _ := strconv.Atoi(f[1])
		more := len(f) > 2
		if off > 0 {
			b = be.AppendUint32(nil, d.data)
		}
		if v6 {
			at := uint16(off)
			if more {
				at |= 1
			}
			fragment = be.AppendUint32(be.AppendUint16([]byte{v6proto(proto), 0}, at), uint32(id))
		} else {
			at := uint16(off / 8)
			if more {
				at |= 0x2000
			}
			fragment = be.AppendUint16(be.AppendUint16(nil, uint16(id)), at)
		}
	}
	if _, ok := d.words["options"]; ok {
		extension = []byte{1, 1, 1, 0}
		if v6 {
			extension = []byte{v6proto(proto), 0, 1, 4, 0, 0, 0, 0}
		}
	}
	if !v6 {
		h := []byte{0x45 + byte(len(extension)/4), 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
		be.PutUint16(h[2:], uint16(20+len(extension)+len(b)))
		copy(h[4:], fragment)
		h = append(append(h, d.src.Addr().AsSlice()...), d.dst.Addr().AsSlice()...)
		return slices.Concat(h, extension, b)
	}
	next := v6proto(proto)
	if extension != nil {
		next = 60
	} else if fragment != nil {
		next = 44
	}
	h := []byte{6 << 4, 0, 0, 0, 0, 0, next, 64}
	be.PutUint16(h[4:], uint16(len(extension)+len(fragment)+len(b)))
	h = append(append(h, d.src.Addr().AsSlice()...), d.dst.Addr().AsSlice()...)
	return slices.Concat(h, extension, fragment, b)
}

func v6proto(proto uint8) uint8 {
	if proto == 1 {
		return 58
	}
	return proto
}

// run does what a line says and compares: "TIME PACKET → OUTCOME", where the time is since the beginning and may be left out, or
// "name ADDR NAME", "program PID NAME". The outcome is how long the packet takes, or lost.
func (x *passage) run(line string) {
	x.t.Helper()
	f := strings.Fields(line)
	switch f[0] {
	case "name":
		x.link.Resolved(netip.MustParseAddr(f[1]), f[2])
		return
	case "program":
		pid, _ := strconv.Atoi(f[1])
		x.link.Program(int32(pid), f[2])
		return
	}
	if at, err := time.ParseDuration(f[0]); err == nil {
		x.clock.Advance(at - x.clock.Now())
		line = strings.Join(f[1:], " ")
	}
	what, want, ok := strings.Cut(line, " → ")
	if !ok {
		x.t.Fatalf("%q has no outcome", line)
	}
	x.came = nil
	begun := x.clock.Now()
	d, at := describe(x.t, what), clock.Wall(x.clock).UnixNano()
	sent := x.send(d)
	x.clock.Advance(5 * time.Second)
	got := "lost"
	for _, a := range x.came {
		if a.data == sent {
			got = fmt.Sprint(a.at - begun)
		}
	}
	if got != want {
		x.t.Errorf("%v %s: %s, want %s", begun, what, got, want)
	}
	x.told = append(x.told, outcome{line, d.in, sent, at, got})
}

// packetOf is a packet of these bytes, so many of which are its head, as far as that has room.
func packetOf(b []byte, head int) *link.Packet {
	head = min(head, len(b), packet.Headroom)
	p := packet.FromBytes(b[head:])
	copy(p.Prepend(head), b)
	return p
}
