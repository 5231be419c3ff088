package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"usock/gateway"
)

func TestParsePublish(t *testing.T) {
	const tcp, udp = syscall.IPPROTO_TCP, syscall.IPPROTO_UDP
	lo, six, all := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("0.0.0.0")
	for text, want := range map[string][]gateway.Publish{
		"80":                    {{Proto: tcp, Port: 80, Inner: 80}},
		"8080:80":               {{Proto: tcp, Port: 8080, Inner: 80}},
		"8080:80/tcp":           {{Proto: tcp, Port: 8080, Inner: 80}},
		"53/udp":                {{Proto: udp, Port: 53, Inner: 53}},
		"127.0.0.1:80":          {{Proto: tcp, Addr: lo, Port: 80, Inner: 80}},
		"0.0.0.0:8080:80/udp":   {{Proto: udp, Addr: all, Port: 8080, Inner: 80}},
		"[::1]:80":              {{Proto: tcp, Addr: six, Port: 80, Inner: 80}},
		"[::1]:8080:80":         {{Proto: tcp, Addr: six, Port: 8080, Inner: 80}},
		"80-81":                 {{Proto: tcp, Port: 80, Inner: 80}, {Proto: tcp, Port: 81, Inner: 81}},
		"127.0.0.1:80-81:90-91": {{Proto: tcp, Addr: lo, Port: 80, Inner: 90}, {Proto: tcp, Addr: lo, Port: 81, Inner: 91}},
		"65535":                 {{Proto: tcp, Port: 65535, Inner: 65535}},
		"auto":                  {{Proto: tcp, Auto: true}, {Proto: udp, Auto: true}},
		"auto/tcp":              {{Proto: tcp, Auto: true}},
		"auto/udp":              {{Proto: udp, Auto: true}},
	} {
		got, err := parsePublish(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                  "no port",
		"0":                 "no port",
		"70000":             "no port",
		"-1":                "no port",
		"http":              "no port",
		"80:0":              "no port",
		"80:":               "no port",
		"a:b:c:d":           "too many colons",
		"a:80:80":           "no IP address",
		"localhost:80:80":   "no IP address",
		"::1:80":            "too many colons",
		"[::1]":             "brackets",
		"[127.0.0.1]:80":    "brackets",
		"8010-8000":         "ends before it begins",
		"8000-8010:1-2":     "ranges have 11 and 2 ports",
		"1-2000":            "more than",
		"80/sctp":           "neither tcp nor udp",
		"80/":               "neither tcp nor udp",
		"auto:80":           "no port",
		"224.0.0.1:80":      "multicast",
		"[fe80::1%eth0]:80": "link-local",
	} {
		got, err := parsePublish(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// FuzzParsePublish reads any text as what -p is given. What it stands for is said again in the longest form, and read as the same.
func FuzzParsePublish(f *testing.F) {
	for _, text := range []string{"80", "8080:80/udp", "[::1]:8080:80", "127.0.0.1:80-81:90-91", "auto"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parsePublish(text)
		if err != nil {
			if list != nil || !strings.Contains(err.Error(), publishForms) {
				t.Errorf("%q: %v, %v", text, list, err)
			}
			return
		}
		if len(list) == 0 || len(list) > maxPublished {
			t.Fatalf("%q: %d ports", text, len(list))
		}
		for _, p := range list {
			again := "auto"
			if !p.Auto {
				again = fmt.Sprintf("%d:%d", p.Port, p.Inner)
				if p.Addr.IsValid() {
					again = netip.AddrPortFrom(p.Addr, p.Port).String() + fmt.Sprintf(":%d", p.Inner)
				}
			}
			switch p.Proto {
			case syscall.IPPROTO_TCP:
				again += "/tcp"
			case syscall.IPPROTO_UDP:
				again += "/udp"
			default:
				t.Fatalf("%q: %+v", text, p)
			}
			if same, err := parsePublish(again); err != nil || len(same) != 1 || same[0] != p {
				t.Errorf("%q is %+v, which is %q: %+v, %v", text, p, again, same, err)
			}
		}
	})
}
