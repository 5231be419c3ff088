package target

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// The text of targets is tested where it is used, by package gateway's rules; here is what they leave out.

func TestProtocols(t *testing.T) {
	all := []string{"tcp", "udp", "sctp", "icmp"}
	for _, name := range all {
		x, err := Parse("*/"+strings.ToUpper(name), all...)
		if err != nil || x.Proto != Protocol(name) || x.Proto == 0 || x.Whole() {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	if _, err := Parse("*/sctp", "tcp", "udp"); err == nil || err.Error() != `"sctp" is no protocol: there are tcp and udp` {
		t.Error(err)
	}
	x, err := Parse(":5000-5002/sctp", all...)
	if err != nil || !x.About(SCTP, 5001) || x.About(SCTP, 5003) || x.About(UDP, 5001) {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"localhost": true, "127.0.0.0/8": true, "127.0.0.1": true, "127.0.0.0/24": true, "::1": true,
		"127.1.0.0/16": false, "127.0.0.2": false, "126.0.0.0/7": false, "0.0.0.0/0": false, "::/0": false, "::ffff:127.0.0.1": true,
	} {
		if x, err := Parse(text); err != nil || x.Loopback != want {
			t.Errorf("%s: %v, %v", text, x.Loopback, err)
		}
	}
}

func TestHosts(t *testing.T) {
	var b strings.Builder
	for a, name := range Hosts("127.0.0.1 localhost LocalHost # 10.0.0.9 none\n\n# 10.0.0.8 none\n::1\tip6\r\nnonsense x\nfe80::1%eth0 x\n10.0.0.1\n10.0.0.2 a b") {
		fmt.Fprintf(&b, "%v %s\n", a, name)
	}
	if want := "127.0.0.1 localhost\n127.0.0.1 LocalHost\n::1 ip6\n10.0.0.2 a\n10.0.0.2 b\n"; b.String() != want {
		t.Errorf("%s", &b)
	}
	for range Hosts("10.0.0.1 a b") {
		break
	}
	x, err := Parse("*.Test")
	if err != nil || !x.MatchesName("a.test", &Search{}) || x.MatchesName("test", &Search{}) || x.Contains(netip.MustParseAddr("10.0.0.1")) {
		t.Errorf("%+v, %v", x, err)
	}
}
