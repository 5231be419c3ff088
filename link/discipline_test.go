package link

import (
	"testing"
	"time"
)

func TestParseDiscipline(t *testing.T) {
	for _, c := range []struct {
		text string
		want Discipline
	}{
		{"drop-tail", Discipline{}},
		{"pfifo", Discipline{Kind: PFIFO}},
		{"bfifo", Discipline{Kind: BFIFO}},
		{"codel", Discipline{Kind: CoDel}},
		{"codel,target,2ms,interval,30ms,ecn", Discipline{Kind: CoDel, Target: 2 * ms, Interval: 30 * ms, ECN: true}},
		{"codel,ce_threshold,1500us", Discipline{Kind: CoDel, CEThreshold: 1500 * time.Microsecond}},
		{"fq_codel,target,5ms,interval,100ms,noecn", Discipline{Kind: FQCoDel, Target: 5 * ms, Interval: 100 * ms, NoECN: true}},
		{"fq_codel,flows,16,quantum,300,memory_limit,4mb,drop_batch,8", Discipline{Kind: FQCoDel, Flows: 16, Quantum: 300, MemoryLimit: 4 << 20, DropBatch: 8}},
		{"fq_codel,memory_limit,100000", Discipline{Kind: FQCoDel, MemoryLimit: 100000}},
		{"pie,target,20ms,tupdate,30ms,alpha,1,beta,10,bytemode,ecn,dq_rate_estimator",
			Discipline{Kind: PIE, Target: 20 * ms, TUpdate: 30 * ms, Alpha: 1, Beta: 10, ByteMode: true, ECN: true, DQRateEstimator: true}},
	} {
		m, err := ParseImpairment("rate 1mbit queue " + c.text)
		if err != nil || m.Queue != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.text, m.Queue, err, c.want)
		}
		if again, err := parseDiscipline(m.Queue.String()); err != nil || again != m.Queue {
			t.Errorf("%s: written as %s, which is %+v, %v", c.text, m.Queue, again, err)
		}
	}
	if got, want := (Discipline{Kind: FQCoDel, NoECN: true, Target: 3 * ms, Flows: 7}).String(), "fq_codel,target,3ms,flows,7,noecn"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDisciplineErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"rate 1mbit queue red", `queue "red": "red" is no queue: drop-tail, pfifo, bfifo, codel, fq_codel, pie`},
		{"rate 1mbit queue drop-tail,ecn", `queue "drop-tail,ecn": drop-tail has no "ecn"; it has nothing to be set but the options limit and mark`},
		{"rate 1mbit queue codel,alpha,2", `queue "codel,alpha,2": codel has no "alpha"; it has target, interval, ce_threshold, ecn, noecn`},
		{"rate 1mbit queue codel,limit,100", `queue "codel,limit,100": limit is an option of its own, as limit 100`},
		{"rate 1mbit queue codel,target", `queue "codel,target": target: a value is missing`},
		{"rate 1mbit queue codel,target,5", `queue "codel,target,5": target "5": the unit is missing, as in 5ms`},
		{"rate 1mbit queue codel,target,0", `queue "codel,target,0": target "0": a time above 0 is wanted`},
		{"rate 1mbit queue codel,ecn,ecn", `queue "codel,ecn,ecn": ecn is given twice`},
		{"rate 1mbit queue codel,ecn,noecn", `queue "codel,ecn,noecn": either ecn or noecn`},
		{"rate 1mbit queue codel,target,200ms", `queue "codel,target,200ms": a target of 200ms is not below the interval of 100ms, and a tenth of it does well; give a longer interval or a shorter target`},
		{"rate 1mbit queue pie,alpha,33", `queue "pie,alpha,33": alpha: 33 is not between 1 and 32`},
		{"rate 1mbit queue pie,beta,0", `queue "pie,beta,0": beta: 0 is not between 1 and 32`},
		{"rate 1mbit queue pie,beta,two", `queue "pie,beta,two": beta "two": not a number`},
		{"rate 1mbit queue fq_codel,quantum,10", `queue "fq_codel,quantum,10": quantum: 10 is not between 256 and 1048576`},
		{"rate 1mbit queue fq_codel,memory_limit,5x", `queue "fq_codel,memory_limit,5x": memory_limit "5x": "x" is no unit of size: b, kb, mb, or none for packets`},
		{"queue codel", `queue: there is one only where there is a rate; give one, as rate 10mbit`},
		{"rate 1mbit queue pfifo limit 64kb", `limit: pfifo counts packets, as limit 100; bfifo counts bytes`},
		{"rate 1mbit queue bfifo limit 100", `limit: bfifo counts bytes, as limit 64kb; pfifo counts packets`},
		{"rate 1mbit queue codel mark 20", `mark: codel marks by itself; leave mark out, and give the queue ecn, as queue codel,ecn`},
	} {
		if _, err := ParseImpairment(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	for _, c := range []struct {
		queue Discipline
		want  string
	}{
		{Discipline{Kind: 99}, "queue: discipline 99 is none; there are drop-tail, pfifo, bfifo, codel, fq_codel, pie"},
		{Discipline{Kind: CoDel, Alpha: 2}, "queue: codel has no alpha; it has target, interval, ce_threshold, ecn, noecn"},
		{Discipline{Target: ms}, "queue: drop-tail has no target; it has nothing to be set but the options limit and mark"},
		{Discipline{Kind: PIE, Target: -ms}, "queue: target: -1ms is not between 0 and 24h0m0s"},
		{Discipline{Kind: FQCoDel, Flows: 1 << 20}, "queue: flows: 1048576 is not between 1 and 65536"},
	} {
		m := Impairment{Rate: 1e6, Queue: c.queue}
		if err := m.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.queue, err, c.want)
		}
	}
}
