package ss

import (
	"strings"
	"testing"

	"usock/internal/control"
)

var rows = []Row{
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

func TestTable(t *testing.T) {
	for _, c := range []struct {
		table Table
		rows  []Row
		want  string
	}{
		{Table{State: true}, rows[:1], `
State Recv-Q Send-Q Local Address:Port   Peer Address:Port
ESTAB 0      12          10.0.0.1:40000 93.184.216.34:443
`},
		{Table{Run: true, Netid: true, State: true, Process: true, Detail: true, Service: service}, rows[:4], `
Run Netid State  Recv-Q Send-Q Local Address:Port   Peer Address:Port  Process
web tcp   ESTAB  0      12          10.0.0.1:40000 93.184.216.34:https users:(("curl",pid=7,fd=3))
	 cubic rto:204 mss:1448 retrans:0/0
db  udp   UNCONN 0      0            0.0.0.0:53          0.0.0.0:*     
db  tcp   LISTEN 1      128                *:80                *:*     
db  tcp   LISTEN 0      0            [::]%lo:81             [::]:*     
`},
		// On a terminal processes and details have lines of their own, and addresses no middle.
		{Table{Netid: true, State: true, Process: true, Detail: true, Width: 60}, []Row{rows[0], rows[4], rows[5]}, `
Netid State Recv-Q Send-Q Local Address:Port   Peer Address:Port  
tcp   ESTAB 0      12          10.0.0.1:40000 93.184.216.34:443   
	 users:(("curl",pid=7,fd=3))
	 cubic rto:204 mss:1448 retrans:0/0
tcp   ESTAB 0      0      [2001:…:5678]:443   [2001:…:ffff]:55555 
unix  ESTAB 0      0                 @a:*                 *:*     
`},
	} {
		var out strings.Builder
		if err := c.table.Write(&out, c.rows); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != c.want {
			t.Errorf("%+v\ngot%s\nwant%s", c.table, got, c.want)
		}
	}
}

// TestTableFits has no line wider than the terminal, where the columns can be made to fit.
func TestTableFits(t *testing.T) {
	for _, width := range []int{72, 80, 100, 120, 200} {
		var out strings.Builder
		table := Table{Netid: true, State: true, Process: true, Detail: true, Width: width}
		if err := table.Write(&out, rows); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.ReplaceAll(strings.TrimRight(line, " \n"), "\t", "        ")
			if n := len([]rune(line)); n > width {
				t.Errorf("%d columns: %d: %s", width, n, line)
			}
		}
	}
}

func TestSort(t *testing.T) {
	list := append([]Row(nil), rows...)
	Sort(list)
	var got []string
	for _, r := range list {
		got = append(got, r.Socket.Proto)
	}
	if s := strings.Join(got, " "); s != "unix udp tcp tcp tcp tcp" || list[2].Run != "web" {
		t.Error(s)
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

func TestUsers(t *testing.T) {
	if got := Users([]Holder{{7, "a\"b", 3}, {8, "c", -1}}); got != `users:(("a\"b",pid=7,fd=3),("c",pid=8))` {
		t.Error(got)
	}
	if Users(nil) != "" {
		t.Error("nobody")
	}
}
