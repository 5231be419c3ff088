package shape

import (
	"errors"
	"strings"
	"time"

	"usock/internal/target"
	"usock/link"
)

// MaxRules is how many rules a shape has at most.
const MaxRules = 256

// Rule is what is done to some of the packets. Make one with ParseRule; Impairment may be changed then.
type Rule struct {
	Impairment link.Impairment

	condition
	text string
}

// condition says which packets a rule is about. Its zero value: all.
type condition struct {
	way      uint8          // onlyUp, onlyDown or 0: both
	to, from *target.Target // of the end that was connected to, of that which has begun; nil: any
	proto    uint8          // 0: all
	process  string         // the program that one end is; "": any
	pid      int32          // the process that one end is; 0: any
	first    uint64         // connection, of those that otherwise match, counted from 1; 0: all
	last     uint64
	times    times
}

const (
	onlyUp = 1 + iota
	onlyDown
)

// times says when a rule holds. Its zero value: always.
type times struct {
	from, until   time.Duration // since the beginning; until 0: for ever
	every, length time.Duration // from from on it holds for length of each every; 0: without a break
}

// at reports whether a rule holds at a time since the beginning, and until when that is so; 0: for ever.
func (w *times) at(t time.Duration) (holds bool, until time.Duration) {
	switch {
	case t < w.from:
		return false, w.from
	case w.until > 0 && t >= w.until:
		return false, 0
	case w.every == 0:
		return true, w.until
	}
	into := (t - w.from) % w.every
	until = t - into + w.every
	if holds = into < w.length; holds {
		until = t - into + w.length
	}
	if w.until > 0 {
		until = min(until, w.until)
	}
	return holds, until
}

// String returns the rule's text, with single spaces. ParseRule makes the same rule of it.
func (r *Rule) String() string { return r.text }

// MarshalText implements encoding.TextMarshaler.
func (r *Rule) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rule) UnmarshalText(text []byte) error {
	parsed, err := ParseRule(string(text))
	if err == nil {
		*r = parsed
	}
	return err
}

// Check returns an error for a rule that makes no sense.
func (r *Rule) Check() error {
	if r.text == "" {
		return errors.New("a rule without text; ParseRule makes rules")
	}
	return r.Impairment.Check()
}

// ParseRule reads a rule, which is a condition, a colon and an effect:
//
//	to api.test:443 from 10s until 20s: loss 30%
//	udp: delay 200ms jitter 20ms
//	process curl connection 2: cut
//	down from 10.0.0.0/8: rate 1mbit
//
// The parts of a condition stand in any order, and a packet must meet all of them:
//
//   - any, alone: all packets.
//   - up, down: packets of that direction (Shape).
//   - to TARGET, from TARGET: packets of flows whose one end was connected to there, or has connected from there; of both
//     directions, unless up or down says which. Where nobody connects, who has sent the first packet has connected.
//     TARGET is [HOST][:PORTS][/PROTO]: a name, such as api.test, or *.test for all that end so; an address; a prefix;
//     localhost; * or nothing for all hosts; ports with commas and ranges. A name means the addresses that were given for it
//     (Link.Resolved), once they are. An IPv6 address with ports behind it stands in brackets.
//   - tcp, udp, sctp, icmp: packets of that protocol.
//   - process NAME, pid NUMBER: packets of flows of which one end is of a process that runs this program (15 bytes of its name
//     count, as Linux knows no more of it), or that has this number. A name with spaces stands in quotes.
//   - connection N, connection N-M: of the flows that otherwise match, whenever they do, these, counted from 1 as they begin.
//   - from TIME, until TIME, at TIME for TIME, every TIME for TIME: since the beginning. A TIME has a unit: 500ms, 10s, 2m. What has one is
//     no host behind from; a host of such a name has a dot at its end. What begins at or from a time goes on until or for another one;
//     every repeats it from there on.
//
// The effect is what link.Impairment.Set knows, one option behind the other, or cut: nothing comes through. Times may stand at its end,
// too: cut at 5s for 2s.
//
// An ICMP error belongs to the flow of the packet that it quotes, and rules about icmp are also about it. Fragments belong to the flow of the
// first one, once that has passed.
//
// Errors are of type *TextError.
func ParseRule(text string) (Rule, error) {
	words, err := split(text)
	if err != nil {
		return Rule{}, err
	}
	p := parser{words: words, end: len([]rune(text)) + 1}
	r, err := p.rule()
	if err != nil {
		return Rule{}, err
	}
	raw := make([]string, len(words))
	for i, w := range words {
		raw[i] = w.raw
	}
	r.text = strings.Join(raw, " ")
	return r, nil
}
