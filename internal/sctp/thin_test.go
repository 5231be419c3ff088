package sctp

import "testing"

func TestThin(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.send(100)
	tc.want("DATA 1 BE 0:0 100")
	tc.recv("SACK 1; DATA 1 BE 0:0 50")
	tc.want("SACK 1")
	tc.wantNote("dry")
	tc.wantRead(1000, "0:0 50 eor")
	tc.a.Shutdown(tc.now)
	tc.pump()
	tc.want("SHUTDOWN 1")
	tc.recv("SHUTDOWN-ACK")
	tc.want("SHUTDOWN-COMPLETE")
	tc.wantNote("SHUTDOWN-COMP")
}
