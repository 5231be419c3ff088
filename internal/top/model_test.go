package top

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"usock/internal/control"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// screen is a model that is driven without a terminal.
type screen struct {
	*Model
	t     *testing.T
	now   time.Time
	asked []Query
	quit  bool
}

func newScreen(t *testing.T, width, height int) *screen {
	t.Helper()
	s := &screen{t: t, now: time.UnixMilli(1_796_000_000_000)}
	s.Model = New(Config{Every: time.Second, Ask: func(q Query) { s.asked = append(s.asked, q) }})
	s.tell(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// tell hands the model a message, and carries out what it wants done.
func (s *screen) tell(msg tea.Msg) {
	_, cmd := s.Update(msg)
	if cmd == nil {
		return
	}
	switch cmd().(type) {
	case tea.QuitMsg:
		s.quit = true
	}
}

// keys are names of keys, or a text.
func (s *screen) keys(names ...string) {
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace,
	}
	for _, n := range names {
		if c, ok := codes[n]; ok {
			s.tell(tea.KeyPressMsg{Code: c})
			continue
		}
		if c, ok := strings.CutPrefix(n, "ctrl+"); ok {
			s.tell(tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl})
			continue
		}
		for _, r := range n {
			s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// text is what is on the screen.
func (s *screen) text() string {
	var b strings.Builder
	for _, line := range s.Screen() {
		b.WriteString(strings.TrimRight(ansi.Strip(line), " ") + "\n")
	}
	return b.String()
}

// fits looks that the screen has its size.
func (s *screen) fits() {
	s.t.Helper()
	lines := s.Screen()
	if len(lines) != s.height {
		s.t.Fatalf("%dx%d: %d lines\n%s", s.width, s.height, len(lines), s.text())
	}
	for _, line := range lines {
		if n := ansi.StringWidth(line); n > s.width || strings.Contains(line, "\n") {
			s.t.Fatalf("%dx%d: %d columns: %q", s.width, s.height, n, line)
		}
	}
}

// golden compares the screen with a file.
func (s *screen) golden(name string) {
	s.t.Helper()
	s.fits()
	golden(s.t, name, s.text())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v\n%swant\n%s", path, err, got, want)
	}
}

// The runs of the tests.
var (
	web = control.Run{
		ID: "9366994f", Name: "web", Program: []string{"/usr/bin/python3", "server.py", "--port", "8000"}, Shape: "--delay 20ms --loss 1% --mtu 1500", Start: 1_795_999_900_000,
	}
	build = control.Run{ID: "aa000001", Program: []string{"make", "-j8"}, Start: 1_795_999_990_000}
)

// sockets are those of a run after some seconds: each second a connection receives a megabyte, one sends 50 kB and loses
// two segments, and 300 datagrams are dropped.
func sockets(seconds int) []control.Socket {
	n := uint64(seconds)
	tcp := func(id uint64, local, peer string, in control.TCP) control.Socket {
		return control.Socket{ID: id, Proto: "tcp", State: "ESTAB", Local: local, Peer: peer, Process: 4711, Program: "python3", Congestion: "cubic", TCP: &in}
	}
	list := []control.Socket{
		tcp(5, "10.0.0.2:8000", "10.0.0.9:40001", control.TCP{BytesReceived: 1_000_000 * n, RTT: 20_400, RTTVar: 300, RTO: 220_000, SndMSS: 1448, SndCwnd: 10}),
		tcp(6, "10.0.0.2:8000", "192.168.100.200:50123", control.TCP{BytesAcked: 50_000 * n, TotalRetrans: uint32(2 * n), RTT: 150_000, SndMSS: 1448, SndCwnd: 13}),
		tcp(7, "[2001:db8::2]:8000", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:50124", control.TCP{BytesAcked: 100, RTT: 900}),
		tcp(8, "10.0.0.2:8000", "10.0.0.9:40003", control.TCP{BytesReceived: 700, RTT: 21_000}),
		{ID: 2, Proto: "udp", State: "UNCONN", Local: "10.0.0.2:5300", Process: 4712, Program: "dnsd", RecvQ: 212_992, Drops: 300 * n},
		{ID: 3, Proto: "udp", State: "ESTAB", Local: "10.0.0.2:40000", Peer: "10.0.0.1:53", Process: 4711, Program: "python3"},
	}
	list[1].SendQ, list[1].Stall = 580_000, "congestion: the window of 13 segments is full, for a round trip of 150ms; 547 KiB wait"
	list[2].SendQ, list[2].Stall = 70_000, "receiver: its window of 64 KiB is full, the program there reads too slowly; 70000 bytes wait"
	list[3].Stall = "program: nothing to send for 3m2s, nothing came for 1.5s"
	return list
}

// traffic is what links have carried after some seconds.
func traffic(seconds int) *control.Traffic {
	n := uint64(seconds)
	return &control.Traffic{At: int64(seconds) * 1_000_000, Interfaces: []control.InterfaceTraffic{
		{Name: "lo"}, {Name: "usock0", RxBytes: 1_050_000 * n, TxBytes: 60_000 * n},
	}}
}

// pass has seconds pass, after each of which all runs are looked at.
func (s *screen) pass(from, to int, runs ...control.Run) {
	ids := []string{}
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	for n := from; n <= to; n++ {
		s.now = s.now.Add(time.Second)
		s.tell(Found{s.now, ids})
		for i, r := range runs {
			l := Look{Run: r, At: s.now, Query: s.query, Traffic: traffic(n)}
			if i == 0 {
				l.Sockets = sockets(n)
			} else {
				l.Sockets = []control.Socket{{ID: 1, Proto: "tcp", State: "SYN-SENT", Local: "10.0.1.2:41000", Peer: "203.0.113.7:443", Process: 99, Program: "curl",
					TCP: &control.TCP{Retransmits: 3, TotalRetrans: 3}, Stall: "path: no answer to 4 SYNs"}}
			}
			s.tell(l)
		}
	}
}

// TestScreens draws the table in the sizes of terminals.
func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {132, 40}, {40, 10}, {20, 5}} {
		s := newScreen(t, size[0], size[1])
		s.pass(1, 2, web)
		s.golden(fmt.Sprintf("web-%dx%d", size[0], size[1]))
		s.pass(3, 4, web, build)
		s.keys("w", "j")
		s.golden(fmt.Sprintf("both-%dx%d", size[0], size[1]))
	}
}

// TestProcesses has a row for each process, on terminals of all sizes, and those for sockets again.
func TestProcesses(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {132, 40}, {40, 10}} {
		s := newScreen(t, size[0], size[1])
		s.pass(1, 4, web, build)
		sockets := s.text()
		s.keys("b")
		s.golden(fmt.Sprintf("processes-%dx%d", size[0], size[1]))
		if s.keys("b"); s.text() != sockets {
			t.Errorf("after the processes\n%s", s.text())
		}
	}
	s := newScreen(t, 80, 24)
	s.pass(1, 4, web, build)
	s.keys("b", "j")
	for _, c := range []struct{ key, want string }{
		{"x", "dnsd[4712] python3[4711] curl[99]"}, {"u", "python3[4711] dnsd[4712] curl[99]"},
		{"w", "curl[99] python3[4711] dnsd[4712]"}, {"t", "python3[4711] dnsd[4712] curl[99]"}, {"n", "curl[99] dnsd[4712] python3[4711]"},
		{"r", "python3[4711] dnsd[4712] curl[99]"},
	} {
		chosen := s.rows[s.cursor].Program
		s.keys(c.key)
		if got := strings.Join(s.column("PROCESS"), " "); got != c.want || s.rows[s.cursor].Program != chosen {
			t.Errorf("%s: %s, want %s; %s is selected, want %s", c.key, got, c.want, s.rows[s.cursor].Program, chosen)
		}
	}
}

// TestDatagramRates has rates of sockets that are no connections.
func TestDatagramRates(t *testing.T) {
	s := newScreen(t, 80, 24)
	for n := range uint64(2) {
		s.tell(Found{s.now, []string{web.ID}})
		s.tell(Look{Run: web, At: s.now, Traffic: traffic(int(n)), Sockets: []control.Socket{
			{ID: 1, Proto: "udp", State: "UNCONN", RxBytes: 1000 * n, TxBytes: 250 * n}, {ID: 2, Proto: "sctp", State: "ESTAB", RxBytes: 10 * n}, {ID: 3, Proto: "unix", State: "ESTAB"},
			{ID: 4, Proto: "sctp", State: "LISTEN"},
		}})
	}
	if rx, tx := strings.Join(s.column("RX"), " "), strings.Join(s.column("TX"), " "); rx != "8.00k 80 - -" || tx != "2.00k 0 - -" {
		t.Errorf("rx %s, tx %s", rx, tx)
	}
}

// TestText prints a screen for who has no terminal.
func TestText(t *testing.T) {
	s := newScreen(t, 80, 24)
	if s.pass(1, 1, web, build); s.Settled() {
		t.Error("settled after one look")
	}
	if s.pass(2, 2, web, build); !s.Settled() {
		t.Error("not settled after two looks")
	}
	for _, width := range []int{40, 80, 132} {
		golden(t, fmt.Sprintf("text-%d", width), s.Text(width))
	}
}

// TestHelp shows the keys, and goes back to the table.
func TestHelp(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web)
	table := s.text()
	s.keys("?")
	s.golden("help-80x24")
	if s.keys("x"); s.text() != table {
		t.Errorf("after the help\n%s", s.text())
	}
	if s.keys("?", "q"); !s.quit {
		t.Error("q did not quit")
	}
}

// TestSizes draws on terminals of all sizes, with more sockets than any has lines.
func TestSizes(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web, build)
	many := sockets(3)
	for i := range 2000 {
		many = append(many, control.Socket{ID: uint64(100 + i), Proto: "udp", State: "UNCONN", Local: fmt.Sprintf("日本:%d", i), Program: "日本語のプログラム", RecvQ: i})
	}
	s.tell(Look{Run: web, At: s.now, Traffic: traffic(3), Sockets: many})
	for _, mode := range []string{"", "?", "/"} {
		s.keys("G", mode)
		for width := 0; width < 140; width += 3 {
			for _, height := range []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 16, 17, 18, 24, 50} {
				s.tell(tea.WindowSizeMsg{Width: width, Height: height})
				s.fits()
			}
		}
		s.keys("esc")
	}
	s.tell(tea.WindowSizeMsg{})
	if got := s.Screen(); len(got) != 0 {
		t.Errorf("no lines: %q", got)
	}
	s.tell(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.fits()
}

// column is a column of the table, from above.
func (s *screen) column(title string) (list []string) {
	for _, c := range s.fit(s.rows, 200) {
		if c.title == title {
			for _, r := range s.rows {
				list = append(list, c.text(s.Model, r, c.width))
			}
		}
	}
	return list
}

// TestOrders sorts by each key, and back.
func TestOrders(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web)
	for _, c := range []struct{ key, title, want string }{
		{"r", "RX", "0 0 0 0 0 8.00M"},
		{"r", "RX", "8.00M 0 0 0 0 0"},
		{"x", "RETR", "600+300 4+2 0 0 0 0"},
		{"u", "SNDQ", "566K 0 68K 0 0 0"},
		{"u", "SNDQ", "0 0 0 68K 0 566K"},
		{"w", "WAITS", "receiver: congestion:   program: "},
		{"t", "RTT", "150ms 21ms 20ms 900µs - -"},
		{"n", "PROCESS", "dnsd[4712] python3[4711]"},
	} {
		s.keys(c.key)
		got := strings.Join(s.column(c.title), " ")
		switch c.key {
		case "w":
			var words []string
			for _, w := range s.column(c.title) {
				words = append(words, strings.SplitAfter(w, ":")[0])
			}
			got = strings.TrimRight(strings.Join(words, " "), " ") + " "
		case "n":
			got = strings.Join(slices.Compact(s.column(c.title)), " ")
		}
		if got != c.want {
			t.Errorf("%s: %s is\n%q, want\n%q", c.key, c.title, got, c.want)
		}
	}
}

// TestRates has rates of what is known of two looks, and none of other sockets.
func TestRates(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 1, web)
	if got := s.column("RX"); slices.ContainsFunc(got, func(r string) bool { return r != "-" }) {
		t.Error("after one look:", got)
	}
	s.pass(3, 3, web) // two seconds later by the run's own clock
	row := s.rows[0]
	if row.ID != 5 || row.rx != 1_000_000 || row.fresh {
		t.Errorf("%+v", row)
	}
	// The socket is closed, and its connection goes on; another one has the addresses of one that has ended.
	list := sockets(4)
	list[0].ID = 0
	list[1].TCP.BytesAcked = 5
	s.tell(Look{Run: web, At: s.now, Traffic: traffic(4), Sockets: list})
	for _, r := range s.rows {
		switch r.Peer {
		case list[0].Peer:
			if r.rx != 1_000_000 {
				t.Errorf("of a connection without socket: %v", r.rx)
			}
		case list[1].Peer:
			if !r.fresh || r.tx != 0 {
				t.Errorf("of another connection: %v", r.tx)
			}
		}
	}
}

// TestSelection stays with its socket, and is the first row until it is moved.
func TestSelection(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web)
	s.keys("u")
	if s.cursor != 0 {
		t.Error("the cursor has moved by itself:", s.cursor)
	}
	s.keys("down", "j")
	id := s.rows[2].ID
	for _, key := range []string{"r", "r", "x", "t", "n", "w"} {
		if s.keys(key); s.rows[s.cursor].ID != id {
			t.Errorf("%s: row %d is selected, socket %d", key, s.cursor, s.rows[s.cursor].ID)
		}
	}
	// It ends: one is selected still.
	s.tell(Look{Run: web, At: s.now, Traffic: traffic(3), Sockets: slices.DeleteFunc(sockets(3), func(c control.Socket) bool { return c.ID == id })})
	if len(s.rows) != 5 || s.cursor > 4 || s.rows[s.cursor].ID == id {
		t.Error(len(s.rows), s.cursor)
	}
	for key, want := range map[string]int{"end": 4, "pgup": 0, "pgdown": 4, "home": 0, "up": 0} {
		if s.keys(key); s.cursor != want && key != "up" {
			t.Errorf("%s: row %d, want %d", key, s.cursor, want)
		}
		s.fits()
	}
	s.keys("home", "up")
	if s.cursor != 0 || s.pinned {
		t.Error(s.cursor, s.pinned)
	}
}

// TestScroll keeps what is selected on the screen.
func TestScroll(t *testing.T) {
	s := newScreen(t, 80, 10)
	s.pass(1, 2, web)
	for range 2 {
		for _, key := range []string{"j", "j", "j", "j", "j", "j", "k", "k", "k", "k", "k", "k"} {
			s.keys(key)
			if room := s.layout().rows; s.cursor < s.first || s.cursor >= s.first+room {
				t.Fatalf("%s: row %d of those from %d to %d", key, s.cursor, s.first, s.first+room)
			}
		}
		s.tell(tea.WindowSizeMsg{Width: 80, Height: 8})
	}
}

// TestFilter types a filter, which runs are asked for then.
func TestFilter(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web)
	s.keys("/", "sport = :x", "q")
	if got := s.text(); s.quit || !strings.HasSuffix(got, "\nfilter: sport = :xq_\n") {
		t.Error(got)
	}
	if s.keys("enter"); !strings.HasSuffix(s.text(), "\n"+`bad filter: there is no service "xq"; give a port, such as :443`+"\n") || len(s.asked) != 0 {
		t.Error(s.text())
	}
	s.keys("backspace", "backspace")
	s.tell(tea.PasteMsg{Content: "8000\x1b[2J\n"})
	if s.keys("ctrl+u"); !strings.HasSuffix(s.text(), "\nfilter: _\n") {
		t.Error(s.text())
	}
	s.tell(tea.PasteMsg{Content: "dport =\n:50123"})
	s.keys("enter")
	if want := (Query{Filter: "dport = :50123"}); !slices.Equal(s.asked, []Query{want}) {
		t.Errorf("asked: %+v", s.asked)
	}
	s.tell(Look{Run: web, At: s.now, Traffic: traffic(3)}) // the answer to the question before
	if len(s.rows) != 6 {
		t.Error("an answer to another question was taken")
	}
	s.tell(Look{Run: web, At: s.now, Query: s.asked[0], Traffic: traffic(3), Sockets: sockets(3)[1:2]})
	if got := s.text(); len(s.rows) != 1 || !strings.Contains(got, "filter: dport = :50123\n") {
		t.Error(got)
	}
	if s.keys("/", "x", "esc", "a"); s.asked[1] != (Query{"dport = :50123", true}) {
		t.Errorf("asked: %+v", s.asked)
	}
	s.keys("/", strings.Repeat("y", 2*maxPrompt))
	s.fits()
}

// TestPause holds the screen, but for a question that is asked meanwhile.
func TestPause(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.pass(1, 2, web)
	s.keys("p")
	still := s.text()
	if !strings.Contains(still, "PAUSED") {
		t.Error(still)
	}
	s.pass(3, 20, web)
	s.tell(Gone{ID: web.ID})
	s.tell(Failed{web.ID, os.ErrClosed})
	s.tell(Found{s.now, nil})
	if s.text() != still {
		t.Errorf("it has changed\n%s", s.text())
	}
	s.keys("a")
	s.tell(Look{Run: web, At: s.now, Query: Query{All: true}, Traffic: traffic(20), Sockets: sockets(20)[:2]})
	if len(s.rows) != 2 {
		t.Error("a new question was not answered")
	}
	s.keys("p")
	s.pass(21, 21, web)
	if got := s.text(); strings.Contains(got, "PAUSED") || strings.Contains(got, "answered") || !strings.Contains(got, "8.00M") {
		t.Error(got)
	}
}

// TestComeAndGo has runs begin, fall silent, fail and end.
func TestComeAndGo(t *testing.T) {
	s := newScreen(t, 80, 24)
	shows := func(want ...string) {
		t.Helper()
		s.fits()
		for _, w := range want {
			if !strings.Contains(s.text(), w) {
				t.Errorf("no %q in\n%s", w, s.text())
			}
		}
	}
	shows("looking for runs")
	s.tell(Found{s.now, []string{}})
	shows("nothing runs under usock", "0 runs, 0 sockets")
	s.keys("j", "k", "end", "pgdown", "x")
	s.pass(1, 2, web, build)
	shows("2 runs, 7 sockets", "rx 16.8M tx 960k")
	for range 5 { // web does not answer
		s.now = s.now.Add(time.Second)
		s.tell(Found{s.now, []string{web.ID, build.ID}})
		s.tell(Look{Run: build, At: s.now, Traffic: traffic(2)})
	}
	shows("web  has not answered for 5s", "rx 0 tx 0")
	s.tell(Failed{web.ID, fmt.Errorf("that run\x1b[2J does not answer")})
	shows("web  that run[2J does not answer", "2 runs, 6 sockets")
	s.tell(Failed{"bb000002", fmt.Errorf("busy")})
	if got := strings.Join(s.Unheard(), "; "); got != "run 9366994f: that run\x1b[2J does not answer" {
		t.Error(got)
	}
	s.pass(6, 7, web, build)
	shows("2 runs, 7 sockets", "8.00M")
	s.tell(Gone{ID: web.ID})
	shows("1 run, 1 socket", "make -j8")
	s.tell(Found{s.now, nil})
	shows("nothing runs under usock")
	s.tell(Gone{ID: web.ID, Killed: "web"})
	shows("web was killed", "1 killed")
	if got := s.Killed(); !slices.Equal(got, []string{"web"}) {
		t.Error(got)
	}
	s.killed = nil
	if s.Heard() != 0 {
		t.Error(s.Heard())
	}
	s.config.Name = "web"
	shows("web has ended\n")
	s.config.Again = true
	shows("web has ended; another run of that name will be shown\n")
	if s.keys("ctrl+c"); !s.quit {
		t.Error("Ctrl-C did not quit")
	}
}

// TestFormats writes numbers in as few characters as their columns have.
func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		bits(0): "0", bits(124.9): "999", bits(125): "1.00k", bits(1249): "9.99k", bits(124_940): "1.00M", bits(1.25e6): "10.0M", bits(1.25e8): "1.00G", bits(3e9): "24.0G",
		size(0) + " ": "0 ", size(9999): "9999", size(10_000): "9.8K", size(212_992): "208K", size(1 << 20): "1.0M", size(1023 << 10): "1.0M",
		number(999) + " ": "999 ", number(1000): "1.0k", number(99_900): "100k", number(5_000_000_000): "5.0G",
		roundTrip(1): "1µs", roundTrip(999): "999µs", roundTrip(1000): "1.0ms", roundTrip(9949): "9.9ms", roundTrip(9951): "10ms", roundTrip(999_499): "999ms", roundTrip(999_501): "0.9s", roundTrip(4_294_967_295): "4295s",
		address("", 9): "*", address("10.0.0.1:80", 11): "10.0.0.1:80", address("10.0.0.1:80", 10): "10.…0.1:80", address("[2001:db8::1]:443", 12): "[200…:1]:443", address("10.0.0.1:65535", 6): ":65535", address("/run/x", 4): "/ru…",
		Age(59 * time.Second): "59s", Age(time.Hour): "1h00m", Age(25 * time.Hour): "1d01h", Age(-time.Second): "0s",
	} {
		if strings.TrimSpace(got) != strings.TrimSpace(want) || ansi.StringWidth(strings.TrimSpace(got)) > 12 {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
