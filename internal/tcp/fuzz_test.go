package tcp

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// joined is two cores with a network between them that the fuzzer is.
type joined struct {
	t       testing.TB
	now     time.Duration
	c       [2]Conn
	wire    [2][]Segment // on the way from c[i]
	written [2]uint64
	read    [2]uint64
	shut    [2]bool
	closed  [2]bool
	waits   [2]bool // a write did not take all, and the program was not told since that it may go on
	others  int     // bytes that a third connection holds
	hostile bool    // numbers were falsified: anything but a broken invariant may happen
}

func newJoined(t testing.TB, cfg *Config, mss, seg int) *joined {
	j := &joined{t: t, now: time.Second}
	for i := range j.c {
		j.c[i].Init(cfg)
	}
	j.c[0].Connect(j.now, &Params{Config: cfg, ISS: 0xffff_ff00, TSOffset: 0xffff_fff0, MSS: mss, MaxSegment: seg})
	var s Segment
	if !j.c[0].Poll(j.now, &s) {
		t.Fatal("no SYN")
	}
	j.c[1].Accept(j.now, &Params{Config: cfg, ISS: 0x7fff_ff80, TSOffset: 5, MSS: mss, MaxSegment: seg}, &s)
	return j
}

// pump puts what the cores want to send on the wire.
func (j *joined) pump() {
	for i := range j.c {
		for n := 0; ; n++ {
			var s Segment
			if !j.c[i].Poll(j.now, &s) {
				break
			}
			if n > 20000 {
				j.t.Fatal("Poll does not end")
			}
			if s.Data.Len() > 0 && s.SegmentSize == 0 && s.Data.Len() > 65495 {
				j.t.Fatalf("a segment of %d bytes", s.Data.Len())
			}
			j.wire[i] = append(j.wire[i], s)
		}
		checkConn(j.t, &j.c[i], j.now)
	}
}

// deliver hands the k-th segment on the wire from i over, once more than it stays.
func (j *joined) deliver(i, k int, stays bool) {
	w := j.wire[i]
	if k >= len(w) {
		return
	}
	s := w[k]
	if stays {
		s.Data.Retain()
	} else {
		j.wire[i] = append(w[:k:k], w[k+1:]...)
	}
	j.tell(1-i, j.c[1-i].Segment(j.now, &s))
	j.pump()
}

// tell takes what the program of i is told by events.
func (j *joined) tell(i int, ev wait.Events) {
	if ev&wait.Out != 0 {
		j.waits[i] = false
	}
	if j.c[0].cfg.Memory.Relieved() {
		for i := range j.c {
			if j.c[i].Ready()&wait.Out != 0 {
				j.waits[i] = false
			}
		}
	}
}

// wantTold asserts that no program waits for room whose data is all acknowledged: it has written less than it
// wanted, and goes by what it is told (EPOLLET).
func (j *joined) wantTold() {
	for i := range j.c {
		c := &j.c[i]
		if !j.waits[i] || j.shut[i] || c.snd.q.Len() > 0 {
			continue
		}
		had, starved := c.flags, c.cfg.Memory.starved.Load()
		ready := c.Ready()
		c.flags = had // a poll would have it be told
		c.cfg.Memory.starved.Store(starved)
		if ready&wait.Out != 0 {
			j.t.Fatalf("side %d may write %d bytes, and was not told", i, c.SendSpace())
		}
	}
}

func (j *joined) drop(i, k int) {
	if w := j.wire[i]; k < len(w) {
		w[k].Data.Release()
		j.wire[i] = append(w[:k:k], w[k+1:]...)
	}
}

func (j *joined) write(i, n int) {
	c := &j.c[i]
	if j.shut[i] || j.closed[i] || c.SendSpace() == 0 || !c.State().canSend() {
		return
	}
	n = min(n, packet.MaxBlock)
	b := packet.NewBlock(n)
	for k := range n {
		b.Bytes()[k] = streamByte(j.written[i] + uint64(k))
	}
	j.written[i] += uint64(c.Write(j.now, b.View(0, n)))
	j.pump()
}

// writeAs is a write of one byte with what a call can say of it.
func (j *joined) writeAs(i int, more, eor bool) {
	c := &j.c[i]
	if j.shut[i] || j.closed[i] || c.Room(1) == 0 || !c.State().canSend() {
		return
	}
	j.written[i] += uint64(c.Write(j.now, packet.Copy([]byte{streamByte(j.written[i])})))
	c.Written(more, eor)
	j.pump()
}

// fill is a call that does not wait: it writes what there is room for.
func (j *joined) fill(i, n int) {
	c := &j.c[i]
	if j.shut[i] || j.closed[i] || !c.State().canSend() {
		return
	}
	for n > 0 {
		part := min(n, packet.MaxBlock)
		k := c.Room(part)
		if k > 0 {
			b := packet.NewBlock(part)
			for at := range k {
				b.Bytes()[at] = streamByte(j.written[i] + uint64(at))
			}
			j.written[i] += uint64(c.Write(j.now, b.View(0, k)))
		}
		if k < part {
			c.Cut()
			j.waits[i] = true
			break
		}
		n -= k
	}
	j.pump()
}

// crowd has a third connection of the host hold n bytes.
func (j *joined) crowd(n int) {
	t := &tcb{cfg: j.c[0].cfg, held: j.others}
	if n != j.others {
		t.charge(n)
	}
	j.others = n
	j.tell(0, 0)
}

func (j *joined) readSome(i, max int) {
	if j.closed[i] {
		return
	}
	for _, v := range j.c[i].Read(j.now, max, nil) {
		for _, b := range v.Bytes() {
			if !j.hostile && b != streamByte(j.read[i]) {
				j.t.Fatalf("side %d: byte %d is wrong", i, j.read[i])
			}
			j.read[i]++
		}
		v.Release()
	}
	j.tell(i, 0)
	if !j.hostile && j.read[i] > j.written[1-i] {
		j.t.Fatalf("side %d read %d of %d", i, j.read[i], j.written[1-i])
	}
	j.pump()
}

// advance lets time pass, with every deadline in it.
func (j *joined) advance(d time.Duration) {
	end := j.now + d
	for n := 0; ; n++ {
		at := min(j.c[0].Deadline(), j.c[1].Deadline())
		if at > end {
			break
		}
		if n > 100000 {
			j.t.Fatal("deadlines do not end")
		}
		j.now = max(j.now, at)
		for i := range j.c {
			if j.c[i].Deadline() <= j.now {
				j.tell(i, j.c[i].Expire(j.now))
			}
		}
		j.pump()
	}
	j.now = end
}

// step carries out one action.
func (j *joined) step(op, arg byte) {
	i := int(op>>4) & 1
	k := int(arg) % max(len(j.wire[i]), 1)
	switch op & 15 {
	case 0, 1, 2:
		j.deliver(i, 0, false)
	case 3:
		j.deliver(i, k, false) // reordered
	case 4:
		j.deliver(i, k, true) // duplicated
	case 5:
		j.drop(i, k)
	case 6:
		if arg&7 == 0 {
			j.writeAs(i, arg&8 != 0, arg&16 != 0)
			break
		}
		j.write(i, 1+int(arg))
	case 7:
		j.write(i, 200*(1+int(arg)))
	case 8:
		j.readSome(i, 1+int(arg)*64)
	case 9:
		j.readSome(i, 1<<30)
	case 10:
		j.advance(time.Duration(arg) * time.Millisecond)
	case 11:
		j.advance(time.Duration(arg) * 20 * time.Millisecond)
	case 12:
		j.option(i, arg)
	case 13:
		switch {
		case arg < 40:
			j.end(i, arg)
		case arg < 90:
			j.crowd(int(arg-40) << 10)
		case arg < 140:
			j.c[i].LowerPathMSS(j.now, 512+20*int(arg-90))
			j.pump()
		default:
			j.fill(i, 1<<(arg%20))
		}
	case 14:
		for range int(arg) {
			j.deliver(i, 0, false)
		}
	case 15:
		j.falsify(i, k, arg)
	}
}

func (j *joined) option(i int, arg byte) {
	c := &j.c[i]
	on := arg&1 != 0
	switch arg >> 1 % 8 {
	case 0:
		c.SetNoDelay(j.now, on)
	case 1:
		c.SetCork(j.now, on)
	case 2:
		c.SetQuickAck(j.now, on)
	case 3:
		c.SetKeepAlive(j.now, on)
	case 4:
		c.SetRcvBuf(j.now, 4096+int(arg)*512)
	case 5:
		c.SetSndBuf(4096 + int(arg)*512)
	case 6:
		c.SetRcvLowat(j.now, int(arg)*8)
	case 7:
		c.ICMP(j.now, &ICMPError{Seq: c.snd.sndSeq(c.snd.una), MSS: 600 + int(arg)})
	}
	j.pump()
}

func (j *joined) end(i int, arg byte) {
	switch {
	case arg < 25:
		j.c[i].ShutdownWrite(j.now)
		j.shut[i] = true
	case arg < 38:
		// An orderly close: everything is read first.
		j.readSome(i, 1<<30)
		j.c[i].ShutdownWrite(j.now)
		j.shut[i] = true
	default:
		j.c[i].Close(j.now)
		j.shut[i], j.closed[i] = true, true
		j.hostile = true // the peer may be reset
	}
	j.pump()
}

// falsify changes numbers of a segment on the wire, as an attacker would.
func (j *joined) falsify(i, k int, arg byte) {
	if k >= len(j.wire[i]) || arg < 128 {
		return
	}
	j.hostile = true
	s := &j.wire[i][k]
	switch arg % 8 {
	case 0:
		s.Seq += uint32(arg) << 8
	case 1:
		s.Ack += uint32(arg) << 4
	case 2:
		s.Window = uint16(arg)
	case 3:
		s.Flags ^= wire.TCPFlags(arg)
	case 4:
		s.Options.NSACK = 1
		s.Options.SACK[0] = wire.SACKBlock{Left: s.Ack + uint32(arg)*3, Right: s.Ack + uint32(arg)*97}
	case 5:
		s.Options.TSVal += uint32(arg) << 20
	case 6:
		s.Urgent = uint16(arg)
		s.Flags |= wire.URG
	case 7:
		s.CE = !s.CE
		s.Seq -= uint32(arg)
	}
}

// finish lets the network be perfect and asserts that everything arrives.
func (j *joined) finish() {
	defer func() {
		for i := range j.c {
			for len(j.wire[i]) > 0 {
				j.drop(i, 0)
			}
			j.c[i].Release()
		}
	}()
	j.crowd(0)
	if j.hostile {
		for range 100 {
			j.settle()
		}
		return
	}
	j.settle()
	j.wantTold()
	for i := range j.c {
		j.c[i].SetCork(j.now, false)
		if !j.shut[i] {
			j.c[i].ShutdownWrite(j.now)
			j.shut[i] = true
		}
	}
	for n := 0; ; n++ {
		j.settle()
		a, b := &j.c[0], &j.c[1]
		if j.failed(0) || j.failed(1) {
			j.t.Fatalf("errors %v, %v in states %v, %v", a.Err(), b.Err(), a.State(), b.State())
		}
		over := func(s State) bool { return s == TimeWait || s == Closed }
		if over(a.State()) && over(b.State()) {
			break
		}
		if n > 20000 {
			j.t.Fatalf("states %v, %v; read %d of %d, %d of %d", a.State(), b.State(),
				j.read[1], j.written[0], j.read[0], j.written[1])
		}
	}
	for i := range j.c {
		j.readSome(i, 1<<30)
		if j.read[i] != j.written[1-i] || !j.c[i].EOF() {
			j.t.Fatalf("side %d read %d of %d, end %v", i, j.read[i], j.written[1-i], j.c[i].EOF())
		}
	}
}

// failed reports whether a connection has failed. A reset of one that has only the acknowledgment of its FIN
// to wait for, from a peer that has left TIME-WAIT meanwhile, is none.
func (j *joined) failed(i int) bool {
	err := j.c[i].Err()
	answered := j.c[1-i].State() == Closed && j.read[0] == j.written[1] && j.read[1] == j.written[0]
	return err != nil && !(answered && errors.Is(err, syscall.ECONNRESET))
}

// settle delivers what is on the wire, reads, and waits a little.
func (j *joined) settle() {
	j.pump()
	for n := 0; len(j.wire[0])+len(j.wire[1]) > 0; n++ {
		if n > 1_000_000 {
			j.t.Fatal("segments do not end")
		}
		j.deliver(n&1, 0, false)
		if n&15 == 0 {
			j.readSome(0, 1<<30)
			j.readSome(1, 1<<30)
		}
	}
	j.readSome(0, 1<<30)
	j.readSome(1, 1<<30)
	j.advance(500 * time.Millisecond)
}

func fuzzConfig(b byte) (cfg *Config, mss, seg int) {
	cfg = DefaultConfig()
	cfg.SACK = b&1 == 0
	cfg.Timestamps = b&2 == 0
	cfg.WindowScaling = b&4 == 0
	if b&8 != 0 {
		cfg.ECN = ECNOn
	}
	cfg.CC = [...]string{"cubic", "reno", "bbr", "cubic"}[b>>4&3]
	if b&0x70 == 0x70 {
		cfg.CC = "bbr3"
	}
	mss = [...]int{1460, 100, 65483, 536}[b>>6&3]
	if b&32 != 0 {
		seg = 65000
	}
	if b&7 == 0 {
		// Without timestamps the timeout stays as long as it became while all was dropped (RFC 6298
		// §5.5), and the end would take hours.
		cfg.Mem = [3]int{6 << 10, 9 << 10, 12 << 10} // of both ends
	}
	cfg.Retries2, cfg.SynRetries, cfg.SynAckRetries = 1000, 1000, 1000
	return cfg, mss, seg
}

func runJoined(t testing.TB, script []byte) {
	if len(script) == 0 {
		return
	}
	before := packet.Live()
	cfg, mss, seg := fuzzConfig(script[0])
	j := newJoined(t, cfg, mss, seg)
	j.pump()
	for k := 1; k+1 < len(script); k += 2 {
		j.step(script[k], script[k+1])
		j.wantTold()
	}
	j.finish()
	if m := cfg.Memory; m.Used() != 0 || m.holders.Load() != 0 || m.orphans.Load() != 0 {
		t.Fatalf("%d bytes of %d connections and %d orphans are left", m.Used(), m.holders.Load(), m.orphans.Load())
	}
	if n := packet.Live() - before; n != 0 {
		t.Fatalf("%d blocks leak", n)
	}
}

// FuzzJoined joins two cores; the fuzzer's bytes choose what is dropped, duplicated,
// reordered, delayed and falsified, and what the programs do.
func FuzzJoined(f *testing.F) {
	f.Add([]byte{0, 0, 0, 16, 0, 0, 0, 7, 255, 14, 50, 30, 50, 25, 0})
	f.Add([]byte{1, 0, 0, 16, 0, 0, 0, 7, 200, 5, 3, 14, 50, 30, 50, 11, 200, 14, 9})
	f.Add([]byte{0x40, 16, 0, 0, 0, 7, 90, 5, 1, 5, 4, 14, 99, 30, 99, 10, 255, 13, 3})
	packet.Track(true)
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1000 {
			return
		}
		runJoined(t, script)
	})
}

// TestJoinedRandom runs many scripts of random bytes; a failing seed is printed.
func TestJoinedRandom(t *testing.T) {
	packet.Track(true)
	n := 1000
	if testing.Short() {
		n = 100
	}
	for seed := range n {
		runSeed(t, uint64(seed))
	}
}

func runSeed(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	script := make([]byte, 1+2*r.IntN(400))
	for i := range script {
		script[i] = byte(r.Uint32())
	}
	if seed%4 != 0 {
		// No falsified segments and no close: everything has to arrive. Half of the programs go on to the end.
		for i := 1; i+1 < len(script); i += 2 {
			if op := script[i] & 15; op == 15 || op == 13 && script[i+1]|1 == 39 || op == 13 && script[i+1] < 40 && seed%2 == 0 {
				script[i] = script[i] &^ 15
			}
		}
	}
	done := false
	defer func() {
		if !done {
			t.Logf("seed %d", seed)
		}
	}()
	runJoined(t, script)
	done = true
}
