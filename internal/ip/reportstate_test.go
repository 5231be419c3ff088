package ip

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// When another generation is spoken, what was due in the one before is dropped (RFC 3376, section 7.2.1; RFC 3810,
// section 8.2.1), and an older router that is heard no more is one no more for calls of every kind.
func TestGroupGenerationChanges(t *testing.T) {
	const seconds = time.Second
	fresh := func() (m *reporting) {
		m = newReporting(rand.New(rand.NewPCG(5, 6)).Uint64)
		m.set(addr("239.1.2.3"), want{exclude: true}, 0)
		m.expire(0)
		return m
	}
	all := func(m *reporting, until time.Duration) (out []string) {
		for at := m.deadline(); at <= until; at = m.deadline() {
			for _, r := range m.expire(at) {
				for _, x := range r.records {
					out = append(out, fmt.Sprintf("%d:%d:%v", r.generation, x.Kind, x.Group))
				}
				if len(r.records) == 0 {
					out = append(out, "nothing")
				}
			}
		}
		return out
	}
	older := wire.GroupQuery{Generation: wire.SecondGeneration, MaxDelay: 10 * seconds}
	said := fmt.Sprintf("%d:%d:239.1.2.3", wire.SecondGeneration, wire.ModeIsExclude)
	changed := fmt.Sprintf("%d:%d:239.1.2.3", wire.ThirdGeneration, wire.ChangeToExclude)

	m := fresh() // and its change is to be told again
	m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration, MaxDelay: 9 * seconds}, 0)
	m.query(&older, 0)
	if m.changes != timer.Never || m.general != timer.Never {
		t.Errorf("due still: %v, %v", m.changes, m.general)
	}
	if got := all(m, time.Minute); len(got) != 1 || got[0] != said {
		t.Errorf("an older router asks: %q", got)
	}

	// A group that was left, and whose leaving is to be told again, is gone.
	m = fresh()
	m.set(addr("239.1.2.3"), want{}, 0)
	m.expire(0)
	m.query(&older, 0)
	if got := all(m, time.Minute); len(got) != 0 || len(m.groups) != 0 {
		t.Errorf("a group that was left: %q, %d groups", got, len(m.groups))
	}

	// A group that is left while an older router is there has no answer any more.
	m = fresh()
	m.query(&older, 0)
	m.set(addr("239.1.2.4"), want{exclude: true}, 0)
	m.set(addr("239.1.2.4"), want{}, 0)
	if got := all(m, time.Minute); len(got) != 1 || got[0] != said || len(m.groups) != 1 {
		t.Errorf("another group that was left: %q, %d groups", got, len(m.groups))
	}

	for name, call := range map[string]func(m *reporting){
		"a change": func(m *reporting) {
			m.set(addr("239.1.2.3"), want{}, time.Hour)
			m.set(addr("239.1.2.3"), want{exclude: true}, time.Hour)
		},
		"another report": func(m *reporting) { m.heard(addr("239.1.2.3"), time.Hour) },
	} {
		m = fresh()
		m.query(&older, 0)
		all(m, time.Minute)
		call(m)
		if m.speaks != wire.ThirdGeneration {
			t.Errorf("%s: an older router is there after an hour", name)
		}
		if got := all(m, 2*time.Hour); name == "a change" && (len(got) != 2 || got[0] != changed) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Answers to an older router's question come at a time of its own for each group, none before the question and none
// after its time (RFC 2236, section 3); what nobody wants to know of is not answered at all, and of more sources
// than are remembered the answer is for all.
func TestGroupAnswers(t *testing.T) {
	m := newReporting(rand.New(rand.NewPCG(7, 8)).Uint64)
	for i := range 20 {
		m.set(netip.AddrFrom4([4]byte{239, 1, 2, byte(i)}), want{exclude: true}, 0)
	}
	for m.deadline() != timer.Never {
		m.expire(m.deadline())
	}
	const now = time.Minute
	m.query(&wire.GroupQuery{Generation: wire.SecondGeneration, MaxDelay: 10 * time.Second}, now)
	times := map[time.Duration]bool{}
	for a, g := range m.groups {
		if times[g.answer] = true; g.answer <= now || g.answer > now+10*time.Second {
			t.Errorf("%v answers after %v", a, g.answer-now)
		}
	}
	if len(times) != 20 {
		t.Errorf("%d times for 20 groups", len(times))
	}

	// A question that leaves no time is answered at once.
	for m.deadline() != timer.Never {
		m.expire(m.deadline())
	}
	m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration}, time.Hour)
	if m.deadline() != time.Hour || len(m.expire(time.Hour)) != 1 {
		t.Errorf("without time: due at %v", m.deadline())
	}

	m = newReporting(rand.New(rand.NewPCG(7, 8)).Uint64)
	group, sources := addr("239.1.2.3"), func(n int) (out []netip.Addr) {
		for i := range n {
			out = append(out, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		}
		return out
	}
	m.set(group, want{sources: sources(1)}, 0)
	for m.deadline() != timer.Never {
		m.expire(m.deadline())
	}
	at := time.Minute
	for _, c := range []struct {
		asked [][]netip.Addr
		want  string
	}{
		{[][]netip.Addr{{addr("10.9.9.9")}}, "[]"}, {[][]netip.Addr{sources(2)}, "[1]"}, {[][]netip.Addr{nil}, "[1]"}, {[][]netip.Addr{{addr("10.9.9.9")}, nil}, "[1]"},
		{[][]netip.Addr{sources(maxAsked)[1:], {addr("10.9.9.9")}}, "[]"}, {[][]netip.Addr{sources(maxAsked)[1:], {addr("10.9.9.9")}, {addr("10.9.9.8")}}, "[1]"},
	} {
		at += time.Minute
		for _, list := range c.asked {
			m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration, MaxDelay: time.Second, Group: group, Sources: list}, at)
		}
		told := []int{}
		for _, r := range m.expire(at + time.Second) {
			told = append(told, len(r.records))
		}
		if fmt.Sprint(told) != c.want {
			t.Errorf("asked %d times: %v, want %s", len(c.asked), told, c.want)
		}
	}
}
