package link

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// kernelTrace is what a kernel did with a trace of packets, from testdata/disciplines.txt, which package interop writes.
type kernelTrace struct {
	queue  string
	events []kernelEvent
	fates  []string // of each packet: "", "marked" or "dropped"
}

// kernelEvent is a packet that came, of a flow and with an ECN field, or that the link was free for one.
type kernelEvent struct {
	at        time.Duration
	came      bool
	flow, ecn int
}

func kernelTraces(t *testing.T) (all []*kernelTrace) {
	t.Helper()
	f, err := os.Open("testdata/disciplines.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if queue, ok := strings.CutPrefix(s.Text(), "queue "); ok {
			all = append(all, &kernelTrace{queue: queue})
			continue
		}
		var what string
		var us, a int
		k := all[len(all)-1]
		if strings.HasPrefix(s.Text(), "came") {
			ecn := 0
			_, err = fmt.Sscan(s.Text(), &what, &us, &a, &ecn)
			k.events = append(k.events, kernelEvent{time.Duration(us) * time.Microsecond, true, a, ecn})
			k.fates = append(k.fates, "dropped")
		} else {
			marked := false
			_, err = fmt.Sscan(s.Text(), &what, &us, &a, &marked)
			k.events = append(k.events, kernelEvent{at: time.Duration(us) * time.Microsecond})
			if k.fates[a] = ""; marked {
				k.fates[a] = "marked"
			}
		}
		if err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
	}
	return all
}

// replay has a discipline do what the kernel's did, and returns what became of each packet.
func (k *kernelTrace) replay(t *testing.T) []string {
	w := newWaiter(t, "queue "+k.queue)
	fates := make([]string, len(k.fates))
	for i := range fates {
		fates[i] = "dropped"
	}
	for _, e := range k.events {
		if e.came {
			w.add(e.at, 1, e.flow, 1250, uint8(e.ecn))
			continue
		}
		p := w.q.pop(e.at)
		if p == nil {
			continue
		}
		if fates[numberIn(p)] = ""; ecnOf(p) == ecnCE {
			fates[numberIn(p)] = "marked"
		}
		p.Free()
	}
	return fates
}

// Each packet fares as it did in the kernel, where it came and left at the same times. What CoDel does follows from
// those, but for what the kernel's clock and its record differ by: 95 of a hundred dropped and marked packets are to be the
// same ones. Of FQ-CoDel's 80 are, since Linux 6.1 takes a wait that was over when the flow's queue ran empty for one that
// goes on. Sums are to be within a twentieth, and PIE's, whose chance is its own, within a tenth.
func TestDisciplinesAsKernel(t *testing.T) {
	for _, k := range kernelTraces(t) {
		own := k.replay(t)
		sums := map[string][2]int{}
		same, fared := 0, 0
		for i, fate := range k.fates {
			if fate != "" || own[i] != "" {
				fared++
			}
			if fate != "" && fate == own[i] {
				same++
			}
			s := sums[fate]
			s[0]++
			sums[fate] = s
			s = sums[own[i]]
			s[1]++
			sums[own[i]] = s
		}
		t.Logf("%s: %d of %d dropped and marked packets are the same ones; dropped %v, marked %v",
			k.queue, same, fared, sums["dropped"], sums["marked"])
		name, _, _ := strings.Cut(k.queue, ",")
		tolerance, least := 0.05, map[string]float64{"codel": 0.95, "fq_codel": 0.8}[name]
		if name == "pie" {
			tolerance = 0.1
		}
		if float64(same) < least*float64(fared) {
			t.Errorf("%s: only %d of %d packets fare alike", k.queue, same, fared)
		}
		for fate, s := range sums {
			if math.Abs(float64(s[0]-s[1])) > tolerance*float64(s[0])+2 {
				t.Errorf("%s: %q are %d in the kernel, and %d here", k.queue, fate, s[0], s[1])
			}
		}
	}
}
