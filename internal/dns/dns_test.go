package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// reply builds an answer about a name, of "OWNER TYPE VALUE" records.
func reply(t testing.TB, name string, edit func(*dnsmessage.Message), records ...string) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{Response: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	for _, text := range records {
		f := strings.Fields(text)
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(f[0]), Class: dnsmessage.ClassINET}}
		switch f[1] {
		case "CNAME":
			r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[2])}
		case "A":
			r.Body = &dnsmessage.AResource{A: netip.MustParseAddr(f[2]).As4()}
		case "AAAA":
			r.Body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[2]).As16()}
		case "HTTPS":
			h := dnsmessage.SVCBResource{Priority: 1, Target: dnsmessage.MustNewName(".")}
			for _, a := range f[2:] {
				key := dnsmessage.SVCParamIPv4Hint
				if strings.Contains(a, ":") {
					key = dnsmessage.SVCParamIPv6Hint
				}
				had, _ := h.GetParam(key)
				h.SetParam(key, append(had, netip.MustParseAddr(a).AsSlice()...))
			}
			r.Body = &dnsmessage.HTTPSResource{SVCBResource: h}
		case "TXT":
			r.Body = &dnsmessage.TXTResource{TXT: f[2:]}
		}
		m.Answers = append(m.Answers, r)
	}
	if edit != nil {
		edit(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswersOf(t *testing.T) {
	for _, c := range []struct {
		msg  []byte
		want string
	}{
		{reply(t, "Api.Example.", nil, "API.example. A 192.0.2.1", "api.EXAMPLE. AAAA 2001:db8::1"), "[api.example] [192.0.2.1 2001:db8::1]"},
		{reply(t, "a.", nil, "a. CNAME b.", "b. CNAME c.", "c. A 192.0.2.1"), "[a b c] [192.0.2.1]"},
		{reply(t, "a.", nil, "c. A 192.0.2.1", "b. CNAME c.", "a. CNAME b."), "[a b c] [192.0.2.1]"}, // in any order
		{reply(t, "a.", nil, "evil. A 192.0.2.9", "a. A 192.0.2.1"), "[a] [192.0.2.1]"},              // what nobody asked for
		{reply(t, "a.", nil, "a. TXT x", "a. A 192.0.2.1"), "[a] [192.0.2.1]"},
		{reply(t, "a.", nil, "a. HTTPS 192.0.2.1 192.0.2.2 2001:db8::1"), "[a] [192.0.2.1 192.0.2.2 2001:db8::1]"},
		{reply(t, "a.", nil, "a. CNAME b.", "b. CNAME a.", "b. A 192.0.2.1"), "[a b] [192.0.2.1]"}, // a ring
		{reply(t, "a.", nil), "[a] []"},
		{reply(t, "a.", func(m *dnsmessage.Message) { m.Response = false }, "a. A 192.0.2.1"), "[] []"},
		{reply(t, "a.", func(m *dnsmessage.Message) { m.RCode = 3 }, "a. A 192.0.2.1"), "[] []"},
		{reply(t, "a.", func(m *dnsmessage.Message) { m.Questions[0].Class = 3 }, "a. A 192.0.2.1"), "[] []"},
		{reply(t, "a.", func(m *dnsmessage.Message) { m.Answers[0].Header.Class = 3 }, "a. A 192.0.2.1"), "[a] []"},
		{reply(t, "a.", nil, "a. A 192.0.2.1", "a. A 192.0.2.2")[:40], "[a] [192.0.2.1]"}, // cut
		{nil, "[] []"},
	} {
		names, addrs := AnswersOf(c.msg)
		if got := fmt.Sprint(names, " ", addrs); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	var long []string
	for i := range maxAliases + 1 {
		long = append(long, fmt.Sprintf("n%d. CNAME n%d.", i, i+1))
	}
	if names, _ := AnswersOf(reply(t, "n0.", nil, long...)); len(names) != maxAliases {
		t.Errorf("a long way of aliases: %d names", len(names))
	}
	many := "a. HTTPS" + strings.Repeat(" 192.0.2.1", 2*maxAddrs)
	if _, addrs := AnswersOf(reply(t, "a.", nil, many)); len(addrs) != maxAddrs {
		t.Errorf("a record with many hints: %d addresses", len(addrs))
	}
}

// FuzzAnswersOf reads anything a server may say.
func FuzzAnswersOf(f *testing.F) {
	f.Add(reply(f, "a.", nil, "a. CNAME b.", "b. A 192.0.2.1", "b. HTTPS 192.0.2.1 2001:db8::1"))
	f.Add(reply(f, "a.", nil, "a. CNAME b.", "b. CNAME a."))
	f.Fuzz(func(t *testing.T, msg []byte) {
		names, addrs := AnswersOf(msg)
		if len(addrs) > 0 && len(names) == 0 || len(names) > maxAliases || len(addrs) > maxAddrs {
			t.Errorf("%q %v", names, addrs)
		}
	})
}
