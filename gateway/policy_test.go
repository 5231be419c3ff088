package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"usock/internal/target"
)

// rulesOf reads rules as "+RULE" and "-RULE".
func rulesOf(t testing.TB, text string) (out []Rule) {
	t.Helper()
	for f := range strings.FieldsSeq(text) {
		out = append(out, mustRule(t, f[0] == '+', f[1:]))
	}
	return out
}

// someTable has names of addresses. The machine is at 192.0.2.200.
func someTable() *nameTable {
	table := newNameTable()
	table.fix(netip.MustParseAddr("192.0.2.9"), "Filed")
	table.give(netip.MustParseAddr("192.0.2.1"), []string{"api.example.", "cdn.example."})
	table.give(netip.MustParseAddr("192.0.2.2"), []string{"Evil.Example."})
	table.give(netip.MustParseAddr("192.0.2.3"), []string{"db.corp.test."})
	table.give(netip.MustParseAddr("192.0.2.4"), []string{"a.b.corp.test."})
	table.give(netip.MustParseAddr("127.0.0.1"), []string{"api.example."})
	return table
}

func policyOf(t testing.TB, rules string, ndots int) *policy {
	p := newPolicy(rulesOf(t, rules), Prohibit, someTable())
	if p != nil {
		p.search = target.Search{Suffixes: []string{".corp.test"}, Dots: ndots}
	}
	return p
}

func TestDecide(t *testing.T) {
	protos := map[string]uint8{"tcp": syscall.IPPROTO_TCP, "udp": syscall.IPPROTO_UDP, "icmp": icmpProto}
	for _, c := range []struct{ rules, flow, want string }{
		{"", "192.0.2.1:80/tcp", "allowed"},
		{"-192.0.2.1", "192.0.2.1:80/tcp", "denied by 192.0.2.1"},
		{"-192.0.2.1", "192.0.2.2:80/tcp", "allowed"},
		{"+192.0.2.1", "192.0.2.1:80/tcp", "allowed by 192.0.2.1"},
		{"+192.0.2.1", "192.0.2.2:80/tcp", "denied"},
		{"+192.0.2.1 -192.0.2.0/24", "192.0.2.1:80/tcp", "allowed by 192.0.2.1"},
		{"-192.0.2.0/24 +192.0.2.1", "192.0.2.1:80/tcp", "denied by 192.0.2.0/24"},
		{"-192.0.2.0/24 +192.0.2.1", "198.51.100.1:80/tcp", "denied"},
		{"-:80 +*", "192.0.2.1:80/udp", "denied by :80"},
		{"-:80 +*", "192.0.2.1:81/udp", "allowed by *"},
		{"-:80/tcp +*", "192.0.2.1:80/udp", "allowed by *"},
		{"-:80-90,99", "192.0.2.1:90/udp", "denied by :80-90,99"},
		{"-:80-90,99", "192.0.2.1:99/udp", "denied by :80-90,99"},
		{"-:80-90,99", "192.0.2.1:91/udp", "allowed"},
		{"-:1-65535", "192.0.2.1:0/icmp", "allowed"}, // a rule with ports is about TCP and UDP
		{"-*/icmp", "192.0.2.1:0/icmp", "denied by */icmp"},
		{"-*/icmp", "[2001:db8::1]:0/icmp", "denied by */icmp"},
		{"-0.0.0.0/0", "[2001:db8::1]:80/tcp", "allowed"},
		{"-::/0", "192.0.2.1:80/tcp", "allowed"},
		{"-[2001:db8::/32]:80", "[2001:db8::1]:80/tcp", "denied by [2001:db8::/32]:80"},
		{"-::ffff:192.0.2.1", "192.0.2.1:80/tcp", "denied by ::ffff:192.0.2.1"},
		// Names.
		{"-api.example", "192.0.2.1:80/tcp", "denied by api.example"},
		{"-cdn.example", "192.0.2.1:80/tcp", "denied by cdn.example"}, // that it is an alias of
		{"-*.example:80", "192.0.2.1:80/tcp", "denied by *.example:80"},
		{"-*.api.example", "192.0.2.1:80/tcp", "allowed"},
		{"-example", "192.0.2.1:80/tcp", "allowed"},
		{"-evil.example.", "192.0.2.2:80/tcp", "denied by evil.example."},
		{"+api.example", "192.0.2.2:80/tcp", "denied"},
		{"+api.example", "127.0.0.1:80/tcp", "denied"}, // a name does not open the machine's loopback interface
		{"-filed", "192.0.2.9:80/tcp", "denied by filed"},
		{"-db", "192.0.2.3:80/tcp", "denied by db"}, // with what is appended
		{"-db.", "192.0.2.3:80/tcp", "allowed"},
		{"-*.b", "192.0.2.4:80/tcp", "allowed"}, // a.b has a dot, and is asked for as it is
		// The machine.
		{"-localhost:80", "127.0.0.1:80/tcp", "denied by localhost:80"},
		{"-localhost:80", "127.3.2.1:80/tcp", "denied by localhost:80"},
		{"-localhost:80", "[::1]:80/tcp", "denied by localhost:80"},
		{"-localhost:80", "192.0.2.200:80/tcp", "denied by localhost:80"},
		{"-localhost:80", "192.0.2.1:80/tcp", "allowed"},
		{"-127.0.0.1:80", "192.0.2.200:80/tcp", "denied by 127.0.0.1:80"},
		{"-127.0.0.1:80", "[::1]:80/tcp", "denied by 127.0.0.1:80"},
		{"-127.0.0.5:80", "127.0.0.1:80/tcp", "allowed"},
		{"-127.0.0.5:80", "192.0.2.200:80/tcp", "allowed"},
		{"+localhost:80", "192.0.2.200:80/tcp", "denied"}, // what allows is as it stands
		{"-192.0.2.200:80", "127.0.0.1:80/tcp", "allowed"},
	} {
		addr, proto, _ := strings.Cut(c.flow, "/")
		to := netip.MustParseAddrPort(addr)
		p := policyOf(t, c.rules, 1)
		ok, by := p.decide(&asking{protos[proto], to.Addr(), to.Port(), func() bool {
			return to.Addr().IsLoopback() || to.Addr() == netip.MustParseAddr("192.0.2.200")
		}})
		got := map[bool]string{true: "allowed", false: "denied"}[ok]
		if by != nil {
			got += " by " + by.String()
		}
		if got != c.want {
			t.Errorf("%q, %s: %s, want %s", c.rules, c.flow, got, c.want)
		}
	}
}

func TestMayAllowName(t *testing.T) {
	for _, c := range []struct {
		rules   string
		ndots   int
		yes, no string
	}{
		{"+api.example:443", 1, "api.example", "evil.example example x.api.example api.example.corp.test"},
		{"+*.example:443", 1, "api.example a.b.example", "example example.test xexample"},
		{"+api.example", 5, "api.example api.example.corp.test", "evil.example.corp.test"},
		{"+db", 1, "db db.corp.test", "db.other.test"},
		{"+db.", 1, "db", "db.corp.test"},
		{"-evil.example", 1, "api.example x.evil.example", "evil.example"},
		{"-evil.example:443", 1, "evil.example", ""}, // its other ports are allowed
		{"-evil.example:443 -evil.example", 1, "", "evil.example"},
		{"+api.example -*", 1, "api.example", "evil.example"},
		{"+api.example +10.0.0.0/8", 1, "api.example any.example", ""}, // whose address may be there
		{"+api.example +localhost:80", 1, "api.example", "any.example"},
		{"-*.example +*", 1, "other.test", "api.example"},
		{"-* +api.example", 1, "", "api.example"},
		{"-10.0.0.0/8 +api.example", 1, "api.example", "other.example"},
		{"+api.example", 1, "1.2.0.192.in-addr.arpa", "2.2.0.192.in-addr.arpa 1.0.0.127.in-addr.arpa"}, // PTR
		{"+api.example +2001:db8::/32", 1, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa"},
	} {
		p := policyOf(t, c.rules, c.ndots)
		if !p.filtersNames() {
			t.Errorf("%q filters no names", c.rules)
		}
		for name := range strings.FieldsSeq(c.yes) {
			if !p.mayAllowName(name) {
				t.Errorf("%q cannot allow %s", c.rules, name)
			}
		}
		for name := range strings.FieldsSeq(c.no) {
			if p.mayAllowName(name) {
				t.Errorf("%q can allow %s", c.rules, name)
			}
		}
	}
	if policyOf(t, "-10.0.0.0/8", 1).filtersNames() || policyOf(t, "", 1).filtersNames() {
		t.Error("names are filtered without a rule about one")
	}
}

// TestNameTable is bounded, keeps what is fixed and forgets what was given longest ago.
func TestNameTable(t *testing.T) {
	table := newNameTable()
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	table.fix(addr(0), "fixed")
	for i := range maxGivenAddrs {
		table.give(addr(i+1), []string{fmt.Sprint("n", i+1)})
	}
	gen := table.gen
	if table.give(addr(1), []string{"N1."}); table.gen != gen {
		t.Error("what is known already changes something")
	}
	if table.give(addr(1), []string{"other", "alias"}); table.gen == gen || table.last(addr(1)) != "other" {
		t.Errorf("%v", table.of(addr(1)))
	}
	if table.give(addr(1), []string{"n1"}); strings.Join(table.of(addr(1)), " ") != "n1 other alias" {
		t.Errorf("%v", table.of(addr(1)))
	}
	table.give(addr(1<<20), []string{"new"})
	if len(table.given) != maxGivenAddrs || table.of(addr(2)) != nil || table.last(addr(1)) != "n1" || table.of(addr(0))[0] != "fixed" {
		t.Errorf("%d addresses, %v %v %v", len(table.given), table.of(addr(2)), table.of(addr(1)), table.of(addr(0)))
	}
	for i := range 2 * maxGivenNames {
		table.give(addr(1), []string{fmt.Sprint("m", i)})
	}
	if names := table.of(addr(1)); len(names) != maxGivenNames || names[0] != fmt.Sprint("m", 2*maxGivenNames-1) {
		t.Errorf("%d names, %v", len(names), names[0])
	}
	for _, a := range []string{"127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "224.0.0.1"} {
		if table.give(netip.MustParseAddr(a), []string{"x"}); table.last(netip.MustParseAddr(a)) != "" {
			t.Errorf("%s was taken", a)
		}
	}
}
