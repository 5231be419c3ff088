package pcapfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"pgregory.net/rapid"
)

// all reads a whole capture.
func all(t testing.TB, file []byte) (list []Packet) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p Packet
		err := r.Next(&p)
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("packet %d: %v", len(list), err)
		}
		p.Data = bytes.Clone(p.Data)
		list = append(list, p)
	}
}

// written are packets for a writer that is not ours.
type written struct {
	info    gopacket.CaptureInfo
	data    []byte
	comment string
	flags   pcapgo.NgEpbFlag
}

// packets draws packets, of so many interfaces.
func packets(t *rapid.T, interfaces int) (list []written) {
	for range rapid.IntRange(0, 20).Draw(t, "n") {
		w := written{data: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")}
		w.info = gopacket.CaptureInfo{
			Timestamp: time.Unix(rapid.Int64Range(0, 1<<31).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")),
			Length:    len(w.data) + rapid.IntRange(0, 1).Draw(t, "more")*1400, CaptureLength: len(w.data),
			InterfaceIndex: rapid.IntRange(0, interfaces-1).Draw(t, "interface"),
		}
		w.comment = rapid.SampledFrom([]string{"", "pid 7 (curl)", "dropped: loss", "dropped: queue full", "dropped later: codel", "dropped later codel"}).Draw(t, "comment")
		w.flags = rapid.SampledFrom([]pcapgo.NgEpbFlag{0, pcapgo.NgEpbFlagDirectionInbound, pcapgo.NgEpbFlagDirectionOutbound}).Draw(t, "flags")
		list = append(list, w)
	}
	return list
}

// What another library writes is read as it was given, pcapng and pcap.
func TestReadsOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const interfaces = 3
		links := [interfaces]layers.LinkType{layers.LinkTypeRaw, layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL}
		list := packets(t, interfaces)
		var file bytes.Buffer
		w, err := pcapgo.NewNgWriter(&file, links[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links[1:] {
			if _, err := w.AddInterface(pcapgo.NgInterface{Name: "eth", LinkType: l, OS: "any"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range list {
			var o pcapgo.NgPacketOptions
			if x.comment != "" {
				o.Comments = []string{"another", x.comment}
			}
			if x.flags != 0 {
				o.Flags = &pcapgo.NgEpbFlags{Direction: x.flags}
			}
			if err := w.WritePacketWithOptions(x.info, x.data, o); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		check(t, file.Bytes(), list, func(p *Packet, x *written) bool {
			dropped := map[string]string{"dropped: loss": "loss", "dropped: queue full": "queue full", "dropped later: codel": "codel"}[x.comment]
			again := dropped == "codel"
			direction := map[pcapgo.NgEpbFlag]Direction{pcapgo.NgEpbFlagDirectionInbound: In, pcapgo.NgEpbFlagDirectionOutbound: Out}[x.flags]
			return p.Dropped == dropped && p.Again == again && p.Direction == direction && p.Interface == x.info.InterfaceIndex && p.Link == uint16(links[p.Interface])
		}, time.Nanosecond)

		for _, exact := range []time.Duration{time.Nanosecond, time.Microsecond} {
			var file bytes.Buffer
			w := pcapgo.NewWriter(&file)
			if exact == time.Nanosecond {
				w = pcapgo.NewWriterNanos(&file)
			}
			if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
				t.Fatal(err)
			}
			for _, x := range list {
				if err := w.WritePacket(x.info, x.data); err != nil {
					t.Fatal(err)
				}
			}
			check(t, file.Bytes(), list, func(p *Packet, _ *written) bool { return p.Link == linkRaw }, exact)
		}
	})
}

func check(t *rapid.T, file []byte, list []written, more func(*Packet, *written) bool, exact time.Duration) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		x := &list[i]
		var p Packet
		if err := r.Next(&p); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		at := x.info.Timestamp.UnixNano()
		if p.Time != at-at%int64(exact) || p.Len != x.info.Length || !bytes.Equal(p.Data, x.data) || !more(&p, x) {
			t.Fatalf("packet %d: %+v, want %+v", i, p, x)
		}
	}
	if err := r.Next(new(Packet)); err != io.EOF {
		t.Fatalf("behind the last packet: %v", err)
	}
}

// block makes a block of pcapng.
func block(o binary.ByteOrder, kind uint32, body ...byte) (b []byte) {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := make([]byte, 4)
	o.PutUint32(n, kind)
	b = append(b, n...)
	o.PutUint32(n, uint32(len(body)+12))
	return append(append(append(b, n...), body...), n...)
}

// ints are the bytes of numbers, of 2 bytes or of 4.
func ints(o binary.ByteOrder, list ...any) []byte {
	var b bytes.Buffer
	for _, x := range list {
		binary.Write(&b, o, x)
	}
	return b.Bytes()
}

// Either order of bytes, times of any unit, several sections, and packets without a time.
func TestSections(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		section := block(o, blockSection, ints(o, uint32(byteOrderMagic), uint16(1), uint16(0), int64(-1))...)
		face := func(link uint16, snap uint32, options ...byte) []byte {
			return block(o, blockInterface, append(ints(o, link, uint16(0), snap), options...)...)
		}
		packet := func(i uint32, ticks uint64) []byte {
			return block(o, blockPacket, append(ints(o, i, uint32(ticks>>32), uint32(ticks), uint32(3), uint32(90)), "abc"...)...)
		}
		file := bytes.Join([][]byte{
			section,
			face(101, 0, ints(o, uint16(9), uint16(1), uint32(0), uint16(14), uint16(8), int64(1000))...), // unit 1 s, after 1000 s
			face(1, 0),                      // microseconds
			block(o, 0x1234, 1, 2, 3, 4, 5), // somebody's
			packet(1, 1_500_000),
			packet(0, 7),
			section,
			face(101, 2, append(ints(o, uint16(9), uint16(1)), 0x8a, 0, 0, 0)...), // 2^-10 s
			packet(0, 1024*3+512),
			block(o, blockSimple, append(ints(o, uint32(3)), "xyz"...)...),
		}, nil)
		want := []Packet{
			{Time: 1_500_000_000, Interface: 1, Link: 1, Len: 90, Data: []byte("abc")},
			{Time: 1007_000_000_000, Interface: 0, Link: 101, Len: 90, Data: []byte("abc")},
			{Time: 3_500_000_000, Interface: 2, Link: 101, Len: 90, Data: []byte("abc")},
			{Time: 0, Interface: 2, Link: 101, Len: 3, Data: []byte("xy")},
		}
		got := all(t, file)
		if len(got) != len(want) {
			t.Fatalf("%d packets, want %d", len(got), len(want))
		}
		for i, p := range got {
			w := want[i]
			if p.Time != w.Time || p.Interface != w.Interface || p.Link != w.Link || p.Len != w.Len || !bytes.Equal(p.Data, w.Data) {
				t.Errorf("%v, packet %d: %+v, want %+v", o, i, p, w)
			}
		}
	}
}

// What is not well formed is refused.
func TestRefuses(t *testing.T) {
	o := binary.LittleEndian
	section := string(block(o, blockSection, ints(o, uint32(byteOrderMagic), uint16(1), uint16(0), int64(-1))...))
	face := string(block(o, blockInterface, ints(o, uint32(101), uint32(0))...))
	wide := string(block(o, blockInterface, append(ints(o, uint32(101), uint32(0), uint16(9), uint16(1)), 99, 0, 0, 0)...))
	packet := func(i, n uint32, high uint32) string {
		return string(block(o, blockPacket, append(ints(o, i, high, uint32(0), n, n), "abcd"...)...))
	}
	classic := string(ints(o, uint32(magicMicro), uint16(2), uint16(4), uint64(0), uint32(65535), uint32(101)))
	for file, want := range map[string]string{
		"":       ErrFormat.Error(),
		"GIF89a": ErrFormat.Error(),
		"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00aaaaaaaaaaaaaaaaaaaaaaaa": ErrFormat.Error(),
		classic[:20]:                         ErrFormat.Error(),
		section[:11]:                         io.ErrUnexpectedEOF.Error(),
		section + face[:9]:                   io.ErrUnexpectedEOF.Error(),
		section + face + face[:15]:           io.ErrUnexpectedEOF.Error(),
		section + packet(0, 4, 0):            "a packet of interface 0, and there are 0",
		section + face + packet(1, 4, 0):     "a packet of interface 1, and there are 1",
		section + face + packet(0, 5, 0):     "a packet of 5 bytes in a block with 4",
		section + face + packet(0, 4, 1<<31): "a packet with a time that no clock shows",
		section + wide + packet(0, 4, 0):     "a packet with a time that no clock shows",
		section + string(ints(o, uint32(1), uint32(13), uint32(0))):                   "a block of 13 bytes",
		section + string(ints(o, uint32(1), uint32(0xfffffffc), uint32(0))):           "a block of 4294967292 bytes",
		section + string(ints(o, uint32(1), uint32(12), uint32(16))):                  "a block with two lengths",
		section + string(block(o, blockInterface, 1)):                                 "an interface without a link type",
		section + face + string(block(o, blockPacket, 1)):                             "a packet without a length",
		section + face + string(block(o, blockSimple)):                                "a packet without a length",
		classic + string(ints(o, uint32(1), uint32(2), uint32(1<<25), uint32(3))):     "a packet of 33554432 bytes",
		classic + string(ints(o, uint32(1), uint32(2), uint32(9), uint32(9))) + "abc": io.ErrUnexpectedEOF.Error(),
		classic + "abc": io.ErrUnexpectedEOF.Error(),
	} {
		r, err := NewReader(bytes.NewReader([]byte(file)))
		for err == nil {
			err = r.Next(new(Packet))
		}
		if err.Error() != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

// The IP packet is found in whatever is around it, without what is behind it.
func TestNetwork(t *testing.T) {
	four := append([]byte{0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, "four"...)
	six := append(append([]byte{0x60, 0, 0, 0, 0, 3, 17, 64}, make([]byte, 32)...), "six"...)
	super := bytes.Clone(four)
	super[3] = 0
	for _, c := range []struct {
		name      string
		link      uint16
		before    string
		ip        []byte
		behind    string
		length    int
		direction Direction
	}{
		{"raw", linkRaw, "", four, "", 24, Unknown},
		{"raw, of a device that cuts segments up", linkRaw, "", super, "", 24, Unknown},
		{"raw, cut off", linkRaw, "", four[:21], "", 24, Unknown},
		{"raw, IPv6", linkIPv6, "", six, "", 43, Unknown},
		{"Ethernet", linkEthernet, "aaaaaabbbbbb\x08\x00", four, "padding", 24, Unknown},
		{"Ethernet, VLANs", linkEthernet, "aaaaaabbbbbb\x88\xa8\x00\x01\x81\x00\x00\x02\x86\xdd", six, "", 43, Unknown},
		{"loopback", linkNull, "\x02\x00\x00\x00", four, "", 24, Unknown},
		{"cooked, in", linkCooked, "\x00\x00\x00\x01\x00\x06aaaaaa\x00\x00\x08\x00", four, "", 24, In},
		{"cooked, out", linkCooked, "\x00\x04\x00\x01\x00\x06aaaaaa\x00\x00\x86\xdd", six, "", 43, Out},
		{"cooked anew, out", linkCooked2, "\x08\x00\x00\x00\x00\x00\x00\x01\x00\x01\x04\x06aaaaaa\x00\x00", four, "", 24, Out},
	} {
		p := Packet{Link: c.link, Data: []byte(c.before + string(c.ip) + c.behind)}
		p.Len = len(p.Data)
		b, n, ok := p.IP()
		if !ok || !bytes.Equal(b, c.ip) || n != c.length || p.Direction != c.direction {
			t.Errorf("%s: %x, %d, %v, %v", c.name, b, n, ok, p.Direction)
		}
	}
	for name, p := range map[string]Packet{
		"ARP":         {Link: linkEthernet, Data: []byte("aaaaaabbbbbb\x08\x06................")},
		"a short one": {Link: linkEthernet, Data: []byte("aaaaaabbbbbb\x08")},
		"no IP":       {Link: linkRaw, Data: []byte("abcdefghijklmnopqrstuvwxyz")},
		"nothing":     {Link: linkRaw},
		"another":     {Link: 9999, Data: four},
	} {
		if _, _, ok := p.IP(); ok {
			t.Errorf("%s is taken for IP", name)
		}
	}
}

// FuzzReader reads any bytes: what comes out is in bounds, and in the end there is an error.
func FuzzReader(f *testing.F) {
	o := binary.LittleEndian
	file := append(block(o, blockSection, ints(o, uint32(byteOrderMagic), uint32(1), int64(-1))...), block(o, blockInterface, ints(o, uint32(1), uint32(0))...)...)
	file = append(file, block(o, blockPacket, append(ints(o, uint32(0), uint32(5), uint32(6), uint32(40), uint32(60)), make([]byte, 60)...)...)...)
	f.Add(file)
	f.Add(append(ints(o, uint32(magicNano), uint32(0), uint64(0), uint32(65535), uint32(113), uint32(1), uint32(2), uint32(4), uint32(4)), "abcd"...))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			var p Packet
			if err := r.Next(&p); err != nil {
				if errors.Is(err, io.EOF) != (err == io.EOF) {
					t.Fatal(err)
				}
				return
			}
			if n > len(file)/12 {
				t.Fatalf("%d packets in %d bytes", n, len(file))
			}
			b, size, ok := p.IP()
			if len(p.Data) > len(file) || p.Time < 0 || p.Len < 0 || ok && (len(b) == 0 || size < 0 || len(b) > len(p.Data)) {
				t.Fatalf("%+v: %d, %d", p, len(b), size)
			}
		}
	})
}
