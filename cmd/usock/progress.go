package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far a transfer is: a line that is redrawn on a terminal, a
// few plain lines elsewhere. One goroutine uses it.
type progress struct {
	w     io.Writer
	live  bool // w is a terminal
	total int64

	done  int64
	start time.Time
	next  time.Time // live: when to draw again
	marks int64     // plain: quarters shown
}

const (
	redraw     = 50 * time.Millisecond
	plainMarks = 4
	barWidth   = 30
)

func newProgress(w io.Writer, live bool, total int64) *progress {
	return &progress{w: w, live: live, total: total, start: time.Now()}
}

// add says that n more bytes have arrived.
func (p *progress) add(n int) {
	p.done += int64(n)
	if !p.live {
		if m := p.done * plainMarks / max(p.total, 1); m > p.marks {
			p.marks = m
			fmt.Fprintln(p.w, p.line())
		}
		return
	}
	if now := time.Now(); now.After(p.next) || p.done == p.total {
		p.next = now.Add(redraw)
		full := int(p.done * barWidth / max(p.total, 1))
		fmt.Fprintf(p.w, "\r[%s%s] %s ", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), p.line())
	}
}

// end leaves the line.
func (p *progress) end() {
	if p.live {
		fmt.Fprintln(p.w)
	}
}

func (p *progress) line() string {
	const mib = 1 << 20
	seconds := max(time.Since(p.start).Seconds(), 1e-9)
	return fmt.Sprintf("%3d%%  %.1f of %.1f MiB  %.1f MiB/s  %.2f s",
		p.done*100/max(p.total, 1), float64(p.done)/mib, float64(p.total)/mib, float64(p.done)/mib/seconds, seconds)
}
