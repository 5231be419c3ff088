package link

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Discipline is how packets wait for an Impairment's rate, and which of them are dropped or marked so that they do
// not wait long. Its zero value is DropTail. Fields that are zero have Linux's defaults, and those that the Kind has
// no use for are refused. How many wait at most is Impairment.Limit.
type Discipline struct {
	Kind DisciplineKind

	// Target is how long packets may wait for long: 5 ms, with PIE 15 ms.
	Target time.Duration

	// Interval is for how long they must have waited longer before the first is dropped, about the largest round trip:
	// 100 ms. CoDel and FQCoDel.
	Interval time.Duration

	// ECN has packets that are ECN-capable be marked in place of dropped; FQCoDel does so unless NoECN.
	ECN, NoECN bool

	// CEThreshold, if not zero, marks ECN-capable packets that have waited longer, whatever else happens. CoDel and FQCoDel.
	CEThreshold time.Duration

	// FQCoDel: into how many queues flows are sorted (1024), how many bytes each may send in turn (1500), how many bytes of
	// memory packets take at most (32 MiB), and how many packets are dropped at once where there are too many (64).
	Flows, Quantum, MemoryLimit, DropBatch int

	// PIE: how often the probability to drop is worked out (15 ms), and how much it follows the delay and the delay's
	// change, in sixteenths of 1/s (2 and 20).
	TUpdate     time.Duration
	Alpha, Beta int

	// PIE: small packets are dropped less often, and the delay is worked out from the rate at which packets leave
	// instead of measured.
	ByteMode, DQRateEstimator bool
}

// DisciplineKind is which discipline.
type DisciplineKind uint8

// The disciplines.
const (
	DropTail DisciplineKind = iota // what comes when the queue is full is dropped
	PFIFO                          // the same, with a limit in packets: 1000
	BFIFO                          // and in bytes: 1000 packets' of 1500
	CoDel                          // drops at the head by how long packets have waited (RFC 8289)
	FQCoDel                        // flows take turns, each with a CoDel of its own (RFC 8290)
	PIE                            // drops by chance as packets come, the more the longer they will wait (RFC 8033)
)

var disciplineNames = [...]string{"drop-tail", "pfifo", "bfifo", "codel", "fq_codel", "pie"}

// String returns tc's name.
func (k DisciplineKind) String() string {
	if int(k) < len(disciplineNames) {
		return disciplineNames[k]
	}
	return "discipline " + strconv.Itoa(int(k))
}

// fifo reports whether only the limit tells the discipline from DropTail.
func (k DisciplineKind) fifo() bool { return k < CoDel }

// Defaults, which are Linux's but for the quantum and what stands for an MTU: those are 1514 there, with an Ethernet
// header that packets of IP have not.
const (
	disciplineMTU = 1500

	codelTarget   = 5 * time.Millisecond
	codelInterval = 100 * time.Millisecond
	codelLimit    = 1000 // packets

	fqCodelFlows     = 1024
	fqCodelLimit     = 10240 // packets
	fqCodelMemory    = 32 << 20
	fqCodelDropBatch = 64

	pieTarget  = 15 * time.Millisecond
	pieTUpdate = 15 * time.Millisecond
	pieLimit   = 1000 // packets
	pieAlpha   = 2
	pieBeta    = 20

	fifoLimit = 1000 // packets
)

// queueWord is one of the words that tc has for a discipline.
type queueWord struct {
	name  string
	kinds []DisciplineKind

	// One of them, where the word's value is. A word without a value is a flag.
	time  func(*Discipline) *time.Duration
	count func(*Discipline) *int
	flag  func(*Discipline) *bool

	least, most int // of a count
	size        bool
}

var (
	withLaw    = []DisciplineKind{CoDel, FQCoDel, PIE}
	withCoDel  = []DisciplineKind{CoDel, FQCoDel}
	withFlows  = []DisciplineKind{FQCoDel}
	withChance = []DisciplineKind{PIE}
)

var queueWords = []queueWord{
	{name: "target", kinds: withLaw, time: func(d *Discipline) *time.Duration { return &d.Target }},
	{name: "interval", kinds: withCoDel, time: func(d *Discipline) *time.Duration { return &d.Interval }},
	{name: "tupdate", kinds: withChance, time: func(d *Discipline) *time.Duration { return &d.TUpdate }},
	{name: "ce_threshold", kinds: withCoDel, time: func(d *Discipline) *time.Duration { return &d.CEThreshold }},
	{name: "flows", kinds: withFlows, count: func(d *Discipline) *int { return &d.Flows }, least: 1, most: 65536},
	{name: "quantum", kinds: withFlows, count: func(d *Discipline) *int { return &d.Quantum }, least: 256, most: 1 << 20},
	{name: "memory_limit", kinds: withFlows, count: func(d *Discipline) *int { return &d.MemoryLimit }, least: 4096, most: math.MaxInt32, size: true},
	{name: "drop_batch", kinds: withFlows, count: func(d *Discipline) *int { return &d.DropBatch }, least: 1, most: 65536},
	{name: "alpha", kinds: withChance, count: func(d *Discipline) *int { return &d.Alpha }, least: 1, most: 32},
	{name: "beta", kinds: withChance, count: func(d *Discipline) *int { return &d.Beta }, least: 1, most: 32},
	{name: "bytemode", kinds: withChance, flag: func(d *Discipline) *bool { return &d.ByteMode }},
	{name: "dq_rate_estimator", kinds: withChance, flag: func(d *Discipline) *bool { return &d.DQRateEstimator }},
	{name: "ecn", kinds: withLaw, flag: func(d *Discipline) *bool { return &d.ECN }},
	{name: "noecn", kinds: withLaw, flag: func(d *Discipline) *bool { return &d.NoECN }},
}

// of reports whether a discipline has the word.
func (w *queueWord) of(k DisciplineKind) bool {
	return slices.Contains(w.kinds, k)
}

// given reports whether d has a value of the word's.
func (w *queueWord) given(d *Discipline) bool {
	switch {
	case w.time != nil:
		return *w.time(d) != 0
	case w.count != nil:
		return *w.count(d) != 0
	}
	return *w.flag(d)
}

// set reads the word's value.
func (w *queueWord) set(d *Discipline, value string) error {
	if w.time != nil {
		t, err := parseTime(value)
		if err == nil && t == 0 {
			err = errors.New("a time above 0 is wanted")
		}
		*w.time(d) = t
		return err
	}
	a, err := Amount{}, error(nil)
	if w.size {
		a, err = parseAmount(value)
		a.Bytes += a.Packets // a number without a unit counts bytes here
	} else {
		a.Bytes, err = strconv.Atoi(value)
		if err != nil {
			err = errors.New("not a number")
		}
	}
	*w.count(d) = a.Bytes
	return err
}

// check says what is wrong with the word's value in d.
func (w *queueWord) check(d *Discipline) error {
	switch {
	case !w.given(d):
		return nil
	case !w.of(d.Kind):
		return fmt.Errorf("%v has no %s; %s", d.Kind, w.name, d.Kind.help())
	case w.time != nil && (*w.time(d) < 0 || *w.time(d) > maxDelay):
		return fmt.Errorf("%s: %v is not between 0 and %v", w.name, *w.time(d), maxDelay)
	case w.count != nil && (*w.count(d) < w.least || *w.count(d) > w.most):
		return fmt.Errorf("%s: %d is not between %d and %d", w.name, *w.count(d), w.least, w.most)
	}
	return nil
}

// help says which words a discipline has.
func (k DisciplineKind) help() string {
	var have []string
	for i := range queueWords {
		if queueWords[i].of(k) {
			have = append(have, queueWords[i].name)
		}
	}
	if len(have) == 0 {
		return "it has nothing to be set but the options limit and mark"
	}
	return "it has " + strings.Join(have, ", ")
}

// check returns an error for a discipline that makes no sense.
func (d *Discipline) check() error {
	if int(d.Kind) >= len(disciplineNames) {
		return fmt.Errorf("%v is none; there are %s", d.Kind, strings.Join(disciplineNames[:], ", "))
	}
	for i := range queueWords {
		if err := queueWords[i].check(d); err != nil {
			return err
		}
	}
	full := d.filled()
	switch {
	case d.ECN && d.NoECN:
		return errors.New("either ecn or noecn")
	case full.Interval != 0 && full.Target >= full.Interval:
		return fmt.Errorf("a target of %v is not below the interval of %v, and a tenth of it does well; give a longer interval or a shorter target",
			full.Target, full.Interval)
	}
	return nil
}

// filled returns d with its defaults in place of zeros.
func (d Discipline) filled() Discipline {
	or := func(t *time.Duration, v time.Duration) {
		if *t == 0 {
			*t = v
		}
	}
	count := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	switch d.Kind {
	case FQCoDel:
		count(&d.Flows, fqCodelFlows)
		count(&d.Quantum, disciplineMTU)
		count(&d.MemoryLimit, fqCodelMemory)
		count(&d.DropBatch, fqCodelDropBatch)
		d.ECN = !d.NoECN
		fallthrough
	case CoDel:
		or(&d.Target, codelTarget)
		or(&d.Interval, codelInterval)
		or(&d.CEThreshold, never)
	case PIE:
		or(&d.Target, pieTarget)
		or(&d.TUpdate, pieTUpdate)
		count(&d.Alpha, pieAlpha)
		count(&d.Beta, pieBeta)
	}
	return d
}

// limit is how much waits at most where the impairment does not say.
func (k DisciplineKind) limit() Amount {
	switch k {
	case PFIFO:
		return Amount{Packets: fifoLimit}
	case BFIFO:
		return Amount{Bytes: fifoLimit * disciplineMTU}
	case CoDel:
		return Amount{Packets: codelLimit}
	case FQCoDel:
		return Amount{Packets: fqCodelLimit}
	case PIE:
		return Amount{Packets: pieLimit}
	}
	return Amount{}
}

// String returns the discipline in tc's words, as Impairment.Set reads it: "codel,target,5ms,ecn".
func (d Discipline) String() string {
	b := []byte(d.Kind.String())
	for i := range queueWords {
		w := &queueWords[i]
		if !w.given(&d) {
			continue
		}
		b = append(append(b, ','), w.name...)
		switch {
		case w.time != nil:
			b = append(append(b, ','), timeText(*w.time(&d))...)
		case w.count != nil:
			b = strconv.AppendInt(append(b, ','), int64(*w.count(&d)), 10)
		}
	}
	return string(b)
}

// timeText returns a time in the largest unit that it is a whole number of.
func timeText(d time.Duration) string {
	for _, u := range []string{"s", "ms", "us"} {
		if d%timeUnits[u] == 0 {
			return strconv.FormatInt(int64(d/timeUnits[u]), 10) + u
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// parseDiscipline reads a discipline and its words, in tc's order of things: "fq_codel,target,5ms,noecn".
func parseDiscipline(text string) (Discipline, error) {
	parts := strings.Split(text, ",")
	var d Discipline
	for d.Kind.String() != parts[0] {
		if d.Kind++; int(d.Kind) == len(disciplineNames) {
			return Discipline{}, fmt.Errorf("%q is no queue: %s", parts[0], strings.Join(disciplineNames[:], ", "))
		}
	}
	seen := map[string]bool{}
	for parts = parts[1:]; len(parts) > 0; {
		name := parts[0]
		parts = parts[1:]
		w := findWord(name, d.Kind)
		switch {
		case name == "limit":
			return Discipline{}, errors.New("limit is an option of its own, as limit 100")
		case w == nil:
			return Discipline{}, fmt.Errorf("%v has no %q; %s", d.Kind, name, d.Kind.help())
		case seen[name]:
			return Discipline{}, fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		if w.flag != nil {
			*w.flag(&d) = true
			continue
		}
		if len(parts) == 0 {
			return Discipline{}, fmt.Errorf("%s: a value is missing", name)
		}
		if err := w.set(&d, parts[0]); err != nil {
			return Discipline{}, fmt.Errorf("%s %q: %w", name, parts[0], err)
		}
		parts = parts[1:]
		if w.count != nil && *w.count(&d) == 0 {
			return Discipline{}, fmt.Errorf("%s: 0 is not between %d and %d", name, w.least, w.most)
		}
	}
	return d, d.check()
}

func findWord(name string, k DisciplineKind) *queueWord {
	for i := range queueWords {
		if w := &queueWords[i]; w.name == name && w.of(k) {
			return w
		}
	}
	return nil
}
