package rtnl

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
)

// Session is what a netlink socket and the host say to each other.
//
//	request datagrams ─► Take ─► in ─► one request at a time ─► answers, or a dump ─► Next
//
// A request is looked at once all answers to those before it were taken, so what a session
// holds is bounded by what Take is given. The zero Session with its first fields set is ready.
type Session struct {
	*Source
	Protocol int    // NETLINK_ROUTE or NETLINK_SOCK_DIAG
	Port     uint32 // the socket's number, which answers name

	Strict bool // NETLINK_GET_STRICT_CHK
	CapAck bool // NETLINK_CAP_ACK
	ExtAck bool // NETLINK_EXT_ACK: errors are explained

	in      []byte        // requests that were not looked at
	more    [][]byte      // whole datagrams after those
	answers [][]byte      // to be taken
	why     string        // the request under way has failed; "": there is no more to say
	dump    *dump         // under way
	search  func()        // under way: a part of it; it ends itself
	foreign func() []byte // under way
}

// request is one message of a datagram.
type request struct {
	typ, flags uint16
	seq        uint32
	whole      []byte // as many bytes as its header says
	body       []byte
}

// answer is a message after its header: a structure, and attributes.
type answer struct {
	typ  uint16
	body []byte
}

// dump is a list that is told piece by piece.
type dump struct {
	req  request
	i, n int
	flag uint16                     // of the items
	end  uint16                     // of the message that ends it
	item func(i int) (answer, bool) // false: it is not asked for
	err  Errno
	why  string      // it has failed
	more func() bool // gives the next items, after the last of these; nil: there are none
}

// goodSize bounds a datagram that holds more than one message. A reader with the smallest
// buffer that is usual, a page, gets each one whole (NLMSG_GOODSIZE).
const goodSize = 3776

// Take takes over a datagram of requests.
func (s *Session) Take(datagram []byte) {
	if len(s.in)+len(s.more) == 0 {
		s.in = datagram
		return
	}
	s.more = append(s.more, datagram)
}

// Waiting returns how many bytes of requests were taken and not looked at.
func (s *Session) Waiting() (n int) {
	n = len(s.in)
	for _, b := range s.more {
		n += len(b)
	}
	return n
}

// Pending reports whether Next has more to do. It does a bounded piece of work at a time, and
// may return nil before all requests are answered.
func (s *Session) Pending() bool {
	return len(s.answers)+len(s.in)+len(s.more) > 0 || s.dump != nil || s.search != nil || s.foreign != nil
}

// Next returns the next datagram for the program; nil if there is none yet, or all requests are
// answered.
func (s *Session) Next() []byte {
	for {
		switch {
		case len(s.answers) > 0:
			b := s.answers[0]
			if s.answers = s.answers[1:]; len(s.answers) == 0 {
				s.answers = nil
			}
			return b
		case s.dump != nil:
			return s.step()
		case s.search != nil:
			if s.search(); s.search != nil {
				return nil
			}
		case s.foreign != nil:
			if b := s.foreign(); b != nil {
				return s.addressed(b)
			}
			s.foreign = nil
		case len(s.in) > 0:
			s.one()
		case len(s.more) > 0:
			s.in, s.more = s.more[0], s.more[1:]
		default:
			s.more = nil
			return nil
		}
	}
}

// one looks at the next request (af_netlink.c, netlink_rcv_skb).
func (s *Session) one() {
	if len(s.in) < headerSize {
		s.in = nil
		return
	}
	n := binary.NativeEndian.Uint32(s.in)
	if n < headerSize || uint64(n) > uint64(len(s.in)) {
		s.in = nil
		return
	}
	r := request{
		typ: binary.NativeEndian.Uint16(s.in[4:]), flags: binary.NativeEndian.Uint16(s.in[6:]),
		seq: binary.NativeEndian.Uint32(s.in[8:]), whole: s.in[:n], body: s.in[headerSize:n],
	}
	s.in = s.in[min(uint64(align(int(n))), uint64(len(s.in))):]
	e := Errno(0)
	s.why = ""
	if r.flags&nlmRequest != 0 && r.typ >= nlmsgMinType {
		if s.Protocol == NETLINK_SOCK_DIAG {
			e = s.diag(&r)
		} else {
			e = s.route(&r)
		}
	}
	// A list's end is its acknowledgement.
	if s.dump == nil && s.search == nil && s.foreign == nil && (e != 0 || r.flags&nlmAck != 0) {
		s.ack(&r, e)
	}
}

// ack appends an error, or the acknowledgement that it is (netlink_ack).
func (s *Session) ack(r *request, e Errno) {
	b := binary.NativeEndian.AppendUint32(nil, uint32(-e))
	flags := uint16(0)
	if e != 0 && !s.CapAck {
		b = append(b, r.whole...)
		b = append(b, make([]byte, align(len(b))-len(b))...)
	} else {
		b = append(b, r.whole[:headerSize]...)
		flags = nlmCapped
	}
	b, flags = s.explained(b, flags, s.why)
	s.answers = append(s.answers, s.appendMessage(nil, answer{nlmsgError, b}, flags, r.seq))
}

// fail is an error with a text, for programs that ask for one.
func (s *Session) fail(e Errno, why string) Errno {
	s.why = why
	return e
}

// explained appends a text to an error, if the program wants it.
func (s *Session) explained(b []byte, flags uint16, why string) ([]byte, uint16) {
	if why == "" || !s.ExtAck {
		return b, flags
	}
	return withAttrs(b, func(e *netlink.AttributeEncoder) { e.String(nlmsgerrMsg, why) }), flags | nlmTLVs
}

// reply appends the answer to a request.
func (s *Session) reply(r *request, a answer) {
	s.answers = append(s.answers, s.appendMessage(nil, a, 0, r.seq))
}

// list begins a dump of n items.
func (s *Session) list(r *request, n int, item func(i int) (answer, bool)) Errno {
	s.dump = &dump{req: *r, n: n, item: item}
	return 0
}

// failList is a dump that ends with an error before its first item. The error is told by
// the message that ends it.
func (s *Session) failList(r *request, e Errno) Errno {
	s.dump = &dump{req: *r, err: e, why: s.why}
	return 0
}

// filtered says that the dump under way leaves out what its request did not ask for: its
// items tell it, and its end.
func (s *Session) filtered(items, end bool) {
	if items {
		s.dump.flag = nlmFilter
	}
	if end {
		s.dump.end = nlmFilter
	}
}

// step returns the next datagram of the dump; nil if it has looked at a part in vain.
func (s *Session) step() (b []byte) {
	d := s.dump
	for ; d.i < d.n; d.i++ {
		a, ok := d.item(d.i)
		if !ok {
			continue
		}
		if len(b) > 0 && len(b)+headerSize+align(len(a.body)) > goodSize {
			return b
		}
		b = s.appendMessage(b, a, nlmMulti|d.flag, d.req.seq)
	}
	if len(b) > 0 {
		return b
	}
	if d.more != nil {
		if !d.more() {
			d.more = nil
		}
		return nil
	}
	s.dump = nil
	status := binary.NativeEndian.AppendUint32(nil, uint32(-d.err))
	status, d.end = s.explained(status, d.end, d.why)
	return s.appendMessage(nil, answer{nlmsgDone, status}, nlmMulti|d.end, d.req.seq)
}

// appendMessage appends a message with its header, padded.
func (s *Session) appendMessage(b []byte, a answer, flags uint16, seq uint32) []byte {
	b = appendHeader(b, headerSize+len(a.body), a.typ, flags, seq, s.Port)
	b = append(b, a.body...)
	return append(b, make([]byte, align(len(a.body))-len(a.body))...)
}

// appendHeader appends a struct nlmsghdr.
func appendHeader(b []byte, size int, typ, flags uint16, seq, port uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(size))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, port)
}

// addressed makes a datagram of another netlink socket's one to this one's program.
func (s *Session) addressed(b []byte) []byte {
	for rest := b; len(rest) >= headerSize; {
		n := binary.NativeEndian.Uint32(rest)
		if n < headerSize || uint64(n) > uint64(len(rest)) {
			break
		}
		binary.NativeEndian.PutUint32(rest[12:], s.Port)
		rest = rest[min(align(int(n)), len(rest)):]
	}
	return b
}

// align rounds up to a multiple of four (NLMSG_ALIGN, RTA_ALIGN).
func align(n int) int { return (n + 3) &^ 3 }
