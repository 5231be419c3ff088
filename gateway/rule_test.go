package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"usock/internal/target"
)

func mustRule(t testing.TB, allow bool, text string) Rule {
	t.Helper()
	r, err := ParseRule(allow, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// meaning is what a rule was understood to be.
func meaning(r *Rule) string {
	host := "any"
	t := &r.target
	switch t.Host {
	case target.Named:
		host = t.Name
	case target.Below:
		host = "*." + t.Name
	case target.ByAddr:
		host = fmt.Sprint(t.Prefixes)
	}
	if t.Absolute {
		host += "."
	}
	proto := "all"
	if t.Proto != 0 {
		proto = protoText(t.Proto)
	}
	return fmt.Sprintf("%s %v %s", host, t.Ports, proto)
}

func TestParseRule(t *testing.T) {
	for text, want := range map[string]string{
		"*":                                  "any [] all",
		"/udp":                               "any [] udp",
		"*/ICMP":                             "any [] icmp",
		":25":                                "any [{25 25}] all",
		"*:1-65535/tcp":                      "any [{1 65535}] tcp",
		"api.example":                        "api.example [] all",
		"API.Example.:443/tcp":               "api.example. [{443 443}] tcp",
		"*.example:80,8000-8999,443":         "*.example [{80 80} {8000 8999} {443 443}] all",
		"xn--bcher-kva.example":              "xn--bcher-kva.example [] all",
		"under_score.example":                "under_score.example [] all",
		"db":                                 "db [] all",
		"0xyz":                               "0xyz [] all",
		"10.0.0.1":                           "[10.0.0.1/32] [] all",
		"10.0.0.0/8":                         "[10.0.0.0/8] [] all",
		"10.0.0.0/8/tcp":                     "[10.0.0.0/8] [] tcp",
		"10.0.0.0/8:80/tcp":                  "[10.0.0.0/8] [{80 80}] tcp",
		"0.0.0.0/0":                          "[0.0.0.0/0] [] all",
		"2001:db8::1":                        "[2001:db8::1/128] [] all",
		"2001:db8::/32":                      "[2001:db8::/32] [] all",
		"2001:db8::/32/udp":                  "[2001:db8::/32] [] udp",
		"[2001:db8::1]":                      "[2001:db8::1/128] [] all",
		"[2001:db8::1]/icmp":                 "[2001:db8::1/128] [] icmp",
		"[2001:db8::/32]:53/udp":             "[2001:db8::/32] [{53 53}] udp",
		"::ffff:192.0.2.1":                   "[192.0.2.1/32] [] all",
		"[::ffff:192.0.2.0/120]:80":          "[192.0.2.0/24] [{80 80}] all",
		"localhost:5432":                     "[127.0.0.0/8 ::1/128] [{5432 5432}] all",
		"LocalHost.":                         "[127.0.0.0/8 ::1/128] [] all",
		"app.localhost":                      "[127.0.0.0/8 ::1/128] [] all",
		strings.Repeat("a.", 126) + "a":      strings.Repeat("a.", 126) + "a [] all",
		strings.Repeat("a", 63) + ".example": strings.Repeat("a", 63) + ".example [] all",
	} {
		r, err := ParseRule(true, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := meaning(&r); got != want || r.String() != text {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestParseRuleErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "it is empty (* stands for everything)",
		"api example":              `there is a ' ' in it`,
		"a\x00":                    `there is a '\x00' in it`,
		"443":                      `"443" is no address`,
		"1.2.3":                    `"1.2.3" is no address`,
		"256.1.1.1":                `"256.1.1.1" is no address`,
		"0x7f.1":                   `"0x7f.1" is no address`,
		"0x7f000001":               `"0x7f000001" is no address`,
		"10.0.0.0/33":              `"33" is no length of a prefix of 10.0.0.0: those are 0 to 32`,
		"10.0.0.1/8":               "10.0.0.1/8 has bits that its length leaves out: give 10.0.0.0/8, or 10.0.0.1 alone",
		"api.example/24":           `"api.example" is no address`,
		"10.0.0.0:80/8":            `"80/8" is no port: those are 1 to 65535`,
		"*/8":                      `"*" is no address`,
		"api.example:":             "a port is missing behind the colon",
		"api.example:/tcp":         "a port is missing behind the colon",
		"api.example:0":            `"0" is no port: those are 1 to 65535`,
		"api.example:65536":        `"65536" is no port: those are 1 to 65535`,
		"api.example:+80":          `"+80" is no port: those are 1 to 65535`,
		"api.example:https":        `"https" is no port: those are 1 to 65535`,
		"api.example:80,":          `"" is no port: those are 1 to 65535`,
		"api.example:90-80":        "the range 90-80 ends before it begins",
		"api.example:80-":          `"" is no port: those are 1 to 65535`,
		"api.example:80:90":        `"api.example:80:90" is no IPv6 address; one with a port behind it stands in brackets: [2001:db8::1]:443`,
		"api.example/":             "a protocol is missing behind the last /",
		"api.example/dccp":         `"dccp" is no protocol: there are tcp, udp, sctp and icmp`,
		"api.example:80/icmp":      "icmp has no ports",
		"[2001:db8::1":             "the bracket does not end",
		"[api.example]:80":         `"api.example" is no IPv6 address, and only those stand in brackets`,
		"[10.0.0.1]:80":            `"10.0.0.1" is no IPv6 address, and only those stand in brackets`,
		"[2001:db8::]/32:53":       `"/32:53" stands behind the bracket; the length of a prefix stands in it: [2001:db8::/32]:53`,
		"[2001:db8::1]80":          `"80" stands behind the bracket, where a port has a colon before it`,
		"[2001:db8::1]:":           "a port is missing behind the colon",
		"fd77::/16:80":             `"fd77::/16:80" is no IPv6 address; one with a port behind it stands in brackets: [2001:db8::1]:443`,
		"fe80::1%eth0":             `"fe80::1%eth0" has a zone, which leads to nobody outside of the run`,
		"::ffff:0.0.0.0/64":        `"::ffff:0.0.0.0/64" has more than the IPv4 addresses in it; they end at length 96`,
		"a.*.example":              `"a.*.example" has a * within; it stands alone, or for what is before a dot: *.example`,
		"*example":                 `"*example" has a * within; it stands alone, or for what is before a dot: *.example`,
		"*.*.example":              `"*.*.example" has a * within; it stands alone, or for what is before a dot: *.example`,
		"*.":                       `"*." has a * within; it stands alone, or for what is before a dot: *.example`,
		"a..example":               `"a..example" has an empty part between its dots`,
		"a..":                      `"a.." has an empty part between its dots`,
		"bücher.example":           `"bücher.example" has the character 'ü'; a name has letters, digits, '-' and '_' (others in the form that begins with xn--)`,
		"http://api.example/":      "a protocol is missing behind the last /",
		strings.Repeat("a.", 200):  "the name has 399 bytes, of which RFC 1035 allows 253",
		strings.Repeat("a", 64):    `"` + strings.Repeat("a", 64) + `" has a part of 64 bytes, of which RFC 1035 allows 63`,
		"api.example:80/tcp/extra": `"extra" is no protocol: there are tcp, udp, sctp and icmp`,
	} {
		_, err := ParseRule(false, text)
		if err == nil {
			t.Errorf("%q was taken", text)
		} else if got := strings.TrimSuffix(err.Error(), "; "+ruleForms); got != want {
			t.Errorf("%q:\n%s, want\n%s", text, got, want)
		}
	}
}

// FuzzParseRule takes nothing that it would not understand in the same way once more, and
// decides about everything.
func FuzzParseRule(f *testing.F) {
	for _, text := range []string{
		"*", ":443", "/udp", "api.example:443/tcp", "*.example", "10.0.0.0/8:80,8000-8999/tcp", "[2001:db8::/32]:53/udp",
		"::ffff:10.0.0.0/104", "localhost:1", "[::1]", "2001:db8::/32/icmp", "1.2.3", "a..b", "[", "]", "/", ":", "*.", "-", "0/0", "xn--",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(true, text)
		if err != nil {
			if !strings.HasSuffix(err.Error(), ruleForms) || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if r.String() != text || r.target.Proto == icmpProto && r.target.Ports != nil || r.target.Host == target.ByAddr && len(r.target.Prefixes) == 0 {
			t.Errorf("%q: %s", text, meaning(&r))
		}
		for _, p := range r.target.Prefixes {
			if p.Masked() != p || p.Addr().Is4In6() {
				t.Errorf("%q: %v", text, p)
			}
		}
		if again, err := ParseRule(true, strings.ToUpper(text)); err != nil || meaning(&again) != meaning(&r) {
			t.Errorf("%q in capitals: %s, %v, and not %s", text, meaning(&again), err, meaning(&r))
		}
		table := newNameTable()
		addr := netip.MustParseAddr("192.0.2.1")
		if r.target.ByName() {
			table.give(addr, []string{"x." + r.target.Name, r.target.Name})
		}
		p := newPolicy([]Rule{r}, Prohibit, table)
		a := asking{proto: syscall.IPPROTO_UDP, host: addr, port: 53, here: func() bool { return false }}
		allowed, by := p.decide(&a)
		matches := r.target.About(a.proto, a.port) && (r.target.Host == target.AnyHost || r.target.ByName() || r.target.Contains(addr))
		if allowed != matches || (by != nil) != matches {
			t.Errorf("%q: %v", text, allowed)
		}
	})
}
