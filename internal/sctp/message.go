package sctp

import (
	"sync"
	"time"

	"usock/packet"
)

// outMessage is a message as the program sends it.
type outMessage struct {
	stream    uint16
	ppid      uint32
	context   uint32
	to        *flow // SCTP_ADDR_OVER; nil: wherever new data goes
	unordered bool
	immediate bool     // SCTP_SACK_IMMEDIATELY: the last chunk asks for a SACK (RFC 9260, section 6.2)
	key       *AuthKey // that it is authenticated by; nil: the active one
	policy    PRPolicy
	value     uint32 // of the policy: ms, retransmissions, or priority
}

// message is a message that is queued, or of which something is outstanding. Its chunks are cut when
// they leave, so that they suit the path as it is then; they refer to the message, and it goes with the
// last of them.
type message struct {
	outMessage
	next, prev *message // in its stream's queue, or (next) among those that have failed

	views   []packet.View
	few     [2]packet.View // of views, while they are few
	at      int            // view that the last slice ended in, and the offset at which it begins
	atBegin uint32

	n       uint32 // bytes
	cut     uint32 // bytes that chunks have been cut of
	left    uint32 // bytes that are charged to SO_SNDBUF
	fsn     uint32 // of the next fragment
	chunks  uint32 // outstanding or abandoned, and not acknowledged cumulatively
	fate    fate
	until   time.Duration // of PRTTL: when it is given up
	arrived uint64        // counts messages, as they were sent by the program
	id      uint64        // Stream Sequence Number, or Message Identifier, once the first chunk is cut
	tsn     uint64        // of the first chunk
}

// fate is what became of a message.
type fate uint8

const (
	fateAbandoned fate = 1 << iota // given up: its chunks are not sent any more
	fateReturned                   // the owner was told, and has let go of it
)

var messages = sync.Pool{New: func() any { return new(message) }}

// newMessage takes the views over.
func newMessage(m *outMessage, views []packet.View) *message {
	q := messages.Get().(*message)
	q.outMessage = *m
	q.views = q.few[:0]
	for _, v := range views {
		if v.Len() == 0 {
			v.Release()
			continue
		}
		q.views = append(q.views, v)
		q.n += uint32(v.Len())
	}
	q.left = q.n
	return q
}

// free lets go of a message that has failed, or of which nothing is outstanding.
func (m *message) free() {
	packet.ReleaseAll(m.views)
	m.views = nil
	if m.chunks > 0 {
		m.fate |= fateReturned // FORWARD-TSN still has to name it
		return
	}
	*m = message{}
	messages.Put(m)
}

// begun reports whether a chunk of it was given a TSN.
func (m *message) begun() bool { return m.cut > 0 }

// slice sets x to the bytes from off on, n of them or as many as it has room for, and returns how many.
// It takes no reference.
func (m *message) slice(off, n uint32, x *packet.Vec) uint32 {
	x.Moved()

	// Chunks are cut in a row. Only a retransmission goes back.
	if off < m.atBegin {
		m.at, m.atBegin = 0, 0
	}
	for off-m.atBegin >= uint32(m.views[m.at].Len()) {
		m.atBegin += uint32(m.views[m.at].Len())
		m.at++
	}

	done, begin := uint32(0), off-m.atBegin
	for i := m.at; done < n && !x.Full(); i++ {
		v := m.views[i]
		end := min(uint32(v.Len()), begin+n-done)
		x.Append(v.Slice(int(begin), int(end)))
		done += end - begin
		begin = 0
	}
	return done
}

// failed says of a message that the peer will never have it.
type failed struct {
	first, last *message
}

func (f *failed) add(m *message) {
	m.next, m.prev = nil, nil
	if f.last != nil {
		f.last.next = m
	} else {
		f.first = m
	}
	f.last = m
}

func (f *failed) take() *message {
	m := f.first
	if m == nil {
		return nil
	}
	f.first = m.next
	if f.first == nil {
		f.last = nil
	}
	m.next = nil
	return m
}
