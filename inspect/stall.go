package inspect

import (
	"cmp"
	"fmt"
	"time"

	"usock"
	"usock/internal/control"
	"usock/internal/dns"
	"usock/trace"
)

// Stall says in words who waits for whom on a connection, as it stands: "receiver: ...", where the peer does not take more,
// "congestion: ...", "path: ...", "program: ...", "Nagle: ...", "pacing: ..." or "acknowledgment: ...". "" is
// said of sockets that are no established connection, and of one that sends what it has. Of who waits for a name server, by UDP or TCP,
// "resolver: ..." is said. in is of Host.Sockets or SocketsFrom: it has TCP, or UDP.
func Stall(in *usock.SocketInfo) string {
	t := in.TCP
	if t == nil {
		if u := in.UDP; u != nil && u.Open {
			return fmt.Sprintf("resolver: no answer from %v for %s to %s", u.Server, rounded(u.Waited), questionOf(u))
		}
		return ""
	}
	switch in.State {
	case "SYN-SENT":
		if t.Retransmits > 0 {
			return fmt.Sprintf("path: no answer to %s", count(int(t.Retransmits)+1, "SYN"))
		}
		return "path: the answer to the SYN is under way"
	case "ESTAB", "CLOSE-WAIT", "FIN-WAIT-1", "CLOSING", "LAST-ACK":
	default:
		return ""
	}
	switch in.Waits {
	case trace.ByPath:
		return fmt.Sprintf("path: no answer for %s to %s, sent %s", ms(t.LastAckRecv), bytesOf(in.SendQ), times(int(t.Retransmits)+1))
	case trace.ByWindow:
		if t.SndWnd == 0 {
			return fmt.Sprintf("receiver: its window is closed, the program there does not read; %s wait", bytesOf(in.SendQ))
		}
		return fmt.Sprintf("receiver: its window of %s is full, the program there reads too slowly; %s wait", bytesOf(int(t.SndWnd)), bytesOf(int(t.NotSentBytes)))
	case trace.ByCWnd:
		return fmt.Sprintf("congestion: the window of %s is full, for a round trip of %s; %s wait", count(int(t.SndCwnd), "segment"), us(t.RTT), bytesOf(int(t.NotSentBytes)))
	case trace.ByPacing:
		return fmt.Sprintf("pacing: at %s/s; %s wait", bytesOf(int(t.PacingRate)), bytesOf(int(t.NotSentBytes)))
	case trace.ByNagle:
		return fmt.Sprintf("Nagle: %s wait for the acknowledgment of what was sent %s ago, which the peer may delay; TCP_NODELAY sends them at once", bytesOf(int(t.NotSentBytes)), ms(t.LastDataSent))
	case trace.ByNobody:
		if t.Unacked > 0 && t.LastDataSent > 2*(t.RTT+4*t.RTTVar)/1000 {
			return fmt.Sprintf("acknowledgment: of %s, sent %s ago; the peer delays it, or it is lost", count(int(t.Unacked), "segment"), ms(t.LastDataSent))
		}
		return ""
	}
	switch {
	case in.RecvQ > 0 && t.RcvWnd < t.RcvMSS:
		return fmt.Sprintf("program: it does not read, so that the window is closed; %s wait, the last for %s", bytesOf(in.RecvQ), ms(t.LastDataRecv))
	case in.RecvQ > 0:
		return fmt.Sprintf("program: it has not read %s, the last for %s", bytesOf(in.RecvQ), ms(t.LastDataRecv))
	case t.NotSentBytes > 0:
		return fmt.Sprintf("program: its cork (TCP_CORK, MSG_MORE) holds %s", bytesOf(int(t.NotSentBytes)))
	}
	if in.Peer.Port() == dns.Port && t.BytesSent > 0 && (t.BytesReceived == 0 || t.LastDataRecv > t.LastDataSent) {
		return fmt.Sprintf("resolver: no answer from %v for %s", in.Peer, ms(t.LastDataSent))
	}
	return fmt.Sprintf("program: nothing to send for %s, nothing came for %s", ms(t.LastDataSent), ms(t.LastDataRecv))
}

// questionOf says what a name server was asked.
func questionOf(u *usock.UDPSocketInfo) string {
	q, ok := dns.QuestionOf(u.Message)
	if !ok {
		return "what was no question"
	}
	return "a question about " + cmp.Or(control.Printable(q.Name), ".")
}

func ms(n uint32) string { return rounded(time.Duration(n) * time.Millisecond) }

func us(n uint32) string { return rounded(time.Duration(n) * time.Microsecond) }

// rounded is a time with two or three digits.
func rounded(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= 100*time.Millisecond:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.String()
}

// bytesOf is a number of bytes.
func bytesOf(n int) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return count(n, "byte")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
