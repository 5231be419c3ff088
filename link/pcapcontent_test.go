package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/pcapfilter"
	"usock/internal/wire"
	"usock/packet"
)

// block is a block of a capture.
type block struct {
	kind    uint32
	body    []byte              // before the options
	options map[uint16][]string // of packets and processes
}

// comments are those of a packet.
func (b *block) comments() []string { return b.options[optComment] }

// process is the place of a packet's process, -1 if it has none.
func (b *block) process() int {
	v := b.options[optProcess]
	if len(v) == 0 {
		return -1
	}
	return int(binary.LittleEndian.Uint32([]byte(v[0])))
}

// data is what was kept of a packet.
func (b *block) data() []byte { return b.body[20 : 20+binary.LittleEndian.Uint32(b.body[12:])] }

// blocksOf parses a capture.
func blocksOf(t *testing.T, b []byte) []block {
	t.Helper()
	var all []block
	for len(b) > 0 {
		n := binary.LittleEndian.Uint32(b[4:])
		if n%4 != 0 || int(n) > len(b) || binary.LittleEndian.Uint32(b[n-4:]) != n {
			t.Fatalf("block of %d bytes", n)
		}
		x := block{kind: binary.LittleEndian.Uint32(b), body: b[8 : n-4], options: make(map[uint16][]string)}
		b = b[n:]
		fixed := 0
		switch x.kind {
		case blockPacket:
			fixed = 20 + int(binary.LittleEndian.Uint32(x.body[12:])+3)&^3
		case blockProcess:
			fixed = 4
		}
		all = append(all, x)
		if fixed == 0 {
			continue
		}
		for o := x.body[fixed:]; len(o) >= 4; {
			code, n := binary.LittleEndian.Uint16(o), int(binary.LittleEndian.Uint16(o[2:]))
			if code == optEnd {
				break
			}
			x.options[code] = append(x.options[code], string(o[4:4+n]))
			o = o[4+(n+3)&^3:]
		}
	}
	return all
}

// packetsOf are the blocks of packets.
func packetsOf(blocks []block) []block {
	return slices.DeleteFunc(slices.Clone(blocks), func(b block) bool { return b.kind != blockPacket })
}

// owned returns a datagram of a process.
func owned(pid int32, data string) *packet.Packet {
	p := datagram("10.0.0.1", "10.0.0.2", []byte(data))
	p.Owner = packet.Owner{PID: pid, Socket: 3}
	return p
}

// sink frees what a link delivers.
func sink(batch []*packet.Packet) {
	for _, p := range batch {
		p.Free()
	}
}

// TestPcapDropped: what an impaired link loses is in the capture, once, with the reason, and as it was sent.
func TestPcapDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w := NewPcapWriter(&file, 0)
		a, b := Pipe(PipeConfig{})
		out := Impairment{Rate: 8_000_000, Limit: Amount{Packets: 2}, Corrupt: 1}
		i, err := Impair(a, ImpairConfig{Out: out, In: Impairment{Loss: 1}})
		if err != nil {
			t.Fatal(err)
		}
		l := Pcap(i, w, BothWays)
		l.(Direct).Deliver(sink)
		b.Deliver(sink)
		for range 4 {
			l.Send([]*packet.Packet{owned(7, "sent")})
		}
		b.Send([]*packet.Packet{owned(0, "received")})
		if err := i.Set(Impairment{Loss: 1}, Impairment{}); err != nil {
			t.Fatal(err)
		}
		l.Send([]*packet.Packet{owned(7, "sent")})
		b.Send([]*packet.Packet{owned(0, "received")})
		time.Sleep(time.Second)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		b.Close()
		var got []string
		for _, p := range packetsOf(blocksOf(t, file.Bytes())) {
			flags := binary.LittleEndian.Uint32([]byte(p.options[optFlags][0]))
			got = append(got, fmt.Sprint(flags&3, string(p.data()[28:]), p.comments()[1:]))
		}
		want := []string{
			"2sent[]", "2sent[]", "2sent[dropped: queue full]", "2sent[dropped: queue full]",
			"1received[dropped: loss]", "2sent[dropped: loss]", "1received[]",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// TestPcapDroppedLater: what a queue drops when it has waited is in the capture again, then, with the reason: as sent it
// was there before that was known. What is received is there once.
func TestPcapDroppedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w := NewPcapWriter(&file, 0)
		a, b := Pipe(PipeConfig{})
		slow := Impairment{Rate: 80_000, Queue: Discipline{Kind: CoDel, Target: time.Millisecond, Interval: 10 * time.Millisecond}}
		i, err := Impair(a, ImpairConfig{Out: slow, In: slow})
		if err != nil {
			t.Fatal(err)
		}
		l := Pcap(i, w, BothWays)
		l.(Direct).Deliver(sink)
		b.Deliver(sink)
		for _, number := range []string{"0", "1", "2", "3", "4"} { // 100 ms each; the third waits for long, with two behind it
			data := number + strings.Repeat("x", 971)
			l.Send([]*packet.Packet{owned(7, data)})
			b.Send([]*packet.Packet{owned(0, data)})
		}
		time.Sleep(2 * time.Second)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		b.Close()
		got := map[uint32][]string{} // the two directions have timers of their own, which go off at the same time
		last := uint64(0)
		for _, p := range packetsOf(blocksOf(t, file.Bytes())) {
			flags := binary.LittleEndian.Uint32([]byte(p.options[optFlags][0]))
			got[flags&3] = append(got[flags&3], fmt.Sprint(string(p.data()[28:29]), p.comments()[1:]))
			at := uint64(binary.LittleEndian.Uint32(p.body[4:]))<<32 + uint64(binary.LittleEndian.Uint32(p.body[8:]))
			if at < last {
				t.Errorf("a packet of %v is behind one of %v", at, last)
			}
			last = at
		}
		sent := []string{"0[]", "1[]", "2[]", "3[]", "4[]", "2[dropped later: codel]"}
		received := []string{"0[]", "2[dropped: codel]", "1[]", "3[]", "4[]"}
		if !slices.Equal(got[flagOutbound], sent) || !slices.Equal(got[flagInbound], received) {
			t.Errorf("sent %q, received %q", got[flagOutbound], got[flagInbound])
		}
	})
}

// TestPcapProcesses: each process has a block, and another one when it has got another name; packets name it, those that
// are received by the flow.
func TestPcapProcesses(t *testing.T) {
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, BothWays)
	l.(Direct).Deliver(sink)
	b.Deliver(sink)
	answer := func() *packet.Packet {
		p := datagram("10.0.0.2", "10.0.0.1", nil)
		h := p.Front()
		h[20], h[21], h[22], h[23] = h[22], h[23], h[20], h[21]
		return p
	}
	b.Send([]*packet.Packet{answer()}) // nobody's yet
	w.Name(7, "sh")
	l.Send([]*packet.Packet{owned(8, ""), owned(7, "")})
	b.Send([]*packet.Packet{answer()})
	w.Name(7, "curl")
	l.Send([]*packet.Packet{owned(7, ""), owned(8, "")})
	b.Send([]*packet.Packet{answer(), owned(9, "")})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	b.Close()
	var processes, got []string
	for _, x := range blocksOf(t, file.Bytes()) {
		switch x.kind {
		case blockProcess:
			processes = append(processes, fmt.Sprint(binary.LittleEndian.Uint32(x.body), x.options[optName]))
		case blockPacket:
			who := "nobody"
			if n := x.process(); n >= 0 {
				who = processes[n] // named before
			}
			got = append(got, fmt.Sprint(who, x.comments()))
		}
	}
	if want := []string{"8 []", "7 [sh]", "7 [curl]", "9 []"}; !slices.Equal(processes, want) {
		t.Errorf("processes %q", processes)
	}
	want := []string{
		"nobody[]", "8 [][pid 8 socket 3]", "7 [sh][pid 7 (sh) socket 3]", "7 [sh][pid 7 (sh) socket 3]",
		"7 [curl][pid 7 (curl) socket 3]", "8 [][pid 8 socket 3]", "8 [][pid 8 socket 3]", "9 [][pid 9 socket 3]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestPcapFragments: the fragments of a packet are whose the first one is, if that has come before.
func TestPcapFragments(t *testing.T) {
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, BothWays)
	l.(Direct).Deliver(sink)
	b.Deliver(sink)
	part := func(six bool, src, dst string, id uint16, offset uint16, more bool) *packet.Packet {
		s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
		p := packet.FromBytes(make([]byte, 16))
		if offset == 0 {
			(&wire.UDP{SrcPort: 4001, DstPort: 4000, Len: 24}).Put(p.Prepend(wire.UDPLen))
		}
		n := uint16(p.Len())
		if six {
			h := p.Prepend(8)
			h[0], h[1] = 17, 0
			binary.BigEndian.PutUint16(h[2:], offset)
			if more {
				h[3] |= 1
			}
			binary.BigEndian.PutUint32(h[4:], uint32(id))
			(&wire.IPv6{Src: s, Dst: d, HopLimit: 64, Next: 44, PayloadLen: n + 8}).Put(p.Prepend(wire.IPv6Len))
			return p
		}
		h := p.Prepend(wire.IPv4MinLen)
		(&wire.IPv4{Src: s, Dst: d, TTL: 64, Proto: 17, TotalLen: 20 + n}).Put(h)
		binary.BigEndian.PutUint16(h[4:], id)
		binary.BigEndian.PutUint16(h[6:], offset/8)
		if more {
			h[6] |= 0x20
		}
		return p
	}
	l.Send([]*packet.Packet{owned(7, "")})
	six := datagram("2001:db8::1", "2001:db8::2", nil)
	six.Owner = packet.Owner{PID: 8, Socket: 3}
	l.Send([]*packet.Packet{six})
	const here, there, here6, there6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
	b.Send([]*packet.Packet{
		part(false, there, here, 1, 24, true), // the first has not come yet
		part(false, there, here, 1, 0, true), part(false, there, here, 1, 24, true), part(false, there, here, 2, 24, true),
		part(false, there, here, 1, 40, false), part(false, "10.0.0.3", here, 1, 40, false),
		part(true, there6, here6, 1, 24, true), part(true, there6, here6, 1, 0, true), part(true, there6, here6, 1, 24, false),
		part(true, there6, here6, 2, 24, false),
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	b.Close()
	var got []string
	for _, x := range packetsOf(blocksOf(t, file.Bytes()))[2:] {
		got = append(got, strings.Join(x.comments(), ""))
	}
	four, sixth := "pid 7 socket 3", "pid 8 socket 3"
	if want := []string{"", four, four, "", four, "", "", sixth, sixth, ""}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestPcapFlows: a capture remembers some flows, the last ones.
func TestPcapFlows(t *testing.T) {
	var f pcapFlows
	flow := func(i int) (x struct{ there, back netip.AddrPort }) {
		x.there = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		x.back = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 2)
		return x
	}
	const n = 3 * maxFlows
	for i := range n {
		x := flow(i)
		f.set(flowFor(x.there, x.back), packet.Owner{PID: int32(i + 1)})
	}
	for _, i := range []int{0, n - 1, n - maxFlows} {
		x := flow(i)
		want := int32(i + 1)
		if i == 0 {
			want = 0
		}
		if got := f.owner(flowFor(x.back, x.there)).PID; got != want {
			t.Errorf("flow %d is of process %d", i, got)
		}
	}
	if k := len(f.young) + len(f.old); k > 2*maxFlows {
		t.Errorf("%d flows", k)
	}
}

// TestPcapFilter: only what all filters match is recorded, and counted.
func TestPcapFilter(t *testing.T) {
	var file bytes.Buffer
	var filters []*PcapFilter
	for _, text := range []string{"udp and len < 40", `process "a program" or pid 9`} {
		f, err := ParsePcapFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, f)
	}
	w, err := PcapConfig{Filters: filters}.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	w.Name(7, "a program")
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, Sent)
	b.Deliver(sink)
	l.Send([]*packet.Packet{owned(7, "one"), owned(7, strings.Repeat("long", 5)), owned(8, "two"), owned(9, "three")})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	b.Close()
	var got []string
	blocks := blocksOf(t, file.Bytes())
	for _, p := range packetsOf(blocks) {
		got = append(got, string(p.data()[28:]))
	}
	if !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("%q", got)
	}
	stats := blocks[len(blocks)-1].body
	want := appendOption64(appendOption64(appendOption64(appendOption64(nil, optReceived, 4), optDropped, 0), optMatched, 2), optDelivered, 2)
	if !bytes.HasPrefix(stats[12:], want) {
		t.Errorf("statistics %x", stats)
	}
}

// fileList is the files of a capture.
type fileList struct{ files []*bytes.Buffer }

func (m *fileList) next() (io.Writer, error) {
	m.files = append(m.files, new(bytes.Buffer))
	return m.files[len(m.files)-1], nil
}

// TestPcapFiles: no file is larger than it may be, each can be read alone, and all packets are there in their order.
func TestPcapFiles(t *testing.T) {
	var m fileList
	first, _ := m.next()
	secrets := 0
	w, err := PcapConfig{Size: 4096, Next: m.next, Secrets: func() []byte {
		secrets++
		return fmt.Appendf(nil, "SECRET %d\n", secrets)
	}}.NewWriter(first)
	if err != nil {
		t.Fatal(err)
	}
	a, b := Pipe(PipeConfig{Names: [2]string{"one", "other"}})
	l := Pcap(a, w, Sent)
	b.Deliver(sink)
	const sent = 500
	w.Resolved(netip.MustParseAddr("10.0.0.2"), "peer.test.")
	for i := range sent {
		w.Name(int32(i%3+1), fmt.Sprint("program ", i%3))
		l.Send([]*packet.Packet{owned(int32(i%3+1), fmt.Sprint(i))})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	b.Close()
	n := 0
	for i, f := range m.files {
		blocks := blocksOf(t, f.Bytes())
		if size := f.Len(); size > 4096+20*secrets+300 { // with the secrets and the statistics
			t.Errorf("file %d has %d bytes", i, size)
		}
		kinds := make(map[uint32]int)
		places := 0
		for _, x := range blocks {
			kinds[x.kind]++
			if x.kind == blockProcess {
				places++
			}
			if x.kind == blockPacket {
				if got := string(x.data()[28:]); got != fmt.Sprint(n) {
					t.Fatalf("file %d: packet %s instead of %d", i, got, n)
				}
				if x.process() >= places {
					t.Errorf("file %d: process %d of %d", i, x.process(), places)
				}
				n++
			}
		}
		if blocks[0].kind != blockSection || kinds[blockSection] != 1 || kinds[blockInterface] != 1 || kinds[blockNames] != 1 || kinds[blockStats] != 1 || kinds[blockSecrets] == 0 {
			t.Errorf("file %d has %v", i, kinds)
		}
	}
	if n != sent || len(m.files) < 10 {
		t.Errorf("%d packets in %d files", n, len(m.files))
	}
}

// TestPcapFilesByTime begins a file when one is old enough, and none that would be empty.
func TestPcapFilesByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m fileList
		first, _ := m.next()
		w, err := PcapConfig{Every: time.Second, Next: m.next}.NewWriter(first)
		if err != nil {
			t.Fatal(err)
		}
		a, b := Pipe(PipeConfig{})
		l := Pcap(a, w, Sent)
		b.Deliver(sink)
		time.Sleep(5 * time.Second)
		for range 8 {
			l.Send([]*packet.Packet{owned(1, "x")})
			time.Sleep(300 * time.Millisecond)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		b.Close()
		var got []int
		for _, f := range m.files {
			got = append(got, len(packetsOf(blocksOf(t, f.Bytes()))))
		}
		if !slices.Equal(got, []int{4, 4}) {
			t.Errorf("packets of each file: %v", got)
		}
	})
}

// TestPcapFilesBySizeAndTime: a file that was begun for the size of the one before is as old as its first packet.
func TestPcapFilesBySizeAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m fileList
		first, _ := m.next()
		w, err := PcapConfig{Size: 4096, Every: time.Minute, Next: m.next}.NewWriter(first)
		if err != nil {
			t.Fatal(err)
		}
		i := w.Interface(Info{})
		for range 400 {
			p := owned(1, "x")
			i.Record(Sent, []*Packet{p})
			p.Free()
			time.Sleep(time.Millisecond)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for k, f := range m.files[:len(m.files)-1] {
			if f.Len() < 3000 {
				t.Errorf("file %d has %d bytes only", k, f.Len())
			}
		}
		if len(m.files) < 3 {
			t.Errorf("%d files", len(m.files))
		}
	})
}

// TestPcapNextFails: a file that cannot be opened ends the recording, which says so and counts.
func TestPcapNextFails(t *testing.T) {
	full := errors.New("no more files")
	w, err := PcapConfig{Size: 1000, Next: func() (io.Writer, error) { return nil, full }}.NewWriter(new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, Sent)
	b.Deliver(sink)
	for range 100 {
		l.Send([]*packet.Packet{owned(1, "x")})
	}
	if err := w.Close(); !errors.Is(err, full) || w.Dropped() == 0 {
		t.Errorf("%v, %d packets are missing", err, w.Dropped())
	}
	l.Close()
	b.Close()
}

// TestPcapSecrets: packets wait for the secrets that open them; not when there are many, nor at the end.
func TestPcapSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		var mu sync.Mutex
		var log []byte
		w, err := PcapConfig{Secrets: func() []byte {
			mu.Lock()
			defer mu.Unlock()
			news := log
			log = nil
			return news
		}}.NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		told := func(line string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, line...)
		}
		a, b := Pipe(PipeConfig{})
		l := Pcap(a, w, Sent)
		b.Deliver(sink)
		l.Send([]*packet.Packet{owned(1, "one")})
		time.Sleep(400 * time.Millisecond)
		told("FIRST\n")
		time.Sleep(200 * time.Millisecond)
		l.Send([]*packet.Packet{owned(1, "two")})
		time.Sleep(600 * time.Millisecond)
		for range 150 {
			l.Send([]*packet.Packet{owned(1, strings.Repeat("much", 10000))})
		}
		synctest.Wait()
		if written := file.Len(); written < 6_000_000-pcapHeld {
			t.Errorf("%d bytes are written of much", written)
		}
		told("LAST\n")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		b.Close()
		var got []string
		for _, x := range blocksOf(t, file.Bytes()) {
			switch {
			case x.kind == blockSecrets:
				got = append(got, strings.TrimSpace(strings.TrimRight(string(x.body[8:]), "\x00")))
			case x.kind == blockPacket && len(x.data()) < 100:
				got = append(got, string(x.data()[28:]))
			}
		}
		if want := []string{"FIRST", "one", "two", "LAST"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// TestPcapSecretsOfEach: a packet waits for its own secrets, however long those before it have waited, and a stream of packets is not held up by
// the last of them.
func TestPcapSecretsOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hold, gap = time.Second, 300 * time.Millisecond
		var file bytes.Buffer
		var told []string // to come
		w, err := PcapConfig{Hold: hold, Secrets: func() []byte {
			news := strings.Join(told, "")
			told = nil
			return []byte(news)
		}}.NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		i := w.Interface(Info{Name: "one"})
		count := func() (packets int) {
			for _, x := range blocksOf(t, file.Bytes()) {
				packets += map[bool]int{true: 1}[x.kind == blockPacket]
			}
			return packets
		}
		for n := range 30 {
			p := owned(1, fmt.Sprint("packet ", n))
			i.Record(Sent, []*Packet{p})
			p.Free()
			time.Sleep(gap)
			synctest.Wait()
			told = append(told, fmt.Sprintf("SECRET %d\n", n)) // late, but in time
			if written := count(); written < n-int(2*hold/gap) || written > max(0, n+1-int(hold/gap)) {
				t.Errorf("%d packets are written of %d", written, n+1)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		known := -1
		for _, x := range blocksOf(t, file.Bytes()) {
			switch x.kind {
			case blockSecrets:
				known += bytes.Count(x.body[8:], []byte("SECRET"))
			case blockPacket:
				var n int
				if fmt.Sscanf(string(x.data()[28:]), "packet %d", &n); n > known {
					t.Errorf("packet %d comes before its secret", n)
				}
			}
		}
		if known != 29 {
			t.Errorf("%d secrets", known+1)
		}
	})
}

// TestPcapInterfacesFirst: whatever is known before the first link, that comes first.
func TestPcapInterfacesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		n := 0
		w, err := PcapConfig{Secrets: func() []byte { n++; return fmt.Appendf(nil, "SECRET %d\n", n)[:min(n-1, 1)*9] }}.NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the section is written
		w.Resolved(netip.MustParseAddr("10.0.0.2"), "peer.test")
		i, j := w.Interface(Info{Name: "one"}), w.Interface(Info{Name: "other"})
		for _, i := range []*PcapInterface{i, j} {
			p := owned(0, "x")
			i.Record(Sent, []*Packet{p})
			p.Free()
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		kinds := make(map[uint32]int)
		for at, b := range blocksOf(t, file.Bytes()) {
			if kinds[b.kind]++; at == 1 && b.kind != blockInterface {
				t.Errorf("the first block is of kind %#x", b.kind)
			}
		}
		if kinds[blockInterface] != 2 || kinds[blockNames] != 1 || kinds[blockSecrets] == 0 || kinds[blockPacket] != 2 {
			t.Errorf("%v", kinds)
		}
	})
}

// TestPcapParallel records from several goroutines to small files.
func TestPcapParallel(t *testing.T) {
	dir := t.TempDir()
	var files []*os.File
	next := func() (io.Writer, error) {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(len(files))))
		files = append(files, f)
		return f, err
	}
	first, err := next()
	if err != nil {
		t.Fatal(err)
	}
	w, err := PcapConfig{Size: 100_000, Next: next}.NewWriter(first)
	if err != nil {
		t.Fatal(err)
	}
	const each, links = 2000, 4
	var all sync.WaitGroup
	for i := range links {
		all.Go(func() {
			a, b := Pipe(PipeConfig{})
			l := Pcap(a, w, BothWays)
			l.(Direct).Deliver(sink)
			b.Deliver(sink)
			for k := range each {
				w.Name(int32(k%50), fmt.Sprint(i))
				l.Send([]*packet.Packet{owned(int32(k%50), "from")})
				w.Resolved(netip.AddrFrom4([4]byte{10, 1, byte(k >> 8), byte(k)}), "name.test")
			}
			l.Close()
			b.Close()
		})
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		n += len(packetsOf(blocksOf(t, b)))
		f.Close()
	}
	if n != each*links {
		t.Errorf("%d packets", n)
	}
}

// TestPcapConfigRefused has configurations that cannot be.
func TestPcapConfigRefused(t *testing.T) {
	for _, c := range []PcapConfig{{SnapLen: -1}, {Size: -1}, {Every: -1}, {Hold: -1}, {Size: 1}, {Every: 1}} {
		if _, err := c.NewWriter(io.Discard); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if _, err := ParsePcapFilter("tcp port"); err == nil {
		t.Error("a filter that ends early is taken")
	}
}

// flowFor is a flow of UDP.
func flowFor(src, dst netip.AddrPort) pcapfilter.Flow {
	return pcapfilter.Flow{Proto: 17, Src: src, Dst: dst}
}
