package link

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"usock/internal/wire"
	"usock/packet"
)

// datagram returns a UDP packet as a host builds it, its checksum left to the
// link.
func datagram(src, dst string, data []byte) *packet.Packet {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	p := packet.New()
	p.Payload.Append(packet.Copy(data))
	u := wire.UDP{SrcPort: 4000, DstPort: 4001, Len: uint16(wire.UDPLen + len(data))}
	var c wire.Checksum
	c.AddPseudo(s, d, 17, int(u.Len))
	u.Checksum = c.Partial()
	u.Put(p.Prepend(wire.UDPLen))
	p.ChecksumOffset = 6
	if s.Is4() {
		h := wire.IPv4{Src: s, Dst: d, TTL: 64, Proto: 17, TotalLen: 20 + u.Len}
		h.Put(p.Prepend(wire.IPv4MinLen))
		p.ChecksumStart = wire.IPv4MinLen
	} else {
		h := wire.IPv6{Src: s, Dst: d, HopLimit: 64, Next: 17, PayloadLen: u.Len}
		h.Put(p.Prepend(wire.IPv6Len))
		p.ChecksumStart = wire.IPv6Len
	}
	p.Trusted = true
	return p
}

// capture records a few packets over two pipes and returns the file's bytes.
func capture(t *testing.T, snap int) []byte {
	var file bytes.Buffer
	w := NewPcapWriter(&file, snap)
	a, b := Pipe(PipeConfig{Names: [2]string{"left", "right"}})
	la := Pcap(a, w, BothWays).(Direct)
	lb := Pcap(b, w, Received).(Direct)
	free := func(batch []*packet.Packet) {
		for _, p := range batch {
			if p.ChecksumOffset == 0 {
				t.Error("the recording changed the packet")
			}
			p.Free()
		}
	}
	la.Deliver(free)
	lb.Deliver(free)
	p := datagram("10.0.0.1", "10.0.0.2", []byte("hello"))
	p.Owner = packet.Owner{PID: 123, Socket: 7}
	q := datagram("2001:db8::1", "2001:db8::2", []byte("odd"))
	q.Owner = packet.Owner{Socket: 1 << 40}
	la.Send([]*packet.Packet{p, q})
	lb.Send([]*packet.Packet{datagram("10.0.0.2", "10.0.0.1", bytes.Repeat([]byte("x"), 1001))})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	la.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", nil)}) // after Close: not recorded
	la.Close()
	lb.Close()
	return file.Bytes()
}

func TestPcapDecodes(t *testing.T) {
	leakCheck(t)
	before := time.Now()
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture(t, 0)), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	type record struct{ iface, n int }
	want := []record{{0, 33}, {0, 51}, {1, 33}, {1, 51}, {0, 1029}}
	for i, w := range want {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(i, err)
		}
		if ci.InterfaceIndex != w.iface || ci.Length != w.n || len(data) != w.n {
			t.Errorf("packet %d: interface %d, %d of %d bytes; want %+v", i, ci.InterfaceIndex, len(data), ci.Length, w)
		}
		if ci.Timestamp.Before(before.Truncate(0)) || time.Since(ci.Timestamp) < 0 {
			t.Errorf("packet %d: time %v", i, ci.Timestamp)
		}
		var c wire.Checksum
		if data[0]>>4 == 4 {
			h, n, _ := wire.ParseIPv4(data)
			c.AddPseudo(h.Src, h.Dst, 17, len(data)-n)
			c.Add(data[n:])
		} else {
			h, _ := wire.ParseIPv6(data)
			c.AddPseudo(h.Src, h.Dst, 17, len(data)-wire.IPv6Len)
			c.Add(data[wire.IPv6Len:])
		}
		if c.Sum() != 0 {
			t.Errorf("packet %d: checksum is not completed", i)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last packet: %v", err)
	}
	for i, name := range []string{"left", "right"} {
		if f, err := r.Interface(i); err != nil || f.Name != name || f.LinkType != layers.LinkTypeRaw {
			t.Errorf("interface %d: %+v %v", i, f, err)
		}
	}
}

func TestPcapSnapLength(t *testing.T) {
	leakCheck(t)
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture(t, 50)), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{33, 51, 33, 51, 1029} {
		data, ci, err := r.ReadPacketData()
		if err != nil || ci.Length != n || len(data) != min(n, 50) {
			t.Errorf("packet %d: %d of %d bytes, want 50 of %d: %v", i, len(data), ci.Length, n, err)
		}
	}
}

// tshark reads what is recorded, with the comments and directions, and has nothing
// to complain about.
func TestPcapTshark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	leakCheck(t)
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, capture(t, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-r", file, "-n", "-T", "json",
		"-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-e", "frame.comment", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction",
		"-e", "udp.checksum.status", "-e", "_ws.expert.message", "-e", "udp.length")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, complaints.String())
	}
	for line := range strings.Lines(complaints.String()) {
		if !strings.Contains(line, "Running as user") {
			t.Errorf("tshark: %s", line)
		}
	}
	var frames []struct {
		Source struct {
			Layers map[string][]string `json:"layers"`
		} `json:"_source"`
	}
	if err := json.Unmarshal(out, &frames); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{
		{"frame.comment": "pid 123 socket 7", "frame.interface_name": "left", "frame.packet_flags_direction": "0x00000002"},
		{"frame.comment": "socket 1099511627776", "frame.interface_name": "left", "frame.packet_flags_direction": "0x00000002"},
		{"frame.comment": "pid 123 socket 7", "frame.interface_name": "right", "frame.packet_flags_direction": "0x00000001"},
		{"frame.comment": "socket 1099511627776", "frame.interface_name": "right", "frame.packet_flags_direction": "0x00000001"},
		{"frame.comment": "", "frame.interface_name": "left", "frame.packet_flags_direction": "0x00000001", "udp.length": "1009"},
	}
	if len(frames) != len(want) {
		t.Fatalf("%d frames, want %d", len(frames), len(want))
	}
	for i, w := range want {
		w["udp.checksum.status"] = "1"
		w["_ws.expert.message"] = w["frame.comment"] // which tshark lists there, and nothing else
		got := frames[i].Source.Layers
		for k, v := range w {
			if g := strings.Join(got[k], ","); g != v {
				t.Errorf("frame %d: %s is %q, want %q", i, k, g, v)
			}
		}
	}
}

// fullDisk accepts some bytes and then no more.
type fullDisk struct{ room int }

var errFull = errors.New("no space left")

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > d.room {
		return 0, errFull
	}
	d.room -= len(b)
	return len(b), nil
}

func TestPcapDiskFull(t *testing.T) {
	leakCheck(t)
	w := NewPcapWriter(&fullDisk{room: 200}, 0)
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, BothWays)
	n := 0
	b.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			n++
			p.Free()
		}
	})
	for range 20 {
		l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", []byte("data"))})
	}
	if n != 20 {
		t.Errorf("%d of 20 packets went through", n)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
	if err := w.Err(); !errors.Is(err, errFull) {
		t.Errorf("Err: %v", err)
	}
	if w.Dropped() == 0 {
		t.Error("nothing was left out")
	}
	l.Close()
	b.Close()
}

// queued hides that a link is Direct.
type queued struct{ Link }

func TestPcapKeepsKind(t *testing.T) {
	leakCheck(t)
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	a, b := Pipe(PipeConfig{})
	if _, ok := Pcap(a, w, Sent).(Direct); !ok {
		t.Error("no longer Direct")
	}
	q := Pcap(queued{b}, w, Received)
	if _, ok := q.(Direct); ok {
		t.Error("Direct over a link that is not")
	}
	a.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", nil)})
	batch := make([]*packet.Packet, 2)
	if n, err := q.Recv(batch); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	batch[0].Free()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(file.Bytes(), []byte{10, 0, 0, 1, 10, 0, 0, 2}) {
		t.Error("Recv was not recorded")
	}
	a.Close()
	b.Close()
}

// Every block says its length at both ends and is a multiple of 4 bytes long.
func TestPcapBlocks(t *testing.T) {
	leakCheck(t)
	b := capture(t, 47)
	kinds := map[uint32]int{}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint32(b[4:])
		if n%4 != 0 || int(n) > len(b) || binary.LittleEndian.Uint32(b[n-4:]) != n {
			t.Fatalf("block of %d bytes", n)
		}
		kinds[binary.LittleEndian.Uint32(b)]++
		b = b[n:]
	}
	if kinds[blockSection] != 1 || kinds[blockInterface] != 2 || kinds[blockPacket] != 5 {
		t.Errorf("%v", kinds)
	}
}
