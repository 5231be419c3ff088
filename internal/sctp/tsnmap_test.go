package sctp

import (
	"math/rand/v2"
	"testing"

	"usock/internal/wire"
)

// TestTSNMap has the map beside a plain one, over gaps of all widths.
func TestTSNMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var m tsnMap
		cum := uint64(epoch + rnd.IntN(1000))
		high := cum
		plain := map[uint64][2]bool{}
		width := 1 << rnd.IntN(17)
		for range 300 {
			switch rnd.IntN(10) {
			case 0:
				if high == cum {
					break
				}
				n := uint64(rnd.IntN(int(high-cum) + 1)) // cum moves, as over what is skipped
				m.forget(cum+1, cum+n+1)
				for t := cum + 1; t <= cum+n; t++ {
					delete(plain, t)
				}
				if cum += n; cum == high {
					m.release()
				}
			case 1:
				if high > cum {
					m.clear(high)
					delete(plain, high)
					if high = m.top(cum, high); high == cum {
						m.release()
					}
				}
			default:
				tsn := cum + 2 + uint64(rnd.IntN(min(width, maxAhead-1)))
				b, e := rnd.IntN(2) == 0, rnd.IntN(2) == 0
				if !m.seen(tsn, cum) {
					m.set(tsn, cum, b, e)
					plain[tsn] = [2]bool{b, e}
					high = max(high, tsn)
				}
			}
		}
		for tsn := cum; tsn < cum+maxAhead+100; tsn++ {
			p, ok := plain[tsn]
			if m.seen(tsn, cum) != ok || ok && (m.begins(tsn) != p[0] || m.ends(tsn) != p[1]) {
				t.Fatalf("TSN %d beyond cum: seen %v, want %v", tsn-cum, m.seen(tsn, cum), ok)
			}
		}
		if high == cum {
			continue
		}
		seen := 0
		end := uint64(0)
		for _, g := range m.gaps(nil, cum, high, 1<<20) {
			if g.Start > g.End || end > 0 && uint64(g.Start) < end+2 {
				t.Fatalf("block %+v behind %d", g, end)
			}
			for o := uint64(g.Start); o <= uint64(g.End); o++ {
				if _, ok := plain[cum+o]; !ok {
					t.Fatalf("%d is in block %+v", o, g)
				}
				seen++
			}
			end = uint64(g.End)
		}
		if seen != len(plain) {
			t.Fatalf("blocks tell of %d TSNs of %d", seen, len(plain))
		}
		if g := m.gaps([]wire.GapBlock{}, cum, high, 1); len(g) != 1 {
			t.Fatalf("%d blocks where there is room for one", len(g))
		}
		m.drop()
	}
}
