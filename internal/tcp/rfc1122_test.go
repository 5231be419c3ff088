package tcp

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
)

// RFC 1122, section 4.2.3.2, and Linux's timing: delayed acknowledgments.

func TestQuickACKAtStart(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	for i := range 10 {
		tc.recv(fmt.Sprintf("P. %d+100 ack 1", 1+100*i))
		tc.want(fmt.Sprintf(". 1 ack %d", 101+100*i))
	}
}

// lazy spends the acknowledgments that a connection sends without delay at first.
func lazy(tc *script) (next int) {
	tc.t.Helper()
	for i := range 16 {
		tc.recv(fmt.Sprintf("P. %d+1000 ack 1", 1+1000*i))
		tc.want(fmt.Sprintf(". 1 ack %d", 1001+1000*i))
		tc.read(1<<20, 1000)
		tc.sleep(msec(10))
	}
	return 16001
}

func TestDelayedACK(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	tc.recv(fmt.Sprintf(". %d+100 ack 1", n))
	tc.wantAfter(msec(40), fmt.Sprintf(". 1 ack %d", n+100))
	tc.wantCounts("DelayedACKs 1")
}

func TestACKEverySecondSegment(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	for range 4 {
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", n))
		tc.wantIdle("one segment may wait")
		tc.read(1<<20, 1000)
		tc.wantIdle("it need not be told")
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", n+1000))
		n += 2000
		tc.want(fmt.Sprintf(". 1 ack %d", n))
		tc.read(1<<20, 1000)
	}
}

// A program that does not read is no reason for an acknowledgment: its window would
// only shrink (Linux). It is sent once the program reads, or in time.
func TestACKUnread(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	for range 6 {
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", n))
		n += 1000
	}
	tc.wantIdle("nothing was read")
	tc.read(1<<20, 6000)
	tc.want(fmt.Sprintf(". 1 ack %d", n))
	for range 6 {
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", n))
		n += 1000
	}
	tc.wantAfter(msec(40), fmt.Sprintf(". 1 ack %d", n))
}

// Data carries the acknowledgment.
func TestPiggyback(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	tc.recv(fmt.Sprintf("P. %d+100 ack 1", n))
	tc.wantIdle("it may wait")
	tc.write(50)
	tc.want(fmt.Sprintf("P. 1+50 ack %d", n+100))
	tc.recv(fmt.Sprintf(". %d ack 51", n+100))
	tc.silent(time.Second, "nothing is owed")
}

// Reading everything after two small segments acknowledges them (Linux).
func TestACKOnRead(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	tc.recv(fmt.Sprintf("P. %d+100 ack 1", n))
	tc.wantIdle("it may wait")
	tc.read(1<<20, 100)
	tc.want(fmt.Sprintf(". 1 ack %d", n+100))
}

// So it does after a whole segment, or a larger one than all before, that ends a write
// (Linux, tcp_measure_rcv_mss): its sender may wait with what is small.
func TestACKOnReadOfWhole(t *testing.T) {
	for _, n := range []int{1000, 1200} {
		tc := newScript(t, plain)
		tc.connect()
		at := lazy(tc)
		tc.recv(fmt.Sprintf("P. %d+%d ack 1", at, n))
		tc.wantIdle("it may wait")
		tc.read(1<<20, n)
		tc.want(fmt.Sprintf(". 1 ack %d", at+n))
	}
}

// TCP_QUICKACK lets a waiting acknowledgment go.
func TestQuickACKOption(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	tc.recv(fmt.Sprintf("P. %d+100 ack 1", n))
	tc.wantIdle("it may wait")
	tc.call(func(c *Conn) { c.SetQuickAck(tc.now, true) })
	tc.want(fmt.Sprintf(". 1 ack %d", n+100))
}

// TCP_QUICKACK 0 before connect, or TCP_DEFER_ACCEPT: the handshake's last ACK waits up to 200 ms
// for data to ride on (Linux).
func TestHandshakeACKWaits(t *testing.T) {
	for name, set := range map[string]func(tc *script){
		"quickack":     func(tc *script) { tc.c.SetQuickAck(tc.now, false) },
		"defer accept": func(tc *script) { tc.c.SetDeferAccept(1) },
	} {
		for _, write := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", write), func(t *testing.T) {
				tc := newScript(t, plain)
				set(tc)
				tc.c.Connect(tc.now, &tc.p)
				tc.pump()
				tc.want("S 0 <mss 1460>")
				tc.recv("S. 0 ack 1 <mss 1460>")
				tc.wantState(Established)
				tc.wantIdle("data may come")
				if write {
					tc.write(100)
					tc.want("P. 1+100 ack 1")
					tc.recv(". 1 ack 101")
					tc.sleep(secs(1))
				} else {
					tc.wantAfter(msec(200), ". 1 ack 1")
				}
			})
		}
	}
}

// What is answered after a while is acknowledged before: sixteen times at once, whatever the
// answers acknowledge again, and then with the answer or after 40 ms (Linux).
func TestQuickACKsAreOfNewData(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	for i := range 20 {
		tc.recv(fmt.Sprintf("P. %d+100 ack %d", 1+100*i, 1+100*i))
		if i < quickCount {
			tc.want(fmt.Sprintf(". %d ack %d", 1+100*i, 101+100*i))
		} else {
			tc.wantAfter(ackMin, fmt.Sprintf(". %d ack %d", 1+100*i, 101+100*i))
		}
		tc.sleep(msec(150))
		tc.write(100)
		tc.want(fmt.Sprintf("P. %d+100 ack %d", 1+100*i, 101+100*i))
	}
	tc.recv("P. 2001+100 ack 2001")
}

// Out-of-order segments, and those that fill a gap, are acknowledged at once (RFC
// 5681, section 4.2).
func TestACKOutOfOrderAtOnce(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	n := lazy(tc)
	tc.recv(fmt.Sprintf(". %d+1000 ack 1", n+1000))
	tc.want(fmt.Sprintf(". 1 ack %d", n))
	tc.recv(fmt.Sprintf(". %d+1000 ack 1", n+2000))
	tc.want(fmt.Sprintf(". 1 ack %d", n))
	tc.recv(fmt.Sprintf(". %d+1000 ack 1", n))
	tc.want(fmt.Sprintf(". 1 ack %d", n+3000))
	tc.wantCounts("TCPOFOQueue 2")
}

// RFC 1122, section 4.2.3.4: Nagle.

func TestNagle(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.write(10)
	tc.wantIdle("a small segment is in flight")
	tc.recv(". 1 ack 11")
	tc.want("P. 11+20 ack 1")
}

func TestNagleFullSegment(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(1470)
	tc.want(". 11+1460 ack 1")
	tc.wantIdle("the rest is small")
	tc.recv(". 1 ack 11")
	// Minshall: only a small segment in flight holds another back.
	tc.want("P. 1471+10 ack 1")
}

func TestNoDelay(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetNoDelay(tc.now, true)
	tc.connect()
	for i := range 5 {
		tc.write(10)
		tc.want(fmt.Sprintf("P. %d+10 ack 1", 1+10*i))
	}
}

func TestNoDelayLetsGo(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, true) })
	tc.want("P. 11+10 ack 1")
}

// A FIN goes with the last data, Nagle or not.
func TestNagleFIN(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.shutdown()
	tc.want("FP. 11+10 ack 1")
}

func TestCork(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetCork(tc.now, true)
	tc.connect()
	tc.write(10)
	tc.wantIdle("corked")
	tc.write(1460)
	tc.want(". 1+1460 ack 1")
	tc.wantIdle("corked")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.want("P. 1461+10 ack 1")
}

// A cork holds for 200 ms at most (Linux).
func TestCorkTimeout(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetCork(tc.now, true)
	tc.connect()
	tc.write(10)
	tc.wantAfter(leastRTO, "P. 1+10 ack 1")
}

func TestCorkOverNoDelay(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetNoDelay(tc.now, true)
	tc.c.SetCork(tc.now, true)
	tc.connect()
	tc.write(10)
	tc.wantIdle("the cork is stronger")
	// Set anew it pushes what is held back (Linux, tcp_sock_set_nodelay).
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, true) })
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("the cork is as it was")
	tc.shutdown()
	tc.want("FP. 11+10 ack 1")
}

// RFC 9293, section 3.8.6.1, RFC 1122, section 4.2.2.17: probing a zero window.

func TestZeroWindowProbe(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.recv(". 1 ack 1001 win 0")
	tc.write(1000)
	tc.wantIdle("the window is closed")
	d := leastRTO
	for range 5 {
		tc.wantAfter(d, ". 1000 ack 1")
		tc.recv(". 1 ack 1001 win 0")
		d *= 2
	}
	tc.recv(". 1 ack 1001 win 5000")
	tc.want("P. 1001+1000 ack 1")
	tc.wantCounts("TCPWinProbe 5")
}

// A peer that keeps answering probes keeps the connection for ever; one that does
// not loses it (RFC 1122, section 4.2.2.17).
func TestZeroWindowForever(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.write(1000)
	for range 60 {
		for len(tc.out) == 0 {
			tc.sleep(time.Second)
		}
		tc.want(". 0 ack 1")
		tc.recv(". 1 ack 1 win 0")
	}
	tc.wantState(Established)
	tc.sleep(time.Hour)
	tc.rest("15 * . 0 ack 1") // as often as a retransmission without an answer (Linux)
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
}

// closedOrphan returns a connection without program, whose data waits for a closed window.
func closedOrphan(t *testing.T, retries int) *script {
	tc := newScript(t, plain)
	tc.cfg.OrphanRetries = retries
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.write(1000)
	tc.close()
	return tc
}

// answerProbes has the peer answer n probes of its closed window, which stays closed, and returns
// when the next one is due.
func (s *script) answerProbes(n int) time.Duration {
	s.t.Helper()
	d := leastRTO
	for range n {
		s.wantAfter(d, ". 0 ack 1")
		s.recv(". 1 ack 1 win 0")
		d = min(2*d, s.cfg.MaxRTO)
	}
	return d
}

// Nobody is there to end an orphan's connection: a peer that answers its probes, and never opens its
// window, has it until the probes are MaxRTO apart (Linux, tcp_probe_timer).
func TestZeroWindowOrphan(t *testing.T) {
	for _, c := range []struct{ retries, probes int }{{0, 10}, {3, 10}, {12, 12}} {
		t.Run(fmt.Sprint(c.retries), func(t *testing.T) {
			tc := closedOrphan(t, c.retries)
			next := tc.answerProbes(c.probes)
			tc.wantState(FinWait1)
			tc.sleep(next)
			tc.wantIdle("it has given up")
			tc.wantState(Closed)
		})
	}
}

// An orphan whose peer opens its window in time is as any other.
func TestZeroWindowOrphanOpens(t *testing.T) {
	tc := closedOrphan(t, 0)
	tc.answerProbes(8)
	tc.recv(". 1 ack 1 win 5000")
	tc.want("FP. 1+1000 ack 1")
	tc.recv(". 1 ack 1002")
	tc.wantState(FinWait2)
}

// A window smaller than a segment is used only when nothing else moves (RFC 9293,
// section 3.8.6.2.1).
func TestSmallWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv(". 1 ack 1 win 500")
	tc.write(1000)
	tc.wantIdle("silly window")
	tc.wantAfter(leastRTO, "P. 1+500 ack 1")
	tc.recv(". 1 ack 501 win 5000")
	tc.want("P. 501+500 ack 1")
}

// What fits into a small window entirely is sent.
func TestSmallWindowAllFits(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv(". 1 ack 1 win 500")
	tc.write(500)
	tc.want("P. 1+500 ack 1")
}

// No segment is larger than half of the largest window (RFC 1122, section
// 4.2.3.4).
func TestHalfWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.wnd = 2000
	tc.connect()
	tc.write(4000)
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+1000 ack 1")
	tc.wantIdle("the window is full")
	tc.recv(". 1 ack 1001")
	tc.want(". 2001+1000 ack 1")
}

// A shrunk window stops new data, and what is in flight is still taken care of
// (RFC 9293, section 3.8.6).
func TestShrunkWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(3000)
	tc.want(". 1+1460 ack 1")
	tc.want(". 1461+1460 ack 1")
	tc.want("P. 2921+80 ack 1")
	tc.recv(". 1 ack 1461 win 100")
	tc.write(3000)
	tc.wantIdle("no window")
	tc.recv(". 1 ack 3001 win 60000")
	tc.want(". 3001+1460 ack 1")
	tc.want(". 4461+1460 ack 1")
	tc.want("P. 5921+80 ack 1")
}

// RFC 9293, section 3.8.6.2.2: a receiver opens its window in large steps.
func TestReceiverSWS(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.RcvBuf = 8 * 1460 // a window of four segments
	tc.connect()
	n := 1
	for range 4 {
		tc.recv(fmt.Sprintf(". %d+1460 ack 1", n))
		n += 1460
	}
	tc.rest(". 1 ack 1461 win 4380") // and no more while the window would not move (Linux)
	if w := tc.c.rcv.window(); w != 0 {
		t.Fatalf("window %d", w)
	}
	tc.read(100, 100)
	tc.rest(". 1 ack 5841") // what was not acknowledged yet
	tc.read(1000, 1000)
	tc.wantIdle("too little was read")
	tc.read(1820, 1820)
	tc.want(". 1 ack 5841 win 2920")
}

// A probe of our closed window is acknowledged.
func TestProbedWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.RcvBuf = 4 * 1460
	tc.connect()
	tc.recv(". 1+1460 ack 1")
	tc.recv(". 1461+1460 ack 1")
	tc.rest(". 1 ack 1461", ". 1 ack 2921")
	tc.recv(". 2921+1 ack 1")
	tc.want(". 1 ack 2921 win 0")
	tc.recv(". 2920 ack 1")
	tc.want(". 1 ack 2921 win 0")
	tc.read(1<<20, 2920)
	tc.want(". 1 ack 2921 win 2920")
}

// RFC 9293, section 3.8.4, RFC 1122, section 4.2.3.6: keepalive.

func TestKeepAlive(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.call(func(c *Conn) {
		c.SetKeepAlive(tc.now, true)
		c.SetKeepIdle(tc.now, 10)
		c.SetKeepIntvl(3)
		c.SetKeepCnt(4)
	})
	tc.wantAfter(secs(10), ". 0 ack 1")
	tc.recv(". 1 ack 1")
	tc.wantAfter(secs(10), ". 0 ack 1")
	for range 3 {
		tc.wantAfter(secs(3), ". 0 ack 1")
	}
	tc.wantAfter(secs(3), "R. 1 ack 1")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
	tc.wantCounts("EstabResets 1 OutRsts 1 TCPAbortOnTimeout 1 TCPKeepAlive 5")
}

func TestKeepAliveOff(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.silent(secs(3600*24), "nobody asked for probes")
	tc.call(func(c *Conn) { c.SetKeepAlive(tc.now, true) })
	tc.wantAfter(secs(7200), ". 0 ack 1")
	tc.recv(". 1 ack 1")
	tc.call(func(c *Conn) { c.SetKeepAlive(tc.now, false) })
	tc.silent(secs(3600*24), "probes are off")
}

// Data from the peer counts as a sign of life.
func TestKeepAliveData(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.call(func(c *Conn) {
		c.SetKeepAlive(tc.now, true)
		c.SetKeepIdle(tc.now, 10)
	})
	tc.sleep(secs(6))
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11")
	tc.wantAfter(secs(10), ". 0 ack 11")
	tc.recv(". 11 ack 1")
}

// Our answer to the peer's keepalive.
func TestKeepAliveAnswer(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv(". 0 ack 1")
	tc.want(". 1 ack 1")
	tc.sleep(time.Second)
	tc.recv(". 0+1 ack 1") // the old form, with a byte
	tc.want(". 1 ack 1")
}

// RFC 5482 and TCP_USER_TIMEOUT.

// The time counts from the first retransmission (Linux).
func TestUserTimeout(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetUserTimeout(3000)
	tc.connect()
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantAfter(leastRTO, "P. 1+100 ack 1")
	start := tc.now
	for range 3 {
		for len(tc.out) == 0 {
			tc.now = tc.c.Deadline()
			tc.c.Expire(tc.now)
			tc.pump()
		}
		tc.want("P. 1+100 ack 1")
	}
	tc.silent(start+secs(3)-tc.now-msec(1), "the time is not over")
	tc.wantState(Established)
	tc.silent(msec(1), "now it is")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
}

// It ends a connection whose peer acknowledges probes and never opens its window.
func TestUserTimeoutZeroWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetUserTimeout(3000)
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.write(100)
	tc.wantAfter(leastRTO, ". 0 ack 1")
	start := tc.now
	for tc.c.State() != Closed && tc.now-start < time.Minute {
		tc.recv(". 1 ack 1 win 0")
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
		tc.out = nil
	}
	if d := tc.now - start; d < secs(3) || d > secs(5) {
		t.Fatalf("failed after %v", d)
	}
	tc.wantErr(syscall.ETIMEDOUT)
}

// Readiness while data and room come and go.
func TestReadiness(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.SndBuf = 3000
	tc.connect()
	tc.wantReady(wait.Out)
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11")
	tc.wantEvents(wait.In)
	tc.wantReady(wait.In | wait.Out)
	tc.read(10, 10)
	tc.wantReady(wait.Out)
	tc.write(3000)
	if tc.c.SendSpace() != 0 {
		t.Fatal("room in a full buffer")
	}
	tc.wantReady(0)
	tc.rest("P. 1..3001/1460 ack 11")
	tc.recv(". 11 ack 501")
	tc.wantEvents(0)
	tc.recv(". 11 ack 1461") // 1540 bytes left of 3000: a third is free
	tc.wantEvents(wait.Out)
	tc.wantReady(wait.Out)
}

// SO_RCVLOWAT.
func TestRcvLowat(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.call(func(c *Conn) { c.SetRcvLowat(tc.now, 100) })
	tc.recv("P. 1+99 ack 1")
	tc.want(". 1 ack 100")
	tc.wantEvents(0)
	tc.wantReady(wait.Out)
	tc.recv("P. 100+1 ack 1")
	tc.want(". 1 ack 101")
	tc.wantEvents(wait.In)
	tc.wantReady(wait.In | wait.Out)
}

// TCP_NOTSENT_LOWAT.
func TestNotSentLowat(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetNotSentLowat(2000)
	tc.recv(". 1 ack 1 win 0")
	tc.write(1500)
	tc.wantReady(0) // half of the limit
	if tc.c.SendSpace() == 0 {
		t.Fatal("no room below the limit")
	}
	tc.write(500)
	if tc.c.SendSpace() != 0 {
		t.Fatal("room above the limit")
	}
	tc.recv(". 1 ack 1 win 60000")
	tc.wantReady(wait.Out)
	tc.rest("P. 1..2001/1460 ack 1")
}
