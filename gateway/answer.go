//go:build linux

package gateway

import (
	"encoding/binary"

	"usock/internal/target"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// ednsSize is the largest answer by UDP, in bytes, and what answers say of the run
	// (RFC 6891, section 6.2.3): no packet of it is cut into fragments.
	ednsSize = 1232
	// plainSize is the largest answer by UDP to who says nothing (RFC 1035, section 4.2.1).
	plainSize = 512
	// wholeSize is the largest message that TCP carries.
	wholeSize = 65535

	// answerTTL is for how long an answer may be kept: not at all, as the next run of a
	// program may have other names.
	answerTTL = 0
)

const (
	rcodeBadVersion = 16 // BADVERS (RFC 6891, section 9)
	typeANY         = dnsmessage.TypeALL
)

// query is a question, parsed.
type query struct {
	dnsmessage.Header
	dnsmessage.Question
	edns    bool
	version uint8
	size    int  // the largest answer that its sender takes by UDP
	dnssec  bool // DO (RFC 3225)
}

// parseQuery reads an ordinary question: one name of the Internet's, and nothing beside it
// but EDNS. ok is false for all other messages.
func parseQuery(msg []byte) (q query, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.Response || h.OpCode != 0 || h.Truncated {
		return q, false
	}
	q.Header = h
	if q.Question, err = p.Question(); err != nil || q.Class != dnsmessage.ClassINET {
		return q, false
	}
	q.size = plainSize
	if _, err = p.Question(); err != dnsmessage.ErrSectionDone {
		return q, false
	}
	if _, err = p.AnswerHeader(); err != dnsmessage.ErrSectionDone {
		return q, false
	}
	if _, err = p.AuthorityHeader(); err != dnsmessage.ErrSectionDone {
		return q, false
	}
	return q, q.parseEDNS(&p) && q.length(msg) == len(msg)
}

// length returns how many bytes of msg the question and its EDNS take; -1: it is written
// otherwise than askers do.
func (q *query) length(msg []byte) int {
	at := headerSize
	for at < len(msg) && msg[at] != 0 {
		if msg[at]&0xc0 != 0 {
			return -1 // a pointer, and there is nothing before it to point at
		}
		at += 1 + int(msg[at])
	}
	at += 1 + 4 // the root, type and class
	if q.edns {
		if at+optSize > len(msg) {
			return -1
		}
		at += optSize + int(binary.BigEndian.Uint16(msg[at+optSize-2:]))
	}
	return at
}

const (
	headerSize = 12
	optSize    = 1 + 2 + 2 + 4 + 2 // root, type, class, TTL and length (RFC 6891, section 6.1.2)
)

// parseEDNS reads what follows the question: one OPT record of the root, or nothing.
func (q *query) parseEDNS(p *dnsmessage.Parser) bool {
	h, err := p.AdditionalHeader()
	if err == dnsmessage.ErrSectionDone {
		return true
	}
	if err != nil || h.Type != dnsmessage.TypeOPT || h.Name.Length != 1 {
		return false // TSIG, for one: nobody here has the key
	}
	if _, err := p.OPTResource(); err != nil {
		return false
	}
	q.edns, q.version, q.dnssec = true, uint8(h.TTL>>16), h.TTL&0x8000 != 0
	q.size = min(max(int(h.Class), plainSize), ednsSize)
	_, err = p.AdditionalHeader()
	return err == dnsmessage.ErrSectionDone
}

// answer returns the answer to a message by UDP or, where stream is set, by TCP. nil: the
// message is for the server, or for nobody where it is barred: it may not be asked there.
// about is the name in it, without a dot at its end; "": it is no question that can be read.
func (n *names) answer(msg []byte, stream bool) (reply []byte, about string, barred bool) {
	q, ok := parseQuery(msg)
	var e *entry
	if ok {
		e, about = n.known[target.Lower(q.Name.String())], bare(q.Name.String())
	}
	switch {
	case e != nil:
	case n.alone:
		return refusal(msg, &q, ok), about, false
	case n.permit != nil && (!ok || !n.permit(about)):
		return refusal(msg, &q, ok), about, true
	default:
		return nil, about, false
	}
	limit := q.size
	if stream {
		limit = wholeSize
	}
	if q.version != 0 {
		return q.reply(rcodeBadVersion, nil, limit), about, false
	}
	if n.gave != nil {
		for _, a := range e.addrs {
			n.gave(a, []string{about})
		}
	}
	return q.reply(dnsmessage.RCodeSuccess, e, limit), about, false
}

// reply builds a message with what is asked of e, as far as it fits.
func (q *query) reply(code dnsmessage.RCode, e *entry, limit int) []byte {
	h := dnsmessage.Header{
		ID: q.ID, Response: true, Authoritative: e != nil, RecursionAvailable: true,
		RecursionDesired: q.RecursionDesired, CheckingDisabled: q.CheckingDisabled, RCode: code & 15,
	}
	records := q.records(e)
	for {
		msg, err := q.build(h, records, code)
		if err != nil {
			return nil
		}
		if len(msg) <= limit || len(records) == 0 {
			return msg
		}
		// The answer is cut between records (RFC 2181, section 9, has the client ask again).
		h.Truncated = true
		records = records[:len(records)*limit/len(msg)]
	}
}

// records returns what e has of the type that is asked for.
func (q *query) records(e *entry) (out []dnsmessage.ResourceBody) {
	if e == nil {
		return nil
	}
	for _, a := range e.addrs {
		switch {
		case a.Is4() && (q.Type == dnsmessage.TypeA || q.Type == typeANY):
			out = append(out, &dnsmessage.AResource{A: a.As4()})
		case a.Is6() && (q.Type == dnsmessage.TypeAAAA || q.Type == typeANY):
			out = append(out, &dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	if q.Type == dnsmessage.TypePTR || q.Type == typeANY {
		for _, name := range e.names {
			out = append(out, &dnsmessage.PTRResource{PTR: name})
		}
	}
	return out
}

// build builds the message. The name is the question's to the letter, whose case some
// resolvers check.
func (q *query) build(h dnsmessage.Header, records []dnsmessage.ResourceBody, code dnsmessage.RCode) ([]byte, error) {
	m := dnsmessage.Message{Header: h, Questions: []dnsmessage.Question{q.Question}}
	for _, r := range records {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: answerTTL}, Body: r,
		})
	}
	if q.edns {
		var o dnsmessage.ResourceHeader
		if err := o.SetEDNS0(ednsSize, code, q.dnssec); err != nil {
			return nil, err
		}
		m.Additionals = []dnsmessage.Resource{{Header: o, Body: &dnsmessage.OPTResource{}}}
	}
	return m.Pack()
}

// refusal answers a message that is for no server of ours: what is no question that can be
// read, with FORMERR. nil if it is none at all.
func refusal(msg []byte, q *query, read bool) []byte {
	if read {
		return q.reply(dnsmessage.RCodeRefused, nil, plainSize)
	}
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.Response {
		return nil
	}
	code := dnsmessage.RCodeFormatError
	if _, err := p.AllQuestions(); err == nil {
		code = dnsmessage.RCodeRefused // of another class, an update, and the like
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{
		ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired, RCode: code,
	}}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}
