package link

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"usock/internal/dns"
	"usock/packet"
)

// udpOf is an IPv4 packet of UDP, without checksums.
func udpOf(src, dst byte, sport, dport uint16, data string) []byte {
	b := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protoUDP, 0, 0, 10, 0, 0, src, 10, 0, 0, dst}, make([]byte, 8)...)
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	return b
}

// FuzzPcapResolves records any packet as sent, and any as received: names are text, and those that were asked for.
func FuzzPcapResolves(f *testing.F) {
	const asked, gave = "\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01",
		"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\xc0\x00\x02\x07"
	question, answer := udpOf(1, 2, 4000, dns.Port, asked), udpOf(2, 1, dns.Port, 4000, gave)
	f.Add(question, answer)
	f.Add(question[:24], answer[:24])
	f.Fuzz(func(t *testing.T, sent, received []byte) {
		if len(sent) > maxSnapLen || len(received) > maxSnapLen {
			return
		}
		w := NewPcapWriter(io.Discard, 0)
		i := w.Interface(Info{})
		i.learn()
		for n, b := range [][]byte{sent, received} {
			p := packet.New()
			block := packet.Copy(b)
			p.Payload.Append(block)
			i.Record([]Directions{Sent, Received}[n], []*Packet{p})
			p.Free()
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if bytes.Equal(sent, question) && bytes.Equal(received, answer) && len(w.hosts.list) != 1 {
			t.Error("the answer is not known")
		}
		for _, h := range w.hosts.list {
			found := false
			for q := range w.questions.asked {
				found = found || q.Name == h.name
			}
			if !found || !isText(h.name) {
				t.Errorf("%q was not asked for", h.name)
			}
		}
	})
}
