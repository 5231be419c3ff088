package shape_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"usock/link"
	"usock/shape"
)

// TestCaptureTells has a capture say which rule has lost a packet, as tshark reads it, and have the packets as they are sent, also those that rules
// delay: one that is lost behind such a rule is there twice.
func TestCaptureTells(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed (Debian: apt-get install tshark)")
	}
	for _, loopback := range []bool{false, true} {
		x := newPassage(t, shape.Shape{Rules: rules(t, "to :53: cut", "down tcp: cut", `process "Web Content": loss 100%`, "any: delay 1ms", "to :9: cut")}, shape.Config{Loopback: loopback})
		var file bytes.Buffer
		w := link.NewPcapWriter(&file, 0)
		which := link.BothWays
		if loopback {
			which = link.Sent
		}
		l := link.Pcap(x.link, w, which)
		l.(link.Direct).Deliver(func(batch []*link.Packet) {
			for _, p := range batch {
				p.Free()
			}
		})
		x.link.Program(7, "Web Content")
		in := "in "
		if loopback {
			in = "out "
		}
		for _, text := range []string{
			"out udp 10.0.0.1:1000>10.0.0.2:53", "out tcp 10.0.0.1:1000>10.0.0.2:443 syn=1", in + "tcp 10.0.0.2:443>10.0.0.1:1000 synack=1", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=1 pid=7",
			"out udp 10.0.0.1:1002>10.0.0.2:9",
		} {
			d := describe(t, text)
			p := packetOf(d.bytes(t), 0)
			p.Owner.PID = int32(d.pid)
			if d.in {
				x.far.Send([]*link.Packet{p})
			} else {
				l.Send([]*link.Packet{p})
			}
		}
		x.clock.Advance(1e9)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("tshark", "-r", "-", "-T", "fields", "-e", "udp.srcport", "-e", "tcp.srcport", "-e", "frame.comment")
		c.Stdin = &file
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		udp, down, late := "to :53: cut", "down tcp: cut", "to :9: cut"
		process := `process "Web Content": loss 100%`
		if loopback {
			udp, process, late = udp+", up", process+", up", late+", up"
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "Running as") {
				got = append(got, strings.TrimRight(line, "\n"))
			}
		}
		want := []string{"1000\t\tdropped: loss (" + udp + ")", "\t1000\t", "\t443\tdropped: loss (" + down + ")", "\t1001\tpid 7,dropped: loss (" + process + ")", "1002\t\t", "1002\t\tdropped later: loss (" + late + ")"}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
}
