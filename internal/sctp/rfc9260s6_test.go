package sctp

import (
	"syscall"
	"testing"
)

// RFC 9260, section 6: user data transfer.
func TestRFC9260Data(t *testing.T) { runCases(t, dataCases) }

var dataCases = []scriptCase{
	{name: "6.1 A a closed window is probed by one chunk, which is no error while the peer answers", run: func(tc *script) {
		tc.connect()
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
		tc.recv("SACK 1 rwnd=0")
		tc.wantNote("dry")
		tc.send(100)
		tc.want("DATA 2 BE 0:1 100")
		tc.send(100)
		tc.wantIdle("one chunk probes")
		for d, n := 1000, 0; n < 15; n++ {
			tc.wantAfter(ms(d), "DATA 2 BE 0:1 100")
			tc.recv("SACK 1 rwnd=0")
			d = min(2*d, 60000)
		}
		tc.wantState(Established)
		tc.recv("SACK 2 rwnd=1000")
		tc.want("DATA 3 BE 0:2 100")
	}},
	{name: "6.1 A a closed window whose owner is gone", run: func(tc *script) {
		tc.connect()
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
		tc.recv("SACK 1 rwnd=0")
		tc.wantNote("dry")
		tc.send(100)
		tc.want("DATA 2 BE 0:1 100")
		tc.advance(ms(1000000))
		tc.out = nil
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
	}},
	{name: "6.2 every second packet is acknowledged", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1") // the first at once, for the peer's first round trip
		tc.recv("DATA 2 BE 0:1 10")
		tc.wantIdle("one packet")
		tc.recv("DATA 3 BE 0:2 10")
		tc.want("SACK 3")
	}},
	{name: "6.2 within 200 ms", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10")
		tc.wantAfter(ms(200), "SACK 2")
	}},
	{name: "6.2 two chunks in one packet are one packet", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10; DATA 3 BE 0:2 10")
		tc.wantAfter(ms(200), "SACK 3")
	}},
	{name: "6.2 the I bit: at once", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BEI 0:1 10")
		tc.want("SACK 2")
	}},
	{name: "6.2 SCTP_DELAYED_SACK", opts: []scriptOption{func(s *script) { s.o.SackFreq = 1 }}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10")
		tc.want("SACK 2")
	}},
	{name: "6.2 duplicates are told at once", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1 dup=1")
		tc.wantRead(100, "0:0 10 eor")
		tc.wantRead(100, "nothing")
	}},
	{name: "6.2 and 6.7 a gap is told at once", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 2 BE 0:1 10")
		tc.want("SACK 0 gap=2-2")
		tc.recv("DATA 4 BE 0:3 10")
		tc.want("SACK 0 gap=2-2,4-4")
		tc.wantRead(100, "nothing")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 2 gap=2-2")
		tc.recv("DATA 3 BE 0:2 10")
		tc.want("SACK 4")
		for _, x := range []string{"0:0 10 eor", "0:1 10 eor", "0:2 10 eor", "0:3 10 eor", "nothing"} {
			tc.wantRead(100, x)
		}
	}},
	{name: "6.2 the window shrinks by what is not read, and its opening is told", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 B 0:0 1400; DATA 2 - 0:0 1400; DATA 3 - 0:0 1400; DATA 4 - 0:0 1400; DATA 5 - 0:0 1400")
		tc.want("SACK 5 rwnd=99496")
		tc.recv("DATA 6 - 0:0 1400; DATA 7 - 0:0 1400; DATA 8 - 0:0 1400; DATA 9 - 0:0 1400; DATA 10 E 0:0 1400")
		tc.wantAfter(ms(200), "SACK 10 rwnd=92496")
		tc.wantRead(100000, "0:0 14000 eor")
		tc.want("SACK 10 rwnd=106496")
	}},
	{name: "6.2 no user data: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 0")
		tc.want("ABORT cause=9:fffffffe")
		tc.wantState(Closed)
	}},
	{name: "6.3.2 R1 to R3: T3-rtx", run: func(tc *script) {
		tc.connect()
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
		tc.advance(ms(600))
		tc.send(100)
		tc.want("DATA 2 BE 0:1 100")
		tc.recv("SACK 1")
		tc.wantAfter(ms(1000), "DATA 2 BE 0:1 100") // from the SACK on
		tc.recv("SACK 2")
		tc.wantNote("dry")
		tc.advance(ms(100000))
	}},
	{name: "6.3.3 the RTO doubles, a new measurement ends that", run: func(tc *script) {
		tc.connect()
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
		tc.wantAfter(ms(1000), "DATA 1 BE 0:0 100")
		tc.wantAfter(ms(2000), "DATA 1 BE 0:0 100")
		tc.wantAfter(ms(4000), "DATA 1 BE 0:0 100")
		tc.recv("SACK 1")
		tc.send(100)
		tc.want("DATA 2 BE 0:1 100")
		tc.recv("SACK 2")
		tc.send(100)
		tc.want("DATA 3 BE 0:2 100")
		tc.wantAfter(ms(1000), "DATA 3 BE 0:2 100")
	}},
	{name: "6.3.3 E3 what fits into one packet is sent again, bundled", run: func(tc *script) {
		tc.connect()
		for i := range 3 {
			tc.send(700)
			tc.want("DATA " + string(rune('1'+i)) + " BE 0:" + string(rune('0'+i)) + " 700")
		}
		tc.wantAfter(ms(1000), "DATA 1 BE 0:0 700; DATA 2 BE 0:1 700")
		tc.recv("SACK 2")
		tc.want("DATA 3 BE 0:2 700")
	}},
	{name: "6.5 a stream that there is not: ERROR, and it is acknowledged", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 10:0 10")
		tc.want("ERROR cause=1:000a0000")
		tc.want("SACK 1")
		tc.wantRead(10, "nothing")
	}},
	{name: "6.5 streams do not wait for each other", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 2 BE 1:0 10")
		tc.want("SACK 0 gap=2-2")
		tc.wantRead(100, "1:0 10 eor")
	}},
	{name: "6.6 unordered data does not wait", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 3 BEU 0:0 10")
		tc.want("SACK 0 gap=3-3")
		tc.wantRead(100, "0:0 10 U eor")
		tc.sendInfo(10, &SendInfo{Unordered: true})
		tc.want("DATA 1 BEU 0:0 10")
		tc.send(10)
		tc.want("DATA 2 BE 0:0 10")
	}},
	{name: "6.9 messages are cut, and put together", run: func(tc *script) {
		tc.connect()
		tc.send(3000)
		tc.want("DATA 1 B 0:0 1452")
		tc.want("DATA 2 - 0:0 1452")
		tc.want("DATA 3 E 0:0 96")
		tc.recv("DATA 1 B 0:0 100; DATA 2 - 0:0 100; DATA 3 E 0:0 50")
		tc.want("SACK 3")
		tc.wantRead(1000, "0:0 250 eor")
	}},
	{name: "6.9 fragments in any order", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 3 E 0:0 50")
		tc.want("SACK 0 gap=3-3")
		tc.recv("DATA 1 B 0:0 100")
		tc.want("SACK 1 gap=2-2")
		tc.recv("DATA 2 - 0:0 100")
		tc.want("SACK 3")
		tc.wantRead(120, "0:0 120")
		tc.wantRead(1000, "0:0 130 eor")
	}},
	{name: "6.9 SCTP_MAXSEG and SCTP_DISABLE_FRAGMENTS", opts: []scriptOption{func(s *script) { s.o.MaxSeg, s.o.NoFragment = 400, true }}, run: func(tc *script) {
		tc.connect()
		if err := tc.trySend(401, &SendInfo{}); err != syscall.EMSGSIZE {
			tc.t.Fatal(err)
		}
		tc.send(400)
		tc.want("DATA 1 BE 0:0 400")
	}},
	{name: "6.10 small messages are bundled while others are on their way", opts: []scriptOption{func(s *script) { s.o.NoDelay = false }}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.send(11)
		tc.send(12)
		tc.wantIdle("small messages wait")
		tc.recv("SACK 1")
		tc.want("DATA 2 BE 0:1 11; DATA 3 BE 0:2 12")
	}},
	{name: "6.10 a SACK goes with data, in front", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10")
		tc.send(20)
		tc.want("SACK 2; DATA 1 BE 0:0 20")
		tc.advance(ms(300))
		tc.wantIdle("the SACK has gone")
		tc.recv("SACK 1")
	}},
	{name: "3.3.4 a SACK of what was not sent: ABORT", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 2")
		tc.want("ABORT cause=13")
		tc.wantState(Closed)
	}},
	{name: "3.3.4 a SACK whose counts do not fit: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("SACK 0; 0x03 000000010000ffff00010000")
		tc.want("ABORT cause=13")
	}},
	{name: "6.2.1 an old SACK is nothing", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
		tc.recv("SACK 2")
		tc.wantNote("dry")
		tc.recv("SACK 1 rwnd=0")
		tc.send(10)
		tc.want("DATA 3 BE 0:2 10")
		tc.send(10)
		tc.want("DATA 4 BE 0:3 10")
	}},
	{name: "6.2.1 D iii what was acknowledged by a gap block and is so no more is sent again", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
		tc.recv("SACK 0 gap=2-2")
		tc.recv("SACK 1")
		tc.wantAfter(ms(1000), "DATA 2 BE 0:1 10")
	}},
	{name: "EAGAIN, EMSGSIZE and room again", opts: []scriptOption{func(s *script) { s.e.Buffers.SndBuf = 2000 + 2*messageCost }}, run: func(tc *script) {
		tc.connect()
		if err := tc.trySend(2001+2*messageCost, &SendInfo{}); err != syscall.EMSGSIZE {
			tc.t.Fatal(err)
		}
		tc.send(1900)
		tc.want("DATA 1 B 0:0 1452")
		tc.want("DATA 2 E 0:0 448")
		tc.send(100)
		tc.want("DATA 3 BE 0:1 100")
		if err := tc.trySend(1, &SendInfo{}); err != syscall.EAGAIN {
			tc.t.Fatal(err)
		}
		tc.ev = 0
		tc.recv("SACK 1")
		if tc.ev&4 == 0 {
			tc.t.Fatal("room is not told of")
		}
		tc.send(1)
		tc.want("DATA 4 BE 0:2 1")
	}},
}

// RFC 9260, section 7: congestion control, as far as packets show it.
func TestRFC9260Congestion(t *testing.T) {
	runCases(t, []scriptCase{
		{name: "7.2.1 the first window", run: func(tc *script) {
			tc.connect()
			tc.send(14520)
			tc.want("DATA 1 B 0:0 1452")
			tc.want("DATA 2 - 0:0 1452")
			tc.want("DATA 3 - 0:0 1452")
			tc.want("DATA 4 - 0:0 1452")
			tc.wantIdle("min(4 MTU, max(2 MTU, 4380)) is 4380, and the last may exceed it")
			tc.recv("SACK 2")
			tc.want("DATA 5 - 0:0 1452")
			tc.want("DATA 6 - 0:0 1452")
			tc.want("DATA 7 - 0:0 1452")
			tc.wantIdle("slow start adds a packet")
		}},
		{name: "7.2.4 fast retransmit by the third report", run: func(tc *script) {
			tc.connect()
			tc.send(14520)
			for range 4 {
				tc.out = tc.out[1:]
			}
			tc.recv("SACK 0 gap=2-2")
			tc.want("DATA 5 - 0:0 1452")
			tc.want("DATA 6 - 0:0 1452")
			tc.recv("SACK 0 gap=2-3")
			tc.want("DATA 7 - 0:0 1452")
			tc.want("DATA 8 - 0:0 1452")
			tc.recv("SACK 0 gap=2-4")
			tc.want("DATA 1 B 0:0 1452")
			tc.recv("SACK 0 gap=2-5")
			tc.want("DATA 9 - 0:0 1452")
			tc.wantIdle("the window is 4 MTU, and half of what it was is less (7.2.3)")
			tc.recv("SACK 9")
			tc.want("DATA 10 E 0:0 1452")
			tc.wantState(Established)
		}},
	})
}
