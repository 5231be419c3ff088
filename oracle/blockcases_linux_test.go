package oracle

import (
	"slices"
	"strings"
)

// Options of the scenarios, in the kernel's layout: timeouts of 30 and 250 ms, and
// how close waits.
const (
	shortTimeo = " 00000000000000003075000000000000"
	longTimeo  = " 000000000000000090d0030000000000"
	noTimeo    = " ffffffffffffffff0000000000000000" // negative: no waiting
	resets     = "setx so:linger 0100000000000000"
	lingers    = "setx so:linger 0100000001000000" // for a second
)

// ends are prologues that make two sockets, c and s, that talk to each other. Calls
// on c wait.
type ends struct{ name, lines string }

var (
	tcpEnds = ends{"tcp", pair}
	streams = []ends{
		tcpEnds,
		{"tcp6", "l = tcp6; l bind lo6:7000; l listen 5; c = tcp6; c connect lo6:7000; s = accept l; c connect lo6:7000"},
		{"unix stream", "l = us; l bind un:l; l listen 5; c = us; c connect un:l; s = accept l"},
		{"unix stream pair", "c = pair us s"},
	}
	records = []ends{
		{"udp", "c = udp; c bind lo:7001; s = udp; s bind lo:7002; s connect lo:7001; c connect lo:7002"},
		{"udp unconnected", "c = udp; c bind lo:7001; s = udp; s bind lo:7002; s connect lo:7001"},
		{"udp6", "c = udp6; c bind lo6:7001; s = udp6; s bind lo6:7002; s connect lo6:7001; c connect lo6:7002"},
		{"unix datagram", "c = ud; c bind un:c; s = ud; s bind un:s; s connect un:c"},
		{"unix datagram pair", "c = pair ud s"},
		{"unix seqpacket", "l = uq; l bind un:l; l listen 5; c = uq; c connect un:l; s = accept l"},
		{"unix seqpacket pair", "c = pair uq s"},
	}
)

// after is what the receiver shows when all is over.
const after = "c recv 9 dontwait; c recv 9 dontwait; c get so:error; c recv 9 dontwait; c send x dontwait; c get so:error"

// receives are calls with which c receives, and what is set before them.
var receives = []string{
	"recv 5", "recv 5 peek", "recv 5 waitall", "recv 5 peek waitall", "recv 5 trunc", "recv 5 oob", "recv 5 errqueue",
	"recv 0", "recv 0 peek", "recv 2,1,2", "recv 2,0,3 waitall", "recvfrom 5", "read 5",
	"low 3: recv 5", "low 3: recv 2", "low 3: recv 5 peek", "low 9: recv 5", "low 3: recv 5 waitall",
}

// plainReceives are those for ends of which others are the model.
var plainReceives = []string{"recv 5", "recv 5 waitall", "recv 5 peek", "low 3: recv 5"}

// streamEvents are what happens to a stream while a receive waits.
var streamEvents = []ends{
	{"data in parts", "s send ab; s send cde; s send fg"},
	{"data", "s send abcdefg"},
	{"data, FIN", "s send ab; s shutdown wr"},
	{"data, close", "s send ab; s close"},
	{"FIN", "s shutdown wr"},
	{"close", "s close"},
	{"close, unread", "c send x dontwait; s close"},
	{"data, close, unread", "c send x dontwait; s send ab; s close"},
	{"reset", "s " + resets + "; s close"},
	{"peer's shutdown", "s shutdown rd; s send ab; s shutdown rdwr"},
	{"shutdown rd", "c shutdown rd; s send ab"},
	{"data, shutdown rd", "s send ab; c shutdown rd"},
	{"shutdown wr", "c shutdown wr; s send ab; s close"},
	{"shutdown rdwr", "c shutdown rdwr"},
	{"data, shutdown rdwr", "s send ab; c shutdown rdwr"},
	{"taken by another", "s send ab; c recv 9 dontwait; s send cde; s send fgh"},
}

// tcpEvents are what happens to TCP only.
var tcpEvents = []ends{
	{"urgent", "s send abc oob; s send de"},
	{"urgent byte", "s send a oob; s send b"},
	{"data, urgent", "s send a; s send bc oob; s send de"},
	{"data, reset", "s send ab; s " + resets + "; s close"},
}

// recordEvents are what happens to a socket that keeps bounds.
var recordEvents = []ends{
	{"short", "s send ab; s send cde"},
	{"long", "s send abcdefg; s send hi"},
	{"empty", `s send ""; s send ab`},
	{"close", "s close"},
	{"data, close", "s send ab; s close"},
	{"close, unread", "c send x dontwait; s close"},
	{"FIN", "s shutdown wr"},
	{"peer's shutdown", "s shutdown rdwr"},
	{"shutdown rd", "c shutdown rd; s send ab"},
	{"shutdown wr", "c shutdown wr; s send ab"},
	{"shutdown rdwr", "c shutdown rdwr; s send ab"},
	{"taken by another", "s send ab; c recv 9 dontwait; s send cde"},
}

// receive writes a receive with what comes before it.
func receive(how string) string {
	how, low := strings.TrimPrefix(how, "low "), strings.HasPrefix(how, "low ")
	if !low {
		return "c block on; > c " + how
	}
	n, how, _ := strings.Cut(how, ": ")
	return "c set so:rcvlowat " + n + "; c block on; > c " + how
}

// quick reports whether a receive does not wait, or is like another but for its form:
// few events are enough for it.
func quick(how string) bool {
	return strings.HasSuffix(how, "oob") || strings.HasSuffix(how, "errqueue") ||
		strings.HasPrefix(how, "read") || how == "recv 2,1,2" || how == "recv 0 peek"
}

// receiveCases are receives that wait, with everything that can happen meanwhile.
func receiveCases() (out []sequence) {
	add := func(e ends, how string, events []ends) {
		for i, event := range events {
			if i%3 != 1 && quick(how) {
				continue
			}
			out = append(out, sequence{
				name:  "receive/" + e.name + "/" + how + "/" + event.name,
				lines: strings.Join([]string{e.lines, receive(how), event.lines, after}, ";"),
			})
		}
	}
	for i, e := range streams {
		how := receives
		if i == 1 || i == 3 {
			how = plainReceives
		}
		for _, how := range how {
			add(e, how, streamEvents)
			if strings.HasPrefix(e.name, "tcp") {
				add(e, how, tcpEvents)
			}
		}
	}
	for i, e := range records {
		for j, how := range receives {
			if strings.HasPrefix(how, "low") || (i == 1 || i == 2 || i == 4 || i == 5) && j > 2 {
				continue
			}
			add(e, how, recordEvents)
		}
	}
	return out
}

// timeoutCases are receives that end by SO_RCVTIMEO, with and without something that
// came before.
func timeoutCases() (out []sequence) {
	for _, e := range append(streams[:len(streams):len(streams)], records...) {
		for i, how := range receives {
			if i > 2 && strings.HasPrefix(e.name, "tcp6") || strings.HasPrefix(how, "low") && strings.Contains(e.name, "u") && !strings.Contains(e.name, "stream") {
				continue
			}
			out = append(out, sequence{
				name:  "timeout/" + e.name + "/" + how,
				lines: e.lines + "; c setx so:rcvtimeo" + shortTimeo + "; " + strings.Replace(receive(how), ">", ">>", 1) + "; s send abcdefg; " + after,
			})
			if strings.Contains(how, "waitall") || strings.HasPrefix(how, "low") {
				out = append(out, sequence{
					name:  "timeout/" + e.name + "/" + how + ", data",
					lines: e.lines + "; c setx so:rcvtimeo" + longTimeo + "; " + receive(how) + "; s send ab; wait; s send cdefg; " + after,
				})
			}
		}
	}
	return out
}

// noWaitCases are calls that a negative timeout keeps from waiting, with and without
// something that came before.
func noWaitCases() (out []sequence) {
	for _, e := range append(streams[:len(streams):len(streams)], records...) {
		for _, how := range receives {
			first := receive(how)
			again := first[strings.Index(first, ">"):]
			out = append(out, sequence{
				name:  "no waiting/" + e.name + "/" + how,
				lines: e.lines + "; c setx so:rcvtimeo" + noTimeo + "; " + first + "; s send ab; " + again + "; " + after,
			})
		}
		out = append(out, sequence{
			name:  "no waiting/" + e.name + "/shut down",
			lines: e.lines + "; c setx so:rcvtimeo_new" + noTimeo + "; c block on; c shutdown rd; > c recv 5; > c recv 5 peek; " + after,
		})
	}
	return out
}

// waitingCases are all the scenarios.
func waitingCases() []sequence {
	var out []sequence
	for _, f := range []func() []sequence{receiveCases, timeoutCases, noWaitCases, tcpTimeCases} {
		out = append(out, f()...)
	}
	return slices.Concat(out, waitingTable, heldTable)
}
