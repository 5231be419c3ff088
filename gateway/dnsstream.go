//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"usock"
)

// dnsFilter stands in a stream to a name server. It takes the questions that the run answers
// itself out of what the program sends, and puts the answers between the messages that the
// server sends. All other bytes cross as they are.
//
// Each message has its length before it (RFC 1035, section 4.2.2).
type dnsFilter struct {
	names   *names
	faults  *nameFaults
	held    []byte // of the program's, not decided yet
	answers []byte // for the program, with their lengths

	head [2]byte // of the server's message: its length,
	got  int     // as far as it has come
	left int     // bytes of the message that are to come

	refused func(name string) // is told of questions that may not be asked
	asks    func(msg []byte)  // is given each message for the server; nil: nobody is
	hears   func(msg []byte)  // is given each of the server's messages; nil: nobody is
	whole   []byte            // of the server's message, for hears
	open    questions         // to the server
}

// unanswered returns the questions that the server has not answered. f may be nil.
func (f *dnsFilter) unanswered() questions {
	if f == nil {
		return nil
	}
	return f.open
}

// maxAnswers is how many bytes of answers a stream has at most when it takes another question.
const maxAnswers = 64 << 10

// full reports whether the program is to take answers first.
func (f *dnsFilter) full() bool { return len(f.answers) >= maxAnswers || f.faults.waits() }

// take takes bytes of the program's. next says what becomes of them.
func (f *dnsFilter) take(b []byte) { f.held = append(f.held, b...) }

// next answers questions and returns bytes for the server, as far as there are whole messages
// and room for answers. What it returns is good until the next take.
func (f *dnsFilter) next() []byte {
	n := 0 // bytes for the server
	for !f.full() {
		b := f.held[n:]
		if len(b) < len(f.head) {
			break
		}
		size := len(f.head) + int(binary.BigEndian.Uint16(b))
		if len(b) < size {
			break
		}
		if f.faults != nil && n > 0 || f.faults.decide(b[len(f.head):size]) {
			break
		}
		var about string
		var barred bool
		reply := f.faults.taken()
		if reply == nil {
			reply, about, barred = f.names.answer(b[len(f.head):size], true)
		}
		if reply == nil && !f.names.alone && !barred {
			if f.asks != nil {
				f.asks(b[len(f.head):size])
			}
			n += size
			continue
		}
		if n > 0 {
			break // what came before goes first
		}
		f.held = f.held[size:]
		if barred {
			f.refused(about)
		}
		if reply != nil {
			f.answers = append(binary.BigEndian.AppendUint16(f.answers, uint16(len(reply))), reply...)
		}
	}
	out := f.held[:n]
	f.held = f.held[n:]
	return out
}

// holds reports whether there are bytes of the program's that no message ends. f may be nil.
func (f *dnsFilter) holds() bool { return f != nil && len(f.held) > 0 }

// rest returns those bytes for the server, which makes of them what it will: there is no more
// to come. Where not all may be asked for it does not have them.
func (f *dnsFilter) rest() []byte {
	out := f.held
	f.held = nil
	if f.names.permit != nil {
		return nil
	}
	return out
}

// waiting returns the answers if they may be given now: no message of the server's has begun.
func (f *dnsFilter) waiting() []byte {
	if f.got > 0 {
		return nil
	}
	out := f.answers
	f.answers = nil
	return out
}

// down returns the server's bytes b with the answers in a place between its messages.
func (f *dnsFilter) down(b []byte) []byte {
	if len(f.answers) == 0 {
		for rest := b; len(rest) > 0; {
			rest = rest[f.message(rest):]
		}
		return b
	}
	var out []byte
	for {
		out = append(out, f.waiting()...)
		if len(b) == 0 {
			return out
		}
		n := f.message(b)
		out = append(out, b[:n]...)
		b = b[n:]
	}
}

// message returns how many bytes of b belong to the message that it begins with or goes on
// with.
func (f *dnsFilter) message(b []byte) int {
	n := 0
	if f.got < len(f.head) {
		n = copy(f.head[f.got:], b)
		if f.got += n; f.got < len(f.head) {
			return n
		}
		f.left = int(binary.BigEndian.Uint16(f.head[:]))
	}
	k := min(f.left, len(b)-n)
	if f.hears != nil {
		f.whole = append(f.whole, b[n:n+k]...)
	}
	if f.left -= k; f.left == 0 {
		f.got = 0
		if f.hears != nil {
			f.hears(f.whole)
			f.whole = f.whole[:0]
		}
	}
	return n + k
}

// answered answers a datagram to a name server, and reports whether that was done: else it is
// for the server.
func (g *Gateway) answered(side *side, d *usock.Datagram) bool {
	msg := bytes.Join(d.Data, nil)
	if size := d.SegmentSize; size > 0 && len(msg) > size {
		one := *d
		one.SegmentSize = 0
		for ; len(msg) > 0; msg = msg[min(size, len(msg)):] {
			one.Data = [][]byte{msg[:min(size, len(msg))]}
			g.carry(side, &one)
		}
		return true
	}
	reply, about, barred := g.names.answer(msg, false)
	if barred {
		g.denyName(unix.IPPROTO_UDP, d.Src, d.Dst, about)
	}
	if reply == nil {
		return g.isolated || barred
	}
	return g.reply(side, d, reply)
}

// nameStream is a connection to a name server that is not there: the gateway is isolated.
type nameStream struct {
	g       *Gateway
	in      *usock.Socket
	filter  dnsFilter
	pending []byte // for the program
	queued  bool   // in g.again
}

// maxNameStreams bounds the connections to name servers of an isolated gateway.
const maxNameStreams = 256

// connectIsolated answers a flow where there is no outside.
func (g *Gateway) connectIsolated(f *usock.Flow) {
	switch {
	case !g.names.asked(f.Local()):
		f.Refuse()
		return
	case len(g.local) >= maxNameStreams:
		f.Drop()
		g.warn("usock: programs have %d connections to name servers: more must wait", len(g.local))
		return
	}
	in, err := f.Accept()
	if err != nil {
		return // given up
	}
	in.SetSockOptInt(usock.SOL_TCP, usock.TCP_NODELAY, 1)
	s := &nameStream{g: g, in: in, filter: dnsFilter{names: g.names}}
	s.filter.faults = g.streamFaults(f.Remote(), f.Local(), s.serve)
	g.local[s] = struct{}{}
	if err := g.own.Add(in, usock.POLLIN|usock.POLLOUT|usock.POLLRDHUP|usock.EPOLLET, s); err != nil {
		s.close()
	}
}

func (s *nameStream) close() {
	delete(s.g.local, s)
	s.in.Close()
	s.in = nil
}

// inside is told of the socket's events.
func (s *nameStream) inside(usock.Events) { s.serve() }

// ready implements source.
func (s *nameStream) ready(uint32) {
	s.queued = false
	s.serve()
}

// serve answers what has come, until there is no more or the program does not take it.
func (s *nameStream) serve() {
	for moved := 0; s.in != nil; {
		if len(s.pending) > 0 {
			n, err := s.in.Send(s.pending, usock.MSG_NOSIGNAL)
			n = max(n, 0)
			moved += n
			if s.pending = s.pending[n:]; err == unix.EAGAIN {
				return
			} else if err != nil {
				s.close()
				return
			}
			continue
		}
		if moved >= maxRound {
			if !s.queued {
				s.queued = true
				s.g.later(s)
			}
			return
		}
		s.filter.next()
		if s.pending = s.filter.waiting(); len(s.pending) > 0 {
			continue
		}
		if s.filter.faults.waits() {
			return
		}
		n, err := s.in.Recv(s.g.buf, 0)
		if err == unix.EAGAIN {
			return
		}
		if err != nil || n == 0 {
			s.close()
			return
		}
		moved += n
		s.filter.take(s.g.buf[:n])
	}
}
