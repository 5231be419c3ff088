package tcp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"usock/cc"
	"usock/internal/congestion"
)

// watcher is Reno that keeps what it is told of losses, and whether more came since.
type watcher struct {
	congestion.Reno
	lost []cc.LostSegment
	full []bool // Ack.CWndFull
	late bool   // Lost came after the Congestion that goes with it
}

func (*watcher) Name() string            { return "watcher" }
func (w *watcher) Lost(l cc.LostSegment) { w.lost = append(w.lost, l) }

func (w *watcher) Ack(a *cc.Ack) {
	w.full = append(w.full, a.CWndFull)
	w.Reno.Ack(a)
}

func (w *watcher) Congestion(e *cc.Event) {
	w.late = w.late || len(w.lost) == 0
	w.Reno.Congestion(e)
}

func (w *watcher) Timeout(e *cc.Event) {
	w.late = w.late || len(w.lost) == 0
	w.Reno.Timeout(e)
}

func watched(t *testing.T, options ...scriptOption) (*script, *watcher) {
	w := new(watcher)
	tc := newScript(t, append(options, w.watch)...)
	tc.p.MSS = 1000
	return tc, w
}

// watch is an option of a script.
func (w *watcher) watch(s *script) {
	s.cfg.Controllers = map[string]func() cc.Controller{"watcher": func() cc.Controller { return w }}
	s.cfg.CC = "watcher"
}

// cc.LossObserver: each segment that is marked lost, with what was in flight when it was sent and
// what was lost since, before the controller hears of congestion; again if it is lost again.
func TestLossObserver(t *testing.T) {
	tc, w := watched(t, noTS)
	tc.connectIn(msec(50))
	tc.write(9000)
	tc.out = nil
	tc.sleep(msec(50))
	tc.recv(". 1 ack 1 <sack 1001-2001,sack 3001-6001>") // 1-1001 and 2001-3001 are lost
	want := []cc.LostSegment{
		{Start: 1, Bytes: 1000, InFlight: 1000, Lost: 1000, Delivered: 4000, SACK: true},
		{Start: 2001, Bytes: 1000, InFlight: 3000, Lost: 2000, Delivered: 4000, SACK: true},
	}
	at := func() (out []cc.LostSegment) {
		for _, l := range w.lost {
			if l.Now != tc.now {
				t.Errorf("told at %v, now is %v", l.Now, tc.now)
			}
			l.Now, l.Start = 0, l.Start-origin
			out = append(out, l)
		}
		return out
	}
	if got := at(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if w.late || len(w.full) == 0 {
		t.Errorf("congestion was told of before the losses: %v", w.full)
	}

	// By timeout all is lost again that was not SACKed.
	tc.out, w.lost = nil, nil
	tc.sleep(time.Second)
	if len(w.lost) < 2 || w.lost[0].Start-origin != 1 || w.lost[0].Lost < 1000 || w.late {
		t.Errorf("by timeout %+v", w.lost)
	}
	tc.out = nil
}

// Without SACK that is said, and a segment that is too large for the path is no loss of this kind.
func TestLossObserverOther(t *testing.T) {
	tc, w := watched(t, plain)
	tc.connectIn(msec(50))
	tc.write(9000)
	tc.out = nil
	for range 4 { // of which the first tells of the window
		tc.recv(". 1 ack 1")
	}
	if len(w.lost) != 1 || w.lost[0].SACK || w.lost[0].Bytes != 1000 {
		t.Errorf("%+v, want a segment without SACK", w.lost)
	}
	tc.out = nil

	tc, w = watched(t, noTS)
	tc.connectIn(msec(50))
	tc.write(9000)
	tc.out = nil
	tc.c.snd.tooBig(&tc.c.tcb, tc.now, 500)
	if tc.c.snd.flight.loss.lost == 0 || len(w.lost) != 0 {
		t.Errorf("%d bytes too large, told of %+v", tc.c.snd.flight.loss.lost, w.lost)
	}
	tc.out = nil
}

// Nor is a lost probe of the path's MTU (RFC 4821 §7.6.2), unless it is lost again in small segments.
func TestLossObserverProbe(t *testing.T) {
	w := new(watcher)
	tc, _ := probing(t, w.watch)
	tc.probeMTU()
	m, nxt := tc.c.lazy.mtu, tc.c.snd.nxt-origin
	tc.out, w.lost = nil, nil
	tc.sleep(msec(20))
	tc.recv(fmt.Sprintf(". 1 ack %d <sack %d-%d>", m.start-origin, m.end-origin, nxt))
	if len(tc.out) == 0 || tc.out[0].Seq != tc.c.snd.sndSeq(m.start) || len(w.lost) != 0 {
		t.Errorf("the probe, sent again in %d segments, is told of: %+v", len(tc.out), w.lost)
	}
	tc.out = nil
	tc.sleep(time.Second)
	if len(w.lost) == 0 || w.lost[0].Start != m.start {
		t.Errorf("by timeout %+v, want what begins at %d", w.lost, m.start)
	}
	tc.out = nil
}

// What a server leaves of the SYN's data is none, either.
func TestLossObserverSYNData(t *testing.T) {
	w := new(watcher)
	tc := newScript(t, plain, w.watch)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.rest("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want("P. 1+100 ack 1")
	if len(w.lost) != 0 {
		t.Errorf("told of %+v", w.lost)
	}
	tc.recv(". 1 ack 101")
}

// Ack.CWndFull: the window was used up, and not only half of it.
func TestWindowFull(t *testing.T) {
	for n, want := range map[int]bool{12_000: true, 8000: false} {
		tc, w := watched(t, noTS)
		tc.connectIn(msec(50))
		tc.write(n)
		tc.out = nil
		tc.recv(". 1 ack 1001")
		if len(w.full) != 1 || w.full[0] != want {
			t.Errorf("%d bytes to send: %v", n, w.full)
		}
		tc.out = nil
	}
}
