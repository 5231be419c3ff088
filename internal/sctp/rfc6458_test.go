package sctp

import (
	"strings"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// RFC 6458: what a program asks for of its messages, as packets show it.
func TestRFC6458(t *testing.T) { runCases(t, messageCases) }

// quietly has the program told of nothing but messages.
func quietly(s *script) { s.o.Events = 0 }

var messageCases = []scriptCase{
	{name: "MSG_MORE: what follows is waited for, whatever SCTP_NODELAY says", run: func(tc *script) {
		tc.connect()
		tc.sendInfo(10, &SendInfo{More: true})
		tc.wantIdle("more follows")
		tc.send(20)
		tc.want("DATA 1 BE 0:0 10; DATA 2 BE 0:1 20")
	}},
	{name: "MSG_MORE: a full packet does not wait", run: func(tc *script) {
		tc.connect()
		tc.sendInfo(1000, &SendInfo{More: true})
		tc.wantIdle("more follows")
		tc.sendInfo(1000, &SendInfo{More: true})
		tc.want("DATA 1 BE 0:0 1000")
		tc.wantIdle("and the rest waits again")
		tc.a.Shutdown(tc.now)
		tc.pump()
		tc.want("DATA 2 BEI 0:1 1000")
	}},
	{name: "SHUT_RD: what comes is acknowledged, and dropped", opts: []scriptOption{quietly}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.a.Deafen()
		tc.recv("DATA 2 BE 0:1 10; DATA 3 BU 0:0 10; DATA 4 EUI 0:0 10")
		tc.want("SACK 4")
		if n := tc.a.rcv.payload; n != 10 {
			tc.t.Errorf("%d bytes are held, 10 can be read", n)
		}
		tc.wantRead(100, "0:0 10 eor")
		tc.wantRead(100, "nothing")
	}},
	{name: "SHUT_RD: a message larger than the window passes, too", opts: []scriptOption{quietly, func(s *script) { s.e.Buffers.RcvBuf = 4096 }}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.a.Deafen()
		for i := range 8 {
			flags := [...]string{"B", "-", "-", "-", "-", "-", "-", "E"}[i]
			tc.recv("DATA " + itoa(uint32(i+1)) + " " + flags + "I 0:0 1000")
			tc.out = nil
		}
		if got := uint32(tc.a.rcv.cum) - tc.peer.tsn + 1; got != 8 {
			tc.t.Errorf("%d of 8 chunks were taken", got)
		}
		tc.wantRead(10000, "nothing")
	}},
	{name: "8.1.30: SCTP_RCVINFO has the cumulative TSN of then", opts: []scriptOption{quietly}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.recv("DATA 2 BEU 0:0 10")
		tc.want("SACK 0 gap=2-2")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 2")
		for _, want := range []uint32{0, 2} {
			v, r, ok := tc.a.Recv(tc.now, 100, nil)
			packet.ReleaseAll(v)
			if got := r.CumTSN - tc.peer.tsn + 1; !ok || got != want {
				tc.t.Errorf("Cumulative TSN %d, want %d", got, want)
			}
		}
	}},
	{name: "5.3.8 SCTP_SACK_IMMEDIATELY is the I bit of the last fragment", run: func(tc *script) {
		tc.connect()
		tc.sendInfo(2000, &SendInfo{SackNow: true})
		tc.want("DATA 1 B 0:0 1452")
		tc.want("DATA 2 EI 0:0 548")
	}},
	{name: "SCTP_UNORDERED: no number of the stream is taken", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.sendInfo(10, &SendInfo{Unordered: true, PPID: 7})
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.want("DATA 2 BEU 0:0 10 ppid=7")
		tc.want("DATA 3 BE 0:1 10")
	}},
	{name: "a message after the end was asked for: EPIPE", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.a.Shutdown(tc.now)
		if err := tc.trySend(1, &SendInfo{}); err.Error() != "broken pipe" {
			tc.t.Errorf("%v", err)
		}
		tc.recv("SACK 1")
		tc.want("SHUTDOWN 0")
	}},
}

// RFC 7496: why messages are given up, and what is counted of them.
func TestRFC7496(t *testing.T) { runCases(t, policyCases) }

// given asserts what was counted of a policy, in all and of the stream 0.
func given(tc *script, p PRPolicy, unsent, sent uint64) {
	tc.t.Helper()
	want := PRStatus{unsent, sent}
	of, err := tc.a.StreamPRStatus(0, p)
	if all := tc.a.PRStatus(p); all != want || of != want || err != 0 {
		tc.t.Errorf("of policy %#x: %v, and of the stream %v, %v; want %v", p, all, of, err, want)
	}
}

var policyCases = []scriptCase{
	{name: "3.1 a lifetime that is over before it is sent", opts: []scriptOption{skips, quietly}, run: func(tc *script) {
		openQuietly(tc)
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1 rwnd=0")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
		tc.sendInfo(10, &SendInfo{PR: PRTTL, PRValue: 100})
		tc.advance(ms(200))
		tc.recv("SACK 2")
		tc.wantIdle("it is given up")
		given(tc, PRTTL, 1, 0)
		given(tc, PRRtx, 0, 0)
		given(tc, PRNone, 1, 0)
	}},
	{name: "3.1 a lifetime of none is over at once", opts: []scriptOption{skips, quietly}, run: func(tc *script) {
		openQuietly(tc)
		tc.sendInfo(10, &SendInfo{PR: PRTTL})
		tc.wantIdle("it is never sent")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		given(tc, PRTTL, 1, 0)
	}},
	{name: "3.1 a lifetime that is over once it was sent", opts: []scriptOption{skips, quietly}, run: func(tc *script) {
		openQuietly(tc)
		tc.sendInfo(10, &SendInfo{PR: PRTTL, PRValue: 100})
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "FORWARD-TSN 1 streams=0:0")
		given(tc, PRTTL, 0, 1)
		tc.recv("SACK 1")
	}},
	{name: "3.2 retransmissions: one, and no second", opts: []scriptOption{skips, quietly}, run: func(tc *script) {
		openQuietly(tc)
		tc.sendInfo(10, &SendInfo{PR: PRRtx, PRValue: 1})
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "DATA 1 BE 0:0 10")
		tc.wantAfter(ms(2000), "FORWARD-TSN 1 streams=0:0")
		given(tc, PRRtx, 0, 1)
		tc.recv("SACK 1")
	}},
	{name: "3.3 a message of more worth makes room for itself", opts: []scriptOption{skips, quietly, func(s *script) { s.e.Buffers.SndBuf = 3000 }}, run: func(tc *script) {
		openQuietly(tc)
		tc.recv("SACK 0 rwnd=0")
		tc.send(1000)
		tc.want("DATA 1 BE 0:0 1000")
		tc.sendInfo(1000, &SendInfo{PR: PRPrio, PRValue: 9})
		tc.sendInfo(1000, &SendInfo{PR: PRPrio, PRValue: 2})
		given(tc, PRPrio, 1, 0)
		tc.recv("SACK 1")
		tc.want("DATA 2 BE 0:1 1000")
		tc.wantIdle("the other is given up")
	}},
	{name: "4.3 no stream of the number", opts: []scriptOption{skips, quietly}, run: func(tc *script) {
		openQuietly(tc)
		if _, err := tc.a.StreamPRStatus(10, PRTTL); err == 0 {
			tc.t.Error("there are 10 streams")
		}
	}},
}

// openQuietly is connect without notifications.
func openQuietly(tc *script) {
	tc.t.Helper()
	tc.open()
	tc.want("INIT")
	tc.recv("INIT-ACK")
	tc.want("COOKIE-ECHO")
	tc.recv("COOKIE-ACK")
}

// RFC 6458, section 5.3.9: messages of different keys share no packet, and a key is free once none needs it.
func TestRFC6458AuthInfo(t *testing.T) {
	other := AuthKey{ID: 4, Secret: []byte("other")}
	p := authPair(t, authData, someKey, other)
	p.connect()
	a, b := p.end[0].a, p.end[1].a
	readAll(a, p.now)
	readAll(b, p.now)
	var keys []string
	p.carry = func(from int, in *In) {
		if from != 0 {
			p.arrive(1-from, in)
			return
		}
		r := in.chunks()
		c, _ := r.next()
		v, err := wire.ParseAuth(c.Value)
		if err != nil {
			t.Error("no AUTH")
		}
		key := itoa(uint32(v.KeyID))
		for _, ok := r.next(); ok; _, ok = r.next() {
			key += "+"
		}
		keys = append(keys, key)
		p.arrive(1-from, in)
	}
	a.Change().NoDelay = false
	a.heed()
	for _, info := range []SendInfo{{}, {}, {Key: 4, HasKey: true}, {Key: 4, HasKey: true}, {Key: 3, HasKey: true}} {
		if _, errno := a.Send(p.now, &info, views(make([]byte, 100))); errno != 0 {
			t.Fatal(errno)
		}
	}
	if errno := a.DeactivateAuthKey(4); errno != 0 {
		t.Fatal(errno)
	}
	if a.Readable() {
		t.Error("the key is told to be free, and messages need it")
	}
	if a.AuthKeyFor(4) || !a.AuthKeyFor(3) || a.AuthKeyFor(9) {
		t.Error("a message may name a key that was deactivated, or that there is not, or none")
	}
	a.snd.flush = true
	p.pump()
	p.step()
	p.pump()
	if got := strings.Join(keys, " "); got != "3++ 4++ 3+" {
		t.Errorf("packets by the keys and chunks %s", got)
	}
	if _, r, ok := a.Recv(p.now, 100, nil); !ok || r.Notification == nil || r.Notification.State != AuthFreeKey || r.Notification.Ind != 4 {
		t.Errorf("%+v: the key is not told to be free", r)
	}
	for n := 0; n < 5; {
		v, r, ok := b.Recv(p.now, 1000, nil)
		packet.ReleaseAll(v)
		if !ok {
			t.Fatalf("%d of 5 messages have come", n)
		}
		if r.Notification == nil {
			n++
		}
	}
}

// The null key is there until it is deleted.
func TestAuthNullKey(t *testing.T) {
	p := authPair(t, authData, someKey)
	p.connect()
	a := p.end[0].a
	if errno := a.SetActiveAuthKey(0); errno != 0 {
		t.Error(errno)
	}
	a.SetActiveAuthKey(someKey.ID)
	if errno := a.DeleteAuthKey(0); errno != 0 {
		t.Error(errno)
	}
	if errno := a.SetActiveAuthKey(0); errno == 0 {
		t.Error("it was deleted")
	}
	a.SetAuthKey(0, []byte("again"))
	if errno := a.SetActiveAuthKey(0); errno != 0 {
		t.Error(errno)
	}
}
