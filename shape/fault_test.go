package shape

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestParseFault(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   Fault
		prints string // "": text
	}{
		{"connect refused", Fault{Kind: ConnectRefused}, ""},
		{"connect timed out after 3s", Fault{Kind: ConnectTimeout, Wait: 3 * time.Second}, ""},
		{"connect late by 1m30s", Fault{Kind: ConnectLate, Wait: 90 * time.Second}, ""},
		{"connect late by 120s", Fault{Kind: ConnectLate, Wait: 2 * time.Minute}, "connect late by 2m"},
		{"reset after 1000 bytes", Fault{Kind: ResetSent, After: 1000}, ""},
		{"reset after 1 byte sent", Fault{Kind: ResetSent, After: 1}, "reset after 1 byte"},
		{"reset after 64kb received", Fault{Kind: ResetReceived, After: 65536}, ""},
		{"reset at accept", Fault{Kind: ResetAtAccept}, ""},
		{"read in pieces of 1,7,100 bytes", Fault{Kind: ReadPieces, Pieces: []int{1, 7, 100}}, ""},
		{"stop reading for 5s after 64kb", Fault{Kind: StopReading, Wait: 5 * time.Second, After: 65536}, ""},
		{"peer stops reading for 5s after 0 bytes", Fault{Kind: PeerStopsReading, Wait: 5 * time.Second}, ""},
		{"socket fails with EMFILE", Fault{Kind: SocketFails, Errno: syscall.EMFILE}, ""},
		{"accept fails with ENOMEM", Fault{Kind: AcceptFails, Errno: syscall.ENOMEM}, ""},
		{"interrupt recv", Fault{Kind: Interrupt, Call: "recv"}, ""},
		{"dns NXDOMAIN", Fault{Kind: NameNotFound}, ""},
		{"dns SERVFAIL", Fault{Kind: NameServerFails}, ""},
		{"dns late by 2s", Fault{Kind: NameLate, Wait: 2 * time.Second}, ""},
		{"dns wrong first", Fault{Kind: NameWrongFirst}, ""},
		{"dns AAAA only for *.Test.", Fault{Kind: NameAAAAOnly, Name: "*.test"}, "dns AAAA only for *.test"},
		{"connect refused to api.test:443", Fault{Kind: ConnectRefused, To: Peer{Name: "api.test", Port: 443}}, ""},
		{"connect refused to :443 once", Fault{Kind: ConnectRefused, To: Peer{Port: 443}, Once: true}, ""},
		{"connect refused to 10.0.0.0/8", Fault{Kind: ConnectRefused, To: Peer{Prefix: prefix("10.0.0.0/8")}}, ""},
		{"connect refused to 10.0.0.1:80", Fault{Kind: ConnectRefused, To: Peer{Prefix: prefix("10.0.0.1/32"), Port: 80}}, ""},
		{"connect refused to 2001:db8::1", Fault{Kind: ConnectRefused, To: Peer{Prefix: prefix("2001:db8::1/128")}}, ""},
		{"connect refused to [2001:db8::/32]:80", Fault{Kind: ConnectRefused, To: Peer{Prefix: prefix("2001:db8::/32"), Port: 80}}, ""},
		{"connect refused once at 12.5% process curl", Fault{Kind: ConnectRefused, Process: "curl", Percent: 12.5, Once: true}, "connect refused process curl at 12.5% once"},
		{"reset at accept at the 22nd", Fault{Kind: ResetAtAccept, Nth: 22}, ""},
		{"reset at accept at the 11st", Fault{Kind: ResetAtAccept, Nth: 11}, "reset at accept at the 11th"},
		{"reset  at\taccept at every 3rd ", Fault{Kind: ResetAtAccept, Every: 3}, "reset at accept at every 3rd"},
	} {
		f, err := ParseFault(c.text)
		if err != nil || !equal(f, c.want) {
			t.Errorf("%q: %+v, %v; want %+v", c.text, f, err, c.want)
		}
		prints := c.prints
		if prints == "" {
			prints = c.text
		}
		if got := f.String(); got != prints {
			t.Errorf("%q prints as %q, want %q", c.text, got, prints)
		}
	}
}

func equal(a, b Fault) bool {
	same := slices.Equal(a.Pieces, b.Pieces)
	a.Pieces, b.Pieces = nil, nil
	return same && a.String() == b.String() && a.Kind == b.Kind && a.Errno == b.Errno && a.Wait == b.Wait && a.After == b.After &&
		a.Call == b.Call && a.To == b.To && a.Name == b.Name && a.Process == b.Process && a.Percent == b.Percent && a.Nth == b.Nth && a.Every == b.Every && a.Once == b.Once
}

func TestParseFaultErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `column 1: the text ends here; connect, reset, read, stop, peer, socket, accept, interrupt or dns is wanted`},
		{"conect refused", `column 1: "conect": did you mean "connect"?`},
		{"connect refuse", `column 9: "refuse": did you mean "refused"?`},
		{"connect late", `column 13: the text ends here; by is wanted`},
		{"connect late by 3", `column 17: "3": a time is wanted`},
		{"connect late by -3s", `column 17: "-3s": a time from 0s to 24h is wanted`},
		{"connect timed out after", `column 24: the text ends here; a time is wanted`},
		{"reset after 1000", `column 17: the text ends here; bytes or byte is wanted`},
		{"reset after 10xb", `column 13: "10xb": a number of bytes is wanted`},
		{"reset after 0 bytes", `column 13: "0": a reset comes behind the first byte`},
		{"reset after 9999999999gb", `column 13: "9999999999gb": no stream is as long`},
		{"read in pieces of 1,,2 bytes", `column 19: "1,,2": numbers of bytes`},
		{"read in pieces of " + strings.Repeat("1,", 64) + "1 bytes", `column 19: there are more than 64 pieces`},
		{"socket fails with EMFIL", `column 19: "EMFIL": did you mean "EMFILE"?`},
		{"socket fails with EPERM", `column 19: "EPERM": EMFILE, ENFILE, ENOBUFS or ENOMEM is wanted`},
		{"socket fails with EMFILE to :80", `column 26: "socket fails with EMFILE" has no peer`},
		{"dns NXDOMAN", `column 5: "NXDOMAN": did you mean "NXDOMAIN"?`},
		{"dns NXDOMAIN to api.test", `column 14: "dns NXDOMAIN" has no peer, and so no to; for NAME says which`},
		{"connect refused for api.test", `column 17: for is a condition of dns`},
		{"connect refused to", `column 19: the text ends here; a name, an address or a port is wanted`},
		{"connect refused to a b", `column 22: "b": to, for, process, at or once is wanted`},
		{"connect refused to a..b", `column 20: "a..b": a name is wanted`},
		{"connect refused to 10.0.0.1/8", `column 20: "10.0.0.1/8": an address and its length are wanted`},
		{"connect refused to a:70000", `column 20: "a:70000": a port from 1 to 65535 is wanted`},
		{"connect refused at 0%", `column 20: "0%": more than 0%`},
		{"connect refused at 101%", `column 20: "101%": more than 0%`},
		{"connect refused at 10", `column 20: "10": how often is wanted`},
		{"connect refused at the 0th", `column 24: "0th": a place in the order is wanted`},
		{"connect refused at the third", `column 24: "third": a place in the order is wanted`},
		{"connect refused once once", `column 22: "once" stands twice`},
		{"connect refused at 5% at the 3rd", `column 23: "at" stands twice`},
		{"connect refused process", `column 24: the text ends here; a program's name is wanted`},
	} {
		_, err := ParseFault(c.text)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
		var f *FaultError
		if f, _ = err.(*FaultError); f == nil || f.Column < 1 || f.Column > len(c.text)+1 {
			t.Errorf("%q: %#v is no FaultError within the text", c.text, err)
		}
	}
}

// FuzzParseFault holds that what is read prints as what reads the same.
func FuzzParseFault(f *testing.F) {
	for _, text := range []string{
		"connect timed out after 3s to api.test:443 process curl at 10% once", "reset after 64kb received to [::1]:80 at the 3rd",
		"read in pieces of 1,7,100 bytes at every 5th", "dns wrong first for *.test", "peer stops reading for 1h0m1s after 1 byte",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseFault(text)
		if err != nil {
			if e := err.(*FaultError); e.Column < 1 || e.Column > len(text)+1 || e.Reason == "" {
				t.Errorf("%q: %#v", text, e)
			}
			return
		}
		again, err := ParseFault(x.String())
		if err != nil || !equal(again, x) {
			t.Errorf("%q prints as %q, which reads as %+v, %v; want %+v", text, x.String(), again, err, x)
		}
	})
}
