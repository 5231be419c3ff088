package sctp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"usock/packet"
)

// pair is two cores back to back.
type pair struct {
	t     testing.TB
	now   time.Duration
	end   [2]pairEnd
	mtu   int
	carry func(from int, in *In) // what becomes of a packet that leaves; nil: it arrives at once
	out   Out
	quiet bool // nothing is checked
}

type pairEnd struct {
	e  Endpoint
	a  *Assoc
	in In
}

func testConfig(seed byte) *Config {
	rnd := rand.NewChaCha8([32]byte{seed})
	return &Config{Settings: *DefaultSettings(), Counters: new(Counters), Rand: func(b []byte) { rnd.Read(b) }}
}

// newPair makes the two ends, with n addresses each, not connected.
func newPair(t testing.TB, mtu, n int) *pair {
	p := &pair{t: t, now: time.Second, mtu: mtu}
	for i := range p.end {
		e := &p.end[i].e
		e.Config = testConfig(byte(i))
		e.Port, e.Listen = uint16(1000+i), i == 1
		e.Options, e.Buffers = e.Config.DefaultOptions(), e.Config.DefaultBuffers()
		for k := range n {
			e.Local = append(e.Local, pairAddr(i, k))
		}
	}
	return p
}

// pairAddr is the address of an end on network k.
func pairAddr(end, k int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(k), 0, byte(1 + end)}) }

// network is the network that an address is on.
func network(a netip.Addr) int { return int(a.As4()[1]) }

func (p *pair) connect() {
	p.end[0].a = new(Assoc)
	p.end[0].a.Connect(p.now, &p.end[0].e, &Params{
		Port: 1000, PeerPort: 1001, Peers: []netip.Addr{pairAddr(1, 0)}, Options: p.end[0].e.Options,
	})
	p.pump()
}

// pump carries packets until both decline.
func (p *pair) pump() {
	for more := true; more; {
		more = false
		for i := range p.end {
			a := p.end[i].a
			if a == nil {
				continue
			}
			for dst, ok := a.Unrouted(); ok; dst, ok = a.Unrouted() {
				a.SetRoute(dst, pairAddr(i, network(dst)), p.mtu)
			}
			for a.Poll(p.now, &p.out) {
				more = true
				p.send(i, &p.out)
			}
			if !p.quiet {
				checkAssoc(p.t, a, p.now)
			}
		}
	}
}

// send brings a packet of end i on its way.
func (p *pair) send(i int, o *Out) {
	in := &p.end[1-i].in
	*in = In{Src: o.Src, Dst: o.Dst, SCTP: o.SCTP, Head: o.Head(), Body: o.Body, ZeroSum: o.ZeroSum}
	if p.carry != nil {
		p.carry(i, in)
		return
	}
	p.arrive(1-i, in)
}

// arrive gives end i a packet.
func (p *pair) arrive(i int, in *In) {
	end := &p.end[i]
	if end.a != nil && end.a.State() != Closed {
		end.a.Packet(p.now, in)
		return
	}
	var o Out
	a, send := end.e.Answer(p.now, in, &o)
	if a != nil {
		if end.a != nil {
			end.a.Release()
		}
		end.a = a
	}
	if send {
		p.send(i, &o)
	}
}

// deadline is when something happens next.
func (p *pair) deadline() time.Duration {
	d := never
	for i := range p.end {
		if a := p.end[i].a; a != nil {
			d = min(d, a.Deadline())
		}
	}
	return d
}

// step advances to the next deadline and pumps.
func (p *pair) step() bool {
	d := p.deadline()
	if d == never {
		return false
	}
	p.now = max(p.now, d)
	for i := range p.end {
		if a := p.end[i].a; a != nil && a.Deadline() <= p.now {
			a.Expire(p.now)
		}
	}
	p.pump()
	return true
}

// views cuts bytes into blocks.
func views(b []byte) (v []packet.View) {
	for len(b) > 0 {
		n := min(len(b), packet.MaxBlock)
		v = append(v, packet.Copy(b[:n]))
		b = b[n:]
	}
	return v
}

// readAll reads the messages that are whole.
func readAll(a *Assoc, now time.Duration) (out [][]byte) {
	var m []byte
	for {
		v, r, ok := a.Recv(now, 1<<30, nil)
		if !ok {
			return out
		}
		for _, x := range v {
			m = append(m, x.Bytes()...)
			x.Release()
		}
		if r.EOR {
			out = append(out, m)
			m = nil
		}
	}
}

func TestPairLossless(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	for _, mtu := range []int{1280, 1500, 9000, 65535} {
		p := newPair(t, mtu, 1)
		p.connect()
		a, b := p.end[0].a, p.end[1].a
		if b == nil || a.State() != Established || b.State() != Established {
			t.Fatal("not connected")
		}
		sent, got := 0, 0
		for got < 300 {
			for sent < 300 {
				m := bytes.Repeat([]byte{byte(sent)}, 1+sent*sent%70000)
				v := views(m)
				if _, err := a.Send(p.now, &SendInfo{Stream: uint16(sent % 3)}, v); err != 0 {
					packet.ReleaseAll(v)
					break
				}
				sent++
			}
			p.pump()
			n := got
			for _, m := range readAll(b, p.now) {
				if !bytes.Equal(m, bytes.Repeat([]byte{byte(got)}, 1+got*got%70000)) {
					t.Fatalf("message %d of %d bytes differs", got, len(m))
				}
				got++
			}
			p.pump()
			if got == n && !p.step() {
				t.Fatalf("stuck at %d of %d", got, sent)
			}
		}
		a.Shutdown(p.now)
		p.pump()
		for a.State() != Closed && p.step() {
		}
		if a.State() != Closed || b.State() != Closed {
			t.Fatalf("states %v %v", a.State(), b.State())
		}
		a.Release()
		b.Release()
	}
	if n := packet.Live() - before; n != 0 {
		t.Fatalf("%d blocks leak", n)
	}
}

func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name      string
		mtu, size int
	}{{"64K", 65535, 64 << 10}, {"1500", 1500, 64 << 10}, {"small", 65535, 100}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPair(b, c.mtu, 1)
			p.quiet = true
			p.connect()
			src := make([]byte, c.size)
			x, y := p.end[0].a, p.end[1].a
			buf := make([]packet.View, 0, 64)
			one := make([]packet.View, 1)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				for x.SendSpace() < c.size {
					p.now += time.Microsecond
					p.pump()
					for {
						v, _, ok := y.Recv(p.now, 1<<30, buf[:0])
						if !ok {
							break
						}
						packet.ReleaseAll(v)
					}
					p.pump()
				}
				one[0] = packet.NewBlock(len(src)).View(0, len(src))
				if _, err := x.Send(p.now, &SendInfo{}, one); err != 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
