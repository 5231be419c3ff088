package tcp

import "time"

// chrono says what held a sender back, as Linux's tcpi_busy_time and the two after
// it do: the time while there was something to deliver, and of it the time that the
// peer's window or the send buffer was in the way.
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
	in.BusyTime = us(t.spent[chronoBusy] + t.spent[chronoWindow] + t.spent[chronoBuffer])
	in.RwndLimited, in.SndbufLimited = us(t.spent[chronoWindow]), us(t.spent[chronoBuffer])
}
