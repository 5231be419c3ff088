package link

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Impairment is what Impair does to one direction of a link. Its zero value does
// nothing. A packet passes, in this order:
//
//	loss and corruption, drawn for each packet
//	duplication: the copy follows its original
//	the rate: a queue that is emptied at Rate bits a second, or as Trace says, whose last bit is
//	   what counts; packets that find it full are dropped, and those that find it
//	   beyond the mark are marked, if they are ECN-capable; or as Queue has it
//	the delay, with jitter, or more for packets that are reordered; of 256 MiB that are in it, with 512 bytes for each packet, further
//	   ones are dropped as by a full queue
//
// Probabilities are from 0 to 1.
type Impairment struct {
	Delay time.Duration

	// Jitter is by how much the delay strays from Delay to either side. It wanders
	// slowly enough that packets stay in order, as they do in a queue.
	Jitter time.Duration

	Loss  float64 // independent of other packets' loss
	Burst Burst   // in place of Loss, if Burst.Enter is not zero

	// Reorder is the probability that a packet takes ReorderBy longer, so that
	// later ones overtake it. ReorderBy 0 is a quarter of Delay, and at least a
	// millisecond.
	Reorder   float64
	ReorderBy time.Duration

	Duplicate float64
	Corrupt   float64 // one bit is turned over

	Rate uint64 // bits a second; 0: unlimited

	// Trace, in place of Rate, says when something is sent.
	Trace *Trace

	// Queue is how packets wait for the rate.
	Queue Discipline

	// Limit is how much waits for the rate at most: without one, what is sent in
	// 100 ms (by a trace: in the mean), and at least 15000 bytes, or, of a Queue by name, Linux's default. An empty
	// queue takes any packet.
	Limit Amount

	// Mark is the queue from which on packets that can be are marked with
	// Congestion Experienced (RFC 3168); without one, none are. Of a Queue that drops by
	// its length only: others mark by rules of their own.
	Mark Amount
}

// Amount is a number of packets, a number of bytes, or both, whichever is reached
// first. Zero is no amount.
type Amount struct{ Packets, Bytes int }

// Burst is the Gilbert-Elliott model of loss: a channel that is good or bad.
type Burst struct {
	Enter    float64 // probability, for each packet, to go from good to bad
	Leave    float64 // and from bad to good
	LossBad  float64 // probability of loss in the bad state
	LossGood float64 // and in the good one
}

const (
	defaultQueueTime = 100 * time.Millisecond
	minDefaultQueue  = 15000
	minReorderBy     = time.Millisecond
	maxDelay         = 24 * time.Hour
)

// queues reports whether packets wait for the rate.
func (m *Impairment) queues() bool { return m.Rate != 0 || m.Trace != nil }

// limit returns the bounds of the rate's queue.
func (m *Impairment) limit() Amount {
	if m.Limit != (Amount{}) {
		return m.Limit
	}
	if limit := m.Queue.Kind.limit(); limit != (Amount{}) {
		return limit
	}

	if m.Trace != nil {
		return queueOf(m.Trace.in(defaultQueueTime))
	}
	return DefaultLimit(m.Rate)
}

// DefaultLimit returns what waits for a rate at most where no limit is given.
func DefaultLimit(rate uint64) Amount {
	return queueOf(float64(rate) / 8 * defaultQueueTime.Seconds())
}

// queueOf is a queue for what is sent in defaultQueueTime: what a router of that rate might have, enough for a flow to
// fill the link, and not so much that delay is all that is seen.
func queueOf(bytes float64) Amount {
	return Amount{Bytes: int(min(max(bytes, minDefaultQueue), math.MaxInt32))}
}

// reached reports whether a queue of so many packets and bytes is at least a.
func (a Amount) reached(packets, bytes int) bool {
	return a.Packets > 0 && packets >= a.Packets || a.Bytes > 0 && bytes >= a.Bytes
}

func (m *Impairment) reorderBy() time.Duration {
	if m.ReorderBy > 0 {
		return m.ReorderBy
	}
	return max(m.Delay/4, minReorderBy)
}

// Check returns an error for an impairment that makes no sense.
func (m *Impairment) Check() error {
	for _, p := range []struct {
		name string
		v    float64
	}{
		{"loss", m.Loss}, {"burst", m.Burst.Enter}, {"burst", m.Burst.Leave},
		{"burst", m.Burst.LossBad}, {"burst", m.Burst.LossGood},
		{"reorder", m.Reorder}, {"duplicate", m.Duplicate}, {"corrupt", m.Corrupt},
	} {
		// In this form NaN fails as well.
		if !(p.v >= 0 && p.v <= 1) {
			return fmt.Errorf("%s: a probability of %v is not between 0 and 100%%", p.name, p.v)
		}
	}
	switch {
	case m.Delay < 0 || m.Jitter < 0 || m.ReorderBy < 0:
		return fmt.Errorf("delay, jitter and reordering must not be negative")
	case m.Delay > maxDelay || m.ReorderBy > maxDelay:
		return fmt.Errorf("delay: more than %v", maxDelay)
	case m.Jitter > 0 && m.Delay == 0:
		return fmt.Errorf("jitter: %v strays about a delay, and there is none; give one of %v or more", m.Jitter, m.Jitter)
	case m.Jitter > m.Delay:
		return fmt.Errorf("jitter: %v is more than the delay of %v", m.Jitter, m.Delay)
	case m.Burst.Enter > 0 && m.Burst.Leave == 0:
		return fmt.Errorf("loss: bursts that never end; give gemodel a second share above 0%%")
	case m.Loss > 0 && m.Burst.Enter > 0:
		return fmt.Errorf("loss: either independent or in bursts")
	case m.Limit.Packets < 0 || m.Limit.Bytes < 0 || m.Mark.Packets < 0 || m.Mark.Bytes < 0:
		return fmt.Errorf("limit, mark: a negative amount")
	case m.Rate != 0 && m.Trace != nil:
		return fmt.Errorf("rate: either a rate or a trace")
	case !m.queues() && m.Limit != (Amount{}):
		return fmt.Errorf("limit: there is a queue only where there is a rate")
	case !m.queues() && m.Mark != (Amount{}):
		return fmt.Errorf("mark: there is a queue only where there is a rate")
	}
	return m.checkQueue()
}

func (m *Impairment) checkQueue() error {
	kind := m.Queue.Kind
	if err := m.Queue.check(); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	switch {
	case !m.queues() && m.Queue != (Discipline{}):
		return fmt.Errorf("queue: there is one only where there is a rate; give one, as rate 10mbit")
	case kind == PFIFO && m.Limit.Bytes != 0:
		return fmt.Errorf("limit: pfifo counts packets, as limit 100; bfifo counts bytes")
	case kind == BFIFO && m.Limit.Packets != 0:
		return fmt.Errorf("limit: bfifo counts bytes, as limit 64kb; pfifo counts packets")
	case !kind.fifo() && m.Mark != (Amount{}):
		return fmt.Errorf("mark: %v marks by itself; leave mark out, and give the queue ecn, as queue %v,ecn", kind, kind)
	}
	return nil
}

// ImpairmentOption is one of the options that Impairment.Set knows.
type ImpairmentOption struct{ Name, Usage string }

// ImpairmentOptions returns the options, for a command's flags and help.
func ImpairmentOptions() []ImpairmentOption {
	return []ImpairmentOption{
		{"delay", "delay of every packet, as 40ms"},
		{"jitter", "how far the delay strays to either side, as 5ms"},
		{"loss", "share of packets lost, as 1%; or in bursts, gemodel,P,R[,LOSSBAD[,LOSSGOOD]], as gemodel,1%,30%"},
		{"rate", "bits a second, as 20mbit; bytes a second, as 2mbps"},
		{"queue", "how packets wait for the rate: drop-tail, pfifo, bfifo, codel, fq_codel or pie, the last three with tc's words, as codel,target,5ms,ecn"},
		{"limit", "queue before the rate, in packets or bytes, as 100 or 64kb"},
		{"mark", "queue from which on packets are ECN-marked, in packets or bytes, as 20 or 30kb"},
		{"reorder", "share of packets held back, and for how long, as 1% or 1%,3ms"},
		{"duplicate", "share of packets sent twice, as 0.1%"},
		{"corrupt", "share of packets with one bit turned over, as 0.01%"},
	}
}

// Set sets one option from its text, in tc's syntax of quantities.
func (m *Impairment) Set(option, value string) error {
	var err error
	switch option {
	case "delay":
		m.Delay, err = parseTime(value)
	case "jitter":
		m.Jitter, err = parseTime(value)
	case "loss":
		err = m.setLoss(value)
	case "rate":
		m.Rate, err = parseRate(value)
	case "queue":
		m.Queue, err = parseDiscipline(value)
	case "limit":
		m.Limit, err = parseAmount(value)
	case "mark":
		m.Mark, err = parseAmount(value)
	case "reorder":
		err = m.setReorder(value)
	case "duplicate":
		m.Duplicate, err = parsePercent(value)
	case "corrupt":
		m.Corrupt, err = parsePercent(value)
	default:
		return fmt.Errorf("%s: no such impairment", option)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", option, value, err)
	}
	return nil
}

// ParseImpairment reads options with their values, as in "delay 40ms jitter 5ms
// loss 1%" or "delay=40ms,rate=20mbit", and checks the whole. A value with commas
// stands between spaces.
func ParseImpairment(text string) (Impairment, error) {
	var m Impairment
	words := strings.Fields(text)
	if len(words) == 1 && strings.Contains(text, "=") {
		words = strings.Split(words[0], ",")
	}
	seen := map[string]bool{}
	for i := 0; i < len(words); i++ {
		name, value, ok := strings.Cut(words[i], "=")
		if !ok {
			if i++; i == len(words) {
				return Impairment{}, fmt.Errorf("%s: a value is missing", name)
			}
			value = words[i]
		}
		if seen[name] {
			return Impairment{}, fmt.Errorf("%s: given twice", name)
		}
		seen[name] = true
		if err := m.Set(name, value); err != nil {
			return Impairment{}, err
		}
	}
	if err := m.Check(); err != nil {
		return Impairment{}, err
	}
	return m, nil
}

// setLoss takes a share or, after gemodel, the four numbers of tc: P, R, 1-H and
// 1-K.
func (m *Impairment) setLoss(value string) error {
	model, rest, _ := strings.Cut(value, ",")
	if model == "gemodel" && rest == "" {
		return fmt.Errorf("gemodel takes shares: how often a burst begins and ends, as gemodel,1%%,30%%")
	}
	if model != "gemodel" {
		p, err := parsePercent(value)
		if err == nil {
			m.Loss, m.Burst = p, Burst{}
		}
		return err
	}
	parts := strings.Split(rest, ",")
	if len(parts) > 4 {
		return fmt.Errorf("gemodel takes up to four shares")
	}
	var v [4]float64
	for i, part := range parts {
		var err error
		if v[i], err = parsePercent(part); err != nil {
			return err
		}
	}

	// tc's defaults: r is 1-p, 1-h is all, and 1-k is none (tc-netem(8)).
	b := Burst{Enter: v[0], Leave: 1 - v[0], LossBad: 1, LossGood: v[3]}
	if len(parts) > 1 {
		b.Leave = v[1]
	}
	if len(parts) > 2 {
		b.LossBad = v[2]
	}
	m.Loss, m.Burst = 0, b
	return nil
}

func (m *Impairment) setReorder(value string) error {
	share, by, more := strings.Cut(value, ",")
	p, err := parsePercent(share)
	if err != nil {
		return err
	}
	d := time.Duration(0)
	if more {
		if d, err = parseTime(by); err != nil {
			return err
		}
	}
	m.Reorder, m.ReorderBy = p, d
	return nil
}

// quantity splits a quantity into its number and its unit, in small letters.
func quantity(s string) (float64, string, error) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	v, err := strconv.ParseFloat(s[:i], 64)
	switch {
	case strings.HasPrefix(s, "-"):
		return 0, "", errNegative
	case err != nil:
		return 0, "", fmt.Errorf("not a number with a unit")
	}
	return v, strings.ToLower(s[i:]), nil
}

var errNegative = errors.New("it cannot be negative")

var timeUnits = map[string]time.Duration{
	"ns": 1, "nsec": 1, "nsecs": 1,
	"us": time.Microsecond, "µs": time.Microsecond, "usec": time.Microsecond, "usecs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second,
}

func parseTime(s string) (time.Duration, error) {
	v, unit, err := quantity(s)
	if err != nil {
		return 0, err
	}
	u, ok := timeUnits[unit]
	switch {
	case ok && v*float64(u) <= float64(maxDelay):
		return time.Duration(math.Round(v * float64(u))), nil
	case ok:
		return 0, fmt.Errorf("more than %v", maxDelay)
	case unit != "":
		return 0, fmt.Errorf("%q is no unit of time: ns, us, ms or s", unit)
	case v == 0:
		return 0, nil
	}
	return 0, fmt.Errorf("the unit is missing, as in %sms", s)
}

func parsePercent(s string) (float64, error) {
	v, unit, err := quantity(s)
	switch {
	case err == errNegative:
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("not a percentage, as 1%%")
	case unit == "" && v == 0:
		return 0, nil
	case unit == "":
		return 0, fmt.Errorf("a percentage is wanted, as in %s%%", s)
	case unit != "%":
		return 0, fmt.Errorf("%q is not the unit of a percentage", unit)
	case v > 100:
		return 0, fmt.Errorf("more than 100%%")
	}
	return v / 100, nil
}

// parseRate knows tc's units: bit and its multiples are bits a second, bps and its
// multiples bytes a second.
func parseRate(s string) (uint64, error) {
	v, unit, err := quantity(s)
	if err != nil {
		return 0, err
	}
	base, isBit := strings.CutSuffix(unit, "bit")
	scale := 1.0
	if !isBit {
		isByte := false
		if base, isByte = strings.CutSuffix(unit, "bps"); !isByte {
			switch {
			case unit == "" && v == 0:
				return 0, errNoRate
			case unit == "":
				return 0, fmt.Errorf("the unit is missing, as in %smbit", s)
			}
			return 0, fmt.Errorf("%q is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes", unit)
		}
		scale = 8
	}
	f, ok := multiples[base]
	if !ok {
		return 0, fmt.Errorf("%q is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes", unit)
	}
	v *= f * scale
	switch {
	case v == 0:
		return 0, errNoRate
	case v < 1 || v > 1e15:
		return 0, fmt.Errorf("not between 1bit and 1000tbit")
	}
	return uint64(v), nil
}

var errNoRate = errors.New("nothing would ever arrive at that rate; leave it out for a link without one, or lose all packets (loss 100%)")

var multiples = map[string]float64{
	"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}

// byteUnits are tc's units of size, which count in powers of two.
var byteUnits = map[string]float64{
	"b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30,
}

// parseAmount reads packets, which have no unit or p, or bytes, which have one.
func parseAmount(s string) (Amount, error) {
	v, unit, err := quantity(s)
	if err != nil {
		return Amount{}, err
	}
	if unit == "" || unit == "p" {
		if v < 1 || v > math.MaxInt32 || v != math.Trunc(v) {
			return Amount{}, fmt.Errorf("not a number of packets")
		}
		return Amount{Packets: int(v)}, nil
	}
	f, ok := byteUnits[unit]
	if !ok {
		return Amount{}, fmt.Errorf("%q is no unit of size: b, kb, mb, or none for packets", unit)
	}
	if v *= f; v < 1 || v > math.MaxInt32 {
		return Amount{}, fmt.Errorf("not a size between one byte and two gigabytes")
	}
	return Amount{Bytes: int(v)}, nil
}
