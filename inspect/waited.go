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
// usock.Config.Ended is told, or of Host.Sockets. Of others than connections of TCP it says what was lost, of those of UDP which name server
// they waited for longest, and "" where nothing was.
func Waited(in *usock.SocketInfo) string {
	t := in.TCP
	switch {
	case t == nil && in.Proto == "udp":
		return waitedUDP(in)
	case t == nil && in.SCTP != nil && len(in.SCTP.Assocs) == 1:
		return waitedSCTP(&in.SCTP.Assocs[0])
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

// waitedUDP is Waited of a socket of UDP.
func waitedUDP(in *usock.SocketInfo) string {
	switch {
	case in.Drops > 0:
		return fmt.Sprintf("program: it read too slowly, %s found no room", count(int(in.Drops), "datagram"))
	case in.RecvQ > 0:
		return fmt.Sprintf("program: it has not read %s, with what keeps them", bytesOf(in.RecvQ))
	case in.UDP != nil && in.UDP.Open:
		return fmt.Sprintf("resolver: %v had not answered for %s, %s", in.UDP.Server, rounded(in.UDP.Waited), questionOf(in.UDP))
	case in.UDP != nil:
		return fmt.Sprintf("resolver: the slowest answer of %v took %s, to %s", in.UDP.Server, rounded(in.UDP.Waited), questionOf(in.UDP))
	case in.TxBytes > 0 && in.RxBytes == 0:
		return "path: nothing has come back"
	}
	return ""
}

// waitedSCTP is Waited of an association.
func waitedSCTP(x *usock.SCTPAssocInfo) string {
	switch {
	case x.Unanswered && x.Made:
		return fmt.Sprintf("path: the peer did not answer any more, to %s sent again", count(int(x.Retrans), "chunk"))
	case x.Unanswered:
		return "path: no answer to the INIT"
	case x.State == 0 && !x.Made:
		return "path: the association was refused, or given up"
	case x.Retrans > 0:
		return fmt.Sprintf("path: %s sent again, in round trips of %s", count(int(x.Retrans), "chunk"), rounded(x.SRTT))
	}
	return ""
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
