package sctp

import (
	"strings"
	"testing"
)

// Notifications that nobody reads are bounded, however many a peer brings about; the end of the
// association is told all the same.
func TestNotesUnread(t *testing.T) {
	tc := newScript(t, func(s *script) { s.o.Events = ^EventMask(0); s.e.Buffers.RcvBuf = 8192 })
	tc.accept()
	for range 1000 {
		tc.recv("ERROR" + strings.Repeat(" cause=99:00112233", 20))
	}
	if n := len(tc.a.notes()); n > 100 {
		t.Errorf("%d notifications wait", n)
	}
	tc.recv("ABORT cause=12:00")
	var last *Notification
	for {
		_, r, ok := tc.a.Recv(tc.now, 1, nil)
		if !ok {
			break
		}
		last = r.Notification
	}
	if last == nil || last.Type != EventAssocChange || last.State != CommLost {
		t.Errorf("the last notification is %v", last)
	}
	if w := tc.a.waiting; w != nil {
		t.Errorf("%d bytes are counted of none", w.noteBytes)
	}
}
