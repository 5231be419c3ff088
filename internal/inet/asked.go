package inet

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"usock/internal/socket"
)

// UDPDetail is what there is to tell of a socket of UDP's alone: of those questions to name servers that it has asked, the oldest that has
// no answer yet, or else the one that had to wait longest for its own.
type UDPDetail struct {
	Server  netip.AddrPort
	Message []byte // the question
	Open    bool   // it has no answer
	Waited  time.Duration
}

// namesAsked are the questions that a socket has asked name servers. Whoever looks at sockets is told whom one waits for; what the messages say is
// read then.
type namesAsked struct {
	open    []nameQuestion // without answer, the oldest first
	slowest UDPDetail      // of those that were answered
	spare   []byte         // room for the next message
}

type nameQuestion struct {
	server netip.AddrPort
	msg    []byte
	at     time.Duration
}

const (
	nameServer   = 53  // the port
	dnsHeader    = 12  // bytes (RFC 1035, section 4.1.1)
	maxQuestions = 16  // of a socket that are looked after: the last ones
	maxQuestion  = 512 // bytes
)

// asks notes a datagram that the socket sends to a name server. A question that is asked again counts from when it was asked first, whatever
// its number.
func (e *udpEndpoint) asks(server netip.AddrPort, m *socket.Msg) {
	msg := m.Small
	if len(m.Data) > 0 {
		msg = m.Data[0].Bytes()
	}
	if len(msg) < dnsHeader || len(msg) > maxQuestion || msg[2]&0x80 != 0 {
		return
	}
	if e.asked == nil {
		e.asked = new(namesAsked)
	}
	a := e.asked
	for i := range a.open {
		if q := &a.open[i]; q.server == server && bytes.Equal(q.msg[2:], msg[2:]) {
			copy(q.msg, msg)
			return
		}
	}
	if len(a.open) == maxQuestions {
		a.spare = a.open[0].msg
		a.open = slices.Delete(a.open, 0, 1)
	}
	a.open = append(a.open, nameQuestion{server, append(a.spare[:0], msg...), e.s.Host.Now()})
	a.spare = nil
}

// hears notes a datagram that has come from a name server.
func (e *udpEndpoint) hears(server netip.AddrPort, msg []byte) {
	if len(msg) < dnsHeader {
		return
	}
	a := e.asked
	i := slices.IndexFunc(a.open, func(q nameQuestion) bool { return q.server == server && bytes.Equal(q.msg[:2], msg[:2]) })
	if i < 0 {
		return
	}
	q := a.open[i]
	a.open = slices.Delete(a.open, i, i+1)
	a.spare = q.msg
	if d := e.s.Host.Now() - q.at; d >= a.slowest.Waited {
		a.spare = a.slowest.Message
		a.slowest = UDPDetail{q.server, q.msg, false, d}
	}
}

// detail tells whom the socket waits for, or has waited for; nil: it has asked nobody.
func (a *namesAsked) detail(now time.Duration) *UDPDetail {
	switch {
	case a == nil:
		return nil
	case len(a.open) > 0:
		q := &a.open[0]
		return &UDPDetail{q.server, slices.Clone(q.msg), true, now - q.at}
	case a.slowest.Message == nil:
		return nil
	}
	d := a.slowest
	d.Message = slices.Clone(d.Message)
	return &d
}
