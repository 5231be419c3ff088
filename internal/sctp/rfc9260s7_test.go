package sctp

import (
	"testing"
	"time"
)

// RFC 9260, sections 6 and 7: when data leaves, and how much.
func TestRFC9260Windows(t *testing.T) { runCases(t, windowCases) }

// sent takes n packets of a full chunk of a long message, from TSN first on.
func (s *script) sentFull(first, n int) {
	s.t.Helper()
	for i := range n {
		s.want("DATA " + itoa(uint32(first+i)) + " " + map[bool]string{true: "B", false: "-"}[first+i == 1] + " 0:0 1452")
	}
}

// cwnd asserts the window of the path to A.
func (s *script) cwnd(want int, why string) {
	s.t.Helper()
	if p, _ := s.a.Path(scriptAddrs["A"][0]); p.Cwnd != want {
		s.t.Fatalf("cwnd is %d, want %d: %s", p.Cwnd, want, why)
	}
}

// noBurst has an association whose bursts are not bounded.
func noBurst(s *script) { s.o.MaxBurst = 0 }

var windowCases = []scriptCase{
	{name: "6.1 B no more than the window, and a byte of it is enough for a packet", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.cwnd(4380, "min(4 MTU, max(2 MTU, 4380))")
		tc.send(100_000)
		tc.sentFull(1, 4)
		tc.wantIdle("4 × 1452 is more than 4380")
	}},
	{name: "6.1 D no more than Max.Burst packets for one SACK", run: func(tc *script) {
		tc.connect()
		tc.send(200_000)
		tc.sentFull(1, 4)
		for cum := 4; cum < 40; cum += 4 {
			before := len(tc.out)
			tc.recv("SACK " + itoa(uint32(cum)))
			if n := len(tc.out) - before; n > 8 {
				tc.t.Fatalf("%d packets for a SACK of 4", n)
			}
			tc.out = nil
		}
	}},
	{name: "6.1 A the peer's window is what it tells less what is under way", run: func(tc *script) {
		tc.connect()
		tc.recv("SACK 0 rwnd=3000")
		tc.send(10_000)
		tc.sentFull(1, 2)
		tc.wantIdle("2904 of 3000 are under way")
		tc.recv("SACK 1 rwnd=3000")
		tc.want("DATA 3 - 0:0 1452")
		tc.wantIdle("2904 again")
	}},
	{name: "6.2.1 a window that opens is heard of by a SACK of the same TSN", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1 rwnd=0")
		tc.wantNote("dry")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10") // the probe
		tc.send(10)
		tc.wantIdle("the window is shut")
		tc.recv("SACK 1 rwnd=5000")
		tc.want("DATA 2 BE 0:1 10; DATA 3 BE 0:2 10") // the probe found no room, and T3-rtx is not waited for
		tc.recv("SACK 3")
		tc.wantNote("dry")
		tc.wantIdle("all is acknowledged")
	}},
	{name: "6.1 A a probe that has arrived is not sent again", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1 rwnd=0")
		tc.wantNote("dry")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
		tc.send(10)
		tc.recv("SACK 2 rwnd=5000")
		tc.want("DATA 3 BE 0:2 10")
	}},
	{name: "6.2 data for which there is no room is dropped, and told of", opts: []scriptOption{func(s *script) { s.e.Buffers.RcvBuf = 8192 }}, run: func(tc *script) {
		tc.connect()
		for tsn := 1; tsn <= 20; tsn++ {
			tc.recv("DATA " + itoa(uint32(tsn)) + " BEI 0:" + itoa(uint32(tsn-1)) + " 1400")
		}
		last := tc.out[len(tc.out)-1]
		if text := tc.format(&last); !matches(text, "SACK "+itoa(uint32(tc.a.rcv.cum)-tc.peer.tsn+1)+" rwnd=0") {
			tc.t.Errorf("the last is %s", text)
		}
		if n := uint32(tc.a.rcv.cum) - tc.peer.tsn + 1; n >= 20 {
			tc.t.Errorf("%d of 20 were taken with room for 5", n)
		}
		tc.out = nil
	}},
	{name: "6.3.1 C5 what was sent again gives no round trip", run: func(tc *script) {
		tc.connect()
		before, _ := tc.a.Path(scriptAddrs["A"][0])
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "DATA 1 BE 0:0 10")
		tc.recv("SACK 1")
		tc.wantNote("dry")
		if p, _ := tc.a.Path(scriptAddrs["A"][0]); p.SRTT != before.SRTT || p.RTO != 2*before.RTO {
			tc.t.Errorf("SRTT %v and RTO %v, want %v and %v", p.SRTT, p.RTO, before.SRTT, 2*before.RTO)
		}
	}},
	{name: "6.3.1 C6 and C7 the RTO has bounds", opts: []scriptOption{func(s *script) { s.o.RTOMin, s.o.RTOMax = ms(300), ms(700) }}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(300), "DATA 1 BE 0:0 10")
		tc.wantAfter(ms(600), "DATA 1 BE 0:0 10")
		tc.wantAfter(ms(700), "DATA 1 BE 0:0 10")
		tc.wantAfter(ms(700), "DATA 1 BE 0:0 10")
	}},
	{name: "6.3.2 R2 all is acknowledged: the timer stops", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1")
		tc.wantNote("dry")
		if d := tc.a.Deadline(); d != never {
			tc.t.Errorf("a timer runs until %v", d)
		}
	}},
	{name: "6.3.2 R4 what is outstanding again has a timer", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.want("DATA 2 BE 0:1 10")
		tc.recv("SACK 0 gap=2-2")
		tc.recv("SACK 1")
		if d := tc.a.Deadline(); d != tc.now+time.Second {
			tc.t.Errorf("the deadline is %v, want %v", d, tc.now+time.Second)
		}
		tc.wantAfter(ms(1000), "DATA 2 BE 0:1 10")
	}},
	{name: "6.6 the stream's number goes round", run: func(tc *script) {
		tc.connect()
		for i := range 65538 {
			tc.recv("DATA " + itoa(uint32(i+1)) + " BE 0:" + itoa(uint32(i%65536)) + " 1")
			tc.out = nil
			tc.wantRead(10, "0:"+itoa(uint32(i%65536))+" 1 eor")
		}
	}},
	{name: "6.7 gaps are told of in order, and go as they are filled", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 2 BE 0:1 1")
		tc.want("SACK 0 gap=2-2")
		tc.recv("DATA 4 BE 0:3 1; DATA 5 BE 0:4 1")
		tc.want("SACK 0 gap=2-2,4-5")
		tc.recv("DATA 7 BE 0:6 1")
		tc.want("SACK 0 gap=2-2,4-5,7-7")
		tc.recv("DATA 3 BE 0:2 1")
		tc.want("SACK 0 gap=2-5,7-7")
		tc.recv("DATA 1 BE 0:0 1")
		tc.want("SACK 5 gap=2-2")
		tc.recv("DATA 6 BE 0:5 1")
		tc.want("SACK 7")
	}},
	{name: "6.9 a message within another: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 B 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 1:0 10")
		tc.want("ABORT cause=13")
	}},
	{name: "6.9 a message without its beginning: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 E 0:0 10")
		tc.want("ABORT cause=13")
	}},
	{name: "6.9 fragments of two streams under one message: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 B 0:0 10; DATA 2 E 1:0 10")
		tc.want("ABORT cause=13")
	}},
	{name: "6.10 control chunks go in front of data", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10; 0xc9 00")
		tc.want("ERROR cause=6:c900000500000000")
		tc.send(10)
		tc.want("SACK 2; DATA 1 BE 0:0 10")
	}},
	{name: "7.2.1 slow start adds what was acknowledged, a packet at most", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.send(200_000)
		tc.sentFull(1, 4)
		tc.recv("SACK 1")
		tc.cwnd(4380+1452, "1452 were acknowledged")
		tc.out = nil
		tc.recv("SACK 4")
		tc.cwnd(4380+1452+1500, "4356 were, and a packet is 1500")
		tc.out = nil
	}},
	{name: "7.2.1 a window that was not used does not grow", run: func(tc *script) {
		tc.connect()
		tc.send(1000)
		tc.want("DATA 1 BE 0:0 1000")
		tc.recv("SACK 1")
		tc.cwnd(4380, "1000 of 4380 were under way")
		tc.wantNote("dry")
	}},
	{name: "7.2.1 a path that is idle loses half of its window each RTO", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.send(60_000)
		for cum := uint32(4); tc.a.snd.inFlight > 0; cum += 4 {
			tc.out = nil
			tc.recv("SACK " + itoa(min(cum, uint32(tc.a.snd.nxt-epoch)-tc.peer.coreTSN)))
		}
		tc.out = nil
		tc.wantNote("dry")
		p, _ := tc.a.Path(scriptAddrs["A"][0])
		tc.advance(p.RTO + ms(1))
		tc.send(10)
		tc.out = nil
		tc.cwnd(max(p.Cwnd/2, 4*1500), "an RTO of silence")
	}},
	{name: "7.2.3 T3-rtx: one packet, and ssthresh is half", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.send(20_000)
		tc.sentFull(1, 4)
		tc.advance(ms(1000))
		tc.want("DATA 1 B 0:0 1452")
		tc.want("DATA 2 - 0:0 1452")
		tc.wantIdle("1452 is less than the window, 2904 is not")
		tc.cwnd(1500, "section 7.2.3")
		if s := tc.a.paths[0].ssthresh; s != 4*1500 {
			tc.t.Errorf("ssthresh is %d, want max(4380/2, 4 MTU)", s)
		}
	}},
	{name: "7.2.2 congestion avoidance: a packet for each window", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.a.paths[0].ssthresh = 4000
		tc.send(200_000)
		tc.sentFull(1, 4)
		tc.recv("SACK 2")
		tc.cwnd(4380, "2904 of a window of 4380")
		tc.out = nil
		tc.recv("SACK 4")
		tc.cwnd(4380+1500, "5808 of 4380")
		tc.out = nil
	}},
	{name: "7.2.4 what was sent after what came last is not counted missing", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.send(20_000)
		tc.sentFull(1, 4)
		for _, gap := range []string{"2-2", "2-2", "2-2", "2-2"} {
			tc.recv("SACK 0 gap=" + gap)
		}
		for _, p := range tc.out {
			if text := tc.format(&p); matches(text, "DATA 1 B 0:0 1452") {
				tc.t.Error("nothing new has come: it is reported once")
			}
		}
		tc.out = nil
	}},
	{name: "7.2.4 a lost retransmission waits for T3-rtx", opts: []scriptOption{noBurst}, run: func(tc *script) {
		tc.connect()
		tc.send(10_000)
		tc.sentFull(1, 4)
		tc.recv("SACK 0 gap=2-2")
		tc.recv("SACK 0 gap=2-3")
		tc.out = nil
		tc.recv("SACK 0 gap=2-4")
		tc.want("DATA 1 B 0:0 1452")
		tc.out = nil
		for gap := 5; gap <= 7; gap++ {
			tc.recv("SACK 0 gap=2-" + itoa(uint32(gap)))
		}
		tc.wantIdle("once is all")
		tc.wantAfter(tc.a.Deadline()-tc.now, "DATA 1 B 0:0 1452")
	}},
}
