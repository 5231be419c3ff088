//go:build linux

package gateway

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"usock/internal/target"
)

// FuzzNameStream has any bytes on both directions of a stream to a name server, in pieces of any size: who sends them in one gets and
// hears the same.
func FuzzNameStream(f *testing.F) {
	known, other := framed(question(f, "db.", dnsmessage.TypeA, nil)), framed(question(f, "elsewhere.test.", dnsmessage.TypeA, nil))
	f.Add(bytes.Join([][]byte{other, known, framed(nil), known}, nil), bytes.Join([][]byte{framed([]byte("first")), framed(nil), framed([]byte("second"))}, nil), uint8(5))
	f.Add([]byte{0, 9, 1}, []byte{255, 255, 1}, uint8(1))
	n := someNames(f)
	f.Fuzz(func(t *testing.T, up, down []byte, size uint8) {
		carry := func(size int) (server, answers []byte, heard []string, rest []byte) {
			x := dnsFilter{names: n, hears: func(msg []byte) { heard = append(heard, string(msg)) }}
			for b := up; len(b) > 0; b = b[min(size, len(b)):] {
				x.take(b[:min(size, len(b))])
				for {
					out := x.next()
					server = append(server, out...)
					answer := x.waiting()
					answers = append(answers, answer...)
					if len(out)+len(answer) == 0 {
						break
					}
				}
			}
			var passed []byte
			for b := down; len(b) > 0; b = b[min(size, len(b)):] {
				passed = append(passed, x.down(b[:min(size, len(b))])...)
			}
			if !bytes.Equal(passed, down) {
				t.Fatalf("%x passes as %x", down, passed)
			}
			return server, answers, heard, x.rest()
		}
		server, answers, heard, rest := carry(1 << 20)
		s, a, h, r := carry(1 + int(size))
		if !bytes.Equal(s, server) || !bytes.Equal(a, answers) || !bytes.Equal(r, rest) || strings.Join(h, ",") != strings.Join(heard, ",") {
			t.Fatalf("in pieces of %d: %x, %x, %q, %x; at once %x, %x, %q, %x", 1+int(size), s, a, h, r, server, answers, heard, rest)
		}
	})
}

// FuzzResolvConf reads any text as resolv.conf(5) and as hosts(5): what comes of it is what resolvers can use.
func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 127.0.0.1\nnameserver fe80::1%eth0\nsearch corp.test other.test.\noptions ndots:3 edns0\n", "box.corp.test")
	f.Add("; none\ndomain example\noptions ndots:-1\nnameserver ::\n192.0.2.1 box # box.test", "box")
	f.Fuzz(func(t *testing.T, text, machine string) {
		c := parseResolvConf(text, machine)
		if len(c.servers) == 0 || c.ndots < 0 || c.ndots > 15 {
			t.Errorf("%+v", c)
		}
		for _, a := range c.servers {
			if a != a.Unmap().WithZone("") || a.IsUnspecified() || !a.IsValid() {
				t.Errorf("a server at %v", a)
			}
		}
		for _, s := range c.search {
			if target.CheckName(s) != nil || !strings.HasSuffix(s, ".") {
				t.Errorf("the suffix %q", s)
			}
		}
		if _, err := newNames([]Host{{"box", netip.MustParseAddr("192.0.2.1")}}, c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if namedIn(text, machine) && !strings.Contains(strings.ToLower(text), strings.ToLower(machine)) && !strings.Contains(strings.ToUpper(text), strings.ToUpper(machine)) {
			t.Errorf("%q is found", machine)
		}
	})
}
