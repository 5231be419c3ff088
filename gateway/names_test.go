//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"usock/internal/target"

	"golang.org/x/net/dns/dnsmessage"

	"usock"
)

func host(name, addr string) Host { return Host{name, netip.MustParseAddr(addr)} }

// someNames knows a few names, in a network with a search list.
func someNames(t testing.TB) *names {
	t.Helper()
	list := []Host{
		host("db", "192.0.2.7"), host("db", "2001:db8::7"), host("Cache.Example", "192.0.2.8"), host("alone.", "192.0.2.7"),
		host("web.corp.test", "192.0.2.9"), host("web", "192.0.2.10"),
	}
	for i := range 150 {
		list = append(list, Host{"many", netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})})
	}
	n, err := newNames(list, parseResolvConf("nameserver 127.0.0.1\nsearch corp.test other.test.\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// question builds a query; edit, if not nil, changes it before it is packed.
func question(t testing.TB, name string, typ dnsmessage.Type, edit func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0xbeef, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
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

// withEDNS adds an OPT record.
func withEDNS(size int, version uint8, do bool) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(size, 0, do)
		h.TTL |= uint32(version) << 16
		m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}})
	}
}

// told returns what a message answers, as a line.
func told(t testing.TB, b []byte) string {
	t.Helper()
	if b == nil {
		return "for the server"
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	var out []string
	code := int(m.RCode)
	if len(m.Additionals) > 0 {
		code |= int(m.Additionals[0].Header.TTL>>24) << 4
	}
	out = append(out, fmt.Sprintf("rcode %d", code))
	for _, a := range m.Answers {
		if a.Header.Name != m.Questions[0].Name {
			t.Errorf("an answer about %v to a question about %v", a.Header.Name, m.Questions[0].Name)
		}
		switch r := a.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(r.A).String())
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(r.AAAA).String())
		case *dnsmessage.PTRResource:
			out = append(out, r.PTR.String())
		default:
			t.Errorf("an answer with %T", r)
		}
	}
	return strings.Join(out, " ")
}

func TestAnswers(t *testing.T) {
	n := someNames(t)
	const a, aaaa, ptr = dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypePTR
	for _, c := range []struct {
		name string
		typ  dnsmessage.Type
		edit func(*dnsmessage.Message)
		want string
	}{
		{"db.", a, nil, "rcode 0 192.0.2.7"},
		{"dB.", aaaa, nil, "rcode 0 2001:db8::7"},
		{"db.", dnsmessage.TypeALL, nil, "rcode 0 192.0.2.7 2001:db8::7"},
		{"db.", dnsmessage.TypeMX, nil, "rcode 0"},
		{"db.", 65, nil, "rcode 0"}, // HTTPS
		{"CACHE.example.", a, nil, "rcode 0 192.0.2.8"},
		{"cache.example.", aaaa, nil, "rcode 0"},
		// With the suffixes that a resolver appends.
		{"db.corp.test.", a, nil, "rcode 0 192.0.2.7"},
		{"db.OTHER.test.", aaaa, nil, "rcode 0 2001:db8::7"},
		{"web.corp.test.", a, nil, "rcode 0 192.0.2.9"},
		{"web.other.test.", a, nil, "rcode 0 192.0.2.10"},
		{"cache.example.corp.test.", a, nil, "for the server"},
		{"alone.", a, nil, "rcode 0 192.0.2.7"},
		{"alone.corp.test.", a, nil, "for the server"},
		{"corp.test.", a, nil, "for the server"},
		{"x.db.", a, nil, "for the server"},
		{".", a, nil, "for the server"},
		// Backwards.
		{"7.2.0.192.in-addr.arpa.", ptr, nil, "rcode 0 db. alone."},
		{"7.2.0.192.IN-ADDR.arpa.", a, nil, "rcode 0"},
		{"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa.", ptr, nil, "rcode 0 db."},
		{"77.2.0.192.in-addr.arpa.", ptr, nil, "for the server"},
		// EDNS.
		{"db.", a, withEDNS(4096, 0, false), "rcode 0 192.0.2.7"},
		{"db.", a, withEDNS(4096, 1, false), "rcode 16"},
		{"other.", a, withEDNS(4096, 1, false), "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { withEDNS(512, 0, false)(m); withEDNS(512, 0, false)(m) }, "for the server"},
		// No ordinary questions.
		{"db.", a, func(m *dnsmessage.Message) { m.Response = true }, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { m.OpCode = 5 }, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { m.Questions = nil }, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) {
			m.Authorities = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name}, Body: &dnsmessage.AResource{}}}
		}, "for the server"},
		{"db.", a, func(m *dnsmessage.Message) { // TSIG
			m.Additionals = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name}, Body: &dnsmessage.UnknownResource{Type: 250}}}
		}, "for the server"},
	} {
		q := question(t, c.name, c.typ, c.edit)
		reply, _, _ := n.answer(q, false)
		if got := told(t, reply); got != c.want {
			t.Errorf("%v %v: %s; want %s", c.name, c.typ, got, c.want)
		}
		if reply != nil {
			checkReply(t, q, reply)
		}
		for i := range q {
			if got, _, _ := n.answer(q[:i], false); got != nil {
				t.Errorf("%v: the first %d bytes of the question are answered: %s", c.name, i, told(t, got))
			}
		}
	}
}

// checkReply looks at what an answer has of its question: all but the answer itself.
func checkReply(t testing.TB, q, reply []byte) {
	t.Helper()
	var in, out dnsmessage.Message
	if in.Unpack(q) != nil {
		return
	}
	if err := out.Unpack(reply); err != nil {
		t.Fatal(err)
	}
	if !out.Response || out.ID != in.ID || out.RecursionDesired != in.RecursionDesired || out.CheckingDisabled != in.CheckingDisabled ||
		out.AuthenticData || !out.RecursionAvailable || !reflect.DeepEqual(in.Questions, out.Questions) {
		t.Errorf("to %+v: %+v", in, out)
	}
	if len(in.Additionals) != len(out.Additionals) {
		t.Fatalf("%d OPT records for %d", len(out.Additionals), len(in.Additionals))
	}
	if len(in.Additionals) > 0 {
		h := out.Additionals[0].Header
		if h.Type != dnsmessage.TypeOPT || h.Class != ednsSize || h.TTL&0xffff != in.Additionals[0].Header.TTL&0x8000 {
			t.Errorf("OPT: %+v", h)
		}
	}
}

// TestAnswerSizes asks for more addresses than a datagram has room for.
func TestAnswerSizes(t *testing.T) {
	n := someNames(t)
	for _, c := range []struct {
		edit   func(*dnsmessage.Message)
		stream bool
		most   int
		whole  bool
	}{
		{nil, false, 512, false},
		{withEDNS(100, 0, true), false, 512, false},
		{withEDNS(1000, 0, true), false, 1000, false},
		{withEDNS(65535, 0, true), false, 1232, false},
		{nil, true, 65535, true},
	} {
		q := question(t, "many.", dnsmessage.TypeA, c.edit)
		b, _, _ := n.answer(q, c.stream)
		checkReply(t, q, b)
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if len(b) > c.most || m.Truncated == c.whole || (len(m.Answers) == 150) != c.whole || len(b) < c.most*3/4 && !c.whole {
			t.Errorf("%d bytes of at most %d, %d answers, truncated: %v", len(b), c.most, len(m.Answers), m.Truncated)
		}
	}
}

// TestRefusals is for a run without an outside.
func TestRefusals(t *testing.T) {
	n := someNames(t)
	n.alone = true
	for _, c := range []struct {
		msg  []byte
		want string
	}{
		{question(t, "db.", dnsmessage.TypeA, nil), "rcode 0 192.0.2.7"},
		{question(t, "elsewhere.test.", dnsmessage.TypeA, nil), "rcode 5"},
		{question(t, "elsewhere.test.", dnsmessage.TypeA, withEDNS(1232, 0, false)), "rcode 5"},
		{question(t, "db.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.OpCode = 5 }), "rcode 5"},
		{question(t, "db.", dnsmessage.TypeA, nil)[:15], "rcode 1"},
		{question(t, "db.", dnsmessage.TypeA, nil)[:11], "for the server"}, // nothing is said
		{question(t, "db.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true }), "for the server"},
	} {
		b, _, _ := n.answer(c.msg, false)
		if got := told(t, b); got != c.want {
			t.Errorf("%x: %s; want %s", c.msg, got, c.want)
		}
		if b != nil && !bytes.Equal(b[:2], c.msg[:2]) {
			t.Errorf("%x is the answer to %x", b, c.msg)
		}
	}
}

func TestResolvConf(t *testing.T) {
	for _, c := range []struct {
		text, machine string
		servers       string
		search        string
		ndots         int
	}{
		{"", "box", "[127.0.0.1]", "[]", 1},
		{"", "box.corp.test", "[127.0.0.1]", "[corp.test.]", 1},
		{"# nameserver 9.9.9.9\nnameserver\nnameserver x\n", "", "[127.0.0.1]", "[]", 1},
		{"nameserver 192.0.2.1 # first\nnameserver\t::1\nnameserver fe80::1%eth0\nnameserver 0.0.0.0", "", "[192.0.2.1 ::1 fe80::1 127.0.0.1]", "[]", 1},
		{"search a.test b.test\ndomain c.test d.test\n", "x.y", "[127.0.0.1]", "[c.test.]", 1},
		{"domain c.test\nsearch a.test. b.test\noptions edns0 ndots:5 rotate\n", "", "[127.0.0.1]", "[a.test. b.test.]", 5},
		{"options ndots:99\noptions ndots:x\nsearch .\n", "", "[127.0.0.1]", "[]", 15},
	} {
		got := parseResolvConf(c.text, c.machine)
		if s := fmt.Sprint(got.servers); s != c.servers {
			t.Errorf("%q: servers %v", c.text, s)
		}
		if s := fmt.Sprint(got.search); s != c.search || got.ndots != c.ndots {
			t.Errorf("%q: search %v, ndots %d", c.text, s, got.ndots)
		}
	}
}

func TestHostsThatMakeNoSense(t *testing.T) {
	conf := parseResolvConf("", "")
	var many []Host
	for i := range maxAddrs + 1 {
		many = append(many, Host{"many", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
	}
	for _, list := range [][]Host{
		{host("", "::1")}, {host(".", "::1")}, {host("a..b", "::1")}, {host(".a", "::1")}, {host("a b", "::1")}, {host("é", "::1")},
		{host("::1", "::1")}, {host("127.0.0.1", "::1")}, {host("a", "fe80::1%lo")}, {{Name: "a"}},
		{host(strings.Repeat("a", 64), "::1")}, {host(strings.Repeat("a.", 127), "::1")}, many,
	} {
		h := list[len(list)-1]
		_, err := newNames(list, conf)
		if short := strings.TrimSuffix(h.Name, "."); len(short) == target.MaxName {
			if err != nil {
				t.Errorf("a name of %d bytes: %v", target.MaxName, err)
			}
		} else if err == nil {
			t.Errorf("%q=%v is taken", h.Name, h.Addr)
		}
	}
	if !namedIn("127.0.0.1 localhost\n# 127.0.1.1 box\n127.0.1.1\tBox.test box # mine\n", "BOX") || namedIn("127.0.0.1 a # b\nbox\n", "b") || namedIn("127.0.0.1 a # b\nbox\n", "box") {
		t.Error("hosts(5) is misread")
	}
}

// TestQuestionAlone has questions with something behind them: what is said there would reach a
// server whatever the question's name.
func TestQuestionAlone(t *testing.T) {
	for _, msg := range [][]byte{
		question(t, "db.", dnsmessage.TypeA, nil),
		question(t, ".", dnsmessage.TypeNS, nil),
		question(t, "a.b.example.", dnsmessage.TypeAAAA, withEDNS(4096, 0, true)),
	} {
		if _, ok := parseQuery(msg); !ok {
			t.Errorf("%x is no question", msg)
		}
		for _, more := range []string{"\x00", "trail"} {
			if _, ok := parseQuery(append(bytes.Clone(msg), more...)); ok {
				t.Errorf("%x with %q is a question", msg, more)
			}
		}
	}
}

// TestLearnedAnswers learns addresses from answers to what was asked alone.
func TestLearnedAnswers(t *testing.T) {
	server := netip.MustParseAddrPort("127.0.0.53:53")
	g := &Gateway{names: &names{servers: []netip.AddrPort{server}}, table: newNameTable()}
	m := &mapping{g: g}
	q := question(t, "Api.Example.", dnsmessage.TypeA, nil)
	m.asks(&usock.Datagram{Data: [][]byte{q}})
	answer := func(change func(*dnsmessage.Message)) *usock.Datagram {
		var a dnsmessage.Message
		if err := a.Unpack(q); err != nil {
			t.Fatal(err)
		}
		a.Response = true
		a.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: a.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
		}}
		change(&a)
		b, err := a.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return &usock.Datagram{Src: server, Data: [][]byte{b}}
	}
	learned := func() bool { return len(g.table.of(netip.MustParseAddr("192.0.2.7"))) > 0 }
	for what, change := range map[string]func(*dnsmessage.Message){
		"number":   func(a *dnsmessage.Message) { a.ID++ },
		"question": func(a *dnsmessage.Message) { a.Questions[0].Name = dnsmessage.MustNewName("x.example.") },
		"type":     func(a *dnsmessage.Message) { a.Questions[0].Type = dnsmessage.TypeAAAA },
	} {
		if m.learnFrom(answer(change)); learned() {
			t.Errorf("learned from an answer with another %s", what)
		}
	}
	if m.learnFrom(answer(func(*dnsmessage.Message) {})); !learned() {
		t.Error("an answer taught nothing")
	}
	for range maxAsked {
		m.asks(&usock.Datagram{Data: [][]byte{question(t, "other.", dnsmessage.TypeA, nil)}})
	}
	if len(m.asked) != maxAsked {
		t.Errorf("%d questions are remembered", len(m.asked))
	}
}

// FuzzAnswer has any bytes for a message: what is answered is what the message asks.
func FuzzAnswer(f *testing.F) {
	f.Add(question(f, "db.", dnsmessage.TypeA, nil))
	f.Add(question(f, "DB.corp.test.", dnsmessage.TypeALL, withEDNS(4096, 0, true)))
	f.Add(question(f, "7.2.0.192.in-addr.arpa.", dnsmessage.TypePTR, withEDNS(0, 1, false)))
	n, alone := someNames(f), someNames(f)
	alone.alone = true
	f.Fuzz(func(t *testing.T, msg []byte) {
		was := bytes.Clone(msg)
		for _, stream := range []bool{false, true} {
			reply, _, _ := n.answer(msg, stream)
			if reply != nil {
				checkReply(t, msg, reply)
				told(t, reply)
				if len(reply) > ednsSize && !stream {
					t.Errorf("a datagram of %d bytes", len(reply))
				}
				if got, _, _ := alone.answer(msg, stream); !bytes.Equal(got, reply) {
					t.Errorf("%x, and without an outside %x", reply, got)
				}
			} else if got, _, _ := alone.answer(msg, stream); got != nil {
				var m dnsmessage.Message
				if err := m.Unpack(got); err != nil || m.RCode != 5 && m.RCode != 1 || m.ID != binary.BigEndian.Uint16(msg) {
					t.Errorf("refused with %+v, %v", m.Header, err)
				}
			}
		}
		if !bytes.Equal(msg, was) {
			t.Error("the message was changed")
		}
	})
}
