package link

import (
	"bytes"
	"strings"
	"testing"

	"usock/packet"
)

// TestPcapNames looks for the names of programs in the comments of their packets.
func TestPcapNames(t *testing.T) {
	leakCheck(t)
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	a, b := Pipe(PipeConfig{})
	l := Pcap(a, w, Sent).(Direct)
	l.Deliver(func([]*packet.Packet) {})
	b.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			p.Free()
		}
	})
	send := func(pid int32) {
		p := datagram("10.0.0.1", "10.0.0.2", []byte("data"))
		p.Owner = packet.Owner{PID: pid, Socket: 7}
		l.Send([]*Packet{p})
	}
	w.Name(123, "sh")
	send(123)
	w.Name(123, "curl") // it has executed that
	send(123)
	send(124)
	w.Name(125, strings.Repeat("n", 500)+"\xff")
	send(125)
	w.Name(126, "a\xffb")
	send(126)
	for pid := int32(1000); pid < 1000+2*maxNames; pid++ {
		w.Name(pid, "one of many")
	}
	send(999 + 2*maxNames)
	if n := len(w.names.by); n > maxNames {
		t.Errorf("%d names are kept", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	b.Close()
	for _, want := range []string{
		"pid 123 (sh) socket 7", "pid 123 (curl) socket 7", "pid 124 socket 7", "pid 125 (" + strings.Repeat("n", maxNameLen) + ") socket 7",
		"pid 126 (ab) socket 7", "pid 66535 (one of many) socket 7",
	} {
		if n := strings.Count(file.String(), want); n != 1 {
			t.Errorf("%q is there %d times", want, n)
		}
	}
}
