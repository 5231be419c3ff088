package top

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// column is one of the table's. A terminal that is narrow has those of the highest ranks, each at its least width; what
// room is left makes some wider (growth).
type column struct {
	title string
	least int
	rank  int // 0 is the highest
	order Order
	right bool
	text  func(m *Model, r *row, width int) string
	warns func(r *row) bool // that the cell is worth a look; nil: never
}

// columns are in the order of the screen.
var columns = []column{
	{title: "RUN", least: 6, rank: 3, order: orders, text: func(m *Model, r *row, _ int) string { return m.title(r.run) }},
	{title: "PROCESS", least: 8, rank: 0, order: ByProcess, text: process},
	{title: "LOCAL", least: 6, rank: 11, order: orders, text: func(_ *Model, r *row, w int) string {
		if r.members != nil {
			return ""
		}
		return address(r.Local, w)
	}},
	{title: "PEER", least: 15, rank: 1, order: orders, text: func(_ *Model, r *row, w int) string {
		if r.members != nil {
			return r.sockets()
		}
		return address(r.Peer, w)
	}},
	{title: "STATE", least: 5, rank: 10, order: orders, text: func(_ *Model, r *row, w int) string { return state(r, w) }},
	{title: "RX", least: 5, rank: 2, order: ByRate, right: true, text: func(_ *Model, r *row, _ int) string { return rate(r, r.rx) }},
	{title: "TX", least: 5, rank: 2, order: ByRate, right: true, text: func(_ *Model, r *row, _ int) string { return rate(r, r.tx) }},
	{title: "RCVQ", least: 4, rank: 6, order: ByQueues, right: true, text: func(_ *Model, r *row, _ int) string { return size(r.RecvQ) }},
	{title: "SNDQ", least: 4, rank: 5, order: ByQueues, right: true, text: func(_ *Model, r *row, _ int) string { return size(r.SendQ) }},
	{title: "RETR", least: 5, rank: 7, order: ByLoss, right: true, text: losses, warns: func(r *row) bool { return r.losing > 0 }},
	{title: "RTT", least: 5, rank: 8, order: ByRTT, right: true, text: func(_ *Model, r *row, _ int) string {
		if r.rtt() == 0 {
			return "-"
		}
		return roundTrip(r.rtt())
	}},
	{title: "WAITS", least: 8, rank: 4, order: ByWaits, text: waits, warns: func(r *row) bool { _, n := r.waits(); return n >= 4 }},
}

// process is the name and, where there is room, the number.
func process(_ *Model, r *row, width int) string {
	name := r.Program
	if name == "" {
		name = "-"
	}
	if id := "[" + strconv.Itoa(int(r.Process)) + "]"; r.Process != 0 && ansi.StringWidth(name)+len(id) <= width {
		return name + id
	}
	return name
}

// state is TCP's; of other protocols their names are worth more.
func state(r *row, width int) string {
	s := r.State
	if r.members != nil {
		return ""
	}
	if r.Proto != "tcp" {
		if s = r.Proto + " " + r.State; len(s) > width {
			s = r.Proto
		}
	}
	if brief := briefStates[s]; len(s) > width && brief != "" {
		return brief
	}
	return s
}

// briefStates are TCP's states in five letters.
var briefStates = map[string]string{
	"SYN-SENT": "SYN-S", "SYN-RECV": "SYN-R", "FIN-WAIT-1": "FINW1", "FIN-WAIT-2": "FINW2", "TIME-WAIT": "TIMEW",
	"CLOSE-WAIT": "CLOSW", "LAST-ACK": "LASTA", "CLOSING": "CLOSG", listen: "LISTN",
}

func rate(r *row, bytes float64) string {
	if !r.counts() || r.fresh {
		return "-"
	}
	return bits(bytes)
}

// losses are all of them, and behind a plus those of a second.
func losses(_ *Model, r *row, width int) string {
	all, growth := number(r.lost), plus(r.losing)
	if len(all)+len(growth) > width {
		return growth
	}
	return all + growth
}

// plus is what is added in a second; "" for nothing.
func plus(growth float64) string {
	if growth <= 0 {
		return ""
	}
	return "+" + number(uint64(max(growth+0.5, 1)))
}

// wordy is the width from which on a stall is told in whole.
const wordy = 20

func waits(_ *Model, r *row, width int) string {
	if width >= wordy {
		return r.Stall
	}
	word, _ := r.waits()
	return word
}

// shown is a column with the width that it has.
type shown struct {
	*column
	width int
}

// growth is what becomes wider where there is room: up to a width, or to that of what is in it, if that is less.
var growth = []struct {
	title string
	to    int
}{
	{"PEER", 21}, {"LOCAL", 21}, {"PROCESS", 14}, {"STATE", 10}, {"RETR", 8}, {"RUN", 12}, {"WAITS", 34}, {"PROCESS", 24}, {"PEER", 47}, {"LOCAL", 47}, {"RUN", 64}, {"WAITS", 1000},
}

// fit chooses the columns for rows, and their widths.
func (m *Model) fit(rows []*row, width int) []shown {
	has := make(map[*column]int)
	left := width + 1
	take := func(c *column) {
		if has[c] == 0 && left >= c.least+1 {
			has[c] = c.least
			left -= c.least + 1
		}
	}
	// What it is sorted by is worth seeing wherever it is.
	for rank := -1; rank <= len(columns); rank++ {
		for i := range columns {
			c := &columns[i]
			if c.title == "RUN" && !m.several() {
				continue
			}
			if c.rank == rank || rank == 0 && c.order == m.order {
				take(c)
			}
		}
	}
	for _, g := range growth {
		for i := range columns {
			c := &columns[i]
			if c.title != g.title || has[c] == 0 {
				continue
			}
			most := 0
			for _, r := range rows {
				most = max(most, ansi.StringWidth(c.text(m, r, g.to)))
			}
			if n := min(most, g.to, has[c]+left) - has[c]; n > 0 {
				has[c] += n
				left -= n
			}
		}
	}
	var list []shown
	for i := range columns {
		if c := &columns[i]; has[c] > 0 {
			list = append(list, shown{c, has[c]})
		}
	}
	return list
}

// heading is the line above the table.
func (m *Model) heading(list []shown, width int) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		text := fill(c.title, c.width, c.right)
		if c.order == m.order {
			text = styled(underline, text) + reverse
		}
		b.WriteString(text)
	}
	return styled(reverse, fill(b.String(), width, false))
}

// line is a row of the table.
func (m *Model) line(list []shown, r *row, width int, selected bool) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		text := fill(c.text(m, r, c.width), c.width, c.right)
		if c.warns != nil && c.warns(r) && !selected {
			text = styled(yellow, text)
		}
		b.WriteString(text)
	}
	text := fill(b.String(), width, false)
	switch {
	case selected:
		return styled(reverse, text)
	case !m.answers(r.run):
		return styled(faint, text)
	}
	return text
}

// Select Graphic Rendition (ECMA-48, 8.3.117). What a terminal cannot show Bubble Tea leaves out.
const (
	bold      = "\x1b[1m"
	faint     = "\x1b[2m"
	underline = "\x1b[4m"
	reverse   = "\x1b[7m"
	yellow    = "\x1b[33m"
	plain     = "\x1b[m"
)

func styled(style, text string) string { return fmt.Sprint(style, text, plain) }
