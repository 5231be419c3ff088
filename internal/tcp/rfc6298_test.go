package tcp

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// RFC 6298: the retransmission timer.

// Section 2: SRTT and RTTVAR. The worked numbers are of the rules with Linux's
// floor under the variance: RTO = SRTT + max(200 ms, 4*RTTVAR).
func TestRTOEstimate(t *testing.T) {
	for _, c := range []struct {
		name    string
		samples []int // ms
		rto     int   // µs
	}{
		{"first sample", []int{100}, 300_000},
		{"first sample, large", []int{1000}, 3_000_000},
		{"constant", []int{100, 100, 100, 100}, 300_000},
		{"small", []int{1}, 201_000},
		{"rise", []int{100, 200}, 112_500 + 250_000},
		{"fall", []int{100, 50}, 93_750 + 200_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r rtt
			una := uint64(1)
			for _, ms := range c.samples {
				r.sample(time.Second, msec(ms), una, una+10, 200_000)
				una += 20
			}
			r.setRTO(DefaultConfig())
			if int(r.rto) != c.rto {
				t.Fatalf("RTO %d µs, want %d (srtt %d mdev %d rttvar %d)", r.rto, c.rto, r.srtt>>3, r.mdev, r.rttvar)
			}
		})
	}
}

// Rule 2.1: one second before there is a sample. Rule 5.7: three after a lost SYN.
func TestInitialRTO(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want(". 1 ack 1")
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantAfter(secs(3), "P. 1+100 ack 1")
}

// Rules 5.4 to 5.6: expiry sends the oldest segment and doubles.
func TestRTOBackoff(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(100))
	tc.write(3000)
	tc.want(". 1+1460 ack 1")
	tc.want(". 1461+1460 ack 1")
	tc.want("P. 2921+80 ack 1")
	d := msec(300)
	for range 6 {
		tc.wantAfter(d, ". 1+1460 ack 1")
		d *= 2
	}
	tc.recv(". 1 ack 1461")
	// After the timeout the window is small: slow start (RFC 5681, section 3.1).
	tc.want(". 1461+1460 ack 1")
	tc.want("P. 2921+80 ack 1")
	tc.recv(". 1 ack 3001")
	tc.wantIdle("all is acknowledged")
}

// Rule 5.3: an acknowledgment of new data starts the timer anew.
func TestRTORestart(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(100))
	tc.write(2920)
	tc.want(". 1+1460 ack 1")
	tc.want("P. 1461+1460 ack 1")
	tc.silent(msec(100), "in flight")
	tc.recv(". 1 ack 1461")
	tc.wantAfter(msec(300), "P. 1461+1460 ack 1")
	tc.recv(". 1 ack 2921")
	tc.silent(time.Minute, "rule 5.2: the timer is off")
}

// Section 3, Karn: what was sent twice gives no sample, except by timestamps.
func TestKarn(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(100))
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantAfter(msec(300), "P. 1+100 ack 1")
	tc.sleep(msec(5))
	srtt := tc.c.rtt.srtt
	tc.recv(". 1 ack 101")
	if tc.c.rtt.srtt != srtt {
		t.Fatal("an ambiguous sample was taken")
	}
	if tc.c.rtt.rto != 600_000 {
		t.Fatalf("RTO %d: the backoff holds until a sample", tc.c.rtt.rto)
	}
	tc.write(100)
	tc.want("P. 101+100 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 201")
	if tc.c.rtt.rto != 300_000 {
		t.Fatalf("RTO %d after a sample", tc.c.rtt.rto)
	}
}

// RFC 7323, section 4: with timestamps a retransmission gives a sample.
func TestTimestampSample(t *testing.T) {
	tc := newScript(t, noSACK)
	tc.connectIn(msec(100))
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantAfter(msec(300), "P. 1+100 ack 1")
	tc.sleep(msec(40))
	tc.recv(fmt.Sprintf(". 1 ack 101 <ts %d:%d>", tc.tsv(), tc.lastTS()-40))
	if tc.c.rtt.srtt>>3 != 92_500 {
		t.Fatalf("SRTT %d", tc.c.rtt.srtt>>3)
	}
}

// RFC 9293, section 3.8.3 (R2): the connection ends after the time that fifteen
// timeouts take if the first is 200 ms: 924.6 s after the first retransmission.
func TestRetries2(t *testing.T) {
	for rtt, again := range map[int]int{0: 16, 100: 15, 900: 12} {
		t.Run(fmt.Sprint(rtt), func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connectIn(msec(rtt))
			tc.write(100)
			tc.want("P. 1+100 ack 1")
			first := time.Duration(0)
			for tc.c.State() != Closed {
				tc.now = tc.c.Deadline()
				tc.c.Expire(tc.now)
				tc.pump()
				if first == 0 {
					first = tc.now
				}
			}
			if d := (tc.now - first).Seconds(); d < 924.6 || d > 924.6+120 {
				t.Fatalf("failed after %v s", d)
			}
			tc.rest(fmt.Sprintf("%d * P. 1+100 ack 1", again))
			tc.wantErr(syscall.ETIMEDOUT)
		})
	}
}

// TCP_SYNCNT bounds the SYNs, by number and by the time that they would take with
// backoff from the first; the numbers were seen of Linux 6.18.
func TestSynCnt(t *testing.T) {
	for cnt, c := range map[int]struct{ retrans, seconds int }{1: {2, 3}, 2: {5, 7}, 3: {7, 19}, 6: {10, 131}} {
		t.Run(fmt.Sprint(cnt), func(t *testing.T) {
			tc := newScript(t, plain)
			tc.c.SetSynCnt(cnt)
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			start := tc.now
			for tc.c.State() != Closed {
				tc.now = tc.c.Deadline()
				tc.c.Expire(tc.now)
				tc.pump()
			}
			if n, d := len(tc.out)-1, tc.now-start; n != c.retrans || d != secs(c.seconds) {
				t.Fatalf("%d retransmissions in %v", n, d)
			}
			tc.wantErr(syscall.ETIMEDOUT)
			tc.rest(fmt.Sprintf("%d * S 0 <mss 1460>", 1+c.retrans))
		})
	}
}

// TCP_USER_TIMEOUT holds for connecting, too (Linux).
func TestUserTimeoutConnecting(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetUserTimeout(2500)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
	tc.silent(msec(500), "given up")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
}

// A thin stream with TCP_THIN_LINEAR_TIMEOUTS does not back off for six timeouts.
func TestThinLinear(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetThinLinear(true)
	tc.connectIn(msec(100))
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	for range 6 {
		tc.wantAfter(msec(300), "P. 1+100 ack 1")
	}
	tc.wantAfter(msec(300), "P. 1+100 ack 1")
	tc.wantAfter(msec(600), "P. 1+100 ack 1")
}
