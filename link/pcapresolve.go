package link

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/dns"
	"usock/internal/pcapfilter"
	"usock/internal/wire"
)

// pcapQuestions are the questions to name servers that a capture has seen pass, of which answers are believed: the last ones.
type pcapQuestions struct {
	asked map[pcapQuestion]struct{}
	last  [maxAsked]pcapQuestion // a ring
	at    int
}

type pcapQuestion struct {
	flow pcapfilter.Flow
	dns.Question
}

// maxAsked is how many questions are remembered.
const maxAsked = 256

const (
	protoTCP = 6
	protoUDP = 17
)

// add remembers a question.
func (q *pcapQuestions) add(x pcapQuestion) {
	if _, ok := q.asked[x]; ok {
		return
	}
	if q.asked == nil {
		q.asked = make(map[pcapQuestion]struct{})
	}
	delete(q.asked, q.last[q.at])
	q.last[q.at], q.asked[x] = x, struct{}{}
	q.at = (q.at + 1) % maxAsked
}

// resolves notes what a packet asks a name server, and reports the addresses that it gives for a name that was asked for. A message by
// TCP is seen where it has a segment for itself. The caller holds the writer's mu.
func (i *PcapInterface) resolves(k *Packet) (name string, addrs []netip.Addr) {
	if i.network != 0 || !mayResolve(k.Front()) {
		return "", nil
	}
	flow, ok := pcapfilter.FlowOf(k.Front())
	asks := ok && flow.Dst.Port() == dns.Port
	if !asks && (!ok || flow.Src.Port() != dns.Port || len(i.w.questions.asked) == 0) {
		return "", nil
	}
	i.w.whole = k.AppendTo(i.w.whole[:0])
	msg := messageOf(i.w.whole, flow.Proto)
	q, ok := dns.QuestionOf(msg)
	switch {
	case !ok:
		return "", nil
	case asks:
		i.w.questions.add(pcapQuestion{flow, q})
		return "", nil
	}
	if _, ok := i.w.questions.asked[pcapQuestion{flow.Reverse(), q}]; !ok {
		return "", nil
	}
	_, addrs = dns.AnswersOf(msg)
	return q.Name, addrs
}

// mayResolve reports whether an IP packet, of which b is the headers, may be from or to a name server: of most it takes a glance.
func mayResolve(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	at := headerOf(b)
	return len(b) >= at+4 && (binary.BigEndian.Uint16(b[at:]) == dns.Port || binary.BigEndian.Uint16(b[at+2:]) == dns.Port)
}

// headerOf is the length of an IP header, without extension headers.
func headerOf(b []byte) int {
	if b[0]>>4 == 4 {
		return int(b[0]&15) * 4
	}
	return wire.IPv6Len
}

// messageOf returns the message of DNS that an IP packet without extension headers has; nil: none that is whole.
func messageOf(b []byte, proto uint8) []byte {
	b = b[min(headerOf(b), len(b)):]
	switch {
	case proto == protoUDP && len(b) > wire.UDPLen:
		return b[wire.UDPLen:]
	case proto == protoTCP && len(b) >= wire.TCPMinLen:
		b = b[min(int(b[12]>>4)*4, len(b)):]
		if len(b) > 2 && int(binary.BigEndian.Uint16(b)) == len(b)-2 { // RFC 1035, section 4.2.2
			return b[2:]
		}
	}
	return nil
}
