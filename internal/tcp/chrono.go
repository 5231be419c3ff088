package tcp

import "time"

// chrono says what held a sender back, as Linux's tcpi_busy_time and the two after
// it do: the time while there was something to deliver, and of it the time that the
// peer's window or the send buffer was in the way; also, which Linux does not tell, the
// congestion window or Nagle's rule.
type chrono struct {
	kind  chronoKind
	since time.Duration
	spent [chronoKinds]time.Duration
}

type chronoKind uint8

const (
	chronoIdle chronoKind = iota
	chronoBusy
	chronoWindow
	chronoBuffer
	chronoCWnd
	chronoNagle
	chronoKinds
)

// set says what is so from now on.
func (h *chrono) set(now time.Duration, k chronoKind) {
	if k != h.kind {
		h.spent[h.kind] += now - h.since
		h.kind, h.since = k, now
	}
}

func (h *chrono) put(now time.Duration, in *Info) {
	t := *h
	t.set(now, chronoIdle)
	us := func(d time.Duration) uint64 { return uint64(d / time.Microsecond) }
	var busy time.Duration
	for _, d := range t.spent[chronoBusy:] {
		busy += d
	}
	in.BusyTime = us(busy)
	in.RwndLimited, in.SndbufLimited = us(t.spent[chronoWindow]), us(t.spent[chronoBuffer])
	in.CwndLimited, in.NagleLimited = us(t.spent[chronoCWnd]), us(t.spent[chronoNagle])
}
