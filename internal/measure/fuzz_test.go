package measure

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/link"
	"usock/shape"
)

// FuzzRead reads any bytes as a capture: what is written of it, if anything is, are traces that are read again.
func FuzzRead(f *testing.F) {
	f.Add(captured(f, []seen{
		{0, 1, wire.SYN, 100, 0, 0, link.Sent},
		{4 * ms, 2, wire.SYN | wire.ACK, 500, 101, 0, link.Received},
		{5 * ms, 1, wire.ACK, 101, 501, 10, link.Sent},
		{60 * ms, 2, wire.ACK, 501, 111, 1400, link.Received},
		{61 * ms, 2, wire.ACK, 501, 111, 1400, link.Received},
	}).Bytes(), uint8(100))
	classic := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	classic = append(classic, "\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x65\x00\x00\x00"...) // link type RAW
	for _, p := range []*link.Packet{udp(60), udp(1500)} {
		b := p.AppendTo(nil)
		p.Free()
		for _, v := range []int{1, len(classic), len(b), len(b)} {
			classic = binary.LittleEndian.AppendUint32(classic, uint32(v))
		}
		classic = append(classic, b...)
	}
	f.Add(classic, uint8(1))
	f.Fuzz(func(t *testing.T, file []byte, window uint8) {
		n, err := Read(bytes.NewReader(file), "")
		if err != nil {
			return
		}
		reads := func(out *strings.Builder, which link.Directions) {
			trace, err := shape.ParseTrace(strings.NewReader(out.String()))
			if err != nil {
				t.Fatalf("%v\n%.1000s", err, out)
			}
			if err := trace.Apply(new(shape.Shape), which); err != nil {
				t.Fatalf("%v\n%.1000s", err, out)
			}
		}
		for _, which := range []link.Directions{link.Sent, link.Received, link.BothWays} {
			var out strings.Builder
			if n.WriteCSV(&out, time.Duration(window)*ms+ms, which) == nil {
				reads(&out, link.BothWays)
			}
		}
		for _, w := range []*Way{&n.Up, &n.Down} {
			var out strings.Builder
			if w.WriteMahimahi(&out) == nil {
				reads(&out, link.Sent)
			}
		}
	})
}
