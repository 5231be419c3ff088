//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// TestFilterLearns splits a name server's stream in all places: each message is given whole.
func TestFilterLearns(t *testing.T) {
	messages := []string{"first", "", "second of them"}
	var stream []byte
	for _, m := range messages {
		stream = append(stream, framed([]byte(m))...)
	}
	for i := range stream {
		var got []string
		f := dnsFilter{names: someNames(t), hears: func(msg []byte) { got = append(got, string(msg)) }}
		for _, part := range [][]byte{stream[:i], stream[i:]} {
			if out := f.down(bytes.Clone(part)); !bytes.Equal(out, part) {
				t.Fatalf("split at %d: %q became %q", i, part, out)
			}
		}
		if strings.Join(got, "|") != strings.Join(messages, "|") {
			t.Errorf("split at %d: %q", i, got)
		}
	}
}

// TestFilterRefuses has a stream ask for what may not be asked for: the server has none of it.
func TestFilterRefuses(t *testing.T) {
	n := someNames(t)
	n.permit = func(name string) bool { return name == "good.example" }
	good, bad := question(t, "GOOD.example.", dnsmessage.TypeA, nil), question(t, "bad.example.", dnsmessage.TypeA, nil)
	odd := question(t, "good.example.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) })
	up := bytes.Join([][]byte{framed(bad), framed(good), framed([]byte("?")), framed(odd), framed(bad)[:20]}, nil)
	for i := range up {
		var toServer []byte
		var refused []string
		f := dnsFilter{names: n, refused: func(name string) { refused = append(refused, name) }}
		for _, part := range [][]byte{up[:i], up[i:]} {
			f.take(bytes.Clone(part))
			for b := f.next(); len(b) > 0; b = f.next() {
				toServer = append(toServer, b...)
			}
		}
		if f.holds() {
			toServer = append(toServer, f.rest()...)
		}
		if !bytes.Equal(toServer, framed(good)) || fmt.Sprintf("%q", refused) != `["bad.example" "" ""]` {
			t.Fatalf("split at %d: the server has %q, refused %q", i, toServer, refused)
		}
		var codes []byte
		for b := f.waiting(); len(b) > 0; b = b[2+binary.BigEndian.Uint16(b):] {
			codes = append(codes, b[5]&15)
		}
		if !bytes.Equal(codes, []byte{5, 5}) { // what is no message at all has no answer
			t.Errorf("split at %d: rcodes %v", i, codes)
		}
	}
}
