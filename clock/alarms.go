package clock

import (
	"container/heap"
	"time"
)

// setting is an alarm of a clock that keeps its alarms itself.
type setting struct {
	f func()

	at     time.Duration // since the epoch
	serial uint64        // of its setting
	index  int           // in the heap; -1: not set
}

func newSetting(f func()) setting { return setting{f: f, index: -1} }

// alarms are those that are set.
type alarms struct {
	heap   alarmHeap
	serial uint64 // of the last setting
}

func (a *alarms) set(s *setting, at time.Duration) {
	a.serial++
	s.at, s.serial = at, a.serial
	if s.index < 0 {
		heap.Push(&a.heap, s)
	} else {
		heap.Fix(&a.heap, s.index)
	}
}

func (a *alarms) stop(s *setting) {
	if s.index >= 0 {
		heap.Remove(&a.heap, s.index)
	}
}

// next returns when the first one goes off, and whether one is set.
func (a *alarms) next() (at time.Duration, ok bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

// due takes the first one whose time has come; nil: there is none.
func (a *alarms) due(now time.Duration) *setting {
	if at, ok := a.next(); !ok || at > now {
		return nil
	}
	return heap.Pop(&a.heap).(*setting)
}

// alarmHeap orders alarms by their times, and by their setting where those are equal.
type alarmHeap []*setting

func (h alarmHeap) Len() int { return len(h) }

func (h alarmHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	s := x.(*setting)
	s.index = len(*h)
	*h = append(*h, s)
}

func (h *alarmHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.index = -1
	return s
}
