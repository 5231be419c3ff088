package sctp

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// What an association has of sending is made with its first message. Before it everything else may happen: each packet and each
// call in each state, and then that time passes. A message goes as always after it.
func TestBeforeMessages(t *testing.T) {
	addr := scriptAddrs["B"][0]
	packet := func(text string) func(*script) { return func(tc *script) { tc.recv(text) } }
	call := func(f func(tc *script, a *Assoc)) func(*script) {
		return func(tc *script) {
			f(tc, tc.a)
			tc.pump()
		}
	}
	icmp := func(e ICMPError) func(*script) {
		return call(func(tc *script, a *Assoc) {
			e.Peer, e.VTag, e.Init = scriptAddrs["A"][0], tc.peer.tag, tc.peer.coreTag
			a.ICMP(tc.now, &e)
		})
	}
	happens := []func(*script){
		func(*script) {},
		func(tc *script) { tc.recv("INIT tag=0x1234"); tc.recv("COOKIE-ECHO") }, // begins anew
		packet("INIT-ACK"), packet("COOKIE-ECHO"), packet("COOKIE-ACK"),
		packet("SACK 0"), packet("SACK 0 gap=1-1,3-4 dup=1 rwnd=0"), packet("SACK 1"), packet("0x0c 0000000000000001"), packet("0x0d 00000000"),
		packet("FORWARD-TSN 3 streams=0:1"), packet("DATA 1 BE 0:0 10"), packet("DATA 2 BE 0:1 10"), packet("DATA 1 BE 60000:0 10"),
		packet("HEARTBEAT 01"), packet("HEARTBEAT-ACK 01"), packet("@B HEARTBEAT 01"),
		packet("SHUTDOWN 0"), packet("SHUTDOWN 1"), packet("SHUTDOWN-ACK"), packet("SHUTDOWN-COMPLETE"), packet("ABORT cause=12:00"), packet("ERROR cause=3:00000001"),
		packet("RE-CONFIG out=1,0,0,1"), packet("RE-CONFIG in=1,0"), packet("RE-CONFIG in=1"), packet("RE-CONFIG tsn=1"), packet("RE-CONFIG addout=1,5"),
		packet("RE-CONFIG addin=1,5"), packet("RE-CONFIG resp=1,1"),
		call(func(tc *script, a *Assoc) {
			a.ResetStreams(tc.now, true, false, nil)
			tc.pump()
			tc.recv("RE-CONFIG resp=1,1")
		}),
		call(func(tc *script, a *Assoc) { a.ResetStreams(tc.now, false, true, []uint16{0}) }),
		call(func(tc *script, a *Assoc) { a.ResetAssoc(tc.now) }), call(func(tc *script, a *Assoc) { a.AddStreams(tc.now, 2, 2) }),
		call(func(tc *script, a *Assoc) { a.Shutdown(tc.now) }), call(func(tc *script, a *Assoc) { a.Abort(tc.now, nil) }),
		call(func(_ *script, a *Assoc) { a.Fail(syscall.ECONNRESET) }), call(func(_ *script, a *Assoc) { a.TellDry() }),
		call(func(tc *script, a *Assoc) { a.Heartbeat(tc.now, addr) }), call(func(tc *script, a *Assoc) { a.SetPrimary(tc.now, addr) }),
		call(func(tc *script, a *Assoc) {
			o := tc.o.Path
			o.NoHB, o.ProbeIntvl, o.HBInterval = false, time.Minute, time.Second
			a.SetPath(tc.now, addr, &o)
			a.Change().NoDelay = false
			a.OptionsChanged(tc.now)
			a.SetBuffers(tc.e.Buffers)
		}),
		icmp(ICMPError{MTU: 600}), icmp(ICMPError{Errno: syscall.EHOSTUNREACH}), icmp(ICMPError{Errno: syscall.EPROTO, Proto: true}),
	}
	looks := func(a *Assoc) {
		a.Status()
		a.Stats()
		a.Counts()
		a.PRStatus(PRNone)
		a.StreamPRStatus(0, PRNone)
		a.StreamValue(0)
		a.FragmentPoint()
		a.SendSpace()
		for _, p := range a.Peers(nil) {
			if i, ok := a.Path(p); !ok || i.InFlight != 0 || i.Cwnd == 0 {
				t.Errorf("%+v", i)
			}
		}
	}
	sent := 0
	for _, state := range []byte{1, 2, 3, 6, 7} {
		for i, happen := range happens {
			t.Run(fmt.Sprint(state, ".", i), func(t *testing.T) {
				tc := newFuzzScript(t)
				tc.o.Path.NoHB, tc.o.ECN = false, true
				inState(tc, state)
				if tc.a.snd.outgoing != nil {
					t.Fatal("a message was sent")
				}
				happen(tc)
				looks(tc.a)
				if tc.a.State() == Established && tc.trySend(100, &SendInfo{}) == 0 {
					sent++
				}
				tc.advance(time.Hour)
				if tc.a.State() != Closed {
					t.Errorf("in %v, though nobody answers", tc.a.State())
				}
				tc.a.Release()
			})
		}
	}
	if sent < len(happens)/2 {
		t.Errorf("%d messages were sent", sent)
	}
}
