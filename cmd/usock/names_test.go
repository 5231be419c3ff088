package main

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	var h hosts
	for _, text := range []string{"db=192.0.2.7", "db=2001:db8::7", "Cache_1.corp-x.test.=127.0.0.1"} {
		if err := h.Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got := h.String(); got != "db=192.0.2.7,db=2001:db8::7,Cache_1.corp-x.test.=127.0.0.1" {
		t.Errorf("the hosts are %s", got)
	}
	for text, want := range map[string]string{
		"x":                                  "give a name and its address",
		"":                                   "give a name and its address",
		"=192.0.2.7":                         "no name",
		"db=":                                "no address",
		"db=192.0.2.700":                     "no address",
		"db=192.0.2.7,192.0.2.8":             "no address",
		"db=fe80::1%eth0":                    "without a zone",
		"192.0.2.1=192.0.2.7":                "is an address",
		"a..b=::1":                           "empty part",
		"a b=::1":                            "has the character ' '",
		"bücher.test=::1":                    "xn--",
		strings.Repeat("a", 64) + "=::1":     "64 bytes",
		strings.Repeat("a.", 127) + "bc=::1": "256 bytes",
	} {
		if err := h.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q in it", text, err, want)
		}
	}
	if len(h.list) != 3 {
		t.Errorf("%d hosts", len(h.list))
	}
}
