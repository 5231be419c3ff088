package tcp

import (
	"bytes"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// pair is two cores back to back on a perfect link.
type pair struct {
	t    testing.TB
	now  time.Duration
	a, b Conn
	cfg  *Config
	log  func(dir string, s *Segment)
	drop func(dir string, s *Segment) bool
	seg  Segment
}

func params(cfg *Config, iss uint32, mss, seg int) *Params {
	return &Params{Config: cfg, ISS: iss, TSOffset: iss * 7, MSS: mss, MaxSegment: seg}
}

func newPair(t testing.TB, mss, seg int) *pair {
	p := &pair{t: t, cfg: DefaultConfig(), now: time.Second}
	p.a.Init(p.cfg)
	p.b.Init(p.cfg)
	p.a.Connect(p.now, params(p.cfg, 0xffff_f000, mss, seg))
	var s Segment
	if !p.a.Poll(p.now, &s) {
		t.Fatal("no SYN")
	}
	p.b.Accept(p.now, params(p.cfg, 0x7fff_ff00, mss, seg), &s)
	p.pump()
	return p
}

// pump carries segments until both decline.
func (p *pair) pump() {
	s := &p.seg
	for more := true; more; {
		more = false
		for p.a.Poll(p.now, s) {
			more = true
			p.carry("a>b", &p.b, s)
		}
		for p.b.Poll(p.now, s) {
			more = true
			p.carry("b>a", &p.a, s)
		}
	}
}

func (p *pair) carry(dir string, to *Conn, s *Segment) {
	if p.log != nil {
		p.log(dir, s)
	}
	if p.drop != nil && p.drop(dir, s) {
		s.Data.Release()
		return
	}
	to.Segment(p.now, s)
}

// step advances to the next deadline and pumps.
func (p *pair) step() bool {
	d := min(p.a.Deadline(), p.b.Deadline())
	if d == never {
		return false
	}
	p.now = max(p.now, d)
	if p.a.Deadline() <= p.now {
		p.a.Expire(p.now)
	}
	if p.b.Deadline() <= p.now {
		p.b.Expire(p.now)
	}
	p.pump()
	return true
}

func readAll(c *Conn, now time.Duration) []byte {
	var out []byte
	for _, v := range c.Read(now, 1<<30, nil) {
		out = append(out, v.Bytes()...)
		v.Release()
	}
	return out
}

func TestPairLossless(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	for _, c := range []struct{ mss, seg int }{{65483, 0}, {1460, 0}, {1460, 65160}, {536, 0}} {
		p := newPair(t, c.mss, c.seg)
		if p.a.State() != Established || p.b.State() != Established {
			t.Fatalf("states %v %v", p.a.State(), p.b.State())
		}
		want := make([]byte, 4<<20)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		var got []byte
		rest := want
		for len(got) < len(want) {
			for len(rest) > 0 && p.a.SendSpace() > 0 {
				n := min(len(rest), 64<<10, p.a.SendSpace())
				p.a.Write(p.now, packet.Copy(rest[:n]))
				rest = rest[n:]
			}
			n := len(got)
			p.pump()
			got = append(got, readAll(&p.b, p.now)...)
			p.pump()
			if len(got) == n && !p.step() {
				t.Fatalf("stuck at %d of %d", len(got), len(want))
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatal("bytes differ")
		}
		p.a.Close(p.now)
		p.pump()
		if !p.b.EOF() {
			t.Fatal("no EOF")
		}
		p.b.Close(p.now)
		p.pump()
		if p.a.State() != TimeWait || p.b.State() != Closed {
			t.Fatalf("states %v %v", p.a.State(), p.b.State())
		}
		p.a.Release()
		p.b.Release()
		t.Logf("mss %d seg %d: out %d retrans %d", c.mss, c.seg, p.a.stats.segsOut, p.a.stats.retransSegs)
	}
	if n := packet.Live() - before; n != 0 {
		t.Fatalf("%d blocks leak", n)
	}
}

func TestPairLossy(t *testing.T) {
	p := newPair(t, 1460, 0)
	k := 0
	p.drop = func(dir string, s *Segment) bool { k++; return k%13 == 0 }
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	var got []byte
	rest := want
	closed := false
	for i := 0; i < 100000 && p.b.State() != Closed; i++ {
		for len(rest) > 0 && p.a.SendSpace() > 0 {
			n := min(len(rest), 64<<10, p.a.SendSpace())
			p.a.Write(p.now, packet.Copy(rest[:n]))
			rest = rest[n:]
		}
		if len(rest) == 0 && !closed {
			closed = true
			p.a.Close(p.now)
		}
		n := len(got)
		p.pump()
		got = append(got, readAll(&p.b, p.now)...)
		p.pump()
		if p.b.EOF() && p.b.State() == CloseWait {
			p.b.Close(p.now)
			p.pump()
		}
		if len(got) == n && !p.step() {
			break
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d of %d bytes", len(got), len(want))
	}
	t.Logf("states %v %v at %v retrans %d rto %d", p.a.State(), p.b.State(), p.now, p.a.stats.retransSegs, p.a.stats.totalRTO)
}

func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name     string
		mss, seg int
	}{{"64K", 65483, 0}, {"1460", 1460, 0}, {"1460gso", 1460, 65160}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPair(b, c.mss, c.seg)
			src := make([]byte, 64<<10)
			views := make([]packet.View, 0, 256)
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				for p.a.SendSpace() == 0 {
					p.now += time.Microsecond
					p.pump()
					views = p.b.Read(p.now, 1<<30, views[:0])
					for _, v := range views {
						v.Release()
					}
					p.pump()
				}
				blk := packet.NewBlock(len(src))
				p.a.Write(p.now, blk.View(0, len(src)))
				p.now += 10 * time.Microsecond
				if i%4 == 3 {
					p.pump()
					views = p.b.Read(p.now, 1<<30, views[:0])
					for _, v := range views {
						v.Release()
					}
				}
			}
		})
	}
}

var _ = wire.SYN
