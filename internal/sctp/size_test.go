package sctp

import (
	"net/netip"
	"runtime"
	"testing"
	"unsafe"

	"usock/packet"
)

// An association that has carried a message each way, and idles, with one path at each end, holds at most 1,792 bytes an end.
func TestIdleAssociation(t *testing.T) {
	const n = 500
	keep := make([]*pair, 0, n)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	cfg := [2]*Config{testConfig(0), testConfig(1)}
	before := heap()
	bare := func() *pair {
		p := &pair{t: t, mtu: 1500}
		for i := range p.end {
			p.end[i].e.Config = cfg[i]
		}
		return p
	}
	for range n {
		keep = append(keep, bare())
	}
	empty := heap() - before
	keep = keep[:0]
	before = heap()
	for range n {
		p := bare()
		for i := range p.end {
			e := &p.end[i].e
			e.Port, e.Listen = uint16(1000+i), i == 1
			e.Options, e.Buffers = e.Config.DefaultOptions(), e.Config.DefaultBuffers()
			e.Local = pairLocal[i]
		}
		p.connect()
		for i := range p.end {
			v := views(make([]byte, 100))
			p.end[i].a.Send(p.now, &SendInfo{}, v)
			p.pump()
			p.step()
			readAll(p.end[1-i].a, p.now)
			p.pump()
		}
		keep = append(keep, p)
	}
	held := heap() - before
	each := (int64(held) - int64(empty)) / (2 * n)
	t.Logf("an end holds %d bytes (Assoc %d, path %d, Options %d)", each, unsafe.Sizeof(Assoc{}), unsafe.Sizeof(path{}), unsafe.Sizeof(Options{}))
	if each > 1792 {
		t.Errorf("an end holds %d bytes", each)
	}

	// The classes of Go's allocator.
	if unsafe.Sizeof(Assoc{}) > 512 || unsafe.Sizeof(path{}) > 192 {
		t.Error("a structure is larger than its class")
	}
	runtime.KeepAlive(keep)
}

// pairLocal are the addresses of the ends of a pair on the first network.
var pairLocal = [2][]netip.Addr{{pairAddr(0, 0)}, {pairAddr(1, 0)}}

// Nothing is allocated for a message in steady state.
func TestPairAllocs(t *testing.T) {
	for _, size := range []int{100, 1000, 20000} {
		p := newPair(t, 1500, 1)
		p.quiet = true
		p.connect()
		x, y := p.end[0].a, p.end[1].a
		buf := make([]packet.View, 0, 64)
		one := make([]packet.View, 1)
		round := func() {
			one[0] = packet.NewBlock(size).View(0, size)
			if _, err := x.Send(p.now, &SendInfo{}, one); err != 0 {
				t.Fatal(err)
			}
			p.pump()
			for {
				v, _, ok := y.Recv(p.now, 1<<30, buf[:0])
				if !ok {
					break
				}
				packet.ReleaseAll(v)
			}
			p.pump()
			if x.snd.queued > 0 {
				p.step()
			}
		}
		for range 200 {
			round()
		}
		if n := testing.AllocsPerRun(500, round); n >= 1 && !raceEnabled {
			t.Errorf("a message of %d bytes: %v allocations", size, n)
		}
		x.Release()
		y.Release()
	}
}
