package sctp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"usock/internal/wire"
)

var reconfTypes = map[string]uint16{
	"out": wire.ParamOutgoingReset, "in": wire.ParamIncomingReset, "tsn": wire.ParamTSNReset,
	"resp": wire.ParamReConfResp, "addout": wire.ParamAddOutgoing, "addin": wire.ParamAddIncoming,
}

// reconfValue writes the parameters of a RE-CONFIG of the peer's.
func (s *script) reconfValue(k map[string][]string) (b []byte) {
	s.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(k)) {
		var n []uint32
		for _, x := range strings.Split(k[name][0], ",") {
			n = append(n, s.number(x))
		}
		r := wire.ReConf{Type: reconfTypes[name], Seq: s.peer.tsn - 1 + n[0]}
		var streams []uint16
		rest := n[1:]
		switch r.Type {
		case wire.ParamOutgoingReset:
			r.RespSeq, r.LastTSN, rest = s.peer.coreTSN-1+n[1], s.peer.tsn-1+n[2], n[3:]
		case wire.ParamReConfResp:
			r.Seq, r.Result, rest = s.peer.coreTSN-1+n[0], n[1], nil
			if len(n) > 2 {
				r.HasTSNs, r.SenderTSN, r.RcvrTSN = true, n[2], n[3]
			}
		case wire.ParamAddOutgoing, wire.ParamAddIncoming:
			r.New, rest = uint16(n[1]), nil
		}
		for _, x := range rest {
			streams = append(streams, uint16(x))
		}
		b = r.Append(b, streams)
	}
	return b
}

// formatReconf writes the parameters of a RE-CONFIG of the core's.
func (s *script) formatReconf(b []byte) (text string) {
	for len(b) > 0 {
		p, rest, err := wire.ParseTLV(b)
		if err != nil {
			return " malformed"
		}
		b = rest
		r, err := wire.ParseReConf(p)
		if err != nil {
			return " malformed"
		}
		seq := r.Seq - s.peer.coreTSN + 1
		var n []any
		switch r.Type {
		case wire.ParamOutgoingReset:
			n = []any{seq, int32(r.RespSeq - s.peer.tsn + 1), r.LastTSN - s.peer.coreTSN + 1}
		case wire.ParamReConfResp:
			n = []any{r.Seq - s.peer.tsn + 1, r.Result}
			if r.HasTSNs {
				n = append(n, r.SenderTSN, r.RcvrTSN)
			}
		case wire.ParamAddOutgoing, wire.ParamAddIncoming:
			n = []any{seq, r.New}
		default:
			n = []any{seq}
		}
		for i := range r.Streams() {
			n = append(n, r.Stream(i))
		}
		for name, t := range reconfTypes {
			if t == r.Type {
				text += " " + name + "=" + strings.ReplaceAll(strings.Trim(fmt.Sprint(n...), "[]"), " ", ",")
			}
		}
	}
	return text
}

// RFC 6525: stream reconfiguration.
func TestRFC6525(t *testing.T) { runCases(t, reconfCases) }

var reconfCases = []scriptCase{
	{name: "not agreed to: refused, and a RE-CONFIG is nothing", run: func(tc *script) {
		tc.connect()
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, nil), syscall.ENOPROTOOPT)
		tc.recv("RE-CONFIG out=1,0,0")
		tc.wantIdle("it is an unknown chunk to be skipped")
	}},
	{name: "5.1.2 an outgoing stream begins anew", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.sendInfo(10, &SendInfo{Stream: 1})
		tc.want("DATA 1 BE 1:0 10")
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, []uint16{1}), syscall.EAGAIN)
		tc.recv("SACK 1")
		tc.wantNote("dry")
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, []uint16{1}), 0)
		tc.want("RE-CONFIG out=1,0,1,1")
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, []uint16{2}), syscall.EINPROGRESS)
		tc.sendInfo(20, &SendInfo{Stream: 1})
		tc.wantIdle("the stream waits")
		tc.sendInfo(30, &SendInfo{Stream: 2})
		tc.want("DATA 2 BE 2:0 30")
		tc.recv("RE-CONFIG resp=1,1; SACK 2")
		tc.want("DATA 3 BE 1:0 20")
		tc.wantNote("reset out [1]")
	}},
	{name: "5.1.1 T4: the request is sent again", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, nil), 0)
		tc.want("RE-CONFIG out=1,0,0")
		tc.wantAfter(ms(1000), "RE-CONFIG out=1,0,0")
		tc.recv("RE-CONFIG resp=1,6")
		tc.wantAfter(ms(2000), "RE-CONFIG out=1,0,0")
		tc.recv("RE-CONFIG resp=1,1")
		tc.wantNote("reset out []")
		tc.advance(ms(10000))
	}},
	{name: "5.2.7 refused", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		errnoIs(tc, tc.a.ResetStreams(tc.now, true, false, []uint16{3}), 0)
		tc.want("RE-CONFIG out=1,0,0,3")
		tc.recv("RE-CONFIG resp=1,2")
		tc.wantNote("reset out denied [3]")
		errnoIs(tc, tc.a.AddStreams(tc.now, 5, 0), 0)
		tc.want("RE-CONFIG addout=2,5")
		tc.recv("RE-CONFIG resp=2,5")
		tc.wantNote("change failed 5/0")
	}},
	{name: "5.2.2 an incoming stream begins anew, once all before it has come", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 1:0 10")
		tc.want("SACK 1")
		tc.recv("RE-CONFIG out=1,0,2,1")
		tc.want("RE-CONFIG resp=1,6")
		tc.recv("DATA 2 BE 1:1 10")
		tc.recv("RE-CONFIG out=1,0,2,1")
		tc.want("RE-CONFIG resp=1,1")
		tc.recv("RE-CONFIG out=1,0,2,1")
		tc.want("RE-CONFIG resp=1,1")
		tc.recv("DATA 3 BE 1:0 30")
		tc.want("SACK 3")
		tc.wantRead(100, "1:0 10 eor")
		tc.wantRead(100, "1:1 10 eor")
		tc.wantNote("reset in [1]")
		tc.wantRead(100, "1:0 30 eor")
	}},
	{name: "5.2.1 sequence numbers", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.recv("RE-CONFIG out=2,0,0,1")
		tc.want("RE-CONFIG resp=2,5")
		tc.recv("RE-CONFIG out=1,0,0,1")
		tc.want("RE-CONFIG resp=1,1")
		tc.recv("RE-CONFIG out=2,0,0,99")
		tc.want("RE-CONFIG resp=2,3")
		tc.recv("RE-CONFIG out=1,0,0,1")
		tc.want("RE-CONFIG resp=1,1")
		tc.wantNote("reset in [1]")
		tc.wantNote("nothing")
	}},
	{name: "5.2.3 the peer wants outgoing streams to begin anew", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.sendInfo(10, &SendInfo{Stream: 4})
		tc.want("DATA 1 BE 4:0 10")
		tc.recv("RE-CONFIG in=1,4")
		tc.want("RE-CONFIG resp=1,6")
		tc.recv("SACK 1")
		tc.wantNote("dry")
		tc.recv("RE-CONFIG in=1,4")
		tc.want("RE-CONFIG out=1,1,1,4")
		tc.recv("RE-CONFIG resp=1,1")
		tc.wantNote("reset out [4]")
		tc.sendInfo(10, &SendInfo{Stream: 4})
		tc.want("DATA 2 BE 4:0 10")
	}},
	{name: "5.1.3 incoming streams: the peer's request is the answer", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		errnoIs(tc, tc.a.ResetStreams(tc.now, false, true, []uint16{2}), 0)
		tc.want("RE-CONFIG in=1,2")
		tc.recv("RE-CONFIG out=1,1,0,2")
		tc.want("RE-CONFIG resp=1,1")
		tc.wantNote("reset in [2]")
		tc.advance(ms(100000))
	}},
	{name: "5.1.4 TSNs begin anew", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		errnoIs(tc, tc.a.ResetAssoc(tc.now), syscall.EAGAIN)
		tc.recv("SACK 1")
		tc.wantNote("dry")
		errnoIs(tc, tc.a.ResetAssoc(tc.now), 0)
		tc.want("RE-CONFIG tsn=1")
		tc.recv("RE-CONFIG resp=1,1,5000,9000")
		tc.wantNote("assoc reset 9000 5000")
		tc.peer.coreTSN, tc.peer.tsn = 9000, 5000
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1; DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "5.2.4 the peer has TSNs begin anew", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("RE-CONFIG tsn=1")
		own, next := tc.peer.coreTSN+1<<17, tc.peer.tsn+1<<31 // own: a peer that misses the answer takes none of it
		tc.want(fmt.Sprintf("RE-CONFIG resp=1,1,%d,%d", own, next))
		tc.wantRead(100, "0:0 10 eor")
		tc.wantNote(fmt.Sprintf("assoc reset %d %d", own, next))
		tc.peer.tsn = next
		tc.recv("DATA 1 BE 0:0 20")
		tc.wantRead(100, "0:0 20 eor")
		tc.wantAfter(ms(200), "SACK 1")
	}},
	{name: "5.1.5 more outgoing streams", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		errnoIs(tc, tc.trySend(1, &SendInfo{Stream: 12}), syscall.EINVAL)
		errnoIs(tc, tc.a.AddStreams(tc.now, 5, 0), 0)
		tc.want("RE-CONFIG addout=1,5")
		tc.recv("RE-CONFIG resp=1,1")
		tc.wantNote("change 5/0")
		tc.sendInfo(10, &SendInfo{Stream: 14})
		tc.want("DATA 1 BE 14:0 10")
	}},
	{name: "5.2.5 and 5.2.6 the peer wants more streams", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 11:0 10")
		tc.want("ERROR cause=1:000b0000")
		tc.want("SACK 1")
		tc.recv("RE-CONFIG addout=1,5")
		tc.want("RE-CONFIG resp=1,1")
		tc.wantNote("change 0/5")
		tc.recv("DATA 2 BEI 11:0 10")
		tc.want("SACK 2")
		tc.wantRead(100, "11:0 10 eor")
		tc.recv("RE-CONFIG addin=2,3")
		tc.want("RE-CONFIG addout=1,3")
		tc.recv("RE-CONFIG resp=1,1")
		tc.wantNote("change 3/0")
	}},
	{name: "SCTP_ENABLE_STREAM_RESET: not granted", opts: []scriptOption{reconfigures, func(s *script) { s.o.Reset = GrantChange }}, run: func(tc *script) {
		tc.connect()
		tc.recv("RE-CONFIG out=1,0,0,1")
		tc.want("RE-CONFIG resp=1,2")
		tc.recv("RE-CONFIG tsn=2")
		tc.want("RE-CONFIG resp=2,2")
		tc.recv("RE-CONFIG addout=3,1")
		tc.want("RE-CONFIG resp=3,1")
		tc.wantNote("change 0/1")
	}},
	{name: "a RE-CONFIG that is malformed: ABORT", opts: []scriptOption{reconfigures}, run: func(tc *script) {
		tc.connect()
		tc.recv("0x82 000d000600000001")
		tc.want("ABORT cause=13")
	}},
}

// reconfigures has both ends be able to reconfigure streams.
func reconfigures(s *script) {
	s.o.ReConf, s.o.Reset = true, GrantStreams|GrantAssoc|GrantChange
	s.peer.params = []string{"0x8008:82"}
}

// errnoIs asserts what a call of the program comes to, and collects what leaves.
func errnoIs(tc *script, got, want syscall.Errno) {
	tc.t.Helper()
	if got != want {
		tc.t.Fatalf("%v, want %v", got, want)
	}
	tc.pump()
}
