package ip

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// protoCRC is a protocol with a CRC32c at the end of its 12 bytes of header, as SCTP has it.
const (
	protoCRC        = 253 // for experiments (RFC 3692)
	sumCRC          = CRC32c | 8
	headCRC         = 12
	crcAt           = 8
	unfilled uint32 = 0
)

// crcPacket returns header and data of protoCRC, and the checksum that belongs to them.
func crcPacket(n int) (head, data []byte, sum uint32) {
	head, data = make([]byte, headCRC), pattern(n)
	copy(head, "porttag.")
	return head, data, crc32.Checksum(slices.Concat(head, data), crc32.MakeTable(crc32.Castagnoli))
}

// Only a link that says that it takes packets without CRC32c gets them so, whatever it says of
// the Internet checksum; a fragmented one is never left to it.
func TestOutputCRC32c(t *testing.T) {
	for _, c := range []struct {
		link IfaceConfig
		size int
		left bool
	}{
		{IfaceConfig{}, 301, false},
		{IfaceConfig{Checksum: true}, 301, false},
		{IfaceConfig{CRC32c: true}, 301, true},
		{IfaceConfig{CRC32c: true}, 2000, false},
	} {
		for _, dst := range []string{peerA, peerB} {
			c.link.Name = "eth0"
			b := newBenchIface(t, Config{}, c.link)
			head, data, want := crcPacket(c.size)
			if err := b.send(dst, slices.Clone(head), data, Out{Proto: protoCRC, Checksum: sumCRC}); err != nil {
				t.Fatal(err)
			}
			net, p := wire.IPv4MinLen, b.wire.out[0]
			if dst == peerB {
				net = wire.IPv6Len
			}
			if left := p.CRC32c && int(p.ChecksumStart) == net && p.ChecksumOffset == crcAt; left != c.left || p.CRC32c != c.left {
				t.Errorf("%+v: left to the link: %v, want %v", c.link, left, c.left)
			}
			if c.left {
				want = unfilled
			}
			raw := b.sent()[0]
			if c.size > 1500 && dst == peerB {
				net += wire.IPv6FragmentLen
			}
			if got := binary.LittleEndian.Uint32(raw[net+crcAt:]); got != want {
				t.Errorf("%+v, %d bytes: CRC32c %08x, want %08x", c.link, c.size, got, want)
			}
		}
	}
}

// A CRC32c that was left to a link is completed where a packet goes on to one that does not
// take it, and left where that does.
func TestForwardCRC32c(t *testing.T) {
	for _, c := range []struct {
		to   IfaceConfig
		left bool
		size int
	}{
		{IfaceConfig{Checksum: true}, false, 500},
		{IfaceConfig{CRC32c: true}, true, 500},
		{IfaceConfig{CRC32c: true}, false, 1400},
	} {
		r := newRouter(t, c.to)
		head, data, want := crcPacket(c.size)
		p := packet.FromBytes(packetBytes(peerA, "10.1.0.2", protoCRC, slices.Concat(head, data), nil))
		p.ChecksumStart, p.ChecksumOffset, p.CRC32c = wire.IPv4MinLen, crcAt, true
		r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
		if noted := r.wire1.out[0].CRC32c; noted != c.left {
			t.Errorf("%+v: left to the link: %v", c.to, noted)
		}
		if c.left {
			want = unfilled
		}
		if got := binary.LittleEndian.Uint32(r.sent1()[0][wire.IPv4MinLen+crcAt:]); got != want {
			t.Errorf("%+v: CRC32c %08x, want %08x", c.to, got, want)
		}
	}
}

// A receiver verifies a CRC32c with the header in the head or in the first view, and finds each
// byte that was changed.
func TestCRC32cOK(t *testing.T) {
	head, data, sum := crcPacket(40)
	binary.LittleEndian.PutUint32(head[crcAt:], sum)
	whole := slices.Concat(head, data)
	for _, inHead := range []bool{true, false} {
		verify := func(b []byte) bool {
			p := packet.New()
			defer p.Free()
			if inHead {
				copy(p.Prepend(headCRC), b)
				p.Payload.Append(packet.Copy(b[headCRC:]))
			} else {
				p.Payload.Append(packet.Copy(b[:30]))
				p.Payload.Append(packet.Copy(b[30:]))
			}
			return sumCRC.OK(p, new(Meta))
		}
		if !verify(whole) {
			t.Error("a whole packet is refused")
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			if bad[i]++; verify(bad) {
				t.Errorf("byte %d changed: taken", i)
			}
		}
	}

	short := packet.FromBytes(whole[:headCRC-1])
	if sumCRC.OK(short, new(Meta)) {
		t.Error("a packet that ends within the checksum is taken")
	}
	short.Free()
	empty := packet.New()
	if sumCRC.OK(empty, new(Meta)) {
		t.Error("an empty packet is taken")
	}
	empty.Free()
}
