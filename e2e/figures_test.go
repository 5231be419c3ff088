//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestFiguresAreCounted has the figures of a connection that loses packets told three times: by TCP_INFO, by usock ss, and by tshark,
// which counts them in the recording.
func TestFiguresAreCounted(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	need(t, "tshark", "tshark")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, _ := commandAs(t, ctx, seer+1000)
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "trace.pcapng")
	c.Args = append(c.Args, "--name", "figures", "--pcap", file, "--mtu", "1500", "--delay", "2ms", "--loss", "2%", "--seed", "16", "--", "python3", script(t, "figures.py"))
	c.Env = append(c.Env, "XDG_RUNTIME_DIR="+c.Dir)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := &seen{t: t, c: c, in: in, xdg: c.Dir}
	var told struct {
		At             float64
		Port           int
		Client, Server map[string]uint64
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if err := json.Unmarshal([]byte(line), &told); err != nil {
		t.Fatalf("%v: %q\n%s", err, line, &stderr)
	}
	for end, want := range map[string]map[string]uint64{"dport": told.Client, "sport": told.Server} {
		var listed []struct{ TCP map[string]uint64 }
		text := s.sees("ss", "--json", "figures", "state", "established", end, "=", ":8000")
		if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed) != 1 {
			t.Fatal(err, text)
		}
		for name, n := range want {
			if listed[0].TCP[name] != n {
				t.Errorf("%s = 8000: ss has %s %d, TCP_INFO %d", end, name, listed[0].TCP[name], n)
			}
		}
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	client, server := countedFigures(t, file, told.At, told.Port)
	for _, x := range []struct {
		end           string
		counted, told map[string]uint64
	}{{"client", client, told.Client}, {"server", server, told.Server}} {
		if !maps.Equal(x.counted, x.told) {
			t.Errorf("the %s's: tshark counts\n%v, TCP_INFO has\n%v", x.end, x.counted, x.told)
		}
	}
	if told.Client["total_retrans"] == 0 {
		t.Error("nothing was lost")
	}
}

// countedFigures are what tshark counts in a recording until a time: of the end with the port, and of the other one.
func countedFigures(t *testing.T, file string, until float64, port int) (own, other map[string]uint64) {
	t.Helper()
	own, other = make(map[string]uint64), make(map[string]uint64)
	most := map[int]uint64{} // the sequence number behind all that was sent, by port
	answered := false        // the SYN, which no connection has seen: its segments begin with the acknowledgment
	for _, line := range tsharkLines(t, file, "-o", "tcp.relative_sequence_numbers:TRUE", "-Y", fmt.Sprintf("tcp.port == %d && frame.time_epoch < %f", port, until),
		"-T", "fields", "-e", "tcp.srcport", "-e", "tcp.len", "-e", "tcp.seq", "-e", "tcp.flags.syn", "-e", "frame.comment") {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("%q", line)
		}
		number := func(i int) uint64 {
			n, err := strconv.ParseUint(f[i], 10, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return n
		}
		from := int(number(0))
		sender, receiver := own, other
		if from != port {
			sender, receiver = other, own
		}
		size, seq, lost := number(1), number(2), strings.Contains(f[4], "dropped")
		sender["segs_out"]++
		if answered = answered || from != port; !lost && answered {
			receiver["segs_in"]++
		}
		if size == 0 {
			continue
		}
		sender["data_segs_out"]++
		sender["bytes_sent"] += size
		if seq < most[from] {
			sender["total_retrans"]++
			sender["bytes_retrans"] += size
		} else {
			most[from] = seq + size
		}
		if !lost {
			receiver["data_segs_in"]++
		}
	}
	// All was acknowledged in the end, and of the end that has connected the SYN counts.
	own["bytes_acked"], other["bytes_acked"] = own["bytes_sent"]-own["bytes_retrans"]+1, other["bytes_sent"]-other["bytes_retrans"]
	own["bytes_received"], other["bytes_received"] = other["bytes_acked"], own["bytes_acked"]-1
	for _, end := range []map[string]uint64{own, other} {
		for _, name := range []string{"total_retrans", "bytes_retrans"} {
			end[name] += 0
		}
	}
	return own, other
}
