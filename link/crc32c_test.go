package link

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"usock/internal/wire"
	"usock/packet"
)

const (
	protoSCTP = 132
	sctpLen   = 12 // ports, verification tag, CRC32c
	sctpSum   = 8
)

// sctpPacket returns a packet with SCTP's header (RFC 9260, section 3.1) as a host builds it, its
// CRC32c left to the link, and what its bytes are to be once that is completed.
func sctpPacket(src, dst netip.Addr, proto uint8, data []byte) (p *Packet, want []byte) {
	p = packet.New()
	p.Payload.Append(packet.Copy(data))
	b := p.Prepend(sctpLen)
	clear(b)
	copy(b, []byte{0x13, 0x88, 0x13, 0x89, 1, 2, 3, 4})
	sum := crc32.Checksum(p.AppendTo(nil), crc32.MakeTable(crc32.Castagnoli))
	h := wire.IPv4{Src: src, Dst: dst, Proto: proto, TTL: 64, TotalLen: uint16(wire.IPv4MinLen + p.Len()), DontFragment: true}
	h.Put(p.Prepend(wire.IPv4MinLen))
	p.ChecksumStart, p.ChecksumOffset, p.CRC32c, p.Trusted = wire.IPv4MinLen, sctpSum, true, true
	want = p.AppendTo(nil)
	binary.LittleEndian.PutUint32(want[wire.IPv4MinLen+sctpSum:], sum)
	return p, want
}

var left, right = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")

// A recording has the CRC32c; the packet goes on without.
func TestPcapCRC32c(t *testing.T) {
	leakCheck(t)
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	a, b := Pipe(PipeConfig{})
	defer a.Close()
	l := Pcap(a, w, Sent).(Direct)
	b.Deliver(func(batch []*Packet) {
		for _, p := range batch {
			if !p.CRC32c || p.ChecksumOffset != sctpSum {
				t.Error("the recording changed the packet")
			}
			p.Free()
		}
	})
	p, want := sctpPacket(left, right, protoSCTP, []byte("an odd one"))
	l.Send([]*Packet{p})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.ReadPacketData(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("recorded %x, %v; want %x", got, err, want)
	}
}

// What is corrupted was whole before: a receiver can tell by the CRC32c.
func TestCorruptCRC32c(t *testing.T) {
	leakCheck(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		p, want := sctpPacket(left, right, protoSCTP, []byte("data"))
		corrupt(p, rnd)
		if p.Trusted || p.CRC32c || p.ChecksumOffset != 0 {
			t.Error("a corrupt packet has notes")
		}
		wrong := 0
		for i, v := range p.AppendTo(nil) {
			for x := v ^ want[i]; x != 0; x &= x - 1 {
				wrong++
			}
		}
		if wrong != 1 {
			t.Errorf("%d bits differ, want 1", wrong)
		}
		p.Free()
	}
}
