package sctp

import (
	"net/netip"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// inState brings a core into one of its states.
func inState(tc *script, n byte) {
	switch n % 8 {
	case 0: // no association
	case 1:
		tc.open()
	case 2:
		tc.open()
		tc.recv("INIT-ACK")
	case 3:
		tc.recv("INIT")
		tc.recv("COOKIE-ECHO")
	case 4:
		inState(tc, 3)
		tc.trySend(5000, &SendInfo{})
		tc.recv("SACK 0 gap=2-2")
		tc.recv("DATA 2 - 0:0 20; DATA 4 BE 1:0 10")
	case 5:
		inState(tc, 4)
		tc.a.Shutdown(tc.now)
		tc.pump()
	case 6:
		inState(tc, 3)
		tc.a.Shutdown(tc.now)
		tc.pump()
	case 7:
		inState(tc, 3)
		tc.recv("SHUTDOWN 0")
	}
}

// Whatever a packet holds, with the right tag or another, no state is left without a timer, no block is
// lost and nothing is read beyond the packet.
func FuzzPacket(f *testing.F) {
	seed := func(tc *script, text string) []byte {
		in := tc.packet(text)
		b := in.Body.AppendTo(nil)
		in.Body.Release()
		return b
	}
	for state := range byte(8) {
		for _, text := range []string{
			"INIT param=0xffff:01 addr=B", "INIT param=0x8001:00000001", "INIT-ACK", "COOKIE-ACK", "DATA 1 B 0:0 20; DATA 2 E 0:0 5", "SACK 1 gap=2-2 dup=1",
			"SHUTDOWN 0", "SHUTDOWN-ACK", "SHUTDOWN-COMPLETE", "ABORT cause=12:00", "ERROR cause=3:00000001", "HEARTBEAT",
			"0xc0 0000000000010001", "RE-CONFIG out=1,0,0,1 in=2", "RE-CONFIG tsn=1", "RE-CONFIG addout=1,5 addin=2,1",
			"RE-CONFIG resp=1,1", "0xff 00; 0x7f", "0xc2 0000000000010000000000010000", "0x40 000000010000000000000000000000000102",
		} {
			f.Add(state, byte(3), uint16(0), seed(newFuzzScript(f), text))
		}
	}
	f.Fuzz(func(t *testing.T, state, tag byte, cut uint16, b []byte) {
		if len(b) > 4096 {
			return
		}
		packet.Track(true)
		defer packet.Track(false)
		before := packet.Live()
		tc := newFuzzScript(t)
		inState(tc, state)
		for range 3 {
			in := &In{Src: scriptAddrs["A"][0], Dst: scriptAddrs["A"][1]}
			in.SrcPort, in.DstPort = peerPort, scriptPort
			in.VTag = [...]uint32{0, tc.peer.coreTag, tc.peer.tag, tc.peer.coreTag}[tag%4]
			in.ZeroSum = tag&4 != 0
			k := min(int(cut), len(b))
			in.Head = b[:k]
			in.Body.Append(packet.Copy(b[k:]))
			if tc.a == nil {
				var o Out
				a, send := tc.e.Answer(tc.now, in, &o)
				if send {
					tc.sent(&o)
				}
				tc.a = a
			} else {
				tc.a.Packet(tc.now, in)
			}
			tc.pump()
			if tc.a != nil && tc.a.Deadline() != never {
				tc.now = max(tc.now, tc.a.Deadline())
				tc.a.Expire(tc.now)
				tc.pump()
			}
			tc.now += time.Millisecond
		}
		if tc.a != nil {
			for {
				v, _, ok := tc.a.Recv(tc.now, 1<<16, nil)
				if !ok {
					break
				}
				packet.ReleaseAll(v)
			}
			tc.pump()
			tc.a.Release()
			tc.a = nil
		}
		tc.out = nil
		if n := packet.Live() - before; n != 0 {
			t.Fatalf("%d blocks leak", n)
		}
	})
}

// newFuzzScript is newScript without its end.
func newFuzzScript(t testing.TB) *script {
	return makeScript(t, multihomed("AB"), func(s *script) {
		s.o.PR, s.o.IData, s.o.ReConf, s.o.Reset = true, false, true, GrantStreams|GrantAssoc|GrantChange
		s.o.EDMID = EDMIDDTLS
		s.peer.params = []string{"0x8008:82c0", "0xc000:", "0x8001:00000001"}
	})
}

// A cookie that was not made here is never taken for one.
func FuzzCookie(f *testing.F) {
	tc := makeScript(f)
	k := cookie{made: time.Second, life: time.Minute, tag: 1, peerTag: 2, peers: []netip.Addr{scriptAddrs["A"][0]}, local: scriptAddrs["A"][1]}
	good := tc.cfg.sealCookie(tc.now, &k)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := tc.cfg.openCookie(tc.now, b)
		if ok != (string(b) == string(good)) {
			t.Fatalf("taken: %v", ok)
		}
		if ok && (got.tag != 1 || got.peerTag != 2 || got.life != time.Minute || got.peers[0] != k.peers[0] || got.local != k.local) {
			t.Fatalf("%+v", got)
		}
	})
}

// Whatever an authenticated ASCONF or ASCONF-ACK holds, the association keeps a path.
func FuzzAsconf(f *testing.F) {
	add := func(typ uint16, addr netip.Addr) []byte {
		return (&wire.AsconfParam{CorrelationID: 1, Rest: wire.AppendAddr(nil, addr)}).Append(nil, typ)
	}
	for _, typ := range []uint16{wire.ParamAddIP, wire.ParamDeleteIP, wire.ParamSetPrimary, wire.ParamErrorCause, 99} {
		for _, addr := range []netip.Addr{pairAddr(0, 0), pairAddr(0, 1), netip.IPv4Unspecified(), netip.MustParseAddr("fd00::1")} {
			f.Add(wire.AppendAddr(nil, pairAddr(0, 0)), add(wire.ParamAddIP, pairAddr(0, 3)), add(typ, addr))
		}
	}
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		if len(first)+len(second)+len(third) > 8192 {
			return
		}
		p := asconfPair(t)
		b := p.end[1].a
		b.AddAddr(p.now, pairAddr(1, 1))
		params := append(append(append([]byte(nil), first...), second...), third...)
		in := In{Src: pairAddr(0, 0), Dst: pairAddr(1, 0)}
		for range 2 {
			b.inAsconf(p.now, &in, &wire.Chunk{Value: (&wire.Asconf{Serial: b.peerTSN, Params: params}).Append(nil, 0)[4:]})
			p.pump()
			b.inAsconfAck(p.now, &wire.Chunk{Value: (&wire.Asconf{Serial: b.tsn, Params: params}).Append(nil, 0)[4:]})
			p.pump()
		}
		if len(b.paths) == 0 || len(b.local) == 0 || b.path(b.primary.addr) != b.primary || b.path(b.ctl.addr) != b.ctl || b.path(b.use.addr) != b.use {
			t.Fatal("a path that there is not")
		}
		for i := range p.end {
			p.end[i].a.Release()
		}
	})
}
