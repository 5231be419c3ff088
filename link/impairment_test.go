package link

import (
	"testing"
	"time"
)

func TestParseImpairment(t *testing.T) {
	for _, c := range []struct {
		text string
		want Impairment
	}{
		{"", Impairment{}},
		{"delay 40ms jitter 5ms", Impairment{Delay: 40 * time.Millisecond, Jitter: 5 * time.Millisecond}},
		{"delay=1.5s", Impairment{Delay: 1500 * time.Millisecond}},
		{"delay 200us", Impairment{Delay: 200 * time.Microsecond}},
		{"delay 3msecs", Impairment{Delay: 3 * time.Millisecond}},
		{"delay 0", Impairment{}},
		{"loss 1%", Impairment{Loss: 0.01}},
		{"loss 0.5% duplicate 0.1% corrupt 25%", Impairment{Loss: 0.005, Duplicate: 0.001, Corrupt: 0.25}},
		{"loss gemodel,1%", Impairment{Burst: Burst{Enter: 0.01, Leave: 0.99, LossBad: 1}}},
		{"loss gemodel,1%,25%,50%,2%", Impairment{Burst: Burst{0.01, 0.25, 0.5, 0.02}}},
		{"rate 20mbit", Impairment{Rate: 20e6}},
		{"rate 20Mbit", Impairment{Rate: 20e6}},
		{"rate 1.5gbit limit 100", Impairment{Rate: 1.5e9, Limit: Amount{Packets: 100}}},
		{"rate 100kibit limit 64kb mark 10p", Impairment{Rate: 102400, Limit: Amount{Bytes: 65536}, Mark: Amount{Packets: 10}}},
		{"rate 2mbps", Impairment{Rate: 16e6}},
		{"delay=40ms,rate=1mbit,loss=1%", Impairment{Delay: 40 * time.Millisecond, Rate: 1e6, Loss: 0.01}},
		{"reorder 1%", Impairment{Reorder: 0.01}},
		{"reorder=2%,3ms delay=1ms", Impairment{Reorder: 0.02, ReorderBy: 3 * time.Millisecond, Delay: time.Millisecond}},
	} {
		got, err := ParseImpairment(c.text)
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
}

func TestParseImpairmentErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"delay", `delay: a value is missing`},
		{"delay fast", `delay "fast": not a number with a unit`},
		{"delay 40", `delay "40": the unit is missing, as in 40ms`},
		{"delay -40ms", `delay "-40ms": it cannot be negative`},
		{"delay 40mb", `delay "40mb": "mb" is no unit of time: ns, us, ms or s`},
		{"delay 1e9s", `delay "1e9s": "e9s" is no unit of time: ns, us, ms or s`},
		{"delay 100000s", `delay "100000s": more than 24h0m0s`},
		{"delay 1.2.3ms", `delay "1.2.3ms": not a number with a unit`},
		{"jitter 5ms", `jitter: 5ms strays about a delay, and there is none; give one of 5ms or more`},
		{"delay 10ms jitter 50ms", `jitter: 50ms is more than the delay of 10ms`},
		{"loss 1", `loss "1": a percentage is wanted, as in 1%`},
		{"loss 101%", `loss "101%": more than 100%`},
		{"loss -1%", `loss "-1%": it cannot be negative`},
		{"loss lots", `loss "lots": not a percentage, as 1%`},
		{"loss 1%%", `loss "1%%": "%%" is not the unit of a percentage`},
		{"loss gemodel,1%,2%,3%,4%,5%", `loss "gemodel,1%,2%,3%,4%,5%": gemodel takes up to four shares`},
		{"loss gemodel", `loss "gemodel": gemodel takes shares: how often a burst begins and ends, as gemodel,1%,30%`},
		{"rate 0", `rate "0": nothing would ever arrive at that rate; leave it out for a link without one, or lose all packets (loss 100%)`},
		{"loss gemodel,1%,0%", `loss: bursts that never end; give gemodel a second share above 0%`},
		{"rate 20", `rate "20": the unit is missing, as in 20mbit`},
		{"rate 20mb", `rate "20mb": "mb" is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes`},
		{"rate 0mbit", `rate "0mbit": nothing would ever arrive at that rate; leave it out for a link without one, or lose all packets (loss 100%)`},
		{"rate 99999tbit", `rate "99999tbit": not between 1bit and 1000tbit`},
		{"limit 100", `limit: there is a queue only where there is a rate`},
		{"mark 100", `mark: there is a queue only where there is a rate`},
		{"rate 1mbit limit 1.5", `limit "1.5": not a number of packets`},
		{"rate 1mbit limit 5x", `limit "5x": "x" is no unit of size: b, kb, mb, or none for packets`},
		{"bandwidth 5mbit", `bandwidth: no such impairment`},
		{"loss 1% loss 2%", `loss: given twice`},
		{"reorder 1%,5", `reorder "1%,5": the unit is missing, as in 5ms`},
	} {
		if _, err := ParseImpairment(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzParseImpairment(f *testing.F) {
	for _, s := range []string{
		"delay 40ms jitter 5ms loss 1% rate 20mbit reorder 1% duplicate 0.1% corrupt 0.01%",
		"delay=40ms,rate=1mbit", "loss gemodel,1%,25%,50%,2%", "rate 2mbps limit 64kb mark 10p",
		"rate 1mbit queue codel,target,5ms,ecn", "rate 1mbit limit 9 queue fq_codel,flows,16,memory_limit,4mb,noecn",
		"rate 1mbit queue pie,tupdate,20ms,bytemode,alpha,3", "rate 1mbit queue pfifo", "queue drop-tail",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseImpairment(s)
		if err != nil {
			if m != (Impairment{}) || err.Error() == "" {
				t.Errorf("%q: %+v with error %q", s, m, err)
			}
			return
		}
		if err := m.Check(); err != nil {
			t.Errorf("%q passes with %v", s, err)
		}
		if queue, err := parseDiscipline(m.Queue.String()); err != nil || queue != m.Queue {
			t.Errorf("%q: the queue is written as %s, which is %+v, %v", s, m.Queue, queue, err)
		}
	})
}
