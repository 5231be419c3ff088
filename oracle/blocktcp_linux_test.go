package oracle

import (
	"fmt"
	"strings"
)

// tcpTimeCases are scenarios in which TCP's own time passes: a user timeout, the queues of a
// listener and what becomes of those that found them full.
func tcpTimeCases() []sequence {
	out := append([]sequence(nil), tcpTimeTable...)
	// One attempt finds the queue full. It is repeated after one second, and after two.
	for backlog := range 5 {
		for _, then := range []string{
			"wait 1500", "x = accept l; wait 1500; y = accept l; z = accept l", "l listen 7; wait 1500", "l listen 0; x = accept l; wait 1500",
			"l close; wait 1500", "l shutdown rd; wait 1500", "c0 close; wait 1500; x = accept l; y = accept l; wait", "LAST shutdown rdwr; x = accept l; wait 1500; y = accept l",
		} {
			var b strings.Builder
			fmt.Fprintf(&b, "l = tcp; l bind lo:7000; l listen %d;", backlog)
			for i := range backlog + 2 {
				fmt.Fprintf(&b, "c%d = tcp; c%d connect lo:7000;", i, i)
			}
			b.WriteString(strings.ReplaceAll(then, "LAST", fmt.Sprintf("c%d", backlog+1)))
			for i := range backlog + 2 {
				if i > 0 || !strings.HasPrefix(then, "c0") {
					fmt.Fprintf(&b, "; c%d get so:error", i)
				}
			}
			out = append(out, sequence{name: fmt.Sprintf("backlog %d: %s", backlog, then), lines: b.String()})
		}
	}
	return out
}

var tcpTimeTable = []sequence{
	{name: "user timeout/send", lines: fullTCP + "c set tcp:user_timeout 300; > c sendn 100000; wait 1500; c get so:error; c send x dontwait; c recv 1 dontwait; c recv 1 dontwait"},
	{name: "user timeout/send after", lines: fullTCP + "c set tcp:user_timeout 300; wait 1500; c send x dontwait; c recv 1 dontwait; c get so:error; c send x dontwait"},
	{name: "user timeout/recv", lines: fullTCP + "c set tcp:user_timeout 300; > c recv 5; wait 1500; c recv 5 dontwait; c send x dontwait"},
	{name: "user timeout/recv after", lines: fullTCP + "c set tcp:user_timeout 300; wait 1500; c recv 5 dontwait; c get so:error; c send x dontwait; c recv 5 dontwait"},
	{name: "user timeout/data left", lines: fullTCP + "c set tcp:user_timeout 300; s send abc; wait 1500; c recv 5 dontwait; c recv 5 dontwait; c recv 5 dontwait"},
	{name: "user timeout/poll", lines: fullTCP + "c set tcp:user_timeout 300; > c poll; > c poll in; > c poll out; wait 1500; c get so:error; c get so:error; c shutdown rdwr"},
	{name: "user timeout/peer", lines: fullTCP + "c set tcp:user_timeout 300; wait 1500; s empty; s recv 1 dontwait; s send x dontwait; c get so:error"},
	{name: "user timeout/connect", lines: blackholed + "c set tcp:user_timeout 300; c block on; > c connect net:7000; wait 1500; c get so:error; c send x dontwait"},
	{name: "user timeout/connect, not blocking", lines: blackholed + "c set tcp:user_timeout 300; c connect net:7000; c block on; > c poll out; wait 1500; c block off; c connect net:7000; c get so:error; c connect lo:9"},
	{name: "user timeout/dissolved", lines: fullTCP + "c set tcp:user_timeout 300; wait 1500; c connect unspec; c get so:error; c connect lo:9; c get so:error"},
	{name: "user timeout/shut down", lines: fullTCP + "c set tcp:user_timeout 300; c shutdown wr; wait 1500; c recv 1 dontwait; c get so:error"},
	{name: "user timeout/after reading", lines: fullTCP + "c set tcp:user_timeout 300; s empty; wait 1500; c send x dontwait; c get so:error"},
	{name: "connecting, shut down rd", lines: blackholed + "c connect net:7000; c shutdown rd; c recv 1; c send x; c get so:error; c connect lo:9; c get so:error; c shutdown wr"},
	{name: "connecting, shut down rd, polled", lines: blackholed + "c connect net:7000; c block on; > c poll; > c poll in; > c poll out; c shutdown rd; c block off; c connect net:7000; c get so:error"},
	{name: "queue full, then closed", lines: "l = tcp; l bind lo:7000; l listen 0; a = tcp; a connect lo:7000; b = tcp; b connect lo:7000; l close; wait 1500; a get so:error; b get so:error; b recv 1; b send x"},
	{name: "queue full, data sent", lines: "l = tcp; l bind lo:7000; l listen 0; a = tcp; a connect lo:7000; a send hello; b = tcp; b connect lo:7000; b send hello; x = accept l; x recv 9; wait 1500; y = accept l; y recv 9; b send more; y recv 9"},
}
