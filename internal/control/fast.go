package control

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A host can have very many sockets, and encoding/json takes some microseconds for each. So the
// replies that list them without detail are written and read by hand, in the same JSON. What is
// not as Append writes it, the reader leaves to encoding/json: a test holds the two together.

// Append appends r as a line of JSON.
func (r *Reply) Append(b []byte) ([]byte, error) {
	if r.Traffic != nil || r.Stats != nil || r.Events != nil || r.Error != nil || len(r.Sockets) == 0 {
		return appendJSON(b, r)
	}
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, r.ID, 10)
	b = append(b, socketsKey...)
	for i := range r.Sockets {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if s := &r.Sockets[i]; s.TCP == nil && s.Stall == "" {
			b = s.appendTo(b)
		} else if b, err = appendValue(b, s); err != nil {
			return nil, err
		}
	}
	b = append(b, ']')
	if r.Done {
		b = append(b, doneKey...)
	}
	return append(b, "}\n"...), nil
}

const (
	socketsKey = `,"sockets":[`
	doneKey    = `,"done":true`
)

func appendValue(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(b, text...), err
}

func appendJSON(b []byte, v any) ([]byte, error) {
	b, err := appendValue(b, v)
	return append(b, '\n'), err
}

// fields of a socket, in the order of their lines.
func (s *Socket) appendTo(b []byte) []byte {
	b = append(b, '{')
	b = appendUint(b, `"id":`, s.ID)
	b = append(b, `"proto":`...)
	b = appendString(b, s.Proto)
	b = append(b, `,"state":`...)
	b = appendString(b, s.State)
	b = append(b, `,"recv_q":`...)
	b = strconv.AppendInt(b, int64(s.RecvQ), 10)
	b = append(b, `,"send_q":`...)
	b = strconv.AppendInt(b, int64(s.SendQ), 10)
	b = append(b, ',')
	b = appendText(b, `"local":`, s.Local)
	b = appendText(b, `"peer":`, s.Peer)
	if s.Process != 0 {
		b = append(b, `"process":`...)
		b = strconv.AppendInt(b, int64(s.Process), 10)
		b = append(b, ',')
	}
	b = appendText(b, `"program":`, s.Program)
	b = appendUint(b, `"inode":`, uint64(s.Inode))
	b = appendUint(b, `"drops":`, s.Drops)
	b = appendUint(b, `"rx_bytes":`, s.RxBytes)
	b = appendUint(b, `"tx_bytes":`, s.TxBytes)
	b = appendTrue(b, `"v6":`, s.V6)
	b = appendTrue(b, `"v6only":`, s.V6Only)
	b = appendText(b, `"device":`, s.Device)
	b = appendText(b, `"congestion":`, s.Congestion)
	if s.Left != 0 {
		b = append(b, `"time_wait_ms":`...)
		b = strconv.AppendInt(b, s.Left, 10)
		b = append(b, ',')
	}
	b[len(b)-1] = '}' // in place of the last comma
	return b
}

func appendUint(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return append(strconv.AppendUint(append(b, key...), n, 10), ',')
}

func appendTrue(b []byte, key string, is bool) []byte {
	if !is {
		return b
	}
	return append(append(b, key...), "true,"...)
}

func appendText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return append(appendString(append(b, key...), s), ',')
}

// plain are the bytes that stand for themselves in a string of JSON, as encoding/json writes it.
var plain = func() (is [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		is[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return is
}()

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] {
			text, _ := json.Marshal(s) // of a string it does not fail
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// reader reads what Append has written by hand.
type reader struct {
	b   []byte // what is left of the line
	bad bool   // something is not so, and what is read means nothing

	sockets []Socket
	known   map[string]string // strings that sockets have in common
	text    []byte            // the addresses of the line's sockets
	cuts    []int             // the ends of each in it
}

// read reads a reply with sockets, which are good until it is called again; false if it is to be left to encoding/json.
func (p *reader) read(line []byte) (*Reply, bool) {
	p.b, p.bad, p.sockets, p.text, p.cuts = line, false, p.sockets[:0], p.text[:0], p.cuts[:0]
	r := new(Reply)
	p.want(`{"id":`)
	r.ID = p.int()
	p.want(socketsKey)
	if p.bad {
		return nil, false
	}
	last := new(Socket)
	for {
		p.sockets = append(p.sockets, Socket{})
		s := &p.sockets[len(p.sockets)-1]
		p.socket(s, last)
		if p.bad || !p.has(",") {
			break
		}
		last = s
	}
	p.want("]")
	r.Done = p.has(doneKey)
	p.want("}\n")
	r.Sockets = p.sockets
	p.addresses()
	return r, !p.bad && len(p.b) == 0
}

// addresses fills in the sockets' addresses, all of which are parts of one string.
func (p *reader) addresses() {
	all, from := string(p.text), 0
	for i := range p.sockets {
		local, peer := p.cuts[2*i], p.cuts[2*i+1]
		p.sockets[i].Local, p.sockets[i].Peer = all[from:local], all[local:peer]
		from = peer
	}
}

// socket reads a socket, all but its addresses. last is the one before it.
func (p *reader) socket(s, last *Socket) {
	p.want("{")
	if p.has(`"id":`) {
		s.ID = p.uint(math.MaxUint64)
		p.want(",")
	}
	p.want(`"proto":`)
	s.Proto = p.common(last.Proto)
	p.want(`,"state":`)
	s.State = p.common(last.State)
	p.want(`,"recv_q":`)
	s.RecvQ = int(p.int())
	p.want(`,"send_q":`)
	s.SendQ = int(p.int())
	p.address(`,"local":`)
	p.address(`,"peer":`)
	if p.field(`,"process":`) {
		n := p.int()
		s.Process = int32(n)
		p.bad = p.bad || int64(s.Process) != n
	}
	if p.field(`,"program":`) {
		s.Program = p.common(last.Program)
	}
	if p.field(`,"inode":`) {
		s.Inode = uint32(p.uint(math.MaxUint32))
	}
	if p.field(`,"drops":`) {
		s.Drops = p.uint(math.MaxUint64)
	}
	if p.field(`,"rx_bytes":`) {
		s.RxBytes = p.uint(math.MaxUint64)
	}
	if p.field(`,"tx_bytes":`) {
		s.TxBytes = p.uint(math.MaxUint64)
	}
	s.V6 = p.field(`,"v6":true`)
	s.V6Only = p.field(`,"v6only":true`)
	if p.field(`,"device":`) {
		s.Device = p.common(last.Device)
	}
	if p.field(`,"congestion":`) {
		s.Congestion = p.common(last.Congestion)
	}
	if p.field(`,"time_wait_ms":`) {
		s.Left = p.int()
	}
	p.want("}")
}

// has takes text if it comes next.
func (p *reader) has(text string) bool {
	if len(p.b) < len(text) || string(p.b[:len(text)]) != text {
		return false
	}
	p.b = p.b[len(text):]
	return true
}

// field is has for a key behind a comma, most of which differ in their first letter.
func (p *reader) field(key string) bool {
	return len(p.b) > 2 && p.b[2] == key[2] && p.has(key)
}

func (p *reader) want(text string) { p.bad = !p.has(text) || p.bad }

// int reads a number as strconv.AppendInt writes it.
func (p *reader) int() int64 {
	if p.has("-") {
		n := p.uint(math.MaxInt64)
		p.bad = p.bad || n == 0
		return -int64(n)
	}
	return int64(p.uint(math.MaxInt64))
}

func (p *reader) uint(most uint64) (n uint64) {
	i := 0
	for ; i < len(p.b) && p.b[i] >= '0' && p.b[i] <= '9'; i++ {
		d := uint64(p.b[i] - '0')
		if n > (most-d)/10 {
			p.bad = true
			return 0
		}
		n = n*10 + d
	}
	if i == 0 || i > 1 && p.b[0] == '0' {
		p.bad = true
	}
	p.b = p.b[i:]
	return n
}

// string reads a string without escapes. It is a part of the line.
func (p *reader) string() []byte {
	if !p.has(`"`) {
		p.bad = true
		return nil
	}
	for i, c := range p.b {
		if !plain[c] {
			s := p.b[:i]
			p.bad = p.bad || c != '"'
			p.b = p.b[i+1:]
			return s
		}
	}
	p.bad = true
	return nil
}

// address keeps an address behind a key for addresses.
func (p *reader) address(key string) {
	if p.field(key) {
		p.text = append(p.text, p.string()...)
	}
	p.cuts = append(p.cuts, len(p.text))
}

// maxKnown bounds how many strings are remembered.
const maxKnown = 1024

// common reads a string that others are likely to be, too, most of all the one of the socket before.
func (p *reader) common(last string) string {
	part := p.string()
	if string(part) == last {
		return last
	}
	if s, ok := p.known[string(part)]; ok {
		return s
	}
	s := string(part)
	if len(p.known) < maxKnown {
		p.known[s] = s
	}
	return s
}
