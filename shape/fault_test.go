package shape

import (
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/target"
)

// to is a target of that text.
func to(text string) Target {
	t, err := target.Parse(text, protocols...)
	if err != nil {
		panic(err)
	}
	return Target{&t, text}
}

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
		{"dns AAAA only for *.Test.", Fault{Kind: NameAAAAOnly, Name: to("*.Test.")}, ""},
		{"connect refused to api.test:443", Fault{Kind: ConnectRefused, To: to("api.test:443")}, ""},
		{"connect refused to :443 once", Fault{Kind: ConnectRefused, To: to(":443"), Once: true}, ""},
		{"connect refused to 10.0.0.0/8", Fault{Kind: ConnectRefused, To: to("10.0.0.0/8")}, ""},
		{"connect refused to 10.0.0.1:80", Fault{Kind: ConnectRefused, To: to("10.0.0.1:80")}, ""},
		{"connect refused to 2001:db8::1", Fault{Kind: ConnectRefused, To: to("2001:db8::1")}, ""},
		{"connect refused to [2001:db8::/32]:80", Fault{Kind: ConnectRefused, To: to("[2001:db8::/32]:80")}, ""},
		{"connect refused once at 12.5% process curl", Fault{Kind: ConnectRefused, Process: "curl", Percent: 12.5, Once: true}, "connect refused process curl at 12.5% once"},
		{"connect refused to api.test.:80,443-450/sctp", Fault{Kind: ConnectRefused, To: to("api.test.:80,443-450/sctp")}, ""},
		{"connect refused from 5s to :80 from 10.0.0.0/8", Fault{Kind: ConnectRefused, To: to(":80"), From: to("10.0.0.0/8"), times: times{from: 5 * time.Second}}, "connect refused to :80 from 10.0.0.0/8 from 5s"},
		{"connect refused sctp pid 12", Fault{Kind: ConnectRefused, Proto: 132, PID: 12}, ""},
		{`connect refused process "Web Content" once`, Fault{Kind: ConnectRefused, Process: "Web Content", Once: true}, ""},
		{`connect refused process "80"`, Fault{Kind: ConnectRefused, Process: "80"}, ""},
		{"send fails with ENOBUFS to *:53", Fault{Kind: SendFails, Errno: syscall.ENOBUFS, To: to("*:53")}, ""},
		{"interrupt send at every 2nd", Fault{Kind: Interrupt, Call: "send", Every: 2}, ""},
		{"connect refused from 5s until 1m30s", Fault{Kind: ConnectRefused, times: times{from: 5 * time.Second, until: 90 * time.Second}}, ""},
		{"dns NXDOMAIN for api.test at 5s for 2s", Fault{Kind: NameNotFound, Name: to("api.test"), times: times{from: 5 * time.Second, until: 7 * time.Second}}, "dns NXDOMAIN for api.test from 5s until 7s"},
		{"dns NXDOMAIN every 30s for 2s for *.test", Fault{Kind: NameNotFound, Name: to("*.test"), times: times{every: 30 * time.Second, length: 2 * time.Second}}, "dns NXDOMAIN for *.test every 30s for 2s"},
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
	return reflect.DeepEqual(a, b)
}

func TestParseFaultErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `column 1: the text ends here; connect, reset, read, stop, peer, socket, accept, send, interrupt or dns is wanted`},
		{"conect refused", `column 1: "conect": did you mean "connect"?`},
		{"connect refuse", `column 9: "refuse": did you mean "refused"?`},
		{"connect late", `column 13: the text ends here; by is wanted`},
		{"connect late by 3", `column 17: "3": a time is wanted`},
		{"connect late by 0s", `column 17: "0s": nothing would happen; a time above 0s is wanted`},
		{"dns late by 0ms", `column 13: "0ms": nothing would happen`},
		{"stop reading for 0s after 1kb", `column 18: "0s": nothing would happen`},
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
		{"connect refused to a b", `column 22: "b": to, tcp, udp, sctp, for, process, pid, at, once, from, until or every is wanted`},
		{"connect refused to a..b", `column 20: "a..b" has an empty part between its dots`},
		{"connect refused to 10.0.0.1/8", `column 20: 10.0.0.1/8 has bits that its length leaves out: give 10.0.0.0/8, or 10.0.0.1 alone`},
		{"connect refused to a:70000", `column 20: "70000" is no port: those are 1 to 65535`},
		{"connect refused at 0%", `column 20: "0%": more than 0%`},
		{"connect refused at 101%", `column 20: "101%": more than 0%`},
		{"connect refused at 10", `column 20: "10": how often, or when, is wanted`},
		{"connect refused udp", `column 17: "connect refused" is of tcp and sctp alone`},
		{"read in pieces of 7 bytes to :80/sctp", `column 30: "read in pieces of 7 bytes" is of tcp alone`},
		{"connect refused tcp to :80/sctp", `column 24: no socket is of two protocols`},
		{"connect refused to 10s", `column 20: "10s" is a time: until 10s is meant?`},
		{"connect refused to 80", `column 20: "80" is no address; a port has a colon before it: to :80`},
		{"connect refused process 80", `column 25: 80 is a number; a process of that number is pid 80`},
		{"connect refused pid curl", `column 21: "curl" is no process's number`},
		{"connect refused from", `column 21: the text ends here; a time is wanted, such as from 10s`},
		{"connect refused from 10", `column 22: "10" is neither a time, which has a unit`},
		{"interrupt recv from 10.0.0.1", `column 16: "interrupt recv" is of no connection that begins, and so has no from`},
		{"dns NXDOMAIN from 10.0.0.1", `column 14: "dns NXDOMAIN" has no peer, and so no from`},
		{"connect refused from :5/sctp to :80/tcp", `column 33: no socket is of two protocols`},
		{"connect refused from 5s until 2s", `column 25: until 2s ends before it begins`},
		{"connect refused every 5s", `column 17: every 5s for how long?`},
		{"connect refused at 5s at 6s", `column 23: at TIME is there twice`},
		{"dns NXDOMAIN for 10.0.0.1", `column 18: "10.0.0.1" is an address`},
		{"dns NXDOMAIN for api.test:53", `column 18: "api.test:53" has the character ':'`},
		{"dns NXDOMAIN udp", `column 14: "dns NXDOMAIN" is of all protocols`},
		{"send fails with EMFILE", `column 17: "EMFILE": ENOBUFS or ENOMEM is wanted`},
		{"send fails with ENOMEM tcp", `column 24: "send fails with ENOMEM" is of udp alone`},
		{"connect \"refused\"", `column 9: "refused": did you mean "refused"? refused, timed or late is wanted`},
		{"connect refused process \"a", `column 25: the quotes do not end`},
		{"connect refused\x00", `column 16: there is a '\x00' in it`},
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
		var f *TextError
		if f, _ = err.(*TextError); f == nil || f.Column < 1 || f.Column > len(c.text)+1 {
			t.Errorf("%q: %#v is no TextError within the text", c.text, err)
		}
	}
}

// FuzzParseFault holds that what is read prints as what reads the same.
func FuzzParseFault(f *testing.F) {
	for _, text := range []string{
		"connect timed out after 3s to api.test:443 process curl at 10% once", "reset after 64kb received to [::1]:80 at the 3rd",
		"read in pieces of 1,7,100 bytes at every 5th", "dns wrong first for *.test", "peer stops reading for 1h0m1s after 1 byte",
		`connect refused sctp to api.test.:80,90-99/sctp process "Web Content" pid 7 from 5s every 30s for 2s until 1h`, "dns SERVFAIL for a for 2s at 1s",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseFault(text)
		if err != nil {
			if e := err.(*TextError); e.Column < 1 || e.Column > max(len(text), maxText)+1 || e.What == "" {
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
