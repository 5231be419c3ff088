package inspect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usock"
	"usock/internal/control"
	"usock/trace"
)

// served is a host with a control socket in a folder of the test's.
type served struct {
	t    *testing.T
	h    *usock.Host
	s    *Server
	path string
}

func serve(t *testing.T, c Config) *served {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	c.Host = h
	s, err := Serve(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &served{t, h, s, filepath.Join(dir, "usock", s.ID())}
}

// raw is a client that says what it likes.
type raw struct {
	t *testing.T
	*net.UnixConn
	r *bufio.Reader
}

func (x *served) dial() *raw {
	x.t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: x.path, Net: "unix"})
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &raw{x.t, c, bufio.NewReaderSize(c, 1<<20)}
}

// greeted is dial with the greeting read.
func (x *served) greeted() *raw {
	x.t.Helper()
	c := x.dial()
	if line := c.line(); !strings.HasPrefix(line, `{"usock":1,"run":{"id":"`+x.s.ID()) {
		x.t.Fatalf("greeting: %s", line)
	}
	return c
}

func (c *raw) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

func (c *raw) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// gone fails the test unless the server has closed the connection.
func (c *raw) gone() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil && !isReset(err) || len(b) > 0 {
		c.t.Errorf("%v, %q", err, b)
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "connection reset") }

// connect makes a connection on the host.
func (x *served) connect(port string) (client, server net.Conn) {
	x.t.Helper()
	l, err := x.h.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		x.t.Fatal(err)
	}
	if client, err = x.h.Dial("tcp", l.Addr().String()); err != nil {
		x.t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		x.t.Fatal(err)
	}
	return client, server
}

// TestRequests has each request answered, and those that are none refused in words, after which
// the connection goes on.
func TestRequests(t *testing.T) {
	x := serve(t, Config{Name: "web", Program: []string{"./server", "-v"}, Shape: "--loss 1%"})
	client, _ := x.connect("8000")
	io.WriteString(client, "hello")
	c := x.dial()
	var g control.Greeting
	if err := json.Unmarshal([]byte(c.line()), &g); err != nil {
		t.Fatal(err)
	}
	if r := g.Run; g.Version != 1 || r.Name != "web" || r.PID != os.Getpid() || r.Shape != "--loss 1%" || strings.Join(r.Program, " ") != "./server -v" ||
		time.Since(time.UnixMilli(r.Start)) > time.Minute || time.Since(time.UnixMilli(r.Epoch)) > time.Minute {
		t.Errorf("%+v", g)
	}
	name := programName(make(gate, 1), map[int32]string{}, int32(os.Getpid()))
	for _, s := range []struct{ say, want string }{
		{`{"id":1,"do":"sockets","states":["LISTEN"]}`, fmt.Sprintf(`{"id":1,"sockets":[{"id":1,"proto":"tcp","state":"LISTEN","recv_q":0,"send_q":4096,"local":"127.0.0.1:8000","process":%d,"program":%q}]}`, os.Getpid(), name)},
		{"", `{"id":1,"done":true}`},
		{`{"id":2,"do":"sockets","protocols":["udp"]}`, `{"id":2,"done":true}`},
		{`{"id":3,"do":"sockets","filter":"sport = :"}`, `{"id":3,"done":true,`},
		{`{"id":4,"do":"sockets","filter":"sport ~ 1"}`, `{"id":4,"error":{"code":"invalid","text":"bad filter: there is no service \"~\"; give a port, such as :443"},"done":true}`},
		{`{"id":5,"do":"reset"}`, `{"id":5,"error":{"code":"unknown","text":"there is no request \"reset\" in version 1"},"done":true}`},
		{`{"id":6,"do":"sockets","since":1}`, `{"id":6,"error":{"code":"malformed","text":"a request is a line of JSON, as docs/CONTROL.md has it: json: unknown field \"since\""},"done":true}`},
		{`hello`, `{"id":0,"error":{"code":"malformed","text":"a request is a line of JSON, as docs/CONTROL.md has it: invalid character 'h' looking for beginning of value"},"done":true}`},
		{``, ``},
		{`{"id":7,"do":"events","kinds":["x"]}`, `{"id":7,"error":{"code":"invalid","text":"there are no events of kind \"x\""},"done":true}`},
		{`{"id":8,"do":"events","filter":"state established"}`, `{"id":8,"error":{"code":"invalid","text":"bad filter: events have no state"},"done":true}`},
	} {
		if s.say != "" {
			c.say(s.say + "\n")
		}
		if s.want == "" {
			continue
		}
		got := c.line()
		if strings.HasSuffix(s.want, ",") { // what every socket answers
			for strings.Contains(got, `"sockets"`) {
				got = c.line()
			}
			s.want = strings.TrimSuffix(s.want, ",") + "}"
		}
		if got != s.want {
			t.Errorf("%s\ngot  %s\nwant %s", s.say, got, s.want)
		}
	}
	var r control.Reply
	c.say(`{"id":9,"do":"traffic"}` + "\n")
	if err := json.Unmarshal([]byte(c.line()), &r); err != nil || len(r.Traffic.Interfaces) != 1 || r.Traffic.Interfaces[0].Name != "lo" || r.Traffic.Interfaces[0].TxBytes == 0 {
		t.Errorf("%v: %+v", err, r.Traffic)
	}
	c.say(`{"id":10,"do":"stats"}` + "\n")
	var st usock.Stats
	r = control.Reply{}
	if err := errors.Join(json.Unmarshal([]byte(c.line()), &r), json.Unmarshal(r.Stats, &st)); err != nil || st.TCP.ActiveOpens != 1 || st.Sockets.Used != 3 {
		t.Errorf("%v: %+v", err, st)
	}
}

// TestDetailIsTCPInfo has what is told of a connection equal what the socket itself says.
func TestDetailIsTCPInfo(t *testing.T) {
	x := serve(t, Config{})
	client, server := x.connect("8000")
	io.WriteString(client, strings.Repeat("x", 5000))
	io.ReadFull(server, make([]byte, 5000))
	c := x.greeted()
	c.say(`{"id":1,"do":"sockets","detail":true,"filter":"dport = :8000"}` + "\n")
	var r control.Reply
	if err := json.Unmarshal([]byte(c.line()), &r); err != nil || len(r.Sockets) != 1 {
		t.Fatalf("%v: %+v", err, r)
	}
	want := make([]byte, 512)
	n, err := client.(*usock.TCPConn).Socket().GetSockOpt(usock.SOL_TCP, usock.TCP_INFO, want)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	in := (*usock.TCPInfo)(r.Sockets[0].TCP)
	in.Put(got)
	for _, b := range [][]byte{got, want} { // times since go on: last_data_sent to last_ack_recv, and busy_time
		clear(b[44:60])
		clear(b[168:176])
	}
	if !bytes.Equal(got, want[:n]) || in.BytesAcked != 5001 {
		t.Errorf("%+v\ngot  %x\nwant %x", in, got, want[:n])
	}
}

// TestHostileRequests has clients that say too much, too little or nothing.
func TestHostileRequests(t *testing.T) {
	x := serve(t, Config{})
	long := x.greeted()
	long.say(strings.Repeat("x", maxRequest+1))
	if got := long.line(); !strings.Contains(got, `"malformed","text":"a request is longer than 65536 bytes"`) {
		t.Error(got)
	}
	long.gone()

	deep := x.greeted()
	deep.say(strings.Repeat("[", maxRequest-1) + "\n")
	if got := deep.line(); !strings.Contains(got, `"malformed"`) {
		t.Error(got)
	}
	deep.say(`{"id":1,"do":"sockets","filter":"` + strings.Repeat("(", 5000) + `"}` + "\n")
	if got := deep.line(); !strings.Contains(got, `"invalid"`) {
		t.Error(got)
	}

	half := x.greeted()
	half.say(`{"id":1,"do":"sock`)
	half.CloseWrite()
	half.gone()

	several := x.greeted()
	several.say(`{"id":1,"do":"stats"}` + "\n" + `{"id":2,"do":"traffic"}` + "\n")
	for i, what := range []string{"stats", "traffic"} {
		if got := several.line(); !strings.HasPrefix(got, fmt.Sprintf(`{"id":%d,"%s":`, i+1, what)) {
			t.Error(got)
		}
	}
}

// TestManyClients has so many clients that not all are served: those get an answer, and the
// host's own work goes on.
func TestManyClients(t *testing.T) {
	x := serve(t, Config{})
	listen := func() *raw {
		c := x.greeted()
		c.say(`{"id":1,"do":"events","kinds":["called"],"filter":"sport = :8000"}` + "\n")
		c.line()
		return c
	}
	first := listen()
	for range maxClients - 1 {
		listen()
	}
	for range 1000 {
		c := x.dial()
		if line := c.line(); !strings.Contains(line, `"code":"busy"`) {
			t.Fatal(line)
		}
		c.gone()
		c.Close()
	}
	x.connect("8000")
	for !strings.Contains(first.line(), `"call":"listen"`) {
	}
}

// TestIdleClientsGiveWay has those who have asked for nothing for a while go for who comes.
func TestIdleClientsGiveWay(t *testing.T) {
	x := serve(t, Config{})
	var list []*raw
	for range maxClients {
		list = append(list, x.greeted())
	}
	streaming := list[0]
	streaming.say(`{"id":1,"do":"events"}` + "\n")
	streaming.line()
	came := func(later time.Duration) {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		for c := range x.s.clients {
			c.since = c.since.Add(later)
		}
	}
	came(-2 * idleTime)
	for range maxClients - 1 {
		x.greeted()
	}
	for _, c := range list[1:] {
		if got := c.line(); !strings.HasPrefix(got, `{"id":0,"error":{"code":"busy",`) {
			t.Errorf("who has to go is told %q", got)
		}
		c.gone()
	}
	came(time.Minute) // however long that has taken
	if got := x.dial().line(); !strings.Contains(got, `"busy"`) {
		t.Error("the newcomers are not idle yet:", got)
	}
}

// TestLongGreeting: who does not read the greeting of a program with very many arguments keeps nobody waiting.
func TestLongGreeting(t *testing.T) {
	x := serve(t, Config{Program: []string{"program", strings.Repeat("argument ", 1<<18)}})
	for range 3 {
		x.dial()
	}
	c := x.dial()
	c.SetDeadline(time.Now().Add(writeTime / 2))
	if line := c.line(); !strings.HasPrefix(line, `{"usock":1,"run":{"id":"`+x.s.ID()) {
		t.Errorf("greeting: %.80s", line)
	}
}

// TestEvents has a connection's calls and states told, filtered, in order, until something
// else is asked for.
func TestEvents(t *testing.T) {
	x := serve(t, Config{})
	c := x.greeted()
	c.say(`{"id":1,"do":"events","kinds":["called","state"],"filter":"dport = :8000","text":true}` + "\n")
	if got := c.line(); got != `{"id":1}` {
		t.Fatal(got)
	}
	x.connect("7000")
	client, _ := x.connect("8000")
	client.Close()
	var got []string
	for len(got) < 5 {
		var r control.Reply
		if err := json.Unmarshal([]byte(c.line()), &r); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Events {
			_, text, _ := strings.Cut(e.Text, "> 127.0.0.1:8000 ")
			got = append(got, text)
		}
	}
	want := "CLOSED -> SYN-SENT|SYN-SENT -> ESTABLISHED|connect = 0|close = 0|ESTABLISHED -> FIN-WAIT-1"
	if s := strings.Join(got[:5], "|"); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	c.say(`{"id":2,"do":"traffic"}` + "\n")
	for {
		line := c.line()
		if strings.HasPrefix(line, `{"id":2,"traffic"`) {
			break
		}
		if !strings.HasPrefix(line, `{"id":1`) {
			t.Fatal(line)
		}
	}
}

// TestSlowListener has a client that does not read hold up nobody, and be told of what it
// has missed once it does.
func TestSlowListener(t *testing.T) {
	x := serve(t, Config{})
	c := x.greeted()
	c.say(`{"id":1,"do":"events","kinds":["called"]}` + "\n")
	c.line()
	u, err := x.h.ListenPacket("udp", "127.0.0.1:9000")
	if err != nil {
		t.Fatal(err)
	}
	const sent = 3 * maxEvents
	for range sent {
		if _, err := u.WriteTo([]byte("x"), u.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	told, missed := 0, 0
	for told+missed < sent {
		var r struct {
			Events []struct {
				Event struct {
					Name string
					Data struct {
						Call   string
						Result int
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(c.line()), &r); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Events {
			switch d := e.Event.Data; {
			case e.Event.Name == "usock:events_missed":
				missed += d.Result
			case d.Call == "send":
				told++
			}
		}
	}
	if missed == 0 || told == 0 {
		t.Errorf("%d told, %d missed", told, missed)
	}
}

// TestMissedIsOneEvent counts what a host itself has left out, too.
func TestMissedIsOneEvent(t *testing.T) {
	st := &stream{q: &control.Request{}, kinds: trace.KindsOf(), more: make(chan struct{}, 1)}
	st.put(make([]trace.Event, maxEvents))
	st.put([]trace.Event{{Kind: trace.Called}, {Kind: trace.Missed, Result: 40}, {Kind: trace.Called}})
	list := st.take(nil)
	if len(list) != maxEvents+1 || list[maxEvents].Kind != trace.Missed || list[maxEvents].Result != 42 {
		t.Errorf("%d events, the last %v", len(list), &list[len(list)-1])
	}
	st.put([]trace.Event{{Kind: trace.Called}})
	if list = st.take(list); len(list) != 1 || list[0].Kind != trace.Called {
		t.Error(list)
	}
}

// TestListenerGoes has a client that has gone, while nothing happens, forgotten.
func TestListenerGoes(t *testing.T) {
	x := serve(t, Config{})
	c := x.greeted()
	c.say(`{"id":1,"do":"events"}` + "\n")
	c.line()
	c.Close()
	for end := time.Now().Add(10 * time.Second); ; {
		x.s.mu.Lock()
		n := len(x.s.clients)
		x.s.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the client is still there")
		}
	}
}

// TestOutside has what is waited for beyond the host told in place of what Stall says, where that is what is in the way.
func TestOutside(t *testing.T) {
	x := serve(t, Config{Outside: func(list []usock.SocketInfo, words []string) {
		for i := range list {
			words[i] = "outside: \x1bsays"
		}
	}})
	client, server := x.connect("8000")
	io.WriteString(client, "hello") // which the server's program has not read
	defer server.Close()
	sends(t, x.h, 1)
	u, err := x.h.ListenPacket("udp", "127.0.0.1:8001")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	c := x.greeted()
	for filter, want := range map[string]string{
		"dport = :8000": `"stall":"outside: says"`, "state established sport = :8000": `"stall":"program: it has not read 5 bytes`, "sport = :8001": `"stall":"outside: says"`,
	} {
		c.say(`{"id":1,"do":"sockets","detail":true,"filter":"` + filter + `"}` + "\n")
		if line := c.line(); !strings.Contains(line, want) {
			t.Errorf("%s: %s", filter, line)
		}
		c.line()
	}
	c.say(`{"id":1,"do":"sockets"}` + "\n")
	if line := c.line(); strings.Contains(line, "stall") {
		t.Errorf("not asked for: %s", line)
	}
}

// TestClose says that the run ends, behind all events, ends the connections and removes the socket.
func TestClose(t *testing.T) {
	x := serve(t, Config{})
	idle, listens := x.greeted(), x.greeted()
	listens.say(`{"id":1,"do":"events","kinds":["called"]}` + "\n")
	listens.line()
	if _, err := x.h.ListenPacket("udp", "127.0.0.1:7777"); err != nil {
		t.Fatal(err)
	}
	if err := x.s.Close(); err != nil {
		t.Error(err)
	}
	for c, told := range map[*raw]string{idle: "", listens: `"call":"bind"`} {
		all, err := io.ReadAll(c.r)
		if err != nil || !strings.HasSuffix("\n"+string(all), "\n"+`{"id":0,"error":{"code":"over","text":"the run has ended"},"done":true}`+"\n") || !strings.Contains(string(all), told) {
			t.Errorf("%v: %s", err, all)
		}
	}
	if _, err := os.Lstat(x.path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := x.s.Close(); err != nil {
		t.Error("again:", err)
	}
}

// TestCloseUnread has a client that does not read its events not hold up the end.
func TestCloseUnread(t *testing.T) {
	x := serve(t, Config{})
	c := x.greeted()
	c.say(`{"id":1,"do":"events"}` + "\n")
	c.line()
	u, err := x.h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for range 2 * maxEvents {
		if _, err := u.WriteTo(nil, u.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	x.s.Close()
	if took := time.Since(begun); took > 3*endTime {
		t.Errorf("the end took %v", took)
	}
}

// TestCheckName has names that could be taken for something else refused.
func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"web": true, "a.b_c-9": true, "9": true, strings.Repeat("a", 64): true, "established": true,
		"": false, "-x": false, ".x": false, "a b": false, "a/b": false, "état": false, "a\n": false, "state": false, "dst": false, "not": false,
		strings.Repeat("a", 65): false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
