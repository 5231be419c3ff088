package sctp

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// counted lists what has counted, NAME N, but for the chunks.
func counted(c *Counters) string {
	var out []string
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if n := v.Field(i).Uint(); n != 0 && !strings.HasSuffix(name, "Chunks") {
			out = append(out, fmt.Sprint(name, " ", n))
		}
	}
	return strings.Join(out, " ")
}

// What the core counts, by the names of /proc/net/sctp/snmp.
func TestCounters(t *testing.T) {
	small := func(s *script) { s.o.MaxInitRetrans, s.o.MaxRetrans = 1, 1 }
	for _, c := range []struct {
		want string
		opts []scriptOption
		run  func(tc *script)
	}{
		{"T1InitExpireds 2", []scriptOption{small}, func(tc *script) {
			tc.open()
			tc.advance(time.Minute)
		}},
		{"T1CookieExpireds 2", []scriptOption{small}, func(tc *script) {
			tc.open()
			tc.recv("INIT-ACK")
			tc.advance(time.Minute)
		}},
		{"ActiveEstabs 1 Aborteds 1", nil, func(tc *script) {
			tc.connect()
			tc.recv("ABORT")
		}},
		{"PassiveEstabs 1 Shutdowns 1", nil, func(tc *script) {
			tc.accept()
			tc.recv("SHUTDOWN 0")
			tc.recv("SHUTDOWN-COMPLETE")
		}},
		{"ActiveEstabs 1 Shutdowns 1 T2ShutdownExpireds 2", []scriptOption{small}, func(tc *script) {
			tc.connect()
			tc.a.Shutdown(tc.now)
			tc.pump()
			tc.advance(time.Minute)
		}},
		{"ActiveEstabs 1 Aborteds 1 T3RtxExpireds 2", []scriptOption{small}, func(tc *script) {
			tc.connect()
			tc.send(10)
			tc.advance(time.Minute)
		}},
		{"ActiveEstabs 1 Shutdowns 1 AutocloseExpireds 1", []scriptOption{func(s *script) { s.o.AutoClose = time.Second }}, func(tc *script) {
			tc.connect()
			tc.advance(time.Second)
			tc.recv("SHUTDOWN-ACK")
		}},
		{"ActiveEstabs 1 T4RtoExpireds 1", []scriptOption{reconfigures}, func(tc *script) {
			tc.connect()
			tc.a.ResetStreams(tc.now, true, false, nil)
			tc.pump()
			tc.advance(ms(1000))
		}},
		{"ActiveEstabs 1 PmtudRetransmits 1", nil, func(tc *script) {
			tc.connect()
			tc.send(1452)
			tc.icmp(&ICMPError{MTU: 1000})
		}},
		{"ActiveEstabs 1 DelaySackExpireds 1", nil, func(tc *script) {
			tc.connect()
			tc.recv("DATA 1 BE 0:0 10")
			tc.recv("DATA 2 BE 0:1 10")
			tc.advance(time.Second)
		}},
	} {
		t.Run(c.want, func(t *testing.T) {
			tc := newScript(t, c.opts...)
			c.run(tc)
			tc.out = nil
			if got := counted(tc.cfg.Counters); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Chunks are counted by what they hold, in each direction; of an association also what came twice, too far ahead or was
// sent again.
func TestChunkCounters(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	n := tc.cfg.Counters
	before := *n
	tc.send(10)
	tc.sendInfo(10, &SendInfo{Unordered: true})
	tc.recv("SACK 2; DATA 1 BE 0:0 10; DATA 2 BEU 0:0 10; DATA 3 BEU 0:0 10")
	tc.recv("DATA 1 BE 0:0 10")
	tc.recv("DATA 900000 BE 0:1 10")
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"OutOrderChunks", n.OutOrderChunks - before.OutOrderChunks, 1},
		{"OutUnorderChunks", n.OutUnorderChunks - before.OutUnorderChunks, 1},
		{"InOrderChunks", n.InOrderChunks - before.InOrderChunks, 3},
		{"InUnorderChunks", n.InUnorderChunks - before.InUnorderChunks, 2},
		{"InCtrlChunks", n.InCtrlChunks - before.InCtrlChunks, 1},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d, want %d", c.name, c.got, c.want)
		}
	}
	tc.send(10)
	tc.advance(time.Second)
	tc.recv("SACK 2 gap=2-2,4-5")
	tc.out = nil
	if n.OutCtrlChunks == 0 {
		t.Error("no control chunk has left")
	}
	st, _, _ := tc.a.Stats()
	want := Stats{
		InSacks: 2, OutSacks: st.OutSacks, InPackets: st.InPackets, OutPackets: st.OutPackets, RtxChunks: 1,
		OutOfSeqTSNs: 1, InDupChunks: 1, GapAcks: 2, OutUnorderChunks: 1, OutOrder: 2, InUnorderChunks: 2, InOrder: 1,
		OutCtrlChunks: st.OutCtrlChunks, InCtrlChunks: 4,
	}
	if st != want || st.OutSacks < 3 || st.InPackets != 6 {
		t.Errorf("%+v, want %+v", st, want)
	}
}

// T5ShutdownGuardExpireds counts shutdowns that the peer answers and does not end.
func TestShutdownGuardCounter(t *testing.T) {
	tc := newScript(t, func(s *script) { s.o.MaxRetrans, s.o.RTOMax = 1000, 10*time.Second })
	tc.connect()
	tc.a.Shutdown(tc.now)
	tc.pump()
	for i := 0; tc.a.State() == ShutdownSent && i < 100; i++ {
		tc.advance(time.Second)
		tc.recv("SACK 0")
	}
	tc.out = nil
	if n := tc.cfg.Counters.T5ShutdownGuardExpireds; n != 1 {
		t.Errorf("T5ShutdownGuardExpireds is %d", n)
	}
}

// An association that idles has no tally, and counts and tells all the same, beyond 16 bits too. The highest RTO is
// that of before, whatever has become of the option and the path meanwhile.
func TestTally(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	if tc.a.tally != nil {
		t.Fatal("a tally of nothing")
	}
	was, addr := tc.a.opt.RTOInitial, tc.a.paths[0].addr
	tc.a.low[inPackets] = math.MaxUint16
	tc.recv("HEARTBEAT 00010008aabbccdd")
	tc.out = nil
	tc.a.Change().RTOInitial = was / 2
	tc.a.OptionsChanged(tc.now)
	st, rto, of := tc.a.Stats()
	if st.InPackets != 1<<16 || st.OutPackets < 2 || st.InCtrlChunks < 2 || rto != was || of != addr {
		t.Errorf("%+v, an RTO of %v to %v, want %v to %v", st, rto, of, was, addr)
	}
	if _, rto, _ = tc.a.Stats(); rto != tc.a.opt.RTOMin {
		t.Errorf("the highest RTO is %v, after it was asked for", rto)
	}
}
