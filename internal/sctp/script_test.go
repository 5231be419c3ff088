package sctp

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// Packet scripts: one core in manual time, and the test as its peer.
//
//	tc := newScript(t)
//	tc.connect()                                // handshake, as a client
//	tc.send(100)                                // the program sends a message of 100 bytes
//	tc.want("DATA 1 BE 0:0 100")                // the next packet, exactly
//	tc.recv("SACK 1; DATA 1 BE 0:0 50")         // the peer sends
//	tc.wantAfter(ms(200), "SACK 1")             // silence until then, to the microsecond
//	tc.wantIdle("everything is acknowledged")   // and nothing else comes
//
// A packet is written
//
//	[@ADDR] [tag=N] [udp=PORT] [zero] CHUNK; CHUNK ...
//
// with zero for one without checksum,
// where ADDR is one of the peer's addresses A, B, C (A if left out), and the tag is the right one if left
// out; tag=own is that of packets in the other direction. Chunks are
//
//	DATA TSN FLAGS STREAM:SSN LENGTH [ppid=N]    flags: B E U I, - for none
//	SACK CUM [gap=2-3,5-5] [dup=1,2] [rwnd=N]
//	INIT, INIT-ACK [tag=N] [rwnd=N] [os=N] [is=N] [tsn=N] [addr=B,C] [param=TYPE:HEX] ...
//	COOKIE-ECHO [HEX], COOKIE-ACK, HEARTBEAT [HEX], HEARTBEAT-ACK [HEX]
//	SHUTDOWN CUM, SHUTDOWN-ACK, SHUTDOWN-COMPLETE [T]
//	ABORT [T] [cause=N[:HEX]] ..., ERROR cause=N[:HEX] ...
//	FORWARD-TSN CUM [streams=STREAM:SSN,...]
//	I-DATA TSN FLAGS STREAM:MID:FSN LENGTH
//	RE-CONFIG [out=SEQ,RESP,LAST[,STREAM...]] [in=SEQ[,STREAM...]] [tsn=SEQ] [addout=SEQ,N] [addin=SEQ,N]
//	          [resp=SEQ,RESULT[,OWN,NEXT]]       OWN and NEXT are absolute
//	0xNN [HEX]                                   any chunk
//
// TSNs are relative: each side's first is 1. A COOKIE-ECHO without bytes has the cookie that came last, a
// HEARTBEAT-ACK without bytes what the last HEARTBEAT had. In what is wanted, what stands in brackets is
// not looked at if left out, but for gap, dup, T and causes, which are none then.

type script struct {
	t    testing.TB
	cfg  *Config
	e    Endpoint
	o    *Options
	a    *Assoc
	now  time.Duration
	out  []sentPacket
	ev   wait.Events
	rnd  *rand.ChaCha8
	mtu  int
	peer peerState
}

// peerState is what the test, as the peer, has told and heard.
type peerState struct {
	tag, tsn  uint32 // its own
	coreTag   uint32 // the core's
	coreTSN   uint32
	cookie    []byte // that came last
	heartbeat []byte // value of the HEARTBEAT that came last
	addrs     string // of "BC": those named in INIT

	heartbeats map[string][]byte // by the address that they went to
	params     []string          // of each INIT and INIT ACK, besides those written
}

type sentPacket struct {
	Out
	at     time.Duration
	chunks []wire.Chunk
}

const (
	scriptPort = 5000
	peerPort   = 6000
)

// addresses of the peer, and of this end on the same networks.
var scriptAddrs = map[string][2]netip.Addr{
	"A": {netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")},
	"B": {netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.1")},
	"C": {netip.MustParseAddr("10.2.0.2"), netip.MustParseAddr("10.2.0.1")},
	"Z": {netip.MustParseAddr("10.9.0.9"), netip.MustParseAddr("10.0.0.1")}, // a stranger
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

type scriptOption func(*script)

// newScript makes a core and asserts at the end that nothing is left over.
func newScript(t *testing.T, opts ...scriptOption) *script {
	t.Helper()
	s := makeScript(t, opts...)
	t.Cleanup(func() {
		if !t.Failed() && len(s.out) > 0 {
			t.Errorf("left over at the end: %s", s.format(&s.out[0]))
		}
		if s.a != nil {
			s.a.Release()
		}
	})
	return s
}

func makeScript(t testing.TB, opts ...scriptOption) *script {
	t.Helper()
	s := &script{t: t, now: 100 * time.Second, mtu: 1500, rnd: rand.NewChaCha8([32]byte{1})}
	s.cfg = &Config{Settings: *DefaultSettings(), Counters: new(Counters), Rand: func(b []byte) { s.rnd.Read(b) }}
	s.cfg.RTOInitial = time.Second
	s.e = Endpoint{Config: s.cfg, Port: scriptPort, Local: []netip.Addr{scriptAddrs["A"][1]}, Listen: true}
	s.e.Options, s.e.Buffers = s.cfg.DefaultOptions(), s.cfg.DefaultBuffers()
	s.o = s.e.Options
	s.o.Path.NoHB = true
	s.o.NoDelay = true
	s.o.Events = (^EventMask(0)).With(EventAuth, false)                                    // that the peer has no AUTH is told each time
	s.peer = peerState{tag: 0x77000001, tsn: 0xffff_fffe, heartbeats: map[string][]byte{}} // its numbers wrap soon
	for _, o := range opts {
		o(s)
	}
	return s
}

// multihomed gives both ends the networks of the letters.
func multihomed(letters string) scriptOption {
	return func(s *script) {
		s.e.Local = nil
		for _, l := range letters {
			s.e.Local = append(s.e.Local, scriptAddrs[string(l)][1])
		}
		s.peer.addrs = letters
	}
}

// pump collects what the core sends.
func (s *script) pump() {
	s.t.Helper()
	if s.a == nil {
		return
	}
	for dst, ok := s.a.Unrouted(); ok; dst, ok = s.a.Unrouted() {
		src := netip.Addr{}
		for _, x := range scriptAddrs {
			if x[0] == dst {
				src = x[1]
			}
		}
		s.a.SetRoute(dst, src, s.mtu)
	}
	for i := 0; ; i++ {
		var o Out
		if !s.a.Poll(s.now, &o) {
			break
		}
		if i > 10000 {
			s.t.Fatal("Poll does not end")
		}
		s.sent(&o)
	}
	checkAssoc(s.t, s.a, s.now)
}

// sent takes a packet that leaves.
func (s *script) sent(o *Out) {
	s.t.Helper()
	p := sentPacket{Out: *o, at: s.now}
	p.Body = packet.Vec{}
	b := o.Body.AppendTo(append([]byte(nil), o.Head()...))
	if len(b)%4 != 0 || len(b) == 0 {
		s.t.Fatalf("a packet of %d bytes", len(b))
	}
	o.Body.Release()
	for len(b) > 0 {
		c, rest, err := wire.ParseChunk(b)
		if err != nil {
			s.t.Fatalf("malformed packet: %x", b)
		}
		p.chunks = append(p.chunks, c)
		b = rest
		switch c.Type {
		case wire.ChunkInit, wire.ChunkInitAck:
			i, err := wire.ParseInit(c.Value)
			if err != nil {
				s.t.Fatal("malformed INIT")
			}
			s.peer.coreTag, s.peer.coreTSN = i.Tag, i.TSN
			for q := i.Params; len(q) > 0; {
				var x wire.TLV
				x, q, _ = wire.ParseTLV(q)
				if x.Type == wire.ParamStateCookie {
					s.peer.cookie = x.Value
				}
			}
		case wire.ChunkHeartbeat:
			s.peer.heartbeat = c.Value
			for l, x := range scriptAddrs {
				if x[0] == o.Dst {
					s.peer.heartbeats[l] = c.Value
				}
			}
		}
	}
	s.out = append(s.out, p)
}

// recv gives the core a packet and collects the answers.
func (s *script) recv(text string) {
	s.t.Helper()
	in := s.packet(text)
	if s.a != nil {
		s.ev |= s.a.Packet(s.now, in)
	} else {
		var o Out
		a, send := s.e.Answer(s.now, in, &o)
		if send {
			s.sent(&o)
		}
		s.a = a
	}
	s.pump()
}

// packet makes a packet of its text.
func (s *script) packet(text string) *In {
	s.t.Helper()
	in := &In{Src: scriptAddrs["A"][0], Dst: scriptAddrs["A"][1]}
	in.SrcPort, in.DstPort, in.VTag = peerPort, scriptPort, s.peer.coreTag
	var b []byte
	text = s.envelope(text, func(letter string) { in.Src, in.Dst = scriptAddrs[letter][0], scriptAddrs[letter][1] },
		func(tag string) {
			in.VTag = s.peer.tag
			if tag != "own" {
				in.VTag = s.number(tag)
			}
		}, func(port string) { in.Encap = uint16(s.number(port)) }, func(string) { in.ZeroSum = true })
	if strings.HasPrefix(text, "INIT ") || text == "INIT" {
		in.VTag = 0
	}
	for _, x := range strings.Split(text, ";") {
		b = s.chunk(strings.TrimSpace(x), b)
	}
	in.Body.Append(packet.Copy(b))
	return in
}

// envelope reads what stands before the chunks.
func (s *script) envelope(text string, addr, tag, udp, zero func(string)) string {
	for {
		word, rest, _ := strings.Cut(text, " ")
		switch {
		case strings.HasPrefix(word, "@"):
			addr(word[1:])
		case strings.HasPrefix(word, "tag="):
			tag(word[4:])
		case strings.HasPrefix(word, "udp="):
			udp(word[4:])
		case word == "zero":
			zero("")
		default:
			return text
		}
		text = rest
	}
}

func (s *script) number(x string) uint32 {
	s.t.Helper()
	n, err := strconv.ParseInt(x, 0, 64)
	if err != nil {
		s.t.Fatalf("number %q", x)
	}
	return uint32(n)
}

func (s *script) hex(x string) []byte {
	s.t.Helper()
	b, err := hex.DecodeString(x)
	if err != nil {
		s.t.Fatalf("bytes %q", x)
	}
	return b
}

var chunkTypes = func() map[string]wire.ChunkType {
	m := map[string]wire.ChunkType{}
	for i := range 256 {
		if n := wire.ChunkType(i).String(); !strings.HasPrefix(n, "chunk") {
			m[n] = wire.ChunkType(i)
		}
	}
	return m
}()

// fields splits a chunk's text into its name, the words by position and those with a name.
func fields(text string) (name string, words []string, named map[string][]string) {
	f := strings.Fields(text)
	named = map[string][]string{}
	for _, x := range f[1:] {
		if k, v, ok := strings.Cut(x, "="); ok {
			named[k] = append(named[k], v)
		} else {
			words = append(words, x)
		}
	}
	return f[0], words, named
}

// chunk writes a chunk of the peer's behind b.
func (s *script) chunk(text string, b []byte) []byte {
	s.t.Helper()
	name, w, k := fields(text)
	one := func(key string, otherwise uint32) uint32 {
		if v := k[key]; v != nil {
			return s.number(v[0])
		}
		return otherwise
	}
	c := wire.Chunk{Type: chunkTypes[name]}
	if strings.HasPrefix(name, "0x") {
		c.Type = wire.ChunkType(s.number(name))
	} else if _, ok := chunkTypes[name]; !ok {
		s.t.Fatalf("chunk %q", text)
	}
	if len(w) > 0 && w[0] == "T" {
		c.Flags = wire.FlagT
	}
	typ := c.Type
	if strings.HasPrefix(name, "0x") {
		typ = 0xff // as it is written
	}
	switch typ {
	case wire.ChunkData:
		return s.dataChunk(b, w, k)
	case wire.ChunkSack:
		var gaps []wire.GapBlock
		var dups []uint32
		for _, g := range list(k["gap"]) {
			l, r, _ := strings.Cut(g, "-")
			gaps = append(gaps, wire.GapBlock{Start: uint16(s.number(l)), End: uint16(s.number(r))})
		}
		for _, d := range list(k["dup"]) {
			dups = append(dups, s.peer.coreTSN-1+s.number(d))
		}
		return wire.AppendSack(b, s.peer.coreTSN-1+s.number(w[0]), one("rwnd", 100000), gaps, dups)
	case wire.ChunkInit, wire.ChunkInitAck:
		return s.initChunk(b, c.Type, k, one)
	case wire.ChunkShutdown:
		return wire.AppendTSN(b, c.Type, s.peer.coreTSN-1+s.number(w[0]))
	case wire.ChunkIData:
		return s.idataChunk(b, w)
	case wire.ChunkForwardTSN:
		var skipped []wire.Skipped
		for _, x := range list(k["streams"]) {
			n, ssn, _ := strings.Cut(x, ":")
			skipped = append(skipped, wire.Skipped{Stream: uint16(s.number(n)), MID: s.number(ssn)})
		}
		return wire.AppendForwardTSN(b, false, s.peer.tsn-1+s.number(w[0]), skipped)
	case wire.ChunkReConfig:
		c.Value = s.reconfValue(k)
	case wire.ChunkAbort, wire.ChunkError:
		for _, x := range k["cause"] {
			n, v, _ := strings.Cut(x, ":")
			c.Value = appendCause(c.Value, uint16(s.number(n)), s.hex(v))
		}
	case wire.ChunkCookieEcho:
		c.Value = s.peer.cookie
	case wire.ChunkHeartbeatAck:
		c.Value = s.peer.heartbeat
	case wire.ChunkHeartbeat:
		c.Value = (&wire.TLV{Type: wire.ParamHeartbeatInfo, Value: []byte("info")}).Append(nil)
	}
	if len(w) > 0 && w[0] != "T" {
		c.Value = s.hex(w[0])
	}
	return c.Append(b)
}

func list(v []string) []string {
	if len(v) == 0 || v[0] == "" {
		return nil
	}
	return strings.Split(v[0], ",")
}

func (s *script) initChunk(b []byte, t wire.ChunkType, k map[string][]string, one func(string, uint32) uint32) []byte {
	i := wire.Init{
		Tag: one("tag", s.peer.tag), ARwnd: one("rwnd", 100000),
		OutStreams: uint16(one("os", 10)), InStreams: uint16(one("is", 10)), TSN: one("tsn", s.peer.tsn),
	}
	if k["tag"] != nil {
		s.peer.tag = i.Tag
	}
	if k["tsn"] != nil {
		s.peer.tsn = i.TSN
	}
	if t == wire.ChunkInitAck && k["nocookie"] == nil {
		i.Params = (&wire.TLV{Type: wire.ParamStateCookie, Value: []byte("cookie")}).Append(i.Params)
	}
	addrs := list(k["addr"])
	if k["addr"] == nil {
		addrs = strings.Split(s.peer.addrs, "")
	}
	for _, l := range addrs {
		i.Params = wire.AppendAddr(i.Params, scriptAddrs[l][0])
	}
	for _, x := range append(k["param"], s.peer.params...) {
		n, v, _ := strings.Cut(x, ":")
		i.Params = (&wire.TLV{Type: uint16(s.number(n)), Value: s.hex(v)}).Append(i.Params)
	}
	return i.Append(b, t)
}

func (s *script) idataChunk(b []byte, w []string) []byte {
	s.t.Helper()
	place := strings.Split(w[2], ":")
	d := wire.IData{
		Flags: flagsOf(w[1]), TSN: s.peer.tsn - 1 + s.number(w[0]),
		Stream: uint16(s.number(place[0])), MID: s.number(place[1]), FSN: s.number(place[2]),
	}
	n := int(s.number(w[3]))
	at := len(b)
	b = append(b, make([]byte, wire.IDataLen+wire.Pad4(n))...)
	d.Put(b[at:], n)
	return b
}

// flagsOf reads the flags of DATA and I-DATA.
func flagsOf(text string) (flags uint8) {
	for _, f := range dataFlags {
		if strings.Contains(text, f.letter) {
			flags |= f.bit
		}
	}
	return flags
}

var dataFlags = []struct {
	letter string
	bit    uint8
}{{"B", wire.DataB}, {"E", wire.DataE}, {"U", wire.DataU}, {"I", wire.DataI}}

func (s *script) dataChunk(b []byte, w []string, k map[string][]string) []byte {
	s.t.Helper()
	if len(w) != 4 {
		s.t.Fatalf("DATA %v", w)
	}
	d := wire.Data{Flags: flagsOf(w[1]), TSN: s.peer.tsn - 1 + s.number(w[0])}
	st, ssn, _ := strings.Cut(w[2], ":")
	d.Stream, d.SSN = uint16(s.number(st)), uint16(s.number(ssn))
	if v := k["ppid"]; v != nil {
		d.PPID = s.number(v[0])
	}
	n := int(s.number(w[3]))
	at := len(b)
	b = append(b, make([]byte, wire.DataLen+wire.Pad4(n))...)
	d.Put(b[at:], n)
	for i := range n {
		b[at+wire.DataLen+i] = byte(d.TSN) + byte(i)
	}
	return b
}

// want asserts that the next packet is this one.
func (s *script) want(text string) {
	s.t.Helper()
	if len(s.out) == 0 {
		s.t.Fatalf("want %s\n got nothing", text)
	}
	got := s.out[0]
	s.out = s.out[1:]
	g := s.format(&got)
	gotHead, wantHead := "", ""
	collect := func(to *string, mark string) func(string) { return func(x string) { *to += mark + x + " " } }
	gb := s.envelope(g, collect(&gotHead, "@"), collect(&gotHead, "tag="), collect(&gotHead, "udp="), collect(&gotHead, "zero"))
	wb := s.envelope(text, collect(&wantHead, "@"), collect(&wantHead, "tag="), collect(&wantHead, "udp="), collect(&wantHead, "zero"))
	gc, wc := strings.Split(gb, "; "), strings.Split(wb, "; ")
	ok := strings.TrimPrefix(wantHead, "@A ") == gotHead && len(gc) == len(wc)
	for i := 0; ok && i < len(gc); i++ {
		ok = matches(gc[i], wc[i])
	}
	if !ok {
		s.t.Fatalf("want %s\n got %s", text, g)
	}
}

// wantIdle asserts that nothing more has left.
func (s *script) wantIdle(why string) {
	s.t.Helper()
	if len(s.out) > 0 {
		s.t.Fatalf("want nothing: %s\n got %s", why, s.format(&s.out[0]))
	}
}

// advance lets time pass.
func (s *script) advance(d time.Duration) {
	s.t.Helper()
	end := s.now + d
	for i := 0; s.a != nil && s.a.Deadline() <= end; i++ {
		if i > 10000 {
			s.t.Fatalf("the deadline stays at %v", s.a.Deadline())
		}
		s.now = max(s.now, s.a.Deadline())
		s.ev |= s.a.Expire(s.now)
		s.pump()
	}
	s.now = end
}

// wantAfter asserts silence for d less a microsecond, and then this packet.
func (s *script) wantAfter(d time.Duration, text string) {
	s.t.Helper()
	s.wantIdle("it is too early")
	s.advance(d - time.Microsecond)
	s.wantIdle("it is too early")
	s.advance(time.Microsecond)
	s.want(text)
}

// wantState asserts the state.
func (s *script) wantState(st State) {
	s.t.Helper()
	if s.a == nil || s.a.State() != st {
		s.t.Fatalf("want state %v, got %v", st, s.a.State())
	}
}

// wantError asserts the pending error.
func (s *script) wantError(err syscall.Errno) {
	s.t.Helper()
	if got := s.a.TakeError(); got != err {
		s.t.Fatalf("want error %v, got %v", err, got)
	}
}

// send sends a message of n bytes on stream 0.
func (s *script) send(n int) {
	s.t.Helper()
	s.sendInfo(n, &SendInfo{})
}

func (s *script) sendInfo(n int, info *SendInfo) {
	s.t.Helper()
	if err := s.trySend(n, info); err != 0 {
		s.t.Fatal(err)
	}
}

func (s *script) trySend(n int, info *SendInfo) syscall.Errno {
	s.t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31)
	}
	var v []packet.View
	for len(b) > 0 {
		k := min(len(b), packet.MaxBlock)
		v = append(v, packet.Copy(b[:k]))
		b = b[k:]
	}
	ev, err := s.a.Send(s.now, info, v)
	if err != 0 {
		packet.ReleaseAll(v)
	}
	s.ev |= ev
	s.pump()
	return err
}

// wantRead asserts what Recv gives, up to n bytes: "STREAM:SSN LENGTH [U] [eor]", the text of a notification, or "nothing".
func (s *script) wantRead(n int, text string) {
	s.t.Helper()
	v, r, ok := s.a.Recv(s.now, n, nil)
	got := "nothing"
	switch {
	case ok && r.Notification != nil:
		got = noteText(r.Notification)
	case ok:
		k := 0
		for _, x := range v {
			k += x.Len()
		}
		packet.ReleaseAll(v)
		got = fmt.Sprintf("%d:%d %d", r.Stream, r.SSN, k)
		if r.Unordered {
			got += " U"
		}
		if r.EOR {
			got += " eor"
		}
	}
	if got != text {
		s.t.Fatalf("want %s\n got %s", text, got)
	}
	s.pump()
}

// wantNote asserts that this notification comes next.
func (s *script) wantNote(text string) {
	s.t.Helper()
	s.wantRead(1<<20, text)
}

// open begins the association, as a client.
func (s *script) open() {
	s.t.Helper()
	s.a = new(Assoc)
	p := Params{Port: scriptPort, PeerPort: peerPort, Peers: []netip.Addr{scriptAddrs["A"][0]}, Options: s.o}
	s.ev |= s.a.Connect(s.now, &s.e, &p)
	s.pump()
}

// connect goes through the handshake, as a client.
func (s *script) connect() {
	s.t.Helper()
	s.open()
	s.want("INIT")
	s.recv("INIT-ACK")
	s.want("COOKIE-ECHO")
	s.recv("COOKIE-ACK")
	s.wantState(Established)
	s.wantNote(fmt.Sprintf("COMM-UP %d/%d", s.a.out, s.a.in))
}

// accept goes through the handshake, as a server.
func (s *script) accept() {
	s.t.Helper()
	s.recv("INIT")
	s.want("INIT-ACK")
	if s.a != nil {
		s.t.Fatal("state was kept for an INIT")
	}
	s.recv("COOKIE-ECHO")
	s.want("COOKIE-ACK")
	s.wantState(Established)
	s.wantNote(fmt.Sprintf("COMM-UP %d/%d", s.a.out, s.a.in))
}

// confirm answers the heartbeats to the addresses that are not confirmed yet.
func (s *script) confirm(letters string) {
	s.t.Helper()
	for _, l := range letters {
		s.want("@" + string(l) + " HEARTBEAT")
		s.recv("@" + string(l) + " HEARTBEAT-ACK " + hex.EncodeToString(s.heartbeatTo(string(l))))
		s.wantNote(string(l) + " confirmed")
	}
}

// heartbeatTo is what the HEARTBEAT that was last sent to an address holds.
func (s *script) heartbeatTo(letter string) []byte { return s.peer.heartbeats[letter] }

// rest asserts that these packets are left and no others.
func (s *script) rest(texts ...string) {
	s.t.Helper()
	for _, x := range texts {
		s.want(x)
	}
	s.wantIdle("nothing but the rest")
}

func itoa(n uint32) string  { return strconv.Itoa(int(n)) }
func hexOf(b []byte) string { return hex.EncodeToString(b) }

// noPF are an association's path options without quick failover (RFC 7829).
func noPF(a *Assoc) *PathOptions {
	o := a.opt.Path
	o.PFRetrans = o.MaxRetrans
	return &o
}
