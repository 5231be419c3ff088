package measure

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"usock/link"
)

func (w *Way) sort() {
	slices.SortStableFunc(w.packets, func(a, b delivery) int { return cmp.Compare(a.at, b.at) })
}

// Opportunities returns the times, in whole milliseconds, at each of which link.TraceBytes bytes had been delivered anew: what is
// not enough for one is counted to the next.
func (w *Way) Opportunities() (at []time.Duration) {
	bytes := 0
	for _, p := range w.packets {
		for bytes += int(p.size); bytes >= link.TraceBytes; bytes -= link.TraceBytes {
			at = append(at, p.at.Truncate(time.Millisecond))
		}
	}
	return at
}

// WriteMahimahi writes the opportunities, one in each line.
func (w *Way) WriteMahimahi(out io.Writer) error {
	at := w.Opportunities()
	if _, err := link.NewTrace(at); err != nil {
		return fmt.Errorf("too little was delivered for a trace: %w", err)
	}
	b := bufio.NewWriter(out)
	var line []byte
	for _, x := range at {
		line = strconv.AppendInt(line[:0], x.Milliseconds(), 10)
		b.Write(append(line, '\n'))
	}
	return b.Flush()
}

// Window is what has passed in a time.
type Window struct {
	Bytes           int
	Delivered, Lost int // packets
}

// Rate returns the bits a second.
func (x *Window) Rate(in time.Duration) uint64 {
	return uint64(float64(x.Bytes) * 8 / in.Seconds())
}

// Loss returns the share of lost packets.
func (x *Window) Loss() float64 {
	if x.Lost == 0 {
		return 0
	}
	return float64(x.Lost) / float64(x.Lost+x.Delivered)
}

// Windows returns what has passed in each time of that length, to the last packet.
func (w *Way) Windows(length time.Duration) []Window {
	if len(w.packets) == 0 {
		return nil
	}
	all := make([]Window, w.packets[len(w.packets)-1].at/length+1)
	for _, p := range w.packets {
		x := &all[p.at/length]
		if p.size == 0 {
			x.Lost++
		} else {
			x.Delivered++
			x.Bytes += int(p.size)
		}
	}
	return all
}

// maxWindows is as many rows as a trace has.
const maxWindows = 100_000

// WriteCSV writes the rate, the delay and the loss of each time of that length, of those directions that carry something, and that
// it then begins again. A row that says the same as the one before is left out.
func (n *Network) WriteCSV(out io.Writer, length time.Duration, which link.Directions) error {
	type side struct {
		name    string
		windows []Window
		loses   bool
	}
	var sides []side
	count := 0
	for _, s := range []struct {
		name string
		of   link.Directions
		way  *Way
	}{{"down", link.Received, &n.Down}, {"up", link.Sent, &n.Up}} {
		if which&s.of == 0 || len(s.way.packets) == 0 {
			continue
		}
		if s.way.packets[len(s.way.packets)-1].at/length >= maxWindows {
			return fmt.Errorf("more than %d windows of %v; give a longer one", maxWindows, length)
		}
		windows := s.way.Windows(length)
		loses := slices.ContainsFunc(windows, func(x Window) bool { return x.Lost > 0 })
		sides, count = append(sides, side{s.name, windows, loses}), max(count, len(windows))
	}
	if len(sides) == 0 {
		return errors.New("nothing was delivered")
	}
	b := bufio.NewWriter(out)
	b.WriteString("time")
	for _, s := range sides {
		fmt.Fprintf(b, ",%s_rate", s.name)
		if n.Delay > 0 {
			fmt.Fprintf(b, ",%s_delay", s.name)
		}
		if s.loses {
			fmt.Fprintf(b, ",%s_loss", s.name)
		}
	}
	last := ""
	for i := range count {
		row := ""
		for _, s := range sides {
			var x Window
			if i < len(s.windows) {
				x = s.windows[i]
			}
			row += fmt.Sprintf(",%d", x.Rate(length))
			if n.Delay > 0 {
				row += fmt.Sprintf(",%.3f", float64(n.Delay)/1e6)
			}
			if s.loses {
				row += "," + strconv.FormatFloat(x.Loss(), 'g', 4, 64)
			}
		}
		if row != last {
			fmt.Fprintf(b, "\n%s%s", seconds(time.Duration(i)*length), row)
		}
		last = row
	}
	fmt.Fprintf(b, "\n%s,repeat\n", seconds(time.Duration(count)*length))
	return b.Flush()
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
