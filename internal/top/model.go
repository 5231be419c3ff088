package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"usock/internal/control"
)

// Config says what a Model begins with.
type Config struct {
	Name    string // of the run that is looked at; "": all
	Again   bool   // another run that is called so will be looked at, too
	Every   time.Duration
	Query   Query
	Order   Order
	Grouped bool        // a row for each process
	Ask     func(Query) // is called when another query is wanted
}

// Model is what is on the screen.
type Model struct {
	config  Config
	now     time.Time
	found   []string
	runs    []*run
	killed  []string // runs that were killed while they were looked at, as they are called
	rows    []*row   // of all runs, sorted
	sockets int      // how many these are of
	query   Query
	order   Order
	turned  bool // the other way round
	grouped bool // a row is a process
	paused  bool
	help    bool
	prompt  *prompt // nil: keys are commands
	width   int
	height  int
	cursor  int // the row that is selected
	first   int // the row at the top of the table
	chosen  key // the row of the cursor
	pinned  bool
}

// run is a run as far as it is known.
type run struct {
	control.Run
	err     error // why it does not let itself be asked
	heard   time.Time
	looks   int
	query   Query // of the rows
	traffic *control.Traffic
	links   []link
	rows    map[key]*row
}

// link is an interface, with bytes a second.
type link struct {
	name   string
	rx, tx float64
}

// New returns a model of nothing yet.
func New(c Config) *Model {
	return &Model{config: c, query: c.Query, order: c.Order, grouped: c.Grouped, width: 80, height: 24}
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.add(msg.Content)
		}
	case Look:
		m.look(&msg)
	case Found:
		if !m.paused {
			m.now, m.found = msg.Now, msg.IDs
			m.runs = slices.DeleteFunc(m.runs, func(r *run) bool { return !slices.Contains(msg.IDs, r.ID) })
			m.sort()
		}
	case Failed:
		if !m.paused {
			m.run(msg.ID).err = msg.Err
		}
	case Gone:
		if msg.Killed != "" {
			m.killed = append(m.killed, msg.Killed)
		}
		if !m.paused {
			m.found = slices.DeleteFunc(slices.Clone(m.found), func(id string) bool { return id == msg.ID })
			m.runs = slices.DeleteFunc(m.runs, func(r *run) bool { return r.ID == msg.ID })
			m.sort()
		}
	}
	m.settle()
	return m, cmd
}

// run returns the run of an id, which may be new.
func (m *Model) run(id string) *run {
	for _, r := range m.runs {
		if r.ID == id {
			return r
		}
	}
	r := &run{Run: control.Run{ID: id}}
	m.runs = append(m.runs, r)
	return r
}

// look takes what a run has answered. What answers an older question comes too late; while the screen stands still a new
// question is answered still.
func (m *Model) look(l *Look) {
	if l.Query != m.query {
		return
	}
	if m.paused && !slices.ContainsFunc(m.runs, func(r *run) bool { return r.ID == l.Run.ID && r.query != m.query }) {
		for _, r := range m.runs {
			if r.ID == l.Run.ID {
				r.heard = l.At
			}
		}
		return
	}
	r := m.run(l.Run.ID)
	r.Run, r.err, r.heard, r.query = l.Run, nil, l.At, l.Query
	r.looks++
	seconds := 0.0
	if r.traffic != nil {
		seconds = float64(l.Traffic.At-r.traffic.At) / 1e6
	}
	r.links = linksOf(l.Traffic, r.traffic, seconds)
	r.rows = rowsOf(r, l.Sockets, r.rows, seconds)
	r.traffic = l.Traffic
	slices.SortStableFunc(m.runs, func(a, b *run) int { return cmp.Compare(a.Start, b.Start) })
	m.sort()
}

// linksOf are the interfaces of a look, with rates since the look before.
func linksOf(now, before *control.Traffic, seconds float64) []link {
	list := make([]link, len(now.Interfaces))
	for i, is := range now.Interfaces {
		list[i].name = is.Name
		if before == nil || seconds <= 0 {
			continue
		}
		for _, was := range before.Interfaces {
			if was.Name == is.Name && is.RxBytes >= was.RxBytes && is.TxBytes >= was.TxBytes {
				list[i].rx = float64(is.RxBytes-was.RxBytes) / seconds
				list[i].tx = float64(is.TxBytes-was.TxBytes) / seconds
			}
		}
	}
	return list
}

// sort makes the list of rows anew.
func (m *Model) sort() {
	m.rows = m.rows[:0]
	for _, r := range m.runs {
		for _, x := range r.rows {
			m.rows = append(m.rows, x)
		}
	}
	m.sockets = len(m.rows)
	sorted(m.rows, m.order, m.turned)
	if m.grouped {
		m.rows = grouped(m.rows)
		sorted(m.rows, m.order, m.turned)
	}
	if m.pinned {
		if i := slices.IndexFunc(m.rows, func(r *row) bool { return r.key() == m.chosen }); i >= 0 {
			m.cursor = i
		}
	}
}

// settle keeps the cursor on a row, and that row on the screen.
func (m *Model) settle() {
	m.cursor = max(0, min(m.cursor, len(m.rows)-1))
	if m.cursor < len(m.rows) {
		m.chosen = m.rows[m.cursor].key()
	}
	room := m.layout().rows
	m.first = max(m.first, m.cursor-room+1)
	m.first = max(0, min(m.first, m.cursor, len(m.rows)-room))
}

// move moves the cursor. From then on it stays with its socket, wherever that goes, until it is moved to the top.
func (m *Model) move(to int) {
	m.cursor, m.pinned = max(0, min(to, len(m.rows)-1)), to > 0
}

// silence is how long a run may be silent before that is said.
func (m *Model) silence() time.Duration { return max(3*m.config.Every, 3*time.Second) }

// silent is how long a run has not answered; 0: that is not worth a word.
func (m *Model) silent(r *run) time.Duration {
	if d := m.now.Sub(r.heard); r.err == nil && d >= m.silence() {
		return d.Truncate(time.Second)
	}
	return 0
}

// answers reports whether what is known of a run is of now.
func (m *Model) answers(r *run) bool { return r.err == nil && m.silent(r) == 0 }

// several reports whether rows must say whose they are.
func (m *Model) several() bool { return len(m.runs) > 1 }

// Settled reports whether each run has been looked at often enough to know its rates, or does not answer.
func (m *Model) Settled() bool {
	return !m.now.IsZero() && !slices.ContainsFunc(m.found, func(id string) bool {
		i := slices.IndexFunc(m.runs, func(r *run) bool { return r.ID == id })
		return i < 0 || m.runs[i].looks < 2 && m.runs[i].err == nil
	})
}

// Heard is how many runs have been looked at.
func (m *Model) Heard() (n int) {
	for _, r := range m.runs {
		if r.looks > 0 {
			n++
		}
	}
	return n
}

// Unheard says which runs do not answer, and why.
func (m *Model) Unheard() (list []string) {
	for _, id := range m.found {
		i := slices.IndexFunc(m.runs, func(r *run) bool { return r.ID == id })
		switch {
		case i < 0 || m.runs[i].looks == 0 && m.runs[i].err == nil:
			list = append(list, "run "+id+" does not answer")
		case m.runs[i].err != nil:
			list = append(list, fmt.Sprintf("run %s: %v", id, m.runs[i].err))
		}
	}
	return list
}

// Killed are the runs that were killed while they were looked at.
func (m *Model) Killed() []string { return m.killed }

// title is what a run is called: its name if no other one has it, or its id.
func (m *Model) title(r *run) string {
	same := func(o *run) bool { return o != r && o.Name == r.Name }
	if r.Name == "" || slices.ContainsFunc(m.runs, same) {
		return r.ID
	}
	return r.Name
}

// prompt is a filter that is being typed.
type prompt struct {
	text string
	err  error
}

// maxPrompt bounds what is typed.
const maxPrompt = 1000

// add types a text, of which what would change the terminal is left out.
func (p *prompt) add(text string) {
	p.err = nil
	if text = control.Printable(strings.ReplaceAll(text, "\n", " ")); len(p.text)+len(text) <= maxPrompt {
		p.text += text
	}
}
