package top

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"usock/internal/control"
	"usock/internal/ss"
)

// layout is how many lines each part of the screen has, from above.
type layout struct {
	title, runs, filter, heading, rows, detail, foot int
}

// Screens get more parts the higher they are; the table has what is left.
const (
	heightOfTitle   = 3
	heightOfHeading = 4
	heightOfFoot    = 5
	heightOfRuns    = 8
	heightOfDetail  = 10
	heightOfDetails = 18

	linesPerRun = 4 // of the screen, of which a run has one
)

func (m *Model) layout() layout {
	l := layout{rows: m.height}
	take := func(part *int, n, from int) {
		if m.height >= from {
			*part = n
			l.rows -= n
		}
	}
	take(&l.title, 1, heightOfTitle)
	take(&l.heading, 1, heightOfHeading)
	take(&l.foot, 1, heightOfFoot)
	take(&l.runs, min(len(m.runs), (m.height-heightOfRuns)/linesPerRun+1), heightOfRuns)
	if m.query.Filter != "" {
		take(&l.filter, 1, heightOfRuns)
	}
	switch {
	case m.height >= heightOfDetails:
		take(&l.detail, 4, 0)
	default:
		take(&l.detail, 1, heightOfDetail)
	}
	l.rows = max(l.rows, 0)
	return l
}

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.Screen(), "\n"))
	v.AltScreen = true
	return v
}

// Screen is the screen's lines. They are as wide as the screen at most, and not more than it has.
func (m *Model) Screen() []string {
	if m.help {
		return m.page(helpLines())
	}
	l := m.layout()
	var out []string
	if l.title > 0 {
		out = append(out, m.titleLine(m.width))
	}
	out = append(out, m.runLines(l.runs)...)
	if l.filter > 0 {
		out = append(out, m.filterLine(m.width))
	}
	shown := m.rows[min(m.first, len(m.rows)):min(m.first+l.rows, len(m.rows))]
	columns := m.fit(shown, m.width)
	if l.heading > 0 {
		out = append(out, m.heading(columns, m.width))
	}
	for i, r := range shown {
		out = append(out, m.line(columns, r, m.width, m.first+i == m.cursor))
	}
	empty := l.rows - len(shown)
	if len(shown) == 0 && empty > 0 {
		out = append(out, clip(m.nothing(), m.width))
		empty--
	}
	out = append(out, make([]string, empty)...)
	out = append(out, m.detailLines(l.detail)...)
	if l.foot > 0 || m.prompt != nil && len(out) > 0 {
		out = append(out[:min(len(out), m.height-1)], m.foot())
	}
	return out
}

// Text is everything on lines of a width, for who has no terminal.
func (m *Model) Text(width int) string {
	out := []string{m.titleLine(width)}
	for _, r := range m.runs {
		out = append(out, m.runLine(r, width))
	}
	if m.query.Filter != "" {
		out = append(out, m.filterLine(width))
	}
	columns := m.fit(m.rows, width)
	out = append(out, m.heading(columns, width))
	for _, r := range m.rows {
		out = append(out, m.line(columns, r, width, false))
	}
	if len(m.rows) == 0 {
		out = append(out, clip(m.nothing(), width))
	}
	var b strings.Builder
	for _, s := range out {
		b.WriteString(strings.TrimRight(ansi.Strip(s), " ") + "\n")
	}
	return b.String()
}

// nothing says why the table is empty.
func (m *Model) nothing() string {
	switch {
	case m.now.IsZero():
		return "looking for runs ..."
	case len(m.runs) == 0 && len(m.killed) > 0:
		return m.killed[len(m.killed)-1] + " was killed"
	case len(m.runs) == 0 && m.config.Again:
		return m.config.Name + " has ended; another run of that name will be shown"
	case len(m.runs) == 0 && m.config.Name != "":
		return m.config.Name + " has ended"
	case len(m.runs) == 0:
		return "nothing runs under usock; usock run starts it, and it will be shown"
	case m.query.Filter != "":
		return "no socket passes the filter"
	}
	return "no connections"
}

// titleLine tells of all runs together.
func (m *Model) titleLine(width int) string {
	var rx, tx float64
	for _, r := range m.runs {
		for _, l := range r.links {
			if m.answers(r) {
				rx, tx = rx+l.rx, tx+l.tx
			}
		}
	}
	var retrans, drops sum
	for _, run := range m.runs {
		for _, r := range run.rows {
			if r.TCP != nil {
				retrans.add(r)
			} else {
				drops.add(r)
			}
		}
	}
	turned := ""
	if m.turned {
		turned = ", backwards"
	}
	text := styled(bold, "usock top") + "  "
	if m.paused {
		text += styled(reverse, "PAUSED") + "  "
	}
	rows := count(m.sockets, "socket")
	if m.grouped {
		rows = processes(len(m.rows))
	}
	text += fmt.Sprintf("%s, %s by %v%s  rx %s tx %s bit/s  retr %v", count(len(m.runs), "run"), rows, m.order, turned, bits(rx), bits(tx), retrans)
	if drops.all > 0 {
		text += fmt.Sprintf("  drops %v", drops)
	}
	if m.query.All {
		text += "  all states"
	}
	if len(m.killed) > 0 {
		text += "  " + styled(yellow, fmt.Sprintf("%d killed", len(m.killed)))
	}
	return clip(text, width)
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// filterLine is the filter that rows have passed.
func (m *Model) filterLine(width int) string {
	return clip("filter: "+styled(bold, control.Printable(m.query.Filter)), width)
}

// sum is a sum of what rows have lost.
type sum struct {
	all    uint64
	growth float64
}

func (s *sum) add(r *row) { s.all, s.growth = s.all+r.lost, s.growth+r.losing }

func (s sum) String() string { return number(s.all) + plus(s.growth) }

// runLines tell of each run; of those that have no line, their names.
func (m *Model) runLines(n int) []string {
	var out []string
	for i, r := range m.runs[:min(n, len(m.runs))] {
		if i < n-1 || i == len(m.runs)-1 {
			out = append(out, m.runLine(r, m.width))
			continue
		}
		var rest []string
		for _, r := range m.runs[i:] {
			rest = append(rest, m.title(r))
		}
		out = append(out, clip("runs: "+strings.Join(rest, ", "), m.width))
	}
	return out
}

// runLine tells of a run and its links.
func (m *Model) runLine(r *run, width int) string {
	parts := []string{styled(bold, m.title(r))}
	if r.err != nil {
		return clip(parts[0]+"  "+control.Printable(r.err.Error()), width)
	}
	if d := m.silent(r); d > 0 {
		parts = append(parts, styled(yellow, fmt.Sprintf("has not answered for %v", d)))
	}
	parts = append(parts, Age(r.Age(cmp.Or(m.now, r.heard))))
	for _, l := range r.links {
		parts = append(parts, fmt.Sprintf("%s rx %s tx %s", l.name, bits(l.rx), bits(l.tx)))
	}
	if len(r.Program) > 0 {
		parts = append(parts, control.Printable(strings.Join(append([]string{filepath.Base(r.Program[0])}, r.Program[1:]...), " ")))
	}
	if r.Shape != "" {
		parts = append(parts, r.Shape)
	}
	return clip(strings.Join(parts, "  "), width)
}

// detailLines tell of the row that is selected.
func (m *Model) detailLines(n int) []string {
	if n == 0 || m.cursor >= len(m.rows) {
		return make([]string, n)
	}
	r := m.rows[m.cursor]
	who := fmt.Sprintf("%s %s %s", r.Proto, r.State, process(m, r, m.width))
	if m.several() {
		who += " of " + m.title(r.run)
	}
	ends := address(r.Local, m.width) + " > " + address(r.Peer, m.width)
	if r.members != nil {
		who, ends = strings.Replace(who, "  ", " ", 1), r.sockets()
	}
	stall := r.Stall
	if stall == "" {
		stall = "nobody waits"
	}
	if n == 1 {
		return []string{clip(stall, m.width)}
	}
	rule := clip("── "+who+"  "+ends+" ", m.width)
	rule += strings.Repeat("─", max(m.width-ansi.StringWidth(rule), 0))
	out := []string{rule}
	for _, s := range fold(stall, m.width, n-2) {
		out = append(out, clip(s, m.width))
	}
	facts := ""
	switch {
	case r.members != nil:
		facts = r.peers()
	case r.TCP != nil:
		facts = strings.Join(ss.Details(r.TCP, r.Congestion), " ")
	case r.lost > 0:
		facts = fmt.Sprintf("%d datagrams dropped, for which there was no room", r.lost)
	}
	for _, s := range fold(facts, m.width, n-len(out)) {
		out = append(out, clip(s, m.width))
	}
	return append(out, make([]string, n-len(out))...)
}

// foot is the line at the bottom: the keys, as many as there is room for, or the filter that is being typed.
func (m *Model) foot() string {
	if p := m.prompt; p != nil {
		if p.err != nil {
			return clip(styled(yellow, control.Printable(p.err.Error())), m.width)
		}
		const before, cursor = "filter: ", "_"
		room := m.width - len(before) - len(cursor)
		text := p.text
		if over := ansi.StringWidth(text) - room; over > 0 {
			text = ansi.TruncateLeft(text, over+1, cut)
		}
		return clip(before+text+cursor, m.width)
	}
	// Help and quit go last.
	width := -1
	var words []string
	keys := commands
	for _, c := range keys[len(keys)-2:] {
		width += len(c.key) + len(c.label) + 2
	}
	for i, c := range keys {
		n := len(c.key) + len(c.label) + 2
		if i < len(keys)-2 {
			if width+n > m.width {
				continue
			}
			width += n
		}
		word := styled(bold, c.key) + ":" + c.label
		if c.order == m.order {
			word = styled(reverse, c.key+":"+c.label)
		}
		words = append(words, word)
	}
	return clip(strings.Join(words, " "), m.width)
}

// page is a text as a screen.
func (m *Model) page(lines []string) []string {
	out := make([]string, max(m.height, 0))
	for i := range out {
		if i < len(lines) {
			out[i] = clip(lines[i], m.width)
		}
	}
	return out
}

// helpLines are the page of '?'. The most important is above, and fits 80x24.
func helpLines() []string {
	out := []string{styled(bold, "usock top") + ": the sockets of runs, with what their links carry. Any key goes back."}
	for _, c := range commands {
		out = append(out, fmt.Sprintf("  %s  %s", styled(bold, c.key), c.help))
	}
	return append(out,
		"  a  show listeners and TIME-WAIT, too, or no more",
		"  The key of the order that there is turns it round.",
		"  Arrows, j, k, PgUp, PgDn, Home, End select; what is selected is told in full",
		"  and kept in view wherever it goes. Home: the first one, whichever that is.",
		"",
		"  RX TX      bits a second: received; sent and acknowledged",
		"  RCVQ SNDQ  bytes that wait for the program, and for the peer",
		"  RETR       retransmissions, +N of them in a second; of datagrams: drops",
		"  WAITS      who is waited for; idle: the program has nothing to do",
		"  A - is what is not known (yet), and rates of listeners.",
	)
}
