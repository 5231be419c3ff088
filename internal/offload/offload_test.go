package offload

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

func leakCheck(t testing.TB) {
	packet.Track(true)
	live := packet.Live()
	t.Cleanup(func() {
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*5 + i>>8)
	}
	return b
}

// segment returns a packet with a large TCP segment, its checksum partial.
func segment(v6 bool, size int, data ...[]byte) *packet.Packet {
	p := packet.New()
	n := 0
	for _, d := range data {
		p.Payload.Append(packet.Copy(d))
		n += len(d)
	}
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	if v6 {
		src, dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	h := wire.TCP{
		SrcPort: 1, DstPort: 2, Seq: 0xffffff00, Ack: 7, Window: 99,
		Flags:   wire.ACK | wire.PSH | wire.FIN | wire.CWR,
		Options: wire.TCPOptions{HasTimestamp: true, TSVal: 5, TSEcr: 6},
	}
	tl := h.Len()
	b := p.Prepend(tl)
	h.Put(b)
	var c wire.Checksum
	c.AddPseudo(src, dst, 6, tl+n)
	binary.BigEndian.PutUint16(b[16:], c.Partial())
	p.ChecksumOffset = 16
	if v6 {
		ip := wire.IPv6{Src: src, Dst: dst, HopLimit: 64, Next: 6, PayloadLen: uint16(tl + n)}
		ip.Put(p.Prepend(wire.IPv6Len))
		p.ChecksumStart = wire.IPv6Len
	} else {
		ip := wire.IPv4{Src: src, Dst: dst, TTL: 64, Proto: 6, ID: 0xffff, TotalLen: uint16(20 + tl + n)}
		ip.Put(p.Prepend(wire.IPv4MinLen))
		p.ChecksumStart = wire.IPv4MinLen
	}
	p.SegmentSize = uint16(size)
	p.Owner = packet.Owner{PID: 1, Socket: 2}
	return p
}

// check returns the TCP header and data of a whole packet and fails on bad lengths
// or checksums.
func check(t testing.TB, b []byte) (h wire.TCP, id uint16, data []byte) {
	t.Helper()
	var c wire.Checksum
	net := wire.IPv6Len
	if b[0]>>4 == 4 {
		ip, n, err := wire.ParseIPv4(b)
		if err != nil || int(ip.TotalLen) != len(b) || wire.ChecksumOf(b[:n]) != 0 {
			t.Fatalf("IPv4 header %x", b[:20])
		}
		net, id = n, ip.ID
		c.AddPseudo(ip.Src, ip.Dst, 6, len(b)-n)
	} else {
		ip, err := wire.ParseIPv6(b)
		if err != nil || int(ip.PayloadLen) != len(b)-net {
			t.Fatalf("IPv6 header %x", b[:40])
		}
		c.AddPseudo(ip.Src, ip.Dst, 6, len(b)-net)
	}
	c.Add(b[net:])
	if c.Sum() != 0 {
		t.Fatal("TCP checksum")
	}
	h, n, err := wire.ParseTCP(b[net:])
	if err != nil {
		t.Fatal(err)
	}
	return h, id, b[net+n:]
}

func TestSegment(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{1, 100, 999, 1000, 1001, 30000, 60000} {
			leakCheck(t)
			d := pattern(n)
			p := segment(v6, 1000, d[:n/3], d[n/3:n/2], d[n/2:])
			var got []byte
			i := 0
			ok := Segment(p, func(s *packet.Packet) {
				defer s.Free()
				if s.ChecksumOffset != 0 || s.SegmentSize != 0 || s.Owner.Socket != 2 {
					t.Errorf("notes %+v", s.Owner)
				}
				h, id, data := check(t, s.AppendTo(nil))
				last := len(got)+len(data) == n
				want := wire.ACK
				if last {
					want |= wire.PSH | wire.FIN
				}
				if i == 0 {
					want |= wire.CWR
				}
				if h.Seq != 0xffffff00+uint32(len(got)) || h.Flags != want || h.Options.TSVal != 5 || !last && len(data) != 1000 ||
					!v6 && id != 0xffff+uint16(i) {
					t.Errorf("segment %d: %+v, %d bytes", i, h, len(data))
				}
				got = append(got, data...)
				i++
			})
			if !ok || !bytes.Equal(got, d) || i != (n+999)/1000 {
				t.Errorf("%d bytes: %v, %d in %d segments", n, ok, len(got), i)
			}
		}
	}
}

// What is cut is what Segment makes, once its checksums are completed. Datagrams that must not be fragmented keep
// the number of the whole.
func TestCut(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, dont := range []bool{false, true} {
			leakCheck(t)
			d := pattern(10_500)
			whole := func() *packet.Packet {
				p := segment(v6, 1000, d[:4200], d[4200:])
				if b := p.Head(); !v6 && dont {
					b[6] |= 0x40
				}
				return p
			}
			var want [][]byte
			Segment(whole(), func(s *packet.Packet) {
				want = append(want, s.AppendTo(nil))
				s.Free()
			})
			i := 0
			ok := Cut(whole(), func(s *packet.Packet) {
				defer s.Free()
				if s.ChecksumOffset == 0 || s.SegmentSize != 0 || s.Owner.Socket != 2 || !Complete(s, 0) {
					t.Fatalf("notes %+v", s.Owner)
				}
				got := s.AppendTo(nil)
				_, id, _ := check(t, got)
				if !v6 && dont {
					if id != 0xffff {
						t.Errorf("segment %d has number %d", i, id)
					}
					copy(got[4:12], want[i][4:12]) // number, and with it the header's checksum
				}
				if !bytes.Equal(got, want[i]) {
					t.Errorf("segment %d: %x, want %x", i, got[:72], want[i][:72])
				}
				i++
			})
			if !ok || i != len(want) {
				t.Errorf("%v, %d segments of %d", ok, i, len(want))
			}
		}
	}
}

func TestSegmentRefuses(t *testing.T) {
	leakCheck(t)
	emit := func(p *packet.Packet) { t.Error("emitted"); p.Free() }
	for name, edit := range map[string]func([]byte){
		"UDP":      func(b []byte) { b[9] = 17 },
		"fragment": func(b []byte) { b[6] = 0x20 },
		"version":  func(b []byte) { b[0] = 0x75 },
		"offset":   func(b []byte) { b[32] = 0x40 },
	} {
		p := segment(false, 10, pattern(100))
		edit(p.Head())
		if Segment(p, emit) {
			t.Errorf("%s: accepted", name)
		}
	}
	p := segment(false, 0, pattern(100))
	p.ChecksumStart = 200
	if Segment(p, emit) {
		t.Error("checksum beyond the packet")
	}
}

func TestSegmentNoNote(t *testing.T) {
	leakCheck(t)
	n := 0
	Segment(segment(true, 0, pattern(101)), func(p *packet.Packet) {
		n++
		check(t, p.AppendTo(nil))
		p.Free()
	})
	if n != 1 {
		t.Error(n)
	}
}

// A checksum is completed wherever the header lies, and no shared byte is written.
func TestComplete(t *testing.T) {
	leakCheck(t)
	whole := segment(false, 0, pattern(333))
	defer whole.Free()
	raw := whole.AppendTo(nil)
	for _, cut := range []int{0, 10, 20, 36, 40, 52, len(raw) - 1} {
		p := packet.New()
		copy(p.Prepend(min(cut, 150)), raw)
		b := packet.NewBlock(len(raw))
		n := copy(b.Bytes(), raw[min(cut, 150):])
		b.Retain()
		p.Payload.Append(b.View(0, n))
		p.ChecksumStart, p.ChecksumOffset = whole.ChecksumStart, whole.ChecksumOffset
		if !Complete(p, 0) {
			t.Fatal(cut)
		}
		check(t, p.AppendTo(nil))
		if !bytes.Equal(b.Bytes()[:n], raw[min(cut, 150):]) {
			t.Error("a shared byte was written to")
		}
		b.Release()
		p.Free()
	}
	p := segment(false, 0, pattern(10))
	p.Consume(20)
	if !Complete(p, 20) || p.ChecksumOffset != 0 {
		t.Error("behind the network header")
	}
	p.Free()
}

// withCRC returns a packet of 32 zeros behind 20 bytes, in pieces that are cut at the places in
// cuts, the first of which is the head. What is to be completed is the CRC32c of the zeros.
func withCRC(cuts ...int) *packet.Packet {
	raw := append(bytes.Repeat([]byte{0xee}, 20), make([]byte, 32)...)
	p := packet.New()
	at := cuts[0]
	copy(p.Prepend(at), raw)
	for _, end := range append(cuts[1:], len(raw)) {
		p.Payload.Append(packet.Copy(raw[at:end]))
		at = end
	}
	p.ChecksumStart, p.ChecksumOffset, p.CRC32c = 20, 8, true
	return p
}

// The CRC32c of 32 zeros stands in the header as RFC 3720, appendix B.4, has its bytes, in a
// packet however it lies and in a copy.
func TestCompleteCRC32c(t *testing.T) {
	leakCheck(t)
	want := append(bytes.Repeat([]byte{0xee}, 20), make([]byte, 32)...)
	copy(want[28:], []byte{0xaa, 0x36, 0x91, 0x8a})
	for _, cuts := range [][]int{{0}, {20}, {0, 25}, {0, 20, 29}, {28, 30}, {52 - 1}, {32}, {10, 11, 12}} {
		p := withCRC(cuts...)
		dup := p.AppendTo(nil)
		CompleteCopy(dup, p)
		if !bytes.Equal(dup, want) {
			t.Errorf("%v: the copy is %x", cuts, dup)
		}
		if !Complete(p, 0) || p.ChecksumOffset != 0 || p.CRC32c {
			t.Errorf("%v: not completed", cuts)
		}
		if b := p.AppendTo(nil); !bytes.Equal(b, want) {
			t.Errorf("%v: %x", cuts, b)
		}
		p.Free()
	}

	// A field of 4 bytes that ends one byte behind the packet is no field of it.
	p := withCRC(20)
	p.ChecksumOffset = 29
	dup := p.AppendTo(nil)
	if CompleteCopy(dup, p); Complete(p, 0) || !p.CRC32c || !bytes.Equal(dup, p.AppendTo(nil)) {
		t.Error("completed beyond the packet")
	}
	p.Free()
}

// An Internet checksum that comes to zero is written as such in TCP, and as ones in UDP.
func TestZeroChecksum(t *testing.T) {
	for field, want := range map[uint16]uint16{udpField: 0xffff, 16: 0} {
		b := make([]byte, 20)
		b[0], b[1] = 0xff, 0xff
		p := packet.FromBytes(b)
		p.ChecksumOffset = field
		CompleteCopy(b, p)
		Complete(p, 0)
		for _, b := range [][]byte{b, p.AppendTo(nil)} {
			if got := binary.BigEndian.Uint16(b[field:]); got != want {
				t.Errorf("at %d: %04x, want %04x", field, got, want)
			}
		}
		p.Free()
	}
}

func FuzzSegment(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		p := segment(v6, 100, pattern(300))
		f.Add(p.AppendTo(nil), uint16(100), uint16(20), uint16(16), uint8(50))
		f.Add(p.AppendTo(nil), uint16(0), uint16(20), uint16(16), uint8(0))
		p.Free()
	}
	f.Fuzz(func(t *testing.T, b []byte, size, start, field uint16, cut uint8) {
		if len(b) > packet.MaxBlock {
			return
		}
		leakCheck(t)
		p := packet.New()
		k := min(int(cut), len(b), 150)
		copy(p.Prepend(k), b)
		p.Payload.Append(packet.Copy(b[k:]))
		p.SegmentSize, p.ChecksumStart, p.ChecksumOffset = size, start, field
		Segment(p, func(s *packet.Packet) {
			if size != 0 {
				check(t, s.AppendTo(nil))
			}
			s.Free()
		})
	})
}
