package unix

import (
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"usock/packet"
)

func self() Cred {
	return Cred{int32(os.Getpid()), uint32(os.Getuid()), uint32(os.Getgid())}
}

// cases are call sequences whose every result must be the same on usock and on
// the kernel.
var cases = []struct{ name, lines string }{
	{"types", `
		a = socket stream; a = socket dgram 1; a = socket seqpacket; a = socket raw; a get type
		a = socket rdm; a = socket stream 2; a = socket rdm 2; a get domain; a get protocol
		a get acceptconn; a get passcred; a get peekoff; a get peercred 12; a get error`},
	{"fresh stream", `
		a = socket stream; a poll; a name; a peer; a recv 10; a send x; a listen 5; c = accept a
		a send x to p:none; a shutdown rd; a poll; a shutdown rdwr; a poll; a send x; a connect p:none`},
	{"fresh datagram", `
		a = socket dgram; a poll; a name; a peer; a recv 10; a send x; a listen 5; c = accept a
		a send x to p:none; a send x to a:none; a shutdown rd; a poll; a recv 10; a shutdown wr; a poll
		a send x to p:none`},
	{"fresh seqpacket", `
		a = socket seqpacket; a poll; a name; a peer; a recv 10; a send x; a listen 5; c = accept a
		a send x to p:none; a shutdown wr; a poll; a send x; a recv 1`},
	{"bind", `
		a = socket stream; b = socket stream; a bind inet; a bind unspec; a bind p:x; a bind p:x; a bind p:y
		b bind p:y; b bind a:y; a name; b name; c = socket stream; c bind a:z; c bind a:z; c bind a:zz
		d = socket stream; d bind a:z; e = socket dgram; e bind a:z; e name; c close; d bind a:z; d name
		a close; f = socket stream; f bind p:x; f connect p:x; unlink p:x; f bind p:x; unlink p:none`},
	{"autobind", `
		a = socket stream; a bind -; a name; a bind -; a bind p:x; b = socket dgram; b bind p:b; b bind -; b name
		a listen 1; c = socket stream; c connect -`},
	{"connect errors", `
		a = socket stream; a bind p:x; b = socket stream; b connect p:x; b connect p:none; b connect a:none
		b connect unspec; b connect inet; d = socket dgram; d connect p:x; d bind p:d; b connect p:d
		b connect a:x; e = socket dgram; e bind a:e; b connect a:e; a listen 0; b connect p:x; b connect p:x
		b connect p:none; b connect p:d; s = socket seqpacket; s connect p:x; a connect p:x; a listen 3
		b listen 1; d listen 1; a get acceptconn; b get acceptconn; a connect p:d`},
	{"stream", `
		l = socket stream; l bind p:l; l listen 5; l poll; c = socket stream; c connect p:l; c poll; l poll
		c peer; c name; c send hello; s = accept l; l poll; s name; s peer; s recv 3; s inq; s recv 10; s recv 10
		s send world; c send x; c recv 100 peek; c recv 100; s recv 0; s send ""; c recv 1; c send y to p:l
		s poll; c poll; l recv 1; l send x; c = accept s; c listen 1; c bind p:c; c name; s peer; s recv 9`},
	{"glue", `
		a b = pair stream; a send ab; a send cd; b recv 1; b recv 10; a send ef; a send gh; b recv 3; b recv 3 peek
		b recv 10; a bind p:a; a send x; b recv 5 waitall; b peer`},
	{"backlog", `
		l = socket stream; l bind p:l; l listen 1; a = socket stream; a connect p:l; b = socket stream; b connect p:l
		c = socket stream; c connect p:l; x = accept l; c connect p:l; c connect p:l; d = socket stream
		d connect p:l; l listen 5; d connect p:l; y = accept l; z = accept l; w = accept l; v = accept l; w peer`},
	{"listener closes", `
		l = socket stream; l bind p:l; l listen 1; a = socket stream; a connect p:l; a send x; l close; a poll
		a get error; a poll; a recv 1; a send x; a peer; b = socket stream; b connect p:l`},
	{"listener shuts", `
		l = socket stream; l bind p:l; l listen 3; a = socket stream; a connect p:l; l shutdown rd; l poll
		b = socket stream; b connect p:l; c = accept l; d = accept l; l get acceptconn`},
	{"close with unread data", `
		a b = pair stream; a send hello; b send hi; a close; b poll; b send x; b recv 10; b poll; b recv 10; b recv 10
		b peer; b shutdown rdwr; b poll`},
	{"close and read on", `
		a b = pair stream; a send hello; a close; b poll; b recv 2; b poll; b recv 10; b recv 10; b send x; b poll`},
	{"reset by recv", `a b = pair stream; b send hi; b close; a recv 10; a recv 10; c d = pair stream; c send x; d close; c recv 1; c recv 1`},
	{"shutdown", `
		a b = pair stream; a send x; a shutdown wr; a poll; b poll; a send y; b recv 9; b recv 9; b send z; a recv 9
		b shutdown rd; a poll; b poll; b shutdown wr; a poll; b poll; a recv 1; b send x`},
	{"shutdown read", `a b = pair stream; b send x; a shutdown rd; a recv 9; a recv 9; b send y; b poll; a poll`},
	{"seqpacket", `
		l = socket seqpacket; l bind a:l; l listen 2; c = socket seqpacket; c connect a:l; s = accept l; c send hello
		c send world; s inq; s recv 3; s recv 10; s send ""; c poll; c recv 5; c recv 5; c send x eor; s recv 9
		c send y to p:none; s recv 1; c send abc; s recv 1 trunc; s send q; c close; s poll; s recv 1; s recv 1; s send x`},
	{"seqpacket ends", `
		a b = pair seqpacket; a send x; a shutdown wr; b recv 9; b recv 9; b poll; b send y; a recv 9; a close; b poll
		b send x; b recv 1`},
	{"datagram pair", `
		a b = pair dgram; a peer; a send hello; a send ""; b inq; b recv 2; b recv 9; b recv 9; b poll; a send x trunc
		b recv 9 trunc; a send abcdef; b recv 2 trunc; a send q; a shutdown wr; a send x; b poll; b recv 1; b recv 1
		b send y; a recv 9; b shutdown rd; b poll; a poll`},
	{"datagram pair closes", `
		a b = pair dgram; a send x; b close; a poll; a send x; a send x; a peer; a poll; a recv 1; c d = pair dgram
		d send x; d close; c poll; c recv 9; c send x; c recv 9`},
	{"datagrams by name", `
		s = socket dgram; s bind p:s; a = socket dgram; a send hi to p:s; s recv 9; a bind a:a; a send there to p:s
		s recv 9; s send re to a:a; a recv 9; a send x; a send x to unspec; a send x to inet; t = socket stream
		t bind p:t; a send x to p:t; a close; s send x to a:a; s close; b = socket dgram; b send x to p:s`},
	{"connected datagrams", `
		s = socket dgram; s bind p:s; a = socket dgram; b = socket dgram; a connect p:s; a peer; s peer; a send x
		b send y to p:s; s recv 9; s recv 9; a bind a:a; s connect a:a; b send x to p:s; b connect p:s; a send q
		b poll; s recv 9; a connect unspec; a peer; a send x; a send z to p:s; s recv 9; s connect unspec; b send x to p:s`},
	{"reconnect drops", `
		s = socket dgram; s bind p:s; a = socket dgram; a bind p:a; a connect p:s; s connect p:a; s send x; a connect unspec
		a recv 9; s get error; s send y; a recv 9; s peer`},
	{"datagram queue", `
		s = socket dgram; s bind p:s; a = socket dgram; a connect p:s; a send 1; a send 2; a send 3; a send 4; a send 5
		a send 6; a send 7; a send 8; a send 9; a send 10; a poll; a send 11; a poll; a send 12; b = socket dgram
		b send x to p:s; b poll; s recv 9; a poll; a send 12; a poll; s connect p:s; a poll; s close; a poll; a send x; a peer`},
	{"server dies", `
		s = socket dgram; s bind p:s; a = socket dgram; a connect p:s; s close; a poll; a send x; a peer; a send x
		t = socket dgram; t bind p:t; a connect p:t; unlink p:t; a send y; t recv 1; a send x to p:t`},
	{"self", `a = socket dgram; a bind p:a; a connect p:a; a send x; a recv 9; a peer; a send y to p:a; a recv 1`},
	{"sizes", `
		a b = pair dgram; a sendn 65536; b recv 65536; a sendn 200000; b recv 70000; a sendn 212960; b recv 212960
		a sendn 212961; a set sndbuf 10000; a get sndbuf; a sendn 20001; a sendn 19968; b recv 20000; a set sndbuf 1
		a get sndbuf; c d = pair seqpacket; c sendn 150000; d recv 200000; c sendn 212961`},
	{"truncation", `a b = pair dgram; a send hello; b recv 2 peek; b recv 2 peek trunc; b recv 0; b recv 1; a send ""; b recv 0`},
	{"credentials", `
		a b = pair stream; a get peercred 12; a get peercred 4; a get passcred; a set passcred 5; a get passcred
		b send x; a recv 9; b cred self; a recv 9; b cred short; b scm 99; b rights 1; b rights 300; b rights 0; a recv 1
		b close; a recv 9; l = socket stream; l set passcred 1; l bind p:l; l listen 1; c = socket stream; c connect p:l
		c send x; s = accept l; s get passcred; s recv 9; s get peercred 12; c get peercred 12; l get peercred 12`},
	{"credentials of datagrams", `
		s = socket dgram; s bind p:s; a = socket dgram; a send 1 to p:s; s set passcred 1; a send 2 to p:s
		s recv 9; s recv 9; a set passcred 1; a name; a send 3 to p:s; a name; s recv 9; b = socket dgram
		b set passcred 1; b connect p:s; b name; b get peercred 12; c d = pair dgram; c get peercred 12
		e = socket stream; e set passcred 1; e connect p:none; e name; e connect inet`},
	{"credentials part streams", `
		a b = pair stream; b send 1; a set passcred 1; b send 2; b cred self; a recv 9; a recv 9; a recv 9`},
	{"peek offset", `
		a b = pair stream; a send hello; a send world; b set peekoff 3; b recv 4 peek; b recv 4 peek; b get peekoff
		b recv 4; b get peekoff; b recv 9 peek; b recv 9 peek; b get peekoff; b set peekoff -1; b recv 9 peek
		c d = pair dgram; c send abc; c send def; d set peekoff 1; d recv 1 peek; d recv 9 peek; d recv 9 peek
		d recv 9 peek; d recv 9; d get peekoff; d recv 9 peek; d set peekoff 0; d recv 9 peek`},
	{"low water", `a b = pair stream; b set rcvlowat 5; a send ab; b poll; b recv 9; b get rcvlowat`},
	{"errors of flags", `
		a b = pair dgram; a send x oob; a recv 1 oob; c d = pair seqpacket; c send x oob; c recv 1 oob
		e = socket dgram; e send x oob; f = socket stream; f recv 1 oob`},
	{"three types, one abstract name", `
		a = socket stream; b = socket dgram; c = socket seqpacket; a bind a:x; b bind a:x; c bind a:x
		d = socket dgram; d send hi to a:x; b recv 9; e = socket seqpacket; c listen 1; e connect a:x; f = accept c`},
	{"accepted after listener", `
		l = socket stream; l bind a:l; l listen 1; c = socket stream; c connect a:l; s = accept l; l close
		m = socket stream; m bind a:l; s name; c peer; c send x; s recv 1; s close; m name; d = socket stream; d connect a:l`},
	{"relisten", `
		l = socket stream; l bind a:l; l listen -1; l listen 0; a = socket stream; a connect a:l; a bind p:a; a listen 1
		b = socket stream; b connect a:l; s = accept l; s peer; s listen 2`},
}

// compare runs the lines on both systems.
func compare(t rapid.TB, u, k *script, lines []string) {
	t.Helper()
	for i, line := range lines {
		got, want := u.run(line), k.run(line)
		if got != want {
			t.Fatalf("after %q:\n%s: usock says %q, the kernel %q", lines[:i], line, got, want)
		}
	}
}

func TestOracle(t *testing.T) {
	recent(t)
	packet.Track(true)
	defer packet.Track(false)
	calls := 0
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			before := packet.Live()
			u, k := newUser(self(), os.Getuid() == 0), newKernel(t)
			defer k.end()
			lines := strings.FieldsFunc(c.lines, func(r rune) bool { return r == '\n' || r == ';' })
			var trimmed []string
			for _, l := range lines {
				if l = strings.TrimSpace(l); l != "" {
					trimmed = append(trimmed, l)
				}
			}
			calls += len(trimmed)
			compare(t, newScript(u, self()), newScript(k, self()), trimmed)
			u.end()
			if n := packet.Live(); n != before {
				t.Errorf("%d blocks are left", n-before)
			}
			if n := len(u.sockets.All()); n != 0 {
				t.Errorf("%d sockets are left", n)
			}
		})
	}
	t.Logf("%d sequences, %d calls", len(cases), calls)
}
