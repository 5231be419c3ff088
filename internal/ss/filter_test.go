package ss

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// ends are sockets that the filters of a test choose from, by a letter.
var ends = map[string]Ends{
	"a": {"ESTAB", at("10.0.0.1:40000"), at("93.184.216.34:443")},
	"b": {"ESTAB", at("10.0.0.1:80"), at("10.9.8.7:50000")},
	"c": {"LISTEN", at("0.0.0.0:80"), netip.AddrPort{}},
	"d": {"LISTEN", at("[::]:443"), netip.AddrPort{}},
	"e": {"ESTAB", at("[2001:db8::1]:443"), at("[2001:db8:1::2]:33000")},
	"f": {"TIME-WAIT", at("[::ffff:10.0.0.1]:80"), at("[::ffff:10.9.8.7]:1024")},
	"g": {"UNCONN", at("[fe80::1%eth0]:53"), netip.AddrPort{}},
	"h": {"SYN-SENT", at("10.0.0.1:1023"), at("192.0.2.7:80")},
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func services(name string) (uint16, bool) {
	n, ok := map[string]uint16{"http": 80, "https": 443}[name]
	return n, ok
}

func TestFilter(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "abcdefgh",
		"  \n\t":            "abcdefgh",
		"state established": "abe", "state ESTABLISHED": "abe",
		"state listening state established":       "abcde",
		"exclude established":                     "cdfgh",
		"exclude established exclude listening":   "fgh",
		"state connected":                         "abefh",
		"state synchronized":                      "abef",
		"state bucket":                            "f",
		"state big":                               "abcdegh",
		"state all":                               "abcdefgh",
		"state closed":                            "g",
		"state connected exclude established":     "fh",
		"sport = :80":                             "bcf",
		"sport = 80":                              "bcf",
		"sport 80":                                "bcf",
		"sport=80":                                "bcf",
		"sport == http":                           "bcf",
		"sport eq :http":                          "bcf",
		"sport != :80":                            "adegh",
		"not sport = :80":                         "adegh",
		"! sport = :80":                           "adegh",
		"! ! sport = :80":                         "bcf",
		"sport >= :443":                           "adeh",
		"sport ge 443":                            "adeh",
		"sport > 443":                             "ah",
		"sport gt 443":                            "ah",
		"sport < 80":                              "g",
		"sport lt 80":                             "g",
		"sport <= 80":                             "bcfg",
		"sport leq 0x50":                          "bcfg",
		"sport = :*":                              "abcdefgh",
		"sport != *":                              "",
		"dport = :443":                            "a",
		"dst 10.0.0.0/8":                          "bf", // IPv4 in IPv6, too
		"dst = 10.9.8.7":                          "bf",
		"dst != 10.9.8.7":                         "acdegh",
		"dst ::ffff:10.9.8.7":                     "f",
		"dst [::ffff:0:0/96]":                     "f",
		"dst 10.9.8.7:50000":                      "b",
		"dst :50000":                              "b",
		"dst *:50000":                             "b",
		"dst *":                                   "abcdefgh",
		"src 10.0.0.1:http":                       "bf",
		"src [2001:db8::/32]":                     "e",
		"src 2001:db8::/32":                       "e",
		"src [2001:db8::1]:443":                   "e",
		"src inet6:[2001:db8::1]":                 "e",
		"src inet:10.0.0.1":                       "abfh",
		"src fe80::1":                             "g",
		"src 0.0.0.0/0":                           "abcfh",
		"src ::/0":                                "defg",
		"sport = :80 and dport = :50000":          "b",
		"sport = :80 dport = :50000":              "b",
		"sport = :80 && dport = :50000":           "b",
		"sport = :80 or dport = :80":              "bcfh",
		"sport = :80 | dport = :80 || sport = 53": "bcfgh",
		"( sport = :80 or dport = :80 ) dst 10.0.0.0/8":      "bf",
		"(sport=:80|dport=:80)&dst 10.0.0.0/8":               "bf",
		"sport = :80 or dport = :80 and dst 10.0.0.0/8":      "bf",  // from the left
		"dst 10.0.0.0/8 and sport = :80 or dport = :80":      "bfh", // from the left
		"! sport = :80 sport = :443":                         "de",
		"! ( sport = :80 or sport = :443 )":                  "agh",
		"state established ( dport = :443 or sport = :443 )": "ae",
	} {
		f, err := Parse(text, services)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := ""
		for _, name := range strings.Split("abcdefgh", "") {
			e := ends[name]
			if f.Match(&e) {
				got += name
			}
		}
		if got != want {
			t.Errorf("%q: chooses %s, want %s", text, got, want)
		}
	}
}

// TestFilterIsRefused has what ss does not take, or usock has not, refused.
func TestFilterIsRefused(t *testing.T) {
	for _, text := range []string{
		"src [2001:db8::]/32",
		"state",
		"state open",
		"sport",
		"sport =",
		"sport = :x",
		"sport = 65536",
		"sport = -1",
		"dst",
		"dst > 10.0.0.1",
		"dst x",
		"dst [::1",
		"dst [::1]x",
		"dst 10.0.0.0/33",
		"( sport = :80",
		"sport = :80 )",
		"()",
		"sport = :80 and",
		"and sport = :80",
		"!",
		"sport = :80 state established", // states come first
		"dev = eth0",
		"fwmark = 1",
		"established",
		strings.Repeat("(", 5000),
		strings.Repeat("! ", 2000),
	} {
		if _, err := Parse(text, services); !errors.Is(err, ErrFilter) {
			t.Errorf("%.40q: no error, or another: %v", text, err)
		}
	}
}

// TestBegins tells filters from names of runs.
func TestBegins(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "state": true, "(": true, "(sport": true, "!sport": true, "sport": true, "sport=:80": true, "not": true, "dst 10.0.0.1": true,
		"web": false, "states": false, "0123abcd": false, "established": false, "src2": false,
	} {
		if Begins(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// FuzzParse has a filter that is read match without failing, and its negation do the opposite.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"state established ( sport = :80 or dport != http ) and not src [2001:db8::/32]:5", "exclude listening ! dst 10.0.0.0/8", "sport<=0x50&dst *:*",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text, services)
		if err != nil {
			if !errors.Is(err, ErrFilter) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		opposite, err := Parse("! ( "+text+" )", services)
		for _, e := range ends {
			got := filter.Match(&e)
			if err == nil && opposite.Match(&e) == got {
				t.Errorf("%q and its opposite agree about %v", text, e)
			}
		}
	})
}

func TestStateNames(t *testing.T) {
	for _, name := range StateWords() {
		if s, ok := stateNames(name); !ok || s == 0 {
			t.Errorf("%s: %b", name, s)
		}
	}
	if got := strings.Join(Listening.Names(), " "); got != "UNCONN LISTEN" {
		t.Error(got)
	}
	if All.Names() != nil || !Connected.Has("ESTAB") || Connected.Has("TIME-WAIT") || !Connected.Has("SHUTDOWN-SENT") {
		t.Error("sets of states")
	}
}
