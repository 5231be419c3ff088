package top

import (
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"usock/internal/ss"
)

// command is what a key does.
type command struct {
	key   string
	label string // in the line at the bottom
	order Order  // that it sorts by; orders: none
	help  string
}

// commands are the keys of the line at the bottom, in its order.
var commands = []command{
	{"r", "rate", ByRate, "sort by rate, received and sent together"},
	{"x", "retrans", ByLoss, "sort by retransmissions, first those of the last interval; datagrams: drops"},
	{"u", "queues", ByQueues, "sort by what waits in the queues"},
	{"w", "waits", ByWaits, "sort by who is waited for: path, outside, resolver, receiver, cwnd, ..."},
	{"t", "rtt", ByRTT, "sort by round-trip time"},
	{"n", "name", ByProcess, "sort by the process's name"},
	{"/", "filter", orders, "show only what a filter of usock ss lets pass"},
	{"p", "pause", orders, "hold the screen still, or let it go on"},
	{"b", "process", orders, "show a row for each process, or for each socket again"},
	{"?", "help", orders, "show this page, or the table again"},
	{"q", "quit", orders, "quit"},
}

// key does what a key says.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.prompt != nil:
		return m.type_(name, k.Text)
	case m.help:
		m.help = false
		if name == "q" {
			return tea.Quit
		}
		return nil
	}
	for _, c := range commands {
		if c.key == name && c.order < orders {
			m.turned = c.order == m.order && !m.turned
			m.order = c.order
			m.sort()
			return nil
		}
	}
	page := max(m.layout().rows-1, 1)
	switch name {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "p", "space":
		m.paused = !m.paused
	case "/":
		m.prompt = &prompt{text: m.query.Filter}
	case "b":
		m.grouped = !m.grouped
		m.cursor, m.pinned = 0, false
		m.sort()
	case "a":
		m.query.All = !m.query.All
		return m.ask()
	case "up", "k":
		m.move(m.cursor - 1)
	case "down", "j":
		m.move(m.cursor + 1)
	case "pgup", "ctrl+b":
		m.move(m.cursor - page)
	case "pgdown", "ctrl+f":
		m.move(m.cursor + page)
	case "home", "g":
		m.move(0)
	case "end", "G":
		m.move(len(m.rows) - 1)
	}
	return nil
}

// type_ takes a key while a filter is typed.
func (m *Model) type_(name, text string) tea.Cmd {
	p := m.prompt
	switch name {
	case "enter":
		if _, p.err = ss.Parse(p.text, ss.ServiceNumber); p.err != nil {
			return nil
		}
		m.prompt = nil
		m.query.Filter = p.text
		return m.ask()
	case "esc":
		m.prompt = nil
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(p.text)
		p.text, p.err = p.text[:len(p.text)-n], nil
	case "ctrl+u":
		p.text, p.err = "", nil
	default:
		p.add(text)
	}
	return nil
}

// ask has the runs asked what the model wants to know.
func (m *Model) ask() tea.Cmd {
	q, ask := m.query, m.config.Ask
	return func() tea.Msg {
		if ask != nil {
			ask(q)
		}
		return nil
	}
}
