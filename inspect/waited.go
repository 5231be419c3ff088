package inspect

import (
	"fmt"
	"time"

	"usock"
)

// waiting is whom a connection may have waited for: the words of Stall, as far as they hold for a whole life.
type waiting int

const (
	forProgram waiting = iota
	forReceiver
	forBuffer
	forCongestion
	forNagle
	forPath
	waitings
)

var waitingNames = [waitings]string{"program", "receiver", "send buffer", "congestion", "Nagle", "path"}

func (w waiting) String() string { return waitingNames[w] }

// waits are how long a connection has waited for whom; together they are its age. Of a connection that was never made
// they are those of its path.
func waits(in *usock.SocketInfo) (w [waitings]time.Duration) {
	t := in.TCP
	if !made(t) {
		w[forPath] = in.Age
		return w
	}
	span := func(us uint64) time.Duration { return time.Duration(us) * time.Microsecond }
	w[forReceiver], w[forBuffer], w[forCongestion], w[forNagle] = span(t.RwndLimited), span(t.SndbufLimited), span(t.CwndLimited), span(t.NagleLimited)
	busy := span(t.BusyTime)
	w[forPath] = max(busy-w[forReceiver]-w[forBuffer]-w[forCongestion]-w[forNagle], 0)
	w[forProgram] = max(in.Age-busy, 0)
	return w
}

// made reports whether a connection was made. Of the end that has connected the SYN counts as a byte; the other one has had the
// peer's window with it.
func made(t *usock.TCPInfo) bool { return t.BytesAcked > 0 || t.SndWnd > 0 }

// Waited says in words whom a connection waited for most while it lasted: "receiver: ...", "congestion: ...", "path: ...",
// "program: ..." and "Nagle: ..." are of Stall, "send buffer: ..." is said where SO_SNDBUF was too small. in is what
// usock.Config.Ended is told, or of Host.Sockets; "" is said of others than connections of TCP.
func Waited(in *usock.SocketInfo) string {
	t := in.TCP
	switch {
	case t == nil:
		return ""
	case made(t):
	case t.SegsIn > 0:
		return "path: the connection was refused"
	default:
		return fmt.Sprintf("path: no answer to %s", count(int(t.SegsOut), "SYN"))
	}
	w, most := waits(in), forProgram
	for k := range w {
		if w[k] > w[most] {
			most = waiting(k)
		}
	}
	spent := fmt.Sprintf("for %s of %s", rounded(w[most]), rounded(in.Age))
	if in.Age < w[most] { // it is counted in ms, and the waits in µs
		spent = "for " + rounded(w[most])
	}
	switch most {
	case forReceiver:
		return fmt.Sprintf("receiver: its window was full %s, the program there read too slowly", spent)
	case forBuffer:
		return fmt.Sprintf("send buffer: it was full %s, with all of it sent; SO_SNDBUF was too small", spent)
	case forCongestion:
		return fmt.Sprintf("congestion: the window was full %s%s", spent, losses(t))
	case forNagle:
		return fmt.Sprintf("Nagle: small segments were held back %s; TCP_NODELAY sends them at once", spent)
	case forPath:
		return fmt.Sprintf("path: what was sent was on its way %s, in round trips of %s%s", spent, us(t.RTT), losses(t))
	}
	if in.RecvQ > 0 {
		return fmt.Sprintf("program: it had nothing to send %s, and has not read %s", spent, bytesOf(in.RecvQ))
	}
	return fmt.Sprintf("program: it had nothing to send %s", spent)
}

// losses are what was lost on the way.
func losses(t *usock.TCPInfo) string {
	switch {
	case t.TotalRTO > 0:
		return fmt.Sprintf("; %s sent again, after %s", count(int(t.TotalRetrans), "segment"), count(int(t.TotalRTO), "timeout"))
	case t.TotalRetrans > 0:
		return fmt.Sprintf("; %s sent again", count(int(t.TotalRetrans), "segment"))
	}
	return ""
}
