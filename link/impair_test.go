package link

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// impaired is one direction under test: what is sent into l arrives in got.
type impaired struct {
	t     *testing.T
	l     *Impaired
	start time.Time
	mu    sync.Mutex
	got   []arrival
}

type arrival struct {
	at   time.Duration
	data []byte
}

// impair joins an impaired end of a pipe with an end that records.
func impair(t *testing.T, m Impairment, seed uint64) *impaired {
	t.Helper()
	a, b := Pipe(PipeConfig{})
	l, err := Impair(a, ImpairConfig{Out: m, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	x := &impaired{t: t, l: l, start: time.Now()}
	b.Deliver(func(batch []*Packet) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, p := range batch {
			x.got = append(x.got, arrival{time.Since(x.start), p.AppendTo(nil)})
			p.Free()
		}
	})
	return x
}

// send sends packets of size bytes that carry their number.
func (x *impaired) send(from, to, size int) {
	for i := from; i < to; i++ {
		b := make([]byte, size)
		binary.BigEndian.PutUint32(b, uint32(i))
		x.l.Send([]*Packet{packet.FromBytes(b)})
	}
}

// arrived waits for everything and returns the packets.
func (x *impaired) arrived() []arrival {
	x.t.Helper()
	for {
		synctest.Wait()
		if out, _ := x.l.Stats(); out.Waiting == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.got
}

func serial(a arrival) int { return int(binary.BigEndian.Uint32(a.data)) }

func TestImpairDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{Delay: 40 * time.Millisecond}, 1)
		defer x.l.Close()
		for i := range 5 {
			x.send(i, i+1, 100)
			time.Sleep(7 * time.Millisecond)
		}
		for i, a := range x.arrived() {
			if want := time.Duration(i)*7*time.Millisecond + 40*time.Millisecond; a.at != want || serial(a) != i {
				t.Errorf("packet %d at %v, want %d at %v", serial(a), a.at, i, want)
			}
		}
		if len(x.got) != 5 {
			t.Errorf("%d packets", len(x.got))
		}
	})
}

// 1250 bytes at 10 Mbit/s are a millisecond each, on top of the delay.
func TestImpairRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{Rate: 10e6, Delay: 5 * time.Millisecond, Limit: Amount{Packets: 100}}, 1)
		defer x.l.Close()
		x.send(0, 10, 1250)
		time.Sleep(3500 * time.Microsecond)
		x.send(10, 20, 1250)
		time.Sleep(100 * time.Millisecond)
		x.send(20, 21, 1250) // the queue has been empty meanwhile
		got := x.arrived()
		if len(got) != 21 {
			t.Fatalf("%d packets", len(got))
		}
		for i, a := range got {
			want := time.Duration(i+1)*time.Millisecond + 5*time.Millisecond
			if i == 20 {
				want = 103500*time.Microsecond + 6*time.Millisecond
			}
			if a.at != want {
				t.Errorf("packet %d at %v, want %v", i, a.at, want)
			}
		}
	})
}

func TestImpairDropTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			limit Amount
			want  int
		}{{Amount{Packets: 7}, 7}, {Amount{Bytes: 8000}, 8}, {Amount{Packets: 9, Bytes: 4999}, 4}, {Amount{}, 15}} {
			x := impair(t, Impairment{Rate: 1e6, Limit: c.limit}, 1)
			x.send(0, 20, 1000)
			if got := x.arrived(); len(got) != c.want || serial(got[c.want-1]) != c.want-1 {
				t.Errorf("limit %+v: %d packets, want the first %d", c.limit, len(got), c.want)
			}
			if out, _ := x.l.Stats(); out.Dropped != uint64(20-c.want) || out.Carried != uint64(c.want) {
				t.Errorf("%+v", out)
			}
			x.l.Close()
		}
	})
}

// ipPacket is a UDP packet with the ECN bits tos.
func ipPacket(v6 bool, tos uint8, n int, inHead bool) *Packet {
	var b []byte
	if v6 {
		h := wire.IPv6{Src: netip.MustParseAddr("::1"), Dst: netip.MustParseAddr("::2"), TOS: tos, Next: 17, HopLimit: 9, PayloadLen: uint16(n)}
		b = make([]byte, wire.IPv6Len)
		h.Put(b)
	} else {
		h := wire.IPv4{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), TOS: tos, Proto: 17, TTL: 9, TotalLen: uint16(n + 20)}
		b = make([]byte, wire.IPv4MinLen)
		h.Put(b)
	}
	if !inHead {
		return packet.FromBytes(append(b, make([]byte, n)...))
	}
	p := packet.FromBytes(make([]byte, n))
	copy(p.Prepend(len(b)), b)
	return p
}

// Beyond the threshold ECN-capable packets are marked, others are not (RFC 3168
// section 5).
func TestImpairMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{Rate: 1e6, Mark: Amount{Packets: 4}, Limit: Amount{Packets: 100}}, 1)
		defer x.l.Close()
		for i := range 16 {
			x.l.Send([]*Packet{ipPacket(i&1 != 0, uint8(0xa0+i/2%3), 500, i&8 != 0)})
		}
		marked := 0
		for i, a := range x.arrived() {
			tos := a.data[1]
			if a.data[0]>>4 == 6 {
				tos = a.data[0]<<4 | a.data[1]>>4
			} else if wire.ChecksumOf(a.data[:20]) != 0 {
				t.Errorf("packet %d: wrong header checksum", i)
			}
			want := uint8(0xa0 + i/2%3)
			if i >= 3 && want&3 != 0 {
				want |= 3
				marked++
			}
			if tos != want {
				t.Errorf("packet %d: TOS %#x, want %#x", i, tos, want)
			}
		}
		if out, _ := x.l.Stats(); out.Marked != uint64(marked) || marked == 0 {
			t.Errorf("%d marked, %d counted", marked, out.Marked)
		}
	})
}

func TestImpairLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50000
		x := impair(t, Impairment{Loss: 0.03}, 1)
		defer x.l.Close()
		x.send(0, n, 4)
		lost := n - len(x.arrived())
		if lost < n*28/1000 || lost > n*32/1000 {
			t.Errorf("%d of %d lost, want 3 %%", lost, n)
		}
		same, other := impair(t, Impairment{Loss: 0.03}, 1), impair(t, Impairment{Loss: 0.03}, 2)
		defer same.l.Close()
		defer other.l.Close()
		same.send(0, n, 4)
		other.send(0, n, 4)
		equal := func(a, b []arrival) bool {
			if len(a) != len(b) {
				return false
			}
			for i := range a {
				if serial(a[i]) != serial(b[i]) {
					return false
				}
			}
			return true
		}
		if !equal(x.arrived(), same.arrived()) {
			t.Error("one seed, two outcomes")
		}
		if equal(x.arrived(), other.arrived()) {
			t.Error("two seeds, one outcome")
		}
	})
}

// With Enter 1 % and Leave 25 % bursts have four packets in the mean, and 1/26 of
// all are lost.
func TestImpairBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100000
		x := impair(t, Impairment{Burst: Burst{Enter: 0.01, Leave: 0.25, LossBad: 1}}, 3)
		defer x.l.Close()
		x.send(0, n, 4)
		got := x.arrived()
		bursts, last := 0, -1
		for _, a := range got {
			if serial(a) != last+1 {
				bursts++
			}
			last = serial(a)
		}
		lost := n - len(got)
		if mean := float64(lost) / float64(bursts); mean < 3.7 || mean > 4.3 {
			t.Errorf("bursts of %.2f packets, want 4", mean)
		}
		if share := float64(lost) / n; share < 0.035 || share > 0.042 {
			t.Errorf("%.4f lost, want %.4f", share, 1/26.0)
		}
	})
}

func TestImpairDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packet.Track(true)
		defer packet.Track(false)
		before := packet.Live()
		x := impair(t, Impairment{Duplicate: 1, Delay: time.Millisecond}, 1)
		defer x.l.Close()
		x.send(0, 3, 100)
		got := x.arrived()
		if len(got) != 6 {
			t.Fatalf("%d packets, want 6", len(got))
		}
		for i, a := range got {
			if serial(a) != i/2 {
				t.Errorf("packet %d in place %d", serial(a), i)
			}
		}
		if n := packet.Live() - before; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
}

// A corrupt packet has its checksum filled in and one bit wrong, and the blocks
// that its sender holds are untouched.
func TestImpairCorrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(PipeConfig{})
		l, err := Impair(a, ImpairConfig{Out: Impairment{Corrupt: 1}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var got []*Packet
		b.Deliver(func(batch []*Packet) { got = append(got, batch...) })
		data := packet.Copy(bytes.Repeat([]byte{0x5a}, 1000))
		defer data.Release()
		for i := range 100 {
			p := packet.New()
			data.Retain()
			p.Payload.Append(data)
			udp := p.Prepend(8)
			copy(udp, []byte{0, 1, 0, 2, 1008 >> 8, 1008 & 255, 0, 0})
			h := wire.IPv4{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: 17, TTL: 9, TotalLen: 1028}
			var c wire.Checksum
			c.AddPseudo(h.Src, h.Dst, 17, 1008)
			binary.BigEndian.PutUint16(udp[6:], c.Partial())
			p.ChecksumStart, p.ChecksumOffset, p.Trusted = 20, 6, true
			h.Put(p.Prepend(20))
			whole := p.AppendTo(nil)
			c.Add(append([]byte{0, 1, 0, 2, 1008 >> 8, 1008 & 255, 0, 0}, data.Bytes()...))
			binary.BigEndian.PutUint16(whole[26:], c.Sum())

			l.Send([]*Packet{p})
			if len(got) != i+1 {
				t.Fatalf("%d packets", len(got))
			}
			q := got[i]
			if q.Trusted || q.ChecksumOffset != 0 {
				t.Fatal("a corrupt packet is trusted")
			}
			wrong := 0
			for k, v := range q.AppendTo(nil) {
				wrong += bits.OnesCount8(v ^ whole[k])
			}
			if wrong != 1 {
				t.Fatalf("%d bits differ, want 1", wrong)
			}
			q.Free()
		}
		if !bytes.Equal(data.Bytes(), bytes.Repeat([]byte{0x5a}, 1000)) {
			t.Error("the sender's block was changed")
		}
	})
}

func TestImpairReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{Delay: 20 * time.Millisecond, Reorder: 0.1, ReorderBy: 3500 * time.Microsecond}, 1)
		defer x.l.Close()
		for i := range 1000 {
			x.send(i, i+1, 4)
			time.Sleep(time.Millisecond)
		}
		late := 0
		for _, a := range x.arrived() {
			sent := time.Duration(serial(a)) * time.Millisecond
			switch a.at - sent {
			case 20 * time.Millisecond:
			case 23500 * time.Microsecond:
				late++
			default:
				t.Fatalf("packet %d took %v", serial(a), a.at-sent)
			}
		}
		if len(x.got) != 1000 || late < 70 || late > 130 {
			t.Errorf("%d of %d held back, want a tenth", late, len(x.got))
		}
	})
}

// Jitter uses its whole range, in order, about the delay.
func TestImpairJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay, jitter = 40 * time.Millisecond, 5 * time.Millisecond
		x := impair(t, Impairment{Delay: delay, Jitter: jitter}, 1)
		defer x.l.Close()
		for i := range 20000 {
			x.send(i, i+1, 4)
			time.Sleep(100 * time.Microsecond)
		}
		var sum, least, most time.Duration = 0, time.Hour, 0
		for i, a := range x.arrived() {
			if serial(a) != i {
				t.Fatalf("packet %d in place %d", serial(a), i)
			}
			d := a.at - time.Duration(i)*100*time.Microsecond
			sum, least, most = sum+d, min(least, d), max(most, d)
		}
		if least < delay-jitter || most > delay+jitter || most-least < 8*time.Millisecond {
			t.Errorf("delays from %v to %v", least, most)
		}
		if mean := sum / 20000; mean < 39*time.Millisecond || mean > 41*time.Millisecond {
			t.Errorf("mean delay %v", mean)
		}
	})
}

// A change applies to packets that are sent afterwards, and the rate also to those
// that wait.
func TestImpairSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{Rate: 1e6, Delay: 10 * time.Millisecond, Limit: Amount{Packets: 100}}, 1)
		defer x.l.Close()
		x.send(0, 4, 1250) // 10 ms each
		time.Sleep(15 * time.Millisecond)
		if err := x.l.Set(Impairment{Rate: 10e6, Delay: 20 * time.Millisecond}, Impairment{}); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{20, 40, 41, 42}
		for i, a := range x.arrived() {
			if a.at != want[i]*time.Millisecond {
				t.Errorf("packet %d at %v, want %v ms", i, a.at, want[i])
			}
		}
		if err := x.l.Set(Impairment{Loss: 2}, Impairment{}); err == nil {
			t.Error("a loss of 200 % was taken")
		}
		if out, in := x.l.Get(); out.Rate != 10e6 || in != (Impairment{}) {
			t.Errorf("%+v, %+v", out, in)
		}
	})
}

// Each direction has its own impairment, and a link that does not deliver by
// itself is read.
func TestImpairReceiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(PipeConfig{})
		l, err := Impair(struct{ Link }{a}, ImpairConfig{In: Impairment{Delay: 30 * time.Millisecond}, MTU: 1500})
		if err != nil {
			t.Fatal(err)
		}
		if info := l.Info(); info.MTU != 1500 || info.Segments || !info.Checksum {
			t.Errorf("%+v", info)
		}
		start := time.Now()
		b.Send([]*Packet{packet.FromBytes([]byte("abc")), packet.FromBytes([]byte("def"))})
		var batch [4]*Packet
		n, err := l.Recv(batch[:])
		if n != 2 || err != nil || time.Since(start) != 30*time.Millisecond {
			t.Errorf("Recv: %d, %v after %v", n, err, time.Since(start))
		}
		for _, p := range batch[:n] {
			p.Free()
		}
		closed := make(chan error)
		go func() {
			_, err := l.Recv(batch[:])
			closed <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-closed; err != ErrClosed {
			t.Errorf("Recv after Close: %v", err)
		}
	})
}

// Close frees what is under way, wherever it is.
func TestImpairClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packet.Track(true)
		defer packet.Track(false)
		before := packet.Live()
		x := impair(t, Impairment{Rate: 1e6, Delay: time.Second, Reorder: 0.5, Limit: Amount{Packets: 1000}}, 1)
		x.send(0, 500, 1250)
		time.Sleep(2 * time.Second)
		x.l.Close()
		x.send(500, 510, 1250)
		if n := packet.Live() - before; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
		time.Sleep(time.Minute)
		if got := x.arrived(); len(got) == 0 || len(got) > 200 {
			t.Errorf("%d packets", len(got))
		}
	})
}

// A large segment is cut before chance looks at it.
func TestImpairSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := impair(t, Impairment{}, 1)
		defer x.l.Close()
		data := bytes.Repeat([]byte("0123456789"), 400)
		h := wire.TCP{SrcPort: 1, DstPort: 2, Seq: 100, Flags: wire.ACK | wire.PSH}
		p := packet.FromBytes(data)
		h.Put(p.Prepend(h.Len()))
		ip := wire.IPv4{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: 6, TTL: 9, TotalLen: uint16(20 + p.Len())}
		ip.Put(p.Prepend(20))
		p.SegmentSize, p.ChecksumStart, p.ChecksumOffset = 1400, 20, 16
		x.l.Send([]*Packet{p})
		got := x.arrived()
		var all []byte
		for _, a := range got {
			all = append(all, a.data[20+h.Len():]...)
		}
		if len(got) != 3 || !bytes.Equal(all, data) {
			t.Errorf("%d packets with %d bytes", len(got), len(all))
		}
	})
}

// Without delay or rate, packets are carried by the goroutine that sends, and
// nothing is allocated for one.
func TestImpairAtOnce(t *testing.T) {
	a, b := Pipe(PipeConfig{})
	l, err := Impair(a, ImpairConfig{Out: Impairment{Loss: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := 0
	b.Deliver(func(batch []*Packet) {
		for _, p := range batch {
			got++
			p.Free()
		}
	})
	batch := make([]*Packet, 1)
	if n := testing.AllocsPerRun(1000, func() {
		batch[0] = packet.New()
		l.Send(batch)
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
	if got < 400 || got > 600 {
		t.Errorf("%d of 1000 packets arrived, want half", got)
	}
}

// A delay without a rate has a bound: of what is under way further packets are dropped as by a full queue, and once some have arrived
// there is room again.
func TestImpairDelayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, m := range []Impairment{{Delay: time.Second}, {Delay: time.Second, Reorder: 1}} {
			near, far := Pipe(PipeConfig{})
			l, err := Impair(near, ImpairConfig{Out: m})
			if err != nil {
				t.Fatal(err)
			}
			came := 0
			far.Deliver(func(batch []*Packet) {
				for _, p := range batch {
					came++
					p.Free()
				}
			})
			const size = 60000
			block := packet.Copy(make([]byte, size)) // of all packets
			send := func(n int) {
				for range n {
					p := packet.New()
					block.Retain()
					p.Payload.Append(block)
					l.Send([]*Packet{p})
				}
			}
			const most = (maxUnderWay + size + packetCost - 1) / (size + packetCost)
			for round := range 2 {
				send(most + 7)
				if s, _ := l.Stats(); s.Waiting != most || s.Dropped != uint64(7*(round+1)) || s.Early != 0 {
					t.Fatalf("%+v, want %d under way and %d dropped", s, most, 7*(round+1))
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if want := most * (round + 1); came != want {
					t.Fatalf("%d came, want %d", came, want)
				}
			}
			block.Release()
			l.Close()
		}
	})
}
