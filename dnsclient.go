package usock

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"usock/internal/abi"
)

// A stub resolver (RFC 1035 §5.3.1, RFC 9210): each question goes to one name server after
// another by UDP, from a port and with a number of its own, and by TCP where the answer does
// not fit. Types of one name are asked for at the same time.

const (
	dnsPatience = 5 * time.Second // for one answer, as resolv.conf(5) has it
	dnsAttempts = 2               // rounds of the servers
	dnsPayload  = 1232            // EDNS(0) payload size in bytes: unfragmented everywhere (RFC 9715)
)

// answer is the outcome of a question.
type answer struct {
	list []dnsmessage.Resource
	err  error
}

// query asks about a name, or, with Config.Search, about the names that it may stand for,
// until one is known. With a nil error there is at least one record.
func (r *Resolver) query(ctx context.Context, name string, types ...dnsmessage.Type) ([]dnsmessage.Resource, error) {
	if len(r.h.servers) == 0 {
		return nil, notFound(name)
	}
	var first error
	for _, full := range r.candidates(name) {
		n, err := dnsmessage.NewName(full)
		if err != nil {
			return nil, notFound(name)
		}
		list, err := r.ask(ctx, n, types)
		if len(list) > 0 {
			return list, nil
		}
		if first == nil {
			first = err
		}
		if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound {
			break
		}
	}
	if first == nil {
		first = notFound(name)
	}
	return nil, renamed(first, name)
}

// candidates are the full names that a name may stand for: itself first if it has a dot, and
// last otherwise (resolv.conf(5), ndots).
func (r *Resolver) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var out []string
	for _, s := range r.h.search {
		if s = strings.Trim(s, "."); s != "" {
			out = append(out, name+"."+s+".")
		}
	}
	if strings.Contains(name, ".") {
		return append([]string{name + "."}, out...)
	}
	return append(out, name+".")
}

// ask asks for all types of a full name. The error is of any question that was not answered,
// if none was.
func (r *Resolver) ask(ctx context.Context, name dnsmessage.Name, types []dnsmessage.Type) ([]dnsmessage.Resource, error) {
	answers := make([]answer, len(types))
	var wg sync.WaitGroup
	for i, t := range types {
		wg.Go(func() {
			q := dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}
			answers[i].list, answers[i].err = r.question(ctx, q)
		})
	}
	wg.Wait()

	var all []dnsmessage.Resource
	var err error
	for _, a := range answers {
		all = append(all, a.list...)
		// That a server did not answer says more than that it knows no such record.
		if e, ok := errors.AsType[*net.DNSError](a.err); err == nil || ok && !e.IsNotFound {
			err = a.err
		}
	}
	return all, err
}

// question asks one server after another until one knows.
func (r *Resolver) question(ctx context.Context, q dnsmessage.Question) ([]dnsmessage.Resource, error) {
	var last *net.DNSError
	for range dnsAttempts {
		for _, server := range r.h.servers {
			list, err := r.exchange(ctx, server, q)
			if err == nil {
				return list, nil
			}
			if last = dnsError(ctx, server, q, err); last.IsNotFound || ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// dnsError is what went wrong, as package net tells it.
func dnsError(ctx context.Context, server netip.AddrPort, q dnsmessage.Question, err error) *net.DNSError {
	e := &net.DNSError{Err: err.Error(), Name: q.Name.String(), Server: server.String()}
	switch {
	case ctx.Err() != nil:
		err = contextError(endedBy(ctx))
		e.Err, e.UnwrapErr, e.IsTimeout = err.Error(), err, errors.Is(err, context.DeadlineExceeded)
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Err, e.IsTimeout, e.IsTemporary = "i/o timeout", true, true
	case errors.Is(err, errNoName):
		e.Err, e.IsNotFound = "no such host", true
	default:
		e.IsTemporary = true
	}
	return e
}

var (
	errNoName     = errors.New("no such host")
	errBadAnswer  = errors.New("cannot unmarshal DNS message")
	errServerFail = errors.New("server misbehaving")
)

// exchange asks one server, once.
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, q dnsmessage.Question) ([]dnsmessage.Resource, error) {
	id := uint16(rand.Uint32())
	ask, err := question(id, q)
	if err != nil {
		return nil, err
	}
	for _, typ := range []int{abi.SOCK_DGRAM, abi.SOCK_STREAM} {
		list, cut, err := r.over(ctx, typ, server, ask, id, q)
		if !cut {
			return list, err
		}
	}
	return nil, errBadAnswer
}

// question is the message that asks (RFC 1035 §4.1, RFC 6891 §6.1).
func question(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 64), dnsmessage.Header{ID: id, RecursionDesired: true})
	var opt dnsmessage.ResourceHeader
	err := errors.Join(
		b.StartQuestions(), b.Question(q), b.StartAdditionals(),
		opt.SetEDNS0(dnsPayload, dnsmessage.RCodeSuccess, false), b.OPTResource(opt, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, err
	}
	msg, err := b.Finish()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2)) // for TCP (RFC 1035 §4.2.2)
	return msg, nil
}

// over asks over a socket of the type. ask begins with its length. cut says that the answer
// does not fit into a datagram.
func (r *Resolver) over(ctx context.Context, typ int, server netip.AddrPort, ask []byte, id uint16, q dnsmessage.Question) (list []dnsmessage.Resource, cut bool, err error) {
	s, err := r.h.Socket(abi.FamilyOf(server.Addr().Unmap()), typ, 0)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	s.SetDeadline(r.h.h.Wall().Add(dnsPatience))
	if err := s.ConnectContext(ctx, r.h.inet(server)); err != nil {
		return nil, false, err
	}
	stream := typ == abi.SOCK_STREAM
	if !stream {
		ask = ask[2:]
	}
	if _, err := s.SendMsg(ctx, &Msg{Bufs: [][]byte{ask}}, 0); err != nil {
		return nil, false, err
	}

	for {
		msg, err := receiveAnswer(ctx, s, stream)
		if err != nil {
			return nil, false, err
		}
		list, cut, err := parseAnswer(msg, id, q)
		if err != errBadAnswer || stream {
			return list, cut && !stream, err
		}
		// A datagram that is no answer to this question is somebody else's: the answer may
		// still come.
	}
}

// receiveAnswer receives one message: a datagram, or what has its length before it.
func receiveAnswer(ctx context.Context, s *Socket, stream bool) ([]byte, error) {
	if !stream {
		b := make([]byte, dnsPayload)
		n, err := s.RecvMsg(ctx, &Msg{Bufs: [][]byte{b}}, 0)
		return b[:n], err
	}
	length := make([]byte, 2)
	if err := receiveAll(ctx, s, length); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length))
	return b, receiveAll(ctx, s, b)
}

func receiveAll(ctx context.Context, s *Socket, b []byte) error {
	for len(b) > 0 {
		n, err := s.RecvMsg(ctx, &Msg{Bufs: [][]byte{b}}, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			return errBadAnswer
		}
		b = b[n:]
	}
	return nil
}

// parseAnswer reads the records of the type that q asks for, of its name or of the one that
// it is an alias of, whose records come after the alias (RFC 1034 §3.6.2). errBadAnswer says that msg is no answer to q.
func parseAnswer(msg []byte, id uint16, q dnsmessage.Question) (list []dnsmessage.Resource, cut bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.ID != id {
		return nil, false, errBadAnswer
	}
	got, err := p.AllQuestions()
	if err != nil || len(got) != 1 || got[0].Type != q.Type || got[0].Class != q.Class || !sameName(got[0].Name, q.Name) {
		return nil, false, errBadAnswer
	}
	switch {
	case h.Truncated:
		return nil, true, nil
	case h.RCode == dnsmessage.RCodeNameError:
		return nil, false, errNoName
	case h.RCode != dnsmessage.RCodeSuccess:
		return nil, false, errServerFail
	}
	all, err := p.AllAnswers()
	if err != nil {
		return nil, false, errBadAnswer
	}
	name := q.Name
	for _, a := range all {
		if b, ok := a.Body.(*dnsmessage.CNAMEResource); ok && sameName(a.Header.Name, name) {
			name = b.CNAME
			continue
		}
		if a.Header.Type == q.Type && sameName(a.Header.Name, name) {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, false, errNoName
	}
	return list, false, nil
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }
