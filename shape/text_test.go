package shape_test

import (
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/link"
	"usock/shape"
)

const (
	ruleForm = "a rule is a condition, a colon and an effect, such as 'udp: delay 200ms'"
	words    = "there are any, up, down, tcp, udp, sctp, icmp, to, from, process, pid, connection, until, at, for and every"
	effects  = "there are delay, jitter, loss, rate, queue, limit, mark, reorder, duplicate, corrupt and cut"
)

// TestRuleErrors has rules that are none, and what is said of them.
func TestRuleErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "column 1: it is empty; " + ruleForm,
		"  ":                           "column 1: it is empty; " + ruleForm,
		":":                            "column 1: a condition is missing before the colon; any stands for all packets",
		": cut":                        "column 1: a condition is missing before the colon; any stands for all packets",
		"udp":                          "column 4: the colon is missing, and the effect; " + ruleForm,
		"udp:":                         "column 5: an effect is missing behind the colon, such as delay 200ms, loss 30% or cut",
		"udp cut":                      `column 5: "cut" is an effect, and a colon stands before that; ` + ruleForm,
		"udp:cut":                      "column 1: a space stands behind the colon: udp: cut",
		"tdp: cut":                     `column 1: "tdp" is no condition; tcp is meant?`,
		"conection 2: cut":             `column 1: "conection" is no condition; connection is meant?`,
		"proc curl: cut":               `column 1: "proc" is no condition; process is meant?`,
		"frm 10.0.0.1: cut":            `column 1: "frm" is no condition; from is meant?`,
		"quic: cut":                    `column 1: "quic" is no condition; ` + words,
		"api.test: cut":                `column 1: "api.test" is no condition; where packets go to is said by to api.test, where they come from by from api.test`,
		"to api.test 443: cut":         `column 13: "443" is no condition; a port stands with its host, and a colon before it: to api.test:443`,
		"to: cut":                      "column 1: to what? A value stands behind it, such as to api.test:443",
		"udp to : cut":                 "column 8: to what? A value stands behind it, such as to api.test:443",
		"udp process: cut":             "column 5: process what? A value stands behind it, such as process curl",
		"to 443: cut":                  `column 4: "443" is no address; a port has a colon before it: to :443`,
		"to :99999: cut":               `column 4: "99999" is no port: those are 1 to 65535`,
		"to :53/dns: cut":              `column 4: "dns" is no protocol: there are tcp, udp, sctp and icmp`,
		"to 10.0.0.1/8: cut":           "column 4: 10.0.0.1/8 has bits that its length leaves out: give 10.0.0.0/8, or 10.0.0.1 alone",
		"to a..b: cut":                 `column 4: "a..b" has an empty part between its dots`,
		"to bücher.test: cut":          `column 4: "bücher.test" has the character 'ü'; a name has letters, digits, '-' and '_' (others in the form that begins with xn--)`,
		"to fd00::2:53: cut":           "",
		`to "db": cut`:                 "column 4: a host stands without quotes",
		"to 20s: cut":                  `column 4: "20s" is a time: until 20s is meant? (A host of that name has a dot at its end: to 20s.)`,
		"from 10: cut":                 `column 6: "10" is neither a time, which has a unit (from 10s), nor a port, which has a colon (from :10), nor an address`,
		"from -5s: cut":                `column 6: "-5s" is before the beginning`,
		"until db: cut":                `column 7: "db" is no time; that is a number with a unit, such as 500ms, 10s or 2m`,
		"until 5: cut":                 `column 7: the unit of "5" is missing, as in 5s`,
		"from 9000h: cut":              `column 6: "9000h" is too long; up to a year is possible`,
		"from 20s until 10s: cut":      "column 10: until 10s ends before it begins",
		"until 0s: cut":                "column 1: until 0s ends before it begins",
		"at 5s from 2s: cut":           "column 1: at 5s or from 2s? One of them is when it begins",
		"at 5s for 2s until 8s: cut":   "column 7: for 2s or until 8s? One of them is when it ends",
		"for 2s: cut":                  "column 1: for 2s from when on? Give at 5s for 2s, or every 30s for 2s",
		"at 5s for 0s: cut":            "column 7: for no time it is never; give for 2s",
		"every 30s: cut":               "column 1: every 30s for how long? Give every 30s for 2s",
		"every 2s for 2s: cut":         "column 10: for 2s of every 2s is always",
		"at 5s: cut at 6s":             "column 12: at TIME is there twice",
		"up down: cut":                 "column 4: a direction is there twice",
		"tcp udp: cut":                 "column 5: a protocol is there twice",
		"to a to b: cut":               "column 6: to is there twice",
		"any any: cut":                 "column 5: any is there twice",
		"any udp: cut":                 "column 1: any stands for all packets, and a protocol is for some: leave any out",
		"to a any: cut":                "column 1: any stands for all packets, and to is for some: leave any out",
		"to a:53/udp tcp: cut":         "column 1: no packet is of two protocols",
		"to :1/tcp from :2/udp: cut":   "column 1: no packet is of two protocols",
		"icmp to :53: cut":             "column 1: icmp has no ports",
		"process 123: cut":             `column 9: 123 is a number; a process of that number is pid 123, a program of that name process "123"`,
		"pid curl: cut":                `column 5: "curl" is no process's number; a program is meant by its name: process curl`,
		"pid 0: cut":                   `column 5: "0" is no process's number; a program is meant by its name: process 0`,
		"connection 0: cut":            `column 12: "0" is no connection; they are counted from 1: connection 2, or connection 2-4`,
		"connection two: cut":          `column 12: "two" is no connection; they are counted from 1: connection 2, or connection 2-4`,
		"connection 4-2: cut":          `column 12: "4-2" ends before it begins`,
		`process "a b: cut`:            "column 9: the quotes do not end",
		`process "a"b: cut`:            "column 9: b: stands behind the quotes, where there is a space or a colon",
		`"udp": cut`:                   `column 1: "udp" stands alone; a name in quotes is a process's: process "udp"`,
		"udp: dealy 5ms":               `column 6: "dealy" is no effect; delay is meant?`,
		"udp: drop":                    `column 6: "drop" is no effect; ` + effects,
		"udp: delay":                   "column 11: a value is missing behind delay",
		"udp: delay 5":                 "column 12: delay 5: the unit is missing, as in 5ms",
		"udp: loss 30":                 "column 11: loss 30: a percentage is wanted, as in 30%",
		"udp: rate 0":                  "column 11: rate 0: nothing would ever arrive at that rate; leave it out for a link without one, or lose all packets (loss 100%)",
		"udp: delay 5ms delay 6ms":     "column 16: delay is there twice",
		"udp: cut loss 5%":             "column 10: cut is a loss of all packets, and there is one already",
		"udp: loss 5% cut":             "column 14: cut is a loss of all packets, and there is one already",
		"udp: jitter 5ms":              "column 6: jitter: 5ms strays about a delay, and there is none; give one of 5ms or more",
		"udp: limit 20":                "column 6: limit: there is a queue only where there is a rate",
		"udp: at 5s":                   "column 6: an effect is missing, such as delay 200ms, loss 30% or cut",
		"udp: cut at":                  "column 10: at what? A value stands behind it, such as at 2s",
		"udp:\ncut":                    `column 5: there is a '\n' in it`,
		"udp: cut\x1b[2J":              `column 9: there is a '\x1b' in it`,
		"udp: cut\xff":                 "column 9: this is no UTF-8",
		strings.Repeat("a", 1025):      "column 1025: it has 1025 bytes; up to 1024 are read",
		"process \"müsli\" udp: dealy": `column 22: "dealy" is no effect; delay is meant?`,
	} {
		_, err := shape.ParseRule(text)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
		} else if err == nil {
			t.Errorf("%q was taken", text)
		} else if err.Error() != want {
			t.Errorf("%q:\n%s, want\n%s", text, err, want)
		}
	}
}

// TestRuleText reads what a rule says of itself, and gets the same rule.
func TestRuleText(t *testing.T) {
	r, err := shape.ParseRule("  to\tapi.test:443   from 10s until 20s :  loss 30%  ")
	if want := "to api.test:443 from 10s until 20s : loss 30%"; err != nil || r.String() != want || r.Impairment.Loss != 0.3 {
		t.Errorf("%q, %v", r.String(), err)
	}
	text, err := r.MarshalText()
	var again shape.Rule
	if err == nil {
		err = again.UnmarshalText(text)
	}
	if err != nil || again.String() != r.String() || again.Impairment != r.Impairment {
		t.Errorf("%q, %v", again.String(), err)
	}
	if err := again.UnmarshalText([]byte("udp")); err == nil || again.String() != r.String() {
		t.Errorf("%q, %v", again.String(), err)
	}
	var none shape.Rule
	if err := none.Check(); err == nil {
		t.Error("a rule without text")
	}
}

// FuzzRule takes nothing that it would not understand in the same way once more, and complains about a place in the text.
func FuzzRule(f *testing.F) {
	for _, text := range []string{
		"to api.test:443 from 10s until 20s: loss 30%", "udp: delay 200ms jitter 5ms", "process \"a b\" connection 2-4: rate 1mbit limit 20",
		"to db: cut at 5s for 2s", "down from 10.0.0.0/8 every 30s for 2s: cut", "to fd00:: udp: cut", "any: reorder 1%,3ms", "::: :", "\"", "from 1: cut",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := shape.ParseRule(text)
		if err != nil {
			e, ok := err.(*shape.TextError)
			if !ok || e.Column < 1 || e.Column > len(text)+1 || e.Line != 0 || e.What == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if err := r.Check(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		again, err := shape.ParseRule(r.String())
		if err != nil || again.String() != r.String() || again.Impairment != r.Impairment {
			t.Errorf("%q: %q, %v", text, r.String(), err)
		}
		x := newPassage(t, shape.Shape{Rules: []shape.Rule{r}}, shape.Config{})
		d := describe(t, "out udp 10.0.0.1:1000>10.0.0.2:53 pid=7")
		x.send(d)
		x.clock.Advance(time.Hour)
		if out, _ := x.link.Stats(); out.Packets != 1 {
			t.Errorf("%q: %+v", text, out)
		}
	})
}

// FuzzPackets has packets that are none pass rules.
func FuzzPackets(f *testing.F) {
	for _, text := range []string{
		"out udp 10.0.0.1:1000>10.0.0.2:53", "out tcp 10.0.0.1:1000>10.0.0.2:53 syn=1", "out udp [fd00::1]:1000>[fd00::2]:53 frag=9,0,more", "out echo [fd00::1]:1000>fd00::2 options",
		"out error 10.0.0.1>10.0.0.2 about=echo,10.0.0.1:7>10.0.0.2", "out sctp 10.0.0.1:9>10.0.0.2:5000 init=7",
	} {
		d := describe(f, text)
		f.Add(d.bytes(f), uint8(0))
		f.Add(d.bytes(f), uint8(20))
	}
	f.Fuzz(func(t *testing.T, b []byte, head uint8) {
		if len(b) > 1000 {
			return
		}
		c := new(clock.Manual)
		near, _ := link.Pipe(link.PipeConfig{})
		l, err := shape.Impair(near, shape.Shape{Rules: rules(t, "to :53 connection 1: delay 5ms", "icmp: delay 6ms", "any: cut")}, shape.Config{Clock: c, Loopback: head&1 != 0})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for range 3 {
			l.Send([]*link.Packet{packetOf(b, int(head))})
		}
		c.Advance(time.Second)
		if out, _ := l.Stats(); out.Lost != 3 || out.Waiting != 0 {
			t.Errorf("%+v", out)
		}
	})
}
