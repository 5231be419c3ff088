package sim_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usock/link"
	"usock/sim"
)

var update = flag.Bool("update", false, "write the golden tables anew")

// cell is one point of the grid.
type cell struct {
	delay   time.Duration
	rate    uint64
	reorder float64
	loss    float64
}

func (c cell) String() string {
	return fmt.Sprintf("%dms\t%dM\t%g%%\t%g%%", c.delay.Milliseconds(), c.rate/1e6, c.reorder*100, c.loss*100)
}

func grid() []cell {
	var out []cell
	for _, d := range []time.Duration{1, 20, 100} {
		for _, r := range []uint64{10e6, 1e9} {
			for _, o := range []float64{0, 0.02} {
				for _, l := range []float64{0, 0.001, 0.01, 0.03, 0.1} {
					out = append(out, cell{d * time.Millisecond, r, o, l})
				}
			}
		}
	}
	return out
}

// impairment is the cell's, for one direction. The queue holds a round trip's
// worth of packets, as routers' queues are sized, and at least a hundred.
func (c cell) impairment() link.Impairment {
	bdp := float64(c.rate) / 8 * (2 * c.delay).Seconds()
	return link.Impairment{
		Delay: c.delay, Rate: c.rate, Loss: c.loss, Reorder: c.reorder,
		Limit: link.Amount{Bytes: max(int(bdp), 150_000)},
	}
}

// run carries as much as the rate could in some seconds, at most 8 MiB, in as many
// seconds at most.
func (c cell) run(t *testing.T, congestion string, seed uint64) (res sim.FlowResult, to link.ImpairStats) {
	n, a, b, l := manualPair(t, seed, sim.Both(c.impairment()))
	n.Start()
	defer n.Close()
	f := n.Flow(a, b, sim.FlowConfig{
		Bytes: min(8<<20, int64(c.rate/8)*5), Congestion: congestion, Chunk: 256 << 10,
	})
	res = f.Wait()
	to, _ = l.Stats()
	return res, to
}

// The grid: what a bulk transfer of 8 MiB (of 6.25 MB at 10 Mbit/s) yields, in
// Mbit/s, and which share of the data packets are retransmissions, in percent.
// The loss and the reordering are both ways. A row of the table is a point of the
// grid; its numbers are those kept in testdata.
func TestGrid(t *testing.T) {
	for _, congestion := range []string{"cubic", "reno", "bbr", "bbr3"} {
		t.Run(congestion, func(t *testing.T) {
			g := golden{name: "grid-" + congestion, head: "delay\trate\treorder\tloss\tMbit/s\tretrans"}
			for i, c := range grid() {
				res, to := c.run(t, congestion, uint64(i))
				if res.Err != nil {
					t.Errorf("%v: %v", c, res.Err)
				}
				in := &res.Info
				again := 0.0
				if in.SegsOut > 0 {
					again = 100 * float64(in.TotalRetrans) / float64(in.SegsOut)
				}
				// Hardly anything is sent again that was not lost. Lost acknowledgments
				// make for some probes.
				lost := float64(to.Lost + to.Dropped)
				if again := float64(in.TotalRetrans); c.reorder == 0 && again > lost+lost/20+40*c.loss*100 {
					t.Errorf("%v: %.0f retransmissions where %.0f packets were lost", c, again, lost)
				}
				g.add(c.String(), res.Goodput()/1e6, again)
			}
			g.compare(t)
		})
	}
}

// golden is a table of numbers that is kept in testdata. In manual time they are the same on
// every machine: there is no tolerance.
type golden struct {
	name, head string
	keys       []string
	rows       map[string][]float64
}

func (g *golden) add(key string, v ...float64) {
	if g.rows == nil {
		g.rows = map[string][]float64{}
	}
	g.keys = append(g.keys, key)
	g.rows[key] = v
}

func (g *golden) path() string { return filepath.Join("testdata", g.name+".golden") }

// column is the heading of the column so many after the key.
func (g *golden) column(key string, n int) string {
	return strings.Split(g.head, "\t")[strings.Count(key, "\t")+1+n]
}

// compare holds the table against the one kept, or replaces that with -update.
func (g *golden) compare(t *testing.T) {
	t.Helper()
	if *update {
		var b strings.Builder
		fmt.Fprintln(&b, g.head)
		for _, k := range g.keys {
			b.WriteString(k)
			for _, v := range g.rows[k] {
				fmt.Fprintf(&b, "\t%.2f", v)
			}
			b.WriteByte('\n')
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(g.path(), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + b.String())
		return
	}
	kept, err := os.ReadFile(g.path())
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(kept)), "\n")
	if lines[0] != g.head || len(lines) != len(g.keys)+1 {
		t.Fatalf("%s is of another table", g.path())
	}
	for _, line := range lines[1:] {
		fields := strings.Split(line, "\t")
		n := len(strings.Split(g.keys[0], "\t"))
		key := strings.Join(fields[:n], "\t")
		got, ok := g.rows[key]
		if !ok || len(got) != len(fields)-n {
			t.Errorf("no such row any more: %s", key)
			continue
		}
		for i, text := range fields[n:] {
			if now := fmt.Sprintf("%.2f", got[i]); now != text {
				t.Errorf("%s: %s is %s, was %s", key, g.column(key, i), now, text)
			}
		}
	}
}
