package oracle

import (
	"os"
	"testing"
)

// cookie is a first connection, that brings the client the server's cookie, and is over.
const cookie = "l = tcp; l bind lo:7000; l set tcp:fastopen 5; l listen 5; c = tcp; c send hello to lo:7000 fastopen; c connect lo:7000; s = accept l; s recv 9; c send hello; s recv 9; c close; s close;"

// deferred is a connect that waits for data.
const deferred = cookie + "c = tcp; c set tcp:fastopen_connect 1; c connect lo:7000;"

// fastOpenCases are calls of RFC 7413, with the settings of net.ipv4.tcp_fastopen under which both
// systems carry them out.
var fastOpenCases = []struct{ bits, name, lines string }{
	{"3", "send", cookie + `c = tcp; c send hello to lo:7000 fastopen; s = accept l; s recv 9; c send more; s recv 9; s send back; c recv 9; c connect lo:7000; c send x to lo:7000 fastopen`},
	{"3", "send nothing", cookie + `c = tcp; c send "" to lo:7000 fastopen; s = accept l; c send x; s recv 9; d = tcp; d block on; d send "" to lo:7000 fastopen; t = accept l; d send x; t recv 9`},
	{"3", "send, blocking", cookie + `c = tcp; c block on; c send hello to lo:7000 fastopen; s = accept l; s recv 9; c send x to lo:7000 fastopen; c connect lo:7000`},
	{"3", "send much, blocking", cookie + `c = tcp; c block on; c sendn 100000 to lo:7000 fastopen; s = accept l; s drain; c send x; s recv 9`},
	{"3", "send, blocking, no cookie", listening + `c = tcp; c block on; c send hello to lo:7000 fastopen; s = accept l; s recv 9`},
	{"3", "refused", cookie + `l close; c = tcp; c send hello to lo:7000 fastopen; c get so:error; c send x; d = tcp; d send hello to lo:7000 fastopen; d send x; d send x; d recv 1; e = tcp; e send hello to lo:7000 fastopen; e connect lo:7000`},
	{"3", "refused, blocking", cookie + `l close; c = tcp; c block on; c send hello to lo:7000 fastopen; c get so:error; c send x; c recv 1; d = tcp; d block on; d send "" to lo:7000 fastopen; d send x; e = tcp; e block on; e sendn 100000 to lo:7000 fastopen; e get so:error`},
	{"3", "refused, blocking, no cookie", `c = tcp; c block on; c send hello to lo:7000 fastopen; c get so:error; c send x; c send x to lo:7000 fastopen`},
	{"3", "refused, not sent again by connect", cookie + `l close; c = tcp; c block on; c send hello to lo:7000 fastopen; l = tcp; l bind lo:7001; l listen 1; c send again to lo:7001 fastopen; s = accept l; s recv 9`},
	{"3", "no listener's option", cookie + `l close; l = tcp; l bind lo:7000; l listen 5; c = tcp; c send hello to lo:7000 fastopen; s = accept l; s recv 9; c send more; s recv 9`},
	{"3", "no address", `c = tcp; c send hello fastopen; c send hello to unspec fastopen; c send hello to unspec/2 fastopen; l = tcp; l listen 1; l send x fastopen; l send x to unspec fastopen; l send x to lo:9 fastopen; ` + pairOn("7005") + `c send x fastopen; c send x to unspec fastopen; c shutdown wr; c send x fastopen`},
	{"3", "in progress", blackhole + `c send x to net:7000 fastopen; c send x fastopen; c send x to unspec fastopen; c shutdown wr; c send x to net:7000 fastopen`},
	{"3", "time is up", cookie + `c = tcp; c block on; c setx so:sndtimeo 00000000000000001027000000000000; c send x to net:7000 fastopen; c send x to net:7000 fastopen; c send x; c get so:error`},
	{"3", "deferred", deferred + `c recv 1; c recv 1 peek; c get so:error; c connect lo:7000; c finish lo:7000; c send hello; s = accept l; s recv 9; c connect lo:7000; c connect lo:7000; s send x; c recv 1`},
	{"3", "deferred, receives wait", deferred + `c block on; c setx so:rcvtimeo 00000000000000001027000000000000; c recv 1; c send x; s = accept l; s recv 1; c recv 1`},
	{"3", "deferred, nothing sent", deferred + `c send ""; s = accept l; c send x; s recv 1`},
	{"3", "deferred, sent with the flag", deferred + `c send hello fastopen; s = accept l; s recv 9; d = tcp; d set tcp:fastopen_connect 1; d connect lo:7000; d send x to unspec fastopen; d send hello to lo:9 fastopen; t = accept l; t recv 9`},
	{"3", "deferred, blocking", deferred + `c block on; c send hello; s = accept l; s recv 9; d = tcp; d set tcp:fastopen_connect 1; d block on; d connect lo:7000; d sendn 100000; t = accept l; t drain`},
	{"3", "deferred, refused", deferred + `l close; c send hello; c send x; c recv 1; c get so:error; d = tcp; d set tcp:fastopen_connect 1; d block on; d connect lo:7000; d send hello; d send x; d get so:error`},
	{"3", "deferred, ended", deferred + `c shutdown wr; c send x; c recv 1; d = tcp; d set tcp:fastopen_connect 1; d connect lo:7000; d shutdown rd; d recv 1; d send x; e = tcp; e set tcp:fastopen_connect 1; e connect lo:7000; e connect unspec; e send x; e get so:error; f = tcp; f set tcp:fastopen_connect 1; f connect lo:7000; f close; s = accept l`},
	{"3", "deferred, port taken", deferred + `d = tcp; d bind lo:7001; d set tcp:fastopen_connect 1; d connect lo:7000; d listen 1; d bind lo:7002; e = tcp; e bind lo:7001; d set tcp:fastopen_connect 0; d set tcp:nodelay 1; d get tcp:fastopen_connect`},
	{"3", "deferred, no cookie", listening + `c = tcp; c set tcp:fastopen_connect 1; c connect lo:7000; c connect lo:7000; c send x; s = accept l; s recv 1; d = tcp; d set tcp:fastopen_connect 1; d block on; d connect lo:9; d send x`},
	{"0x203", "server without cookie", `l = tcp; l bind lo:7000; l set tcp:fastopen 5; l listen 5; c = tcp; c set tcp:fastopen_no_cookie 1; c send hello to lo:7000 fastopen; s = accept l; s recv 9; d = tcp; d send hello to lo:7000 fastopen; t = accept l; t recv 9`},
	{"7", "client without cookie", `l = tcp; l bind lo:7000; l set tcp:fastopen 5; l set tcp:fastopen_no_cookie 1; l listen 5; c = tcp; c send hello to lo:7000 fastopen; s = accept l; s recv 9; d = tcp; d set tcp:fastopen_connect 1; d connect lo:7000; d send hello; t = accept l; t recv 9; e = tcp; e send hello to lo:9 fastopen; e get so:error`},
	{"0x403", "listeners need not ask", listening + `l get tcp:fastopen; c = tcp; c send hello to lo:7000 fastopen; s = accept l; c close; s close; d = tcp; d send hello to lo:7000 fastopen; t = accept l; t recv 9; m = tcp; m set tcp:fastopen 3; m listen 9; m get tcp:fastopen; o = tcp; o listen 0; o get tcp:fastopen`},
	{"0x401", "listeners need not ask, no servers", listening + `l get tcp:fastopen`},
	{"1", "no servers", cookie + `c = tcp; c send hello to lo:7000 fastopen; s = accept l; s recv 9`},
	{"0", "off", listening + `c = tcp; c send hello to lo:7000 fastopen; c send hello to unspec fastopen; c send hello fastopen; c set tcp:fastopen_connect 1; c get tcp:fastopen_connect; c set tcp:fastopen_connect 2; c set tcp:fastopen_no_cookie 1; c set tcp:fastopen 3; c connect lo:7000; c set tcp:fastopen_connect 0; c send x fastopen; c send x`},
	{"3", "keys", `c = tcp; c get tcp:fastopen_key 64; c setx tcp:fastopen_key 00; c setx tcp:fastopen_key; c setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f; c get tcp:fastopen_key 64; c get tcp:fastopen_key 3; c get tcp:fastopen_key 16; c get tcp:fastopen_key 17; c get tcp:fastopen_key 0; c setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f10; c setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0eff; c get tcp:fastopen_key 64; c get tcp:fastopen_key 31; c setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0effff; c setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f; c get tcp:fastopen_key 64
		` + pairOn("7001") + `l setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f; d = tcp; d connect lo:7001; t = accept l; t get tcp:fastopen_key 16; t setx tcp:fastopen_key ff0102030405060708090a0b0c0d0e0f; t get tcp:fastopen_key 16; u = udp; u get tcp:fastopen_key 16`},
	{"3", "no cookie", `c = tcp; c get tcp:fastopen_no_cookie; c set tcp:fastopen_no_cookie 2; c set tcp:fastopen_no_cookie -1; c set tcp:fastopen_no_cookie 1; c get tcp:fastopen_no_cookie; ` + pairOn("7001") + `c set tcp:fastopen_no_cookie 1; s set tcp:fastopen_no_cookie 0; l set tcp:fastopen_no_cookie 1; l get tcp:fastopen_no_cookie; s get tcp:fastopen_no_cookie`},
	{"3", "keys change", cookie + `l setx tcp:fastopen_key 000102030405060708090a0b0c0d0e0f; c = tcp; c send one to lo:7000 fastopen; s = accept l; s recv 9; l setx tcp:fastopen_key ff0102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f; d = tcp; d send two to lo:7000 fastopen; t = accept l; t recv 9; l setx tcp:fastopen_key ff0102030405060708090a0b0c0d0e0f; e = tcp; e send three to lo:7000 fastopen; u = accept l; u recv 9`},
}

// TestFastOpen holds Fast Open to the kernel's under each setting of tcp_fastopen, which a program
// cannot change: the cases are none that usock run plays.
func TestFastOpen(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	for _, c := range fastOpenCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := sequence{name: "fastopen/" + c.name, lines: c.lines, fastOpen: c.bits}
			found := play(t, s)
			if len(found) > 0 {
				found = play(t, s) // on a busy machine the two may have looked at different times
			}
			for _, d := range found {
				t.Error(d)
			}
		})
	}
}
