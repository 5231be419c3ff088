package shape

import (
	"sync"
	"sync/atomic"

	"usock/internal/target"
)

// flows are those of which packets have come lately, with what rules ask of them. Of more than maxFlows it forgets those of which
// nothing came for longest.
type flows struct {
	// gen changes when what was found out about flows may be wrong: it is found out anew with their next packets. It is not 0 where there
	// are any.
	gen atomic.Uint64

	mu        sync.Mutex
	recent    map[ends]*flow // mu
	before    map[ends]*flow // mu: those that have become old when recent was full
	fragments [2]map[datagram]ports
}

// maxFlows bounds what is remembered in each of the two maps, maxDatagrams the datagrams in fragments.
const (
	maxFlows     = 1 << 15
	maxDatagrams = 1 << 10
)

// flow is what is known of a flow. flows.mu guards it.
type flow struct {
	low    bool     // its low end has connected
	seen   bool     // that was seen
	serial uint32   // of the packet that began it
	pid    [2]int32 // of the high end, and of the low one; 0: not known

	counted, picked set         // rules that have counted it, and those of which it is one of the connections that they are about
	verdicts        [2]*verdict // of the packets that come from the high end, and from the low one
}

// outdate says that what was decided about the flow may be wrong. The caller holds flows.mu.
func (x *flow) outdate() {
	for i, v := range x.verdicts {
		if v != nil {
			v.gen.Store(0)
			x.verdicts[i] = nil
		}
	}
}

// datagram is one in fragments, ports are those that its first one has.
type (
	datagram struct {
		src, dst [2]uint64
		id       uint32
		proto    uint8
		v6       bool
	}
	ports struct{ src, dst uint16 }
)

func newFlows() *flows {
	return &flows{recent: make(map[ends]*flow), fragments: [2]map[datagram]ports{make(map[datagram]ports), nil}}
}

// find returns the flow of a packet, and whether that goes from its low end to the high one. The caller holds mu.
func (f *flows) find(h *header) (x *flow, rises bool) {
	if h.fragment != whole {
		f.assemble(h)
	}
	e, rises := h.ends()
	x = f.recent[e]
	if x == nil {
		if x = f.before[e]; x == nil {
			x = f.begun(h, rises)
			if h.quoted {
				return x, rises // it may have been anybody's
			}
		}
		if len(f.recent) >= maxFlows {
			f.before, f.recent = f.recent, make(map[ends]*flow)
			f.gen.Add(1) // those that go on become recent again
		}
		f.recent[e] = x
	}
	if (h.begins || h.answers) && !h.quoted && (!x.seen || x.serial != h.serial) {
		x.low, x.seen, x.serial, x.pid = rises == h.begins, true, h.serial, [2]int32{}
		x.counted, x.picked = set{}, set{}
		x.outdate()
	}
	return x, rises
}

// begun is a flow of which h is the first packet that is seen.
func (f *flows) begun(h *header, rises bool) *flow {
	x := &flow{low: rises != h.quoted, seen: !h.quoted}
	switch {
	case h.proto == target.TCP || h.proto == target.SCTP:
		// It has begun before: the smaller port is taken for that which was connected to.
		x.seen = false
		if h.sport != h.dport {
			x.low = (h.sport > h.dport) == rises
		}
	case h.fragment == laterFragment && h.sport == 0:
		x.seen = false
	}
	return x
}

// assemble gives later fragments the ports that the first one had, if that has passed.
func (f *flows) assemble(h *header) {
	d := datagram{h.src, h.dst, h.id, h.proto, h.v6}
	if h.quoted {
		d.src, d.dst = d.dst, d.src
	}
	if h.fragment == firstFragment {
		if h.quoted {
			return
		}
		if len(f.fragments[0]) >= maxDatagrams {
			f.fragments = [2]map[datagram]ports{make(map[datagram]ports), f.fragments[0]}
		}
		f.fragments[0][d] = ports{h.sport, h.dport}
		return
	}
	x, ok := f.fragments[0][d]
	if !ok {
		x = f.fragments[1][d]
	}
	if h.sport, h.dport = x.src, x.dst; h.quoted {
		h.sport, h.dport = x.dst, x.src
	}
}

// remap has what was counted follow the rules to their new places: to[i] is where the rule i is now, -1 for nowhere.
func (f *flows) remap(to []int, old, now []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, k := range to {
		if k >= 0 {
			now[k] = old[i]
		}
	}
	move := func(s set) (out set) {
		for i, k := range to {
			if k >= 0 && s.has(i) {
				out.add(k)
			}
		}
		return out
	}
	for _, m := range []map[ends]*flow{f.recent, f.before} {
		for _, x := range m {
			if x.counted != (set{}) {
				x.counted, x.picked = move(x.counted), move(x.picked)
			}
		}
	}
}
