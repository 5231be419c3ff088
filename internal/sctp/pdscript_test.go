package sctp

import (
	"testing"

	"usock/internal/wait"
)

// TestPartialDeliveryEvents: a program that reads a message in part is told when it is given up, before
// it reads another.
func TestPartialDeliveryEvents(t *testing.T) {
	part := func(tc *script) {
		tc.o.PDPoint = 100
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK param=0xc000:")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("DATA 1 B 0:0 200")
		tc.want("SACK 1")
	}
	runCases(t, []scriptCase{
		{name: "RFC 6458, 6.1.7: FORWARD-TSN passes over the rest", run: func(tc *script) {
			part(tc)
			tc.wantRead(1000, "0:0 200")
			tc.recv("DATA 3 BE 1:0 10")
			tc.want("SACK 1 gap=2-2")
			tc.recv("0xc0 " + tsnHex(tc.peer.tsn, 2) + "00000000")
			tc.want("SACK 3")
			tc.wantNote("type 0x8006")
			tc.wantRead(1000, "1:0 10 eor")
		}},
		{name: "a notification behind a message that is not whole is not to be read yet", run: func(tc *script) {
			part(tc)
			tc.wantRead(1000, "0:0 200")
			tc.recv("ERROR cause=99:0011")
			if tc.a.Readable() || tc.a.Ready()&wait.In != 0 {
				tc.t.Error("readable, and nothing is there")
			}
			tc.recv("DATA 2 E 0:0 5")
			tc.wantRead(1000, "0:0 5 eor")
			tc.wantNote("error 99:0011")
		}},
		{name: "what was not read comes first", run: func(tc *script) {
			part(tc)
			tc.recv("ABORT")
			tc.wantRead(1000, "0:0 200")
			tc.wantNote("type 0x8006")
			tc.wantNote("COMM-LOST")
		}},
	})
}
