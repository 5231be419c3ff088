package dns

import (
	"net/netip"
	"slices"

	"golang.org/x/net/dns/dnsmessage"

	"usock/internal/target"
)

// Port is that of name servers.
const Port = 53

// Question is what an answer must have of a question, so that who does not see that cannot
// make one.
type Question struct {
	ID   uint16
	Name string // as target.Bare has it
	Type dnsmessage.Type
}

// QuestionOf returns the question of a message.
func QuestionOf(msg []byte) (Question, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return Question{}, false
	}
	q, err := p.Question()
	return Question{h.ID, target.Bare(q.Name.String()), q.Type}, err == nil
}

// What is read of an answer at most: a message of 64 KiB hints at 16,000 addresses, and says it of each name of a ring of aliases.
const (
	maxRecords = 512
	maxAliases = 16
	maxAddrs   = 512
)

// AnswersOf returns what an answer says: the name that was asked for with those that it is an
// alias of (CNAME), and their addresses, those that HTTPS and SVCB records hint at included
// (RFC 9460, section 7.3). What cannot be read ends it.
func AnswersOf(msg []byte) (names []string, addrs []netip.Addr) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.OpCode != 0 || h.RCode != dnsmessage.RCodeSuccess {
		return nil, nil
	}
	q, err := p.Question()
	if err != nil || q.Class != dnsmessage.ClassINET || p.SkipAllQuestions() != nil {
		return nil, nil
	}
	aliases := make(map[string]string)
	found := make(map[string][]netip.Addr)
	for range maxRecords {
		r, err := p.Answer()
		if err != nil {
			break
		}
		owner := target.Bare(r.Header.Name.String())
		if r.Header.Class != dnsmessage.ClassINET {
			continue
		}
		switch b := r.Body.(type) {
		case *dnsmessage.CNAMEResource:
			aliases[owner] = target.Bare(b.CNAME.String())
		case *dnsmessage.AResource:
			found[owner] = append(found[owner], netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			found[owner] = append(found[owner], netip.AddrFrom16(b.AAAA))
		case *dnsmessage.HTTPSResource:
			found[owner] = append(found[owner], hints(&b.SVCBResource)...)
		case *dnsmessage.SVCBResource:
			found[owner] = append(found[owner], hints(b)...)
		}
	}
	for name, ok := target.Bare(q.Name.String()), true; ok && len(names) < maxAliases && !slices.Contains(names, name); name, ok = aliases[name] {
		names = append(names, name)
		addrs = append(addrs, found[name]...)
	}
	return names, addrs[:min(len(addrs), maxAddrs)]
}

// hints returns the addresses that a record hints at.
func hints(r *dnsmessage.SVCBResource) (addrs []netip.Addr) {
	for _, x := range []struct {
		key  dnsmessage.SVCParamKey
		size int
	}{{dnsmessage.SVCParamIPv4Hint, 4}, {dnsmessage.SVCParamIPv6Hint, 16}} {
		b, _ := r.GetParam(x.key)
		for ; len(b) >= x.size; b = b[x.size:] {
			a, _ := netip.AddrFromSlice(b[:x.size])
			addrs = append(addrs, a)
		}
	}
	return addrs
}
