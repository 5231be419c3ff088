package link

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// TestPcapAsks: a process that executes another program, and one that has its number, have the new name soon; one that is gone
// keeps its own.
func TestPcapAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		runs, asked := "sh", 0
		w, err := PcapConfig{Program: func(int32) string { asked++; return runs }}.NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		i := w.Interface(Info{})
		for _, runs = range []string{"sh", "sh", "curl", "curl", ""} {
			time.Sleep(nameAge)
			for range 10 {
				p := owned(7, "x")
				i.Record(Sent, []*Packet{p})
				p.Free()
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var processes, packets []string
		for _, b := range blocksOf(t, file.Bytes()) {
			switch b.kind {
			case blockProcess:
				processes = append(processes, b.options[optName]...)
			case blockPacket:
				packets = append(packets, fmt.Sprint(b.process(), b.comments()))
			}
		}
		if want := []string{"sh", "curl"}; !slices.Equal(processes, want) {
			t.Errorf("processes %q", processes)
		}
		want := append(slices.Repeat([]string{"0 [pid 7 (sh) socket 3]"}, 20), slices.Repeat([]string{"1 [pid 7 (curl) socket 3]"}, 30)...)
		if !slices.Equal(packets, want) {
			t.Errorf("packets %q", packets)
		}
		if asked != 5 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestPcapFilesNames: names that are many leave room for packets in each file.
func TestPcapFilesNames(t *testing.T) {
	var m fileList
	first, _ := m.next()
	w, err := PcapConfig{Size: 8192, Next: m.next}.NewWriter(first)
	if err != nil {
		t.Fatal(err)
	}
	i := w.Interface(Info{})
	for k := range 1000 {
		w.Resolved(netip.AddrFrom4([4]byte{10, 0, byte(k >> 8), byte(k)}), fmt.Sprintf("host%04d.test", k))
	}
	const sent = 500
	for range sent {
		p := owned(7, "x")
		i.Record(Sent, []*Packet{p})
		p.Free()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for k, f := range m.files[1:] {
		n += len(packetsOf(blocksOf(t, f.Bytes())))
		if f.Len() > 8192+300 {
			t.Errorf("file %d has %d bytes", k+1, f.Len())
		}
		if b := f.String(); !strings.Contains(b, "host0999.test") || strings.Contains(b, "host0000.test") {
			t.Errorf("file %d has not the last names, and those alone", k+1)
		}
	}
	if n == 0 || len(m.files) > 20 {
		t.Errorf("%d packets in %d files", n, len(m.files))
	}
}

// TestPcapHostNames has names told that no file of text can have, and others.
func TestPcapHostNames(t *testing.T) {
	var file bytes.Buffer
	w := NewPcapWriter(&file, 0)
	w.Interface(Info{})
	a := netip.MustParseAddr("10.0.0.1")
	for _, name := range []string{"", ".", "\x1b[2J.test", "two\nlines.test", "nul\x00.test", "\xff.test", strings.Repeat("x", 256), "bücher.test.", "later.test"} {
		w.Resolved(a, name)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range blocksOf(t, file.Bytes()) {
		if b.kind == blockNames {
			got = append(got, string(bytes.TrimRight(b.body[8:], "\x00")))
		}
	}
	if want := []string{"bücher.test"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
