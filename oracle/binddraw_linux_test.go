package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// drawnBindings is how many sequences bindDrawnCases has of each protocol.
const drawnBindings = 120

// bindDrawnCases bind, listen, connect, dissolve and close a few sockets on two ports, in
// orders that are drawn: what holds a port, and against whom, is a matter of what all the
// sockets on it have been through.
func bindDrawnCases() []sequence {
	var out []sequence
	for i := range drawnBindings {
		for _, proto := range []string{"tcp", "udp"} {
			d := bindDraw{rand.New(rand.NewPCG(uint64(i), 6)), proto, make(map[string]bool), strings.Builder{}, false}
			out = append(out, sequence{name: fmt.Sprintf("%s %d", proto, i), lines: d.draw()})
		}
	}
	return out
}

// bindDraw draws one sequence.
type bindDraw struct {
	*rand.Rand
	proto string
	six   map[string]bool // the sockets that there are, and whether they are of IPv6
	b     strings.Builder
	odd   bool // one has left a peer that was mapped, which Linux does not forget
}

func (d *bindDraw) say(format string, args ...any) { fmt.Fprintf(&d.b, format+";", args...) }

func (d *bindDraw) one(of ...string) string { return of[d.IntN(len(of))] }

func (d *bindDraw) draw() string {
	// One that all connects go to, on a port of its own.
	d.say("l = %s6", d.proto)
	d.say("l bind any6:7009")
	if d.proto == "tcp" {
		d.say("l listen 30")
	}
	for range 14 + d.IntN(12) {
		d.step(d.one("a", "b", "c", "d", "e"))
	}
	d.reach()
	return d.b.String()
}

// reach finds out which socket gets what is sent to the ports: the readiness of all is
// compared. Of a group of SO_REUSEPORT chance chooses.
func (d *bindDraw) reach() {
	if d.odd || strings.Contains(d.b.String(), "reuseport 1") {
		return
	}
	for i, to := range []string{"lo:7000", "lo2:7000", "lo6:7000", "lo:7001", "lo6:7001"} {
		kind := d.proto
		if strings.HasPrefix(to, "lo6") {
			kind += "6"
		}
		d.say("z%d = %s", i, kind)
		if d.proto == "tcp" {
			d.say("z%d connect %s", i, to)
		} else {
			d.say("z%d send %d to %s", i, i, to)
		}
	}
	for _, x := range []string{"a", "b", "c", "d", "e"} {
		for range 3 {
			if _, ok := d.six[x]; ok && d.proto == "udp" {
				d.say("%s recv 9", x)
			}
		}
	}
}

func (d *bindDraw) step(x string) {
	six, there := d.six[x]
	if !there {
		d.make(x)
		return
	}
	switch n := d.IntN(20); {
	case n < 7:
		d.say("%s bind %s", x, d.addr(six))
	case n < 8:
		d.say("%s set %s %d", x, d.one("so:reuseaddr", "so:reuseport"), d.IntN(2))
	case n < 11 && d.proto == "tcp":
		d.say("%s listen 3", x)
	case n < 15:
		to := "lo:7009"
		if six {
			to = "m:7009"
			if x < "c" {
				to = "lo6:7009" // one that changes its peers' family is declared: mixed
			}
		}
		d.say("%s connect %s", x, to)
		if d.proto == "tcp" {
			d.say("%s0 = accept l", x)
			d.say("%s connect %s", x, to)
		}
	case n < 17:
		d.say("%s connect unspec", x)
		d.odd = d.odd || six && x >= "c"
	case n < 18 && d.proto == "tcp":
		d.say("%s0 close", x) // the peer's end: TIME-WAIT is then there
		d.say("%s close", x)
		delete(d.six, x)
	default:
		d.say("%s close", x)
		if d.proto == "tcp" {
			d.say("%s0 close", x)
		}
		delete(d.six, x)
	}
}

func (d *bindDraw) make(x string) {
	six := d.IntN(2) == 0
	d.six[x] = six
	kind := d.proto
	if six {
		kind += "6"
	}
	d.say("%s = %s", x, kind)
	if d.IntN(5) < 3 {
		d.say("%s set so:reuseaddr 1", x)
	}
	if d.IntN(5) < 2 {
		d.say("%s set so:reuseport 1", x)
	}
	if six && d.IntN(4) == 0 {
		d.say("%s set ipv6:v6only 1", x)
	}
	if d.proto == "udp" && d.IntN(12) == 0 {
		d.say("%s set so:bindtoifindex %d", x, 1+d.IntN(2))
	}
	if d.IntN(5) > 0 {
		d.say("%s bind %s", x, d.addr(six))
	}
}

// addr draws an address to bind to: one of two ports, now and then one that is chosen.
func (d *bindDraw) addr(six bool) string {
	host := d.one("any", "lo", "lo2")
	if six {
		host = d.one("any6", "lo6", "m", "m0")
	}
	return host + ":" + d.one("7000", "7000", "7000", "7001", "7001", "0")
}
