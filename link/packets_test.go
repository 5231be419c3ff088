package link

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"usock/internal/offload"
	"usock/internal/wire"
)

// header puts an IP header in front of p, and leaves the transport's checksum to
// the device if offload says so.
func header(p *Packet, src, dst netip.Addr, proto uint8, field int, offloaded bool) {
	var c wire.Checksum
	n := p.Len()
	c.AddPseudo(src, dst, proto, n)
	binary.BigEndian.PutUint16(p.Head()[field:], c.Partial())
	if src.Is4() {
		h := wire.IPv4{Src: src, Dst: dst, Proto: proto, TTL: 64, TotalLen: uint16(20 + n), DontFragment: true}
		h.Put(p.Prepend(20))
		p.ChecksumStart = 20
	} else {
		h := wire.IPv6{Src: src, Dst: dst, Next: proto, HopLimit: 64, PayloadLen: uint16(n)}
		h.Put(p.Prepend(40))
		p.ChecksumStart = 40
	}
	p.ChecksumOffset = uint16(field)
	if !offloaded {
		offload.Complete(p, 0)
	}
}

// parse returns the addresses and protocol of an IP packet and what follows its
// header, and checks the transport's checksum unless it is left to the receiver.
func parse(t *testing.T, p *Packet) (src, dst netip.Addr, proto uint8, rest []byte) {
	t.Helper()
	b := p.AppendTo(nil)
	if b[0]>>4 == 4 {
		h, n, err := wire.ParseIPv4(b)
		if err != nil || wire.ChecksumOf(b[:n]) != 0 {
			t.Fatalf("IPv4 header: %v, %x", err, b[:n])
		}
		src, dst, proto, rest = h.Src, h.Dst, h.Proto, b[n:h.TotalLen]
	} else {
		h, err := wire.ParseIPv6(b)
		if err != nil {
			t.Fatal(err)
		}
		src, dst, proto, rest = h.Src, h.Dst, h.Next, b[40:]
	}
	if p.ChecksumOffset == 0 {
		var c wire.Checksum
		if proto != 1 { // ICMP has no pseudo-header
			c.AddPseudo(src, dst, proto, len(rest))
		}
		c.Add(rest)
		if c.Sum() != 0 {
			t.Errorf("wrong checksum in %x", b)
		}
	} else if !p.Trusted {
		t.Error("a packet without checksum is not trusted")
	}
	return src, dst, proto, rest
}
