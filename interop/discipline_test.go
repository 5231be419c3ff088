//go:build linux

package interop

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"usock/clock"
	"usock/link"
	"usock/packet"
)

// Load that nobody takes back: what a discipline does must not depend on what a sender makes of it. PIE is given a
// period that is a multiple of the kernel's tick, which is 10 ms there.
func disciplineTraces() []queueTrace {
	const rate = 1_000_000
	swell := []offer{
		{time.Second, []float64{0.8}},
		{3 * time.Second, []float64{1.3}},
		{time.Second / 2, []float64{0.5}},
		{1500 * time.Millisecond, []float64{2}},
	}
	return []queueTrace{
		{Queue: "codel,ecn", Qdisc: "codel ecn", CoDel: true, Rate: rate, Offers: swell, ECT: true},
		{Queue: "pie,tupdate,20ms", Qdisc: "pie tupdate 20ms", Rate: rate, Offers: swell},
		{Queue: "fq_codel,flows,65536,quantum,1250", Qdisc: "fq_codel flows 65536 quantum 1250", Rate: rate, ECT: true, Offers: []offer{
			{time.Second, []float64{0.4, 0.3, 0.05}},
			{3 * time.Second, []float64{0.9, 0.6, 0.05}},
			{2 * time.Second, []float64{1.5, 0.3, 0.05}},
		}},
	}
}

var updateDisciplines = flag.Bool("update", false, "write link/testdata/disciplines.txt anew, from User-mode Linux")

// recordedDisciplines is what a kernel did, to which package link holds its disciplines one by one, with the times at
// which that kernel's link was free for the next packet.
const recordedDisciplines = "../link/testdata/disciplines.txt"

// A sender that was later than this had a machine that had no time for it, and its kernel's timers were late as well.
const onTime = 50 * time.Millisecond

// The disciplines drop and mark as Linux's do: the same trace of arrivals through both, on a link of the same rate.
func TestDisciplines(t *testing.T) {
	kernel := newMachine(t)
	if err := kernel.Load("drivers/net/veth", "net/sched/sch_htb", "net/sched/sch_codel", "net/sched/sch_fq_codel", "net/sched/sch_pie"); err != nil {
		t.Fatal(err)
	}
	traces := disciplineTraces()
	question, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	data, err := kernel.Ask("disciplines", question)
	if err != nil {
		t.Fatal(err)
	}
	var played []playedTrace
	if err := json.Unmarshal(data, &played); err != nil {
		t.Fatal(err)
	}
	var record bytes.Buffer
	for i := range traces {
		q, p := &traces[i], &played[i]
		q.record(&record, p)
		wrong := q.compare(t, p)
		if late := q.late(p); len(wrong) > 0 && late < onTime {
			t.Errorf("%s: %q", q.Queue, wrong)
		} else if len(wrong) > 0 {
			t.Logf("%s: %q, but the machine had no time to be judged by: it was %v late", q.Queue, wrong, late)
		}
	}
	if *updateDisciplines {
		if err := os.WriteFile(recordedDisciplines, record.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// record writes what the kernel did with a trace: its discipline, when each datagram came, of which flow and ECN field,
// and when which left, marked or not. Times are in microseconds.
func (q *queueTrace) record(w io.Writer, p *playedTrace) {
	fmt.Fprintln(w, "queue", q.Queue)
	left := p.Arrived
	for number, s := range p.Sent {
		for ; len(left) > 0 && left[0].At < s.At; left = left[1:] {
			fmt.Fprintln(w, "left", left[0].At.Microseconds(), left[0].Number, left[0].Marked)
		}
		fmt.Fprintln(w, "came", s.At.Microseconds(), s.Flow, q.datagram(number, s.Flow, traceFrame)[1])
	}
	for _, a := range left {
		fmt.Fprintln(w, "left", a.At.Microseconds(), a.Number, a.Marked)
	}
}

// late is by how much the sender was late at most.
func (q *queueTrace) late(p *playedTrace) (late time.Duration) {
	for i, s := range q.schedule() {
		late = max(late, p.Sent[i].At-s.At)
	}
	return late
}

// replay sends what the kernel was sent through the discipline.
func (q *queueTrace) replay(t *testing.T, in []sent) []arrived {
	t.Helper()
	queue := link.Impairment{Rate: uint64(q.Rate)}
	if err := queue.Set("queue", q.Queue); err != nil {
		t.Fatal(err)
	}
	return q.through(t, queue, in)
}

// through sends what the kernel was sent to an impaired link, at the same times.
func (q *queueTrace) through(t *testing.T, is link.Impairment, in []sent) (out []arrived) {
	t.Helper()
	var c clock.Manual
	near, far := link.Pipe(link.PipeConfig{})
	worse, err := link.Impair(near, link.ImpairConfig{Out: is, Seed: 1, Clock: &c})
	if err != nil {
		t.Fatal(err)
	}
	defer worse.Close()
	far.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			number, marked := numberOf(p.AppendTo(nil))
			out = append(out, arrived{c.Now(), number, marked})
			p.Free()
		}
	})
	for number, s := range in {
		c.Advance(s.At - c.Now())
		worse.Send([]*packet.Packet{packet.FromBytes(q.datagram(number, s.Flow, traceFrame))})
	}
	c.Advance(time.Minute)
	return out
}

// traceVerdict is what became of a trace: how many datagrams of each flow were dropped and marked, and the numbers of both.
type traceVerdict struct {
	dropped, marked [3]int
	numbers         []int
}

func verdictOf(in []sent, out []arrived) (j traceVerdict) {
	came, marked := make([]bool, len(in)), make([]bool, len(in))
	for _, a := range out {
		came[a.Number], marked[a.Number] = true, a.Marked
	}
	for n, s := range in {
		switch {
		case !came[n]:
			j.dropped[s.Flow]++
		case marked[n]:
			j.marked[s.Flow]++
		default:
			continue
		}
		j.numbers = append(j.numbers, n)
	}
	return j
}

// compare says what is different by more than the two clocks and PIE's chance explain: counts, of each flow and of all, by a
// seventh and six datagrams, and where CoDel drops or marks first by eight datagrams. Of a flow that does not fill its share
// FQ-CoDel may drop and mark less than the kernel: Linux 6.1 takes a wait that was over when the flow's queue ran empty for
// one that goes on, and how often that is depends on its timers.
func (q *queueTrace) compare(t *testing.T, p *playedTrace) (wrong []string) {
	t.Helper()
	kernel, own := verdictOf(p.Sent, p.Arrived), verdictOf(p.Sent, q.replay(t, p.Sent))
	t.Logf("%s: %d sent, %v late; kernel: dropped %v, marked %v; usock: dropped %v, marked %v",
		q.Queue, len(p.Sent), q.late(p), kernel.dropped, kernel.marked, own.dropped, own.marked)
	const shown = 24
	first := min(len(kernel.numbers), len(own.numbers), shown)
	t.Logf("kernel %v …, usock %v …", kernel.numbers[:first], own.numbers[:first])
	fewer := func(a, b int) bool { return float64(b-a) > float64(max(a, b))/7+6 }
	judge := func(what string, kernel, own [3]int) {
		for flow := range kernel {
			if fewer(kernel[flow], own[flow]) || fewer(own[flow], kernel[flow]) && (flow == 0 || len(q.Offers[0].Times) == 1) {
				wrong = append(wrong, fmt.Sprintf("%s of flow %d", what, flow))
			}
		}
		if k, o := kernel[0]+kernel[1]+kernel[2], own[0]+own[1]+own[2]; fewer(k, o) || fewer(o, k) {
			wrong = append(wrong, what)
		}
	}
	judge("drops", kernel.dropped, own.dropped)
	judge("marks", kernel.marked, own.marked)
	if q.CoDel {
		for i := range min(first, 12) {
			if d := kernel.numbers[i] - own.numbers[i]; d < -8 || d > 8 {
				wrong = append(wrong, "places")
				break
			}
		}
	}
	return wrong
}
