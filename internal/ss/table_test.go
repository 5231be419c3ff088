package ss

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"usock/internal/control"
)

var someRows = []Row{
	{Run: "web", Users: `users:(("curl",pid=7,fd=3))`, Socket: &control.Socket{
		Proto: "tcp", State: "ESTAB", SendQ: 12, Local: "10.0.0.1:40000", Peer: "93.184.216.34:443", Congestion: "cubic", TCP: &control.TCP{RTO: 204000, SndMSS: 1448}}},
	{Run: "db", Socket: &control.Socket{Proto: "udp", State: "UNCONN", Local: "0.0.0.0:53"}},
	{Run: "db", Socket: &control.Socket{Proto: "tcp", State: "LISTEN", RecvQ: 1, SendQ: 128, V6: true, Local: "[::]:80"}},
	{Run: "db", Socket: &control.Socket{Proto: "tcp", State: "LISTEN", V6: true, V6Only: true, Local: "[::]:81", Device: "lo"}},
	{Run: "db", Socket: &control.Socket{Proto: "tcp", State: "ESTAB", V6: true, Local: "[2001:db8:1234:5678:9abc:def0:1234:5678]:443", Peer: "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:55555"}},
	{Run: "db", Socket: &control.Socket{Proto: "unix", State: "ESTAB", Local: "@a", Peer: ""}},
}

func service(port uint16, proto string) string {
	if port == 443 && proto == "tcp" {
		return "https"
	}
	return ""
}

// written is the table of some rows.
func written(t *testing.T, table *Table, rows []Row) string {
	t.Helper()
	for i := range rows {
		table.Add(&rows[i])
	}
	var out strings.Builder
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		table Table
		rows  []Row
		want  string
	}{
		{Table{State: true}, someRows[:1], `
State Recv-Q Send-Q Local Address:Port   Peer Address:Port
ESTAB 0      12          10.0.0.1:40000 93.184.216.34:443
`},
		{Table{Run: true, Netid: true, State: true, Process: true, Detail: true, Service: service}, someRows[:4], `
Run Netid State  Recv-Q Send-Q Local Address:Port   Peer Address:Port  Process
db  udp   UNCONN 0      0            0.0.0.0:53          0.0.0.0:*     
web tcp   ESTAB  0      12          10.0.0.1:40000 93.184.216.34:https users:(("curl",pid=7,fd=3))
	 cubic rto:204 mss:1448 retrans:0/0
db  tcp   LISTEN 1      128                *:80                *:*     
db  tcp   LISTEN 0      0            [::]%lo:81             [::]:*     
`},
		// On a terminal processes and details have lines of their own, and addresses no middle.
		{Table{Netid: true, State: true, Process: true, Detail: true, Width: 60}, []Row{someRows[0], someRows[4], someRows[5]}, `
Netid State Recv-Q Send-Q Local Address:Port   Peer Address:Port  
unix  ESTAB 0      0                 @a:*                 *:*     
tcp   ESTAB 0      12          10.0.0.1:40000 93.184.216.34:443   
	 users:(("curl",pid=7,fd=3))
	 cubic rto:204 mss:1448 retrans:0/0
tcp   ESTAB 0      0      [2001:…:5678]:443   [2001:…:ffff]:55555 
`},
	} {
		if got := "\n" + written(t, &c.table, c.rows); got != c.want {
			t.Errorf("%+v\ngot%s\nwant%s", c.table, got, c.want)
		}
	}
}

// TestTableFits has no line wider than the terminal, where the columns can be made to fit.
func TestTableFits(t *testing.T) {
	for _, width := range []int{72, 80, 100, 120, 200} {
		table := Table{Netid: true, State: true, Process: true, Detail: true, Width: width}
		for line := range strings.Lines(written(t, &table, someRows)) {
			line = strings.ReplaceAll(strings.TrimRight(line, " \n"), "\t", "        ")
			if n := len([]rune(line)); n > width {
				t.Errorf("%d columns: %d: %s", width, n, line)
			}
		}
	}
}

// TestTableSorts has protocols in ss's order, unknown ones first, and rows else in their own, however many pieces they take.
func TestTableSorts(t *testing.T) {
	table := Table{Run: true, Netid: true}
	rows := append([]Row{{Run: "x", Socket: &control.Socket{Proto: "new"}}}, someRows...)
	const more = 3 * piece / 20
	for i := range more {
		rows = append(rows, Row{Run: strconv.Itoa(i), Socket: &control.Socket{Proto: "udp"}})
	}
	var got []string
	for line := range strings.Lines(written(t, &table, rows)) {
		f := strings.Fields(line)
		got = append(got, f[0]+" "+f[1])
	}
	want := []string{"Run Netid", "x new", "db unix", "db udp"}
	for i := range more {
		want = append(want, strconv.Itoa(i)+" udp")
	}
	if want = append(want, "web tcp", "db tcp", "db tcp", "db tcp"); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want %d: %.200q", len(got), len(want), got)
	}
}

// TestTableLongTexts has texts come back that are longer than a byte tells, and than a piece.
func TestTableLongTexts(t *testing.T) {
	for _, n := range []int{127, 128, 300, 2 * piece} {
		run := strings.Repeat("r", n)
		table := Table{Run: true}
		if got := written(t, &table, []Row{{Run: run, Socket: &control.Socket{Proto: "tcp"}}}); !strings.Contains(got, "\n"+run+" 0 ") {
			t.Errorf("%d characters: %.100q", n, got)
		}
	}
}

func TestServices(t *testing.T) {
	s := ReadServices(strings.NewReader("# none\nhttp 80/tcp www # the web\nhttp\t80/udp\nbad\nworse x/tcp\ndomain 53/udp nameserver\nwww2 80/tcp\n"))
	if s.Name(80, "tcp") != "http" || s.Name(80, "udp") != "http" || s.Name(53, "tcp") != "" || s.Name(53, "udp") != "domain" {
		t.Error(s.names)
	}
	for name, want := range map[string]uint16{"www": 80, "nameserver": 53, "www2": 80, "http": 80} {
		if n, ok := s.Number(name); !ok || n != want {
			t.Errorf("%s: %d", name, n)
		}
	}
	if _, ok := s.Number("80/tcp"); ok {
		t.Error("80/tcp is no name")
	}
}

// FuzzServices reads any text as services(5): what a line says counts unless one above has said it.
func FuzzServices(f *testing.F) {
	f.Add("http 80/tcp www # the web\n", "http", uint16(81))
	f.Fuzz(func(t *testing.T, text, name string, port uint16) {
		above := ReadServices(strings.NewReader(text))
		for k, name := range above.names {
			if n, ok := above.Number(name); !ok || name == "" || above.Name(k.port, k.proto) != name {
				t.Errorf("%v is %q, which is %d, %v", k, name, n, ok)
			}
		}
		if f := strings.Fields(name); len(f) != 1 || f[0] != name || strings.Contains(name, "#") {
			return
		}
		all := ReadServices(strings.NewReader(text + "\n" + fmt.Sprintf("%s %d/tcp\n", name, port)))
		want, known := above.Number(name)
		if !known {
			want = port
		}
		if n, ok := all.Number(name); !ok || n != want {
			t.Errorf("%q is %d, %v, want %d", name, n, ok, want)
		}
		if had := above.Name(port, "tcp"); all.Name(port, "tcp") != had && (had != "" || all.Name(port, "tcp") != name) {
			t.Errorf("%d is %q, and was %q", port, all.Name(port, "tcp"), had)
		}
	})
}

func TestUsers(t *testing.T) {
	if got := Users([]Holder{{7, "a\"b", 3}, {8, "c", -1}}); got != `users:(("a\"b",pid=7,fd=3),("c",pid=8))` {
		t.Error(got)
	}
	if Users(nil) != "" {
		t.Error("nobody")
	}
}
