package link

import (
	"bytes"
	"encoding/binary"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

func FuzzVnet(f *testing.F) {
	f.Add([]byte{1, 1, 40, 0, 0xb4, 5, 20, 0, 16, 0}, make([]byte, 3000), 0)
	f.Add([]byte{1, 0x84, 54, 0, 0xb4, 5, 34, 0, 16, 0}, make([]byte, 100), 14)
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x45}, 0)
	f.Fuzz(func(t *testing.T, head, data []byte, skip int) {
		if len(head) < vnetLen || len(data) > 65535 || skip < 0 || skip > ethernetLen || len(data) <= skip {
			return
		}
		p := packet.FromBytes(data)
		defer p.Free()
		if !setVnet((*[vnetLen]byte)(head), p, skip) {
			return
		}
		if p.ChecksumOffset != 0 && skip+int(p.ChecksumStart)+int(p.ChecksumOffset)+2 > len(data) {
			t.Errorf("checksum at %d+%d of %d bytes", p.ChecksumStart, p.ChecksumOffset, len(data))
		}
		var out [vnetLen]byte
		if putVnet(&out, p, skip) && p.ChecksumOffset != 0 && !bytes.Equal(out[6:], head[6:vnetLen]) {
			t.Errorf("%x came back as %x", head[:vnetLen], out)
		}
	})
}

// The header of a large segment tells where its headers end and how long each piece
// of data is.
func TestPutVnet(t *testing.T) {
	for _, c := range []struct {
		version, size int
		flags         wire.TCPFlags
		skip          int
		kind          byte
		head          uint16
	}{
		{4, 4000, wire.ACK, 0, vnetTCPv4, 40},
		{6, 4000, wire.ACK, 0, vnetTCPv6, 40},
		{4, 4000, wire.ACK | wire.CWR, 14, vnetTCPv4 | vnetECN, 54},
		{4, 1400, wire.ACK, 0, vnetNone, 0}, // one segment is none
	} {
		p := packet.FromBytes(make([]byte, c.size))
		h := wire.TCP{Flags: c.flags}
		h.Put(p.Prepend(h.Len()))
		copy(p.Prepend(20), []byte{byte(c.version << 4)})
		p.Prepend(c.skip)
		p.ChecksumStart, p.ChecksumOffset, p.SegmentSize = 20, 16, 1400
		var b [vnetLen]byte
		if !putVnet(&b, p, c.skip) {
			t.Fatalf("%+v refused", c)
		}
		n := binary.NativeEndian
		size := uint16(1400)
		if c.kind == vnetNone {
			size = 0
		}
		if b[0] != vnetNeedsChecksum || b[1] != c.kind || n.Uint16(b[2:]) != c.head || n.Uint16(b[4:]) != size ||
			n.Uint16(b[6:]) != uint16(20+c.skip) || n.Uint16(b[8:]) != 16 {
			t.Errorf("%+v: %x", c, b)
		}
		p.Free()
	}
}
