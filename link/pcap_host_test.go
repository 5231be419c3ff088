package link_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"usock"
	"usock/link"
)

// tshark runs the program on a capture and returns its lines.
func tshark(t *testing.T, file string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	// Nothing above TCP and UDP is decoded, nor guessed at: their data is no
	// protocol's.
	all := []string{"-r", file, "-n", "--disable-protocol", "ALL"}
	for _, p := range [...]string{"frame", "raw", "ip", "ipv6", "ipv6.fraghdr", "tcp", "udp", "icmp", "icmpv6", "pkt_comment"} {
		all = append(all, "--enable-protocol", p)
	}
	for _, p := range [...]string{"tcp", "udp"} {
		all = append(all, "-d", p+".port==1-65535,data")
	}
	for _, p := range [...]string{"tcp", "udp", "ip"} {
		all = append(all, "-o", p+".check_checksum:TRUE")
	}
	cmd := exec.Command(path, append(all, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, complaints.String())
	}
	for line := range strings.Lines(complaints.String()) {
		if !strings.Contains(line, "Running as user") {
			t.Errorf("tshark: %s", line)
		}
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// What two hosts say to each other over a pipe, and one to itself, is recorded so
// that tshark decodes all of it and finds nothing wrong: no bad checksum, nothing
// missing, nothing twice, nothing out of order.
func TestPcapOfHosts(t *testing.T) {
	data := make([]byte, 1<<20)
	rand.Read(data)
	record := func(name string) (*link.PcapWriter, string, *os.File) {
		file := filepath.Join(t.TempDir(), name)
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		return link.NewPcapWriter(f, 0), file, f
	}
	check := func(file string, w *link.PcapWriter, f *os.File) {
		t.Helper()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		// Of severity "note" are also the ends of connections; a receiver may well
		// fill its window.
		const objections = "(_ws.expert.severity >= 0x400000 && !tcp.flags.fin == 1 || tcp.analysis.flags || _ws.malformed)" +
			" && !tcp.analysis.window_full && !tcp.analysis.zero_window && !tcp.analysis.window_update"
		for _, line := range tshark(t, file, "-Y", objections) {
			t.Errorf("tshark objects to: %s", line)
		}
		ends := tshark(t, file, "-Y", "tcp.flags.fin == 1")
		if len(ends) != 4 {
			t.Errorf("%d FINs, want 2 of each connection", len(ends))
		}
		// A connection that was not accepted yet has no socket.
		for _, line := range tshark(t, file, "-Y", "!frame.comment && (tcp.len > 0 || !tcp)") {
			t.Errorf("no socket is named: %s", line)
		}
	}

	// In virtual time no timer goes off while a program works.
	w, file, f := record("pipe.pcapng")
	synctest.Test(t, func(t *testing.T) {
		a, b := link.Pipe(link.PipeConfig{MTU: 1500, SmallSegments: true})
		left := newHost(t, usock.Config{Interfaces: []usock.Interface{
			{Link: link.Pcap(a, w, link.BothWays), Addrs: prefixes("10.0.0.1/24", "2001:db8::1/64")}}})
		right := newHost(t, usock.Config{Interfaces: []usock.Interface{
			{Link: b, Addrs: prefixes("10.0.0.2/24", "2001:db8::2/64")}}})
		transfer(t, left, right, "tcp", "10.0.0.2", data)
		transfer(t, right, left, "tcp", "2001:db8::1", data)
	})
	check(file, w, f)

	w, file, f = record("lo.pcapng")
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, usock.Config{Loopback: func(l link.Link) link.Link { return link.Pcap(l, w, link.Sent) }})
		transfer(t, h, h, "tcp", "127.0.0.1", data)
		transfer(t, h, h, "tcp", "::1", data)
	})
	check(file, w, f)
}
