package tcp

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// Packet scripts: one core in manual time, and the test as its peer.
//
//	tc := newScript(t)
//	tc.connect()                               // handshake, as a client
//	tc.write(1000)
//	tc.want("P. 1+1000 ack 1")                 // the next segment, exactly
//	tc.recv(". 1 ack 1001 win 1000")           // the peer sends
//	tc.wantIdle("everything is acknowledged")  // and nothing else comes
//	tc.wantAfter(ms(200), "...")               // silence until then, to the microsecond
//
// A segment is written
//
//	FLAGS SEQ[+LEN] [ack N] [win N] [urg N] [<OPTIONS>] [ce] [ect] [gso N]
//
// with the flags S F R P U E W(CWR) and . (ACK), numbers relative to the initial
// ones, and options "mss N", "ws N", "sackok", "ts VAL:ECR", "sack A-B", "fo HEX", "foexp HEX",
// separated by commas. In what is wanted, ack is the last one wanted if left out,
// win is not looked at if left out, and the options must be those given and no
// others; only a timestamp need not be written where the connection uses them.
// The window is the header's field.

type script struct {
	t        *testing.T
	c        Conn
	cfg      *Config
	p        Params
	now      time.Duration
	out      []sent
	ack      uint32 // last acknowledgment wanted
	ev       wait.Events
	irs      uint32 // the peer's
	ts       bool   // the peer stamps its segments, with the script's time
	tsv      func() uint32
	wnd      uint16 // the peer's window field, where a segment gives none
	tape     trace.Tape
	audience uint32        // that listens last
	heard    []trace.Event // that no assertion has looked at
}

type sent struct {
	Segment
	at   time.Duration
	data []byte
}

const (
	scriptISS = 0xffff_fc00 // our numbers wrap after a kilobyte
	scriptIRS = 0xffff_f000
)

type scriptOption func(*script)

func noTS(s *script)   { s.cfg.Timestamps = false }
func noSACK(s *script) { s.cfg.SACK = false }
func noWS(s *script)   { s.cfg.WindowScaling = false }
func plain(s *script)  { noTS(s); noSACK(s); noWS(s) }

func newScript(t *testing.T, opts ...scriptOption) *script {
	t.Helper()
	s := &script{t: t, cfg: DefaultConfig(), now: 100 * time.Second, wnd: 65535, irs: scriptIRS}
	s.cfg.CC = "reno"
	s.cfg.MTUProbing = 0
	s.cfg.RMem[2] = 6 << 20 // the scripts' windows are scaled by 7
	for _, o := range opts {
		o(s)
	}
	s.p = Params{Config: s.cfg, ISS: scriptISS, MSS: 1460}
	s.c.Init(s.cfg)
	s.tsv = func() uint32 { return uint32(s.now / time.Millisecond) }
	t.Cleanup(func() {
		if !t.Failed() && len(s.out) > 0 {
			t.Errorf("left over at the end: %s", s.format(&s.out[0]))
		}
		s.c.Release()
	})
	return s
}

// pump collects what the core sends.
func (s *script) pump() {
	s.t.Helper()
	for i := 0; ; i++ {
		var g Segment
		if !s.c.Poll(s.now, &g) {
			break
		}
		if i > 10000 {
			s.t.Fatal("Poll does not end")
		}
		o := sent{Segment: g, at: s.now, data: g.Data.AppendTo(nil)}
		o.Data.Release()
		o.Data = packet.Vec{}
		s.out = append(s.out, o)
	}
	checkConn(s.t, &s.c, s.now)
	s.takeEvents()
}

// recv gives the core a segment and collects the answers.
func (s *script) recv(text string) {
	s.t.Helper()
	g, n := s.parse(text)
	if n > 0 {
		for at := 0; at < n; {
			k := min(n-at, packet.MaxBlock)
			b := packet.NewBlock(k)
			for i := range k {
				b.Bytes()[i] = streamByte(uint64(g.Seq-s.irs) + uint64(synLen(&g)+at+i))
			}
			g.Data.Append(b.View(0, k))
			at += k
		}
	}
	s.ev |= s.c.Segment(s.now, &g)
	s.pump()
}

// streamByte is the byte at a relative sequence number of any stream in the tests.
func streamByte(off uint64) byte { return byte(off*31>>4 ^ off) }

// synLen is 1 for a SYN: its data begins behind it.
func synLen(g *Segment) int {
	if g.Flags&wire.SYN != 0 {
		return 1
	}
	return 0
}

// parse reads a segment.
func (s *script) parse(text string) (g Segment, n int) {
	s.t.Helper()
	bad := func(why string) { s.t.Helper(); s.t.Fatalf("segment %q: %s", text, why) }
	opts := ""
	if i := strings.IndexByte(text, '<'); i >= 0 {
		j := strings.IndexByte(text, '>')
		opts, text = text[i+1:j], text[:i]+text[j+1:]
	}
	f := strings.Fields(text)
	if len(f) < 2 {
		bad("too short")
	}
	for _, r := range f[0] {
		i := strings.IndexRune("FSRP.UEW", r)
		if i < 0 {
			bad("flags")
		}
		g.Flags |= 1 << i
	}
	seq, length, _ := strings.Cut(f[1], "+")
	g.Seq = s.irs + s.number(seq)
	if length != "" {
		n = int(s.number(length))
	}
	g.Window = s.wnd
	if g.Flags&wire.RST != 0 {
		g.Window = 0
	}
	for i := 2; i < len(f); i++ {
		switch f[i] {
		case "ack":
			i++
			g.Ack = s.p.ISS + s.number(f[i])
		case "win":
			i++
			g.Window = uint16(s.number(f[i]))
		case "urg":
			i++
			g.Urgent = uint16(s.number(f[i]))
		case "gso":
			i++
			g.SegmentSize = uint16(s.number(f[i]))
		case "ce":
			g.CE = true
		case "ect":
			g.ECT = true
		default:
			bad("what is " + f[i])
		}
	}
	s.parseOptions(opts, &g)
	if s.ts && !g.Options.HasTimestamp && g.Flags&wire.RST == 0 {
		g.Options.HasTimestamp = true
		g.Options.TSVal, g.Options.TSEcr = s.tsv(), s.lastTS()
	}
	return g, n
}

// lastTS is the timestamp that the peer echoes: the newest it was sent.
func (s *script) lastTS() uint32 { return uint32(s.now/time.Millisecond) + s.p.TSOffset }

func (s *script) number(x string) uint32 {
	s.t.Helper()
	n, err := strconv.ParseInt(x, 0, 64)
	if err != nil {
		s.t.Fatalf("number %q", x)
	}
	return uint32(n)
}

func (s *script) parseOptions(text string, g *Segment) {
	s.t.Helper()
	o := &g.Options
	for _, x := range strings.Split(text, ",") {
		f := strings.Fields(x)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "mss":
			o.MSS = uint16(s.number(f[1]))
		case "ws":
			o.HasWScale, o.WScale = true, uint8(s.number(f[1]))
		case "sackok":
			o.SACKPermitted = true
		case "ts":
			v, e, _ := strings.Cut(f[1], ":")
			o.HasTimestamp, o.TSVal, o.TSEcr = true, s.number(v), s.number(e)
		case "nots":
		case "sack":
			l, r, _ := strings.Cut(f[1], "-")
			o.SACK[o.NSACK] = wire.SACKBlock{Left: s.p.ISS + s.number(l), Right: s.p.ISS + s.number(r)}
			o.NSACK++
		case "fo", "foexp":
			o.HasFastOpen, o.ExpFastOpen = true, f[0] == "foexp"
			if len(f) > 1 {
				c, err := hex.DecodeString(f[1])
				if err != nil {
					s.t.Fatal(err)
				}
				o.NCookie = uint8(copy(o.Cookie[:], c))
			}
		default:
			s.t.Fatalf("option %q", x)
		}
	}
}

// want asserts that the next segment is this one.
func (s *script) want(text string) {
	s.t.Helper()
	if len(s.out) == 0 {
		s.t.Fatalf("want %s\n got nothing", text)
	}
	got := s.out[0]
	s.out = s.out[1:]
	s.match(&got, text)
}

// rest asserts that these segments are left and no others. One that comes several times in a row is
// written "N * SEGMENT"; a run of data "FLAGS FROM..END/SIZE", in segments of SIZE bytes of which
// the last has FLAGS and the others none but ACK.
func (s *script) rest(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		n := 1
		if k, segment, ok := strings.Cut(text, " * "); ok {
			n, text = int(s.number(k)), segment
		}
		for range n {
			s.wantRun(text)
		}
	}
	s.wantIdle("nothing but the rest")
}

// wantRun is want for a segment or a run of data.
func (s *script) wantRun(text string) {
	s.t.Helper()
	flags, seq, _ := strings.Cut(text, " ")
	seq, more, _ := strings.Cut(seq, " ")
	span, size, ok := strings.Cut(seq, "/")
	if !ok {
		s.want(text)
		return
	}
	from, to, _ := strings.Cut(span, "..")
	at, end, step := int(s.number(from)), int(s.number(to)), int(s.number(size))
	for ; at < end; at += step {
		f := "."
		if at+step >= end {
			f = flags
		}
		s.want(fmt.Sprintf("%s %d+%d %s", f, at, min(step, end-at), more))
	}
}

// match compares a segment with what is wanted.
func (s *script) match(got *sent, text string) {
	s.t.Helper()
	irs := s.irs
	s.irs = s.p.ISS // our numbers on the left, the peer's on the right
	iss := s.p.ISS
	s.p.ISS = irs
	ts := s.ts
	s.ts = false
	w, n := s.parse(text)
	s.irs, s.p.ISS, s.ts = irs, iss, ts
	fail := func() {
		s.t.Helper()
		s.t.Fatalf("want %s\n got %s", text, s.format(got))
	}
	if strings.Contains(text, " ack ") {
		s.ack = w.Ack
	} else if w.Flags&wire.ACK != 0 {
		w.Ack = s.ack
	}
	if !strings.Contains(text, " win ") {
		w.Window = got.Window
	}
	if !w.Options.HasTimestamp && !strings.Contains(text, "nots") && w.Flags&wire.SYN == 0 && s.ts && got.Options.HasTimestamp {
		w.Options.HasTimestamp, w.Options.TSVal, w.Options.TSEcr = true, got.Options.TSVal, got.Options.TSEcr
	}
	g := got.Segment
	g.SrcPort, g.DstPort, g.Checksum = 0, 0, 0
	if w.TCP != g.TCP || n != len(got.data) || w.ECT != g.ECT || w.SegmentSize != g.SegmentSize {
		fail()
	}
	for i, b := range got.data {
		if b != streamByte(uint64(g.Seq-iss)+uint64(synLen(&g)+i)) {
			s.t.Fatalf("byte %d of %s is wrong", i, s.format(got))
		}
	}
}

// format is the notation of a segment that was sent.
func (s *script) format(g *sent) string {
	var b strings.Builder
	for i, r := range "FSRP.UEW" {
		if g.Flags&(1<<i) != 0 {
			b.WriteRune(r)
		}
	}
	fmt.Fprintf(&b, " %d", int32(g.Seq-s.p.ISS))
	if len(g.data) > 0 {
		fmt.Fprintf(&b, "+%d", len(g.data))
	}
	if g.Flags&wire.ACK != 0 {
		fmt.Fprintf(&b, " ack %d", int32(g.Ack-s.irs))
	}
	fmt.Fprintf(&b, " win %d", g.Window)
	if g.Urgent != 0 {
		fmt.Fprintf(&b, " urg %d", g.Urgent)
	}
	o := &g.Options
	var opts []string
	if o.MSS != 0 {
		opts = append(opts, fmt.Sprintf("mss %d", o.MSS))
	}
	if o.SACKPermitted {
		opts = append(opts, "sackok")
	}
	if o.HasTimestamp {
		opts = append(opts, fmt.Sprintf("ts %d:%d", o.TSVal, o.TSEcr))
	}
	if o.HasWScale {
		opts = append(opts, fmt.Sprintf("ws %d", o.WScale))
	}
	if o.HasFastOpen {
		form := "fo"
		if o.ExpFastOpen {
			form = "foexp"
		}
		opts = append(opts, fmt.Sprintf("%s %x", form, o.Cookie[:o.NCookie]))
	}
	for _, k := range o.SACK[:o.NSACK] {
		opts = append(opts, fmt.Sprintf("sack %d-%d", int32(k.Left-s.irs), int32(k.Right-s.irs)))
	}
	if len(opts) > 0 {
		fmt.Fprintf(&b, " <%s>", strings.Join(opts, ","))
	}
	if g.ECT {
		b.WriteString(" ect")
	}
	if g.SegmentSize != 0 {
		fmt.Fprintf(&b, " gso %d", g.SegmentSize)
	}
	return b.String()
}

// wantIdle asserts that nothing was sent.
func (s *script) wantIdle(reason string) {
	s.t.Helper()
	if len(s.out) > 0 {
		s.t.Fatalf("want silence: %s\n got %s", reason, s.format(&s.out[0]))
	}
}

// wantAfter asserts that nothing is sent for d, and then this at once.
func (s *script) wantAfter(d time.Duration, text string) {
	s.t.Helper()
	s.wantIdle("before the wait for " + text)
	end := s.now + d
	for len(s.out) == 0 {
		at := s.c.Deadline()
		if at > end {
			s.t.Fatalf("want %s after %v\n got nothing; the next deadline is in %v", text, d, at-end+d)
		}
		s.now = max(s.now, at)
		s.ev |= s.c.Expire(s.now)
		s.pump()
	}
	if s.now != end {
		s.t.Fatalf("want %s after %v\n got %s after %v", text, d, s.format(&s.out[0]), s.now-end+d)
	}
	s.want(text)
}

// sleep lets time pass.
func (s *script) sleep(d time.Duration) {
	s.t.Helper()
	end := s.now + d
	for s.c.Deadline() <= end {
		s.now = max(s.now, s.c.Deadline())
		s.ev |= s.c.Expire(s.now)
		s.pump()
	}
	s.now = end
}

// silent lets time pass, in which nothing may be sent.
func (s *script) silent(d time.Duration, reason string) {
	s.t.Helper()
	s.sleep(d)
	s.wantIdle(reason)
}

// write queues n bytes of the stream.
func (s *script) write(n int) {
	s.t.Helper()
	s.queue(n)
	s.pump()
}

// queue queues n bytes and does not pump.
func (s *script) queue(n int) {
	s.t.Helper()
	for n > 0 {
		k := min(n, packet.MaxBlock)
		b := packet.NewBlock(k)
		off := s.c.snd.q.End() - origin
		for i := range k {
			b.Bytes()[i] = streamByte(off + uint64(i))
		}
		if got := s.c.Write(s.now, b.View(0, k)); got != k {
			s.t.Fatalf("Write took %d of %d", got, k)
		}
		n -= k
	}
}

// read reads up to n bytes and compares them with the peer's stream.
func (s *script) read(max, want int) {
	s.t.Helper()
	off := s.c.rcv.q.Base() - origin
	if s.c.AtMark() && !s.c.opt.OOBInline {
		off++
	}
	n := 0
	for _, v := range s.c.Read(s.now, max, nil) {
		for _, b := range v.Bytes() {
			if b != streamByte(off+uint64(n)) {
				s.t.Fatalf("byte %d that was read is wrong", n)
			}
			n++
		}
		v.Release()
	}
	if n != want {
		s.t.Fatalf("read %d bytes, want %d", n, want)
	}
	s.pump()
}

// call runs a call of the program and collects what it sends.
func (s *script) call(f func(*Conn)) {
	s.t.Helper()
	f(&s.c)
	s.pump()
}

func (s *script) shutdown() { s.t.Helper(); s.call(func(c *Conn) { c.ShutdownWrite(s.now) }) }
func (s *script) close()    { s.t.Helper(); s.call(func(c *Conn) { c.Close(s.now) }) }

func (s *script) wantState(st State) {
	s.t.Helper()
	if s.c.State() != st {
		s.t.Fatalf("state %v, want %v", s.c.State(), st)
	}
}

func (s *script) wantErr(err syscall.Errno) {
	s.t.Helper()
	if e := s.c.TakeErr(); e != err && !(e == nil && err == 0) {
		s.t.Fatalf("error %v, want %v", e, err)
	}
}

func (s *script) wantReady(ev wait.Events) {
	s.t.Helper()
	if got := s.c.Ready(); got != ev {
		s.t.Fatalf("ready %v, want %v", events(got), events(ev))
	}
}

// wantEvents asserts what happened since the last time.
func (s *script) wantEvents(ev wait.Events) {
	s.t.Helper()
	if s.ev != ev {
		s.t.Fatalf("events %v, want %v", events(s.ev), events(ev))
	}
	s.ev = 0
}

func events(ev wait.Events) string {
	var n []string
	for _, x := range []struct {
		e wait.Events
		s string
	}{{wait.In, "In"}, {wait.Pri, "Pri"}, {wait.Out, "Out"}, {wait.Err, "Err"}, {wait.Hup, "Hup"}, {wait.RdHup, "RdHup"}} {
		if ev&x.e != 0 {
			n = append(n, x.s)
		}
	}
	return "{" + strings.Join(n, " ") + "}"
}

// synOpts are the options of the SYN that the core sends, in the notation.
func (s *script) synOpts(ecr uint32) string {
	var o []string
	o = append(o, fmt.Sprintf("mss %d", s.c.rcv.advMSS))
	if s.cfg.SACK {
		o = append(o, "sackok")
	}
	if s.cfg.Timestamps {
		o = append(o, fmt.Sprintf("ts %d:%d", s.lastTS(), ecr))
	}
	if s.cfg.WindowScaling {
		o = append(o, fmt.Sprintf("ws %d", s.c.rcv.wscale))
	}
	return "<" + strings.Join(o, ",") + ">"
}

// peerOpts are the options with which the peer answers: what the core uses, an MSS
// of 1460 and a window scale of 0.
func (s *script) peerOpts() string {
	o := []string{"mss 1460"}
	if s.cfg.SACK {
		o = append(o, "sackok")
	}
	if s.cfg.Timestamps {
		o = append(o, fmt.Sprintf("ts %d:%d", s.tsv(), s.lastTS()))
	}
	if s.cfg.WindowScaling {
		o = append(o, "ws 0")
	}
	return "<" + strings.Join(o, ",") + ">"
}

// connect opens the connection as a client. The handshake takes no time, so that
// there is no RTT beyond the clock's least.
func (s *script) connect() {
	s.t.Helper()
	s.connectIn(0)
}

// connectIn is connect with a round trip of d.
func (s *script) connectIn(d time.Duration) {
	s.t.Helper()
	s.c.Connect(s.now, &s.p)
	s.pump()
	s.want("S 0 " + s.synOpts(0))
	ts := s.lastTS()
	s.sleep(d)
	o := s.peerOpts()
	if s.cfg.Timestamps {
		o = strings.Replace(o, fmt.Sprintf(":%d", s.lastTS()), fmt.Sprintf(":%d", ts), 1)
	}
	s.recv("S. 0 ack 1 " + o)
	s.ts = s.cfg.Timestamps
	s.want(". 1 ack 1")
	s.wantState(Established)
	s.ev = 0
}

// accept opens the connection as a server.
func (s *script) accept() {
	s.t.Helper()
	g, _ := s.parse("S 0 " + strings.Replace(s.peerOpts(), fmt.Sprintf(":%d", s.lastTS()), ":0", 1))
	g.Ack = 0
	s.c.Accept(s.now, &s.p, &g)
	s.pump()
	s.want("S. 0 ack 1 " + s.synOpts(s.tsv()))
	s.ts = s.cfg.Timestamps
	s.recv(". 1 ack 1")
	s.wantState(Established)
	s.ev = 0
}

// leastRTO is the retransmission timeout after a handshake that took no time: the
// RTT counts as a microsecond.
const leastRTO = 200*time.Millisecond + time.Microsecond

func msec(n int) time.Duration { return time.Duration(n) * time.Millisecond }
func secs(n int) time.Duration { return time.Duration(n) * time.Second }

// queueRaw queues n bytes of anything.
func (s *script) queueRaw(n int) {
	b := packet.NewBlock(n)
	s.c.Write(s.now, b.View(0, n))
}
