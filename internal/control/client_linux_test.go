package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// says is a server that says lines to whoever connects, and reads what he says.
func says(t *testing.T, lines ...string) (*Dir, string) {
	t.Helper()
	d := openDir(t)
	l, id, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func(c *net.UnixConn) {
				defer c.Close()
				io.WriteString(c, strings.Join(lines, "\n"))
				io.Copy(io.Discard, c)
			}(c)
		}
	}()
	return d, id
}

// TestGreetings has what no server of this version says refused, in words.
func TestGreetings(t *testing.T) {
	for line, want := range map[string]string{
		`{"usock":1,"run":{"id":"x"}}` + "\n":                                    "",
		`{"usock":2,"run":{"id":"x"}}` + "\n":                                    "that run is of another version of usock: its control socket speaks 2, and this is 1",
		`{"usock":1}` + "\n":                                                     "that run does not say what it is",
		`{"usock":1,"error":{"code":"busy","text":"too\u001b[31m many"}}` + "\n": "too[31m many",
		"SSH-2.0\n": "invalid character 'S' looking for beginning of value",
	} {
		d, id := says(t, line)
		c, err := d.dial(id)
		switch {
		case err == nil:
			c.Close()
			if want != "" {
				t.Errorf("%s is taken", line)
			}
		case err.Error() != want:
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// TestHostileServer has a client not show what would change a terminal, nor take a line without end.
func TestHostileServer(t *testing.T) {
	const esc = "\\u001b[2J"
	d, id := says(t,
		`{"usock":1,"run":{"id":"a`+esc+`","name":"b`+esc+`","shape":"c`+esc+`"}}`,
		`{"id":1,"sockets":[{"proto":"t`+esc+`","state":"s`+esc+`","recv_q":0,"send_q":0,"local":"l`+esc+`","peer":"p\u009b","program":"\u202e","stall":"w`+esc+`"}]}`,
		`{"id":1,"traffic":{"at":1,"interfaces":[{"name":"i`+esc+`"}]}}`,
		`{"id":1,"events":[{"event":{},"text":"t`+esc+`","program":"p\n"}]}`,
		`{"id":0,"done":true}`, // of no request
		strings.Repeat("x", maxReply+1))
	c, err := d.dial(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Run.ID+c.Run.Name+c.Run.Shape != "a[2Jb[2Jc[2J" {
		t.Errorf("%+v", c.Run)
	}
	var told []byte
	err = c.Do(Request{Do: DoSockets}, func(r *Reply) error {
		b, err := json.Marshal(r)
		told = append(told, b...)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "a reply is too long") {
		t.Error(err)
	}
	want := `{"id":1,"sockets":[{"proto":"t[2J","state":"s[2J","recv_q":0,"send_q":0,"local":"l[2J","peer":"p","stall":"w[2J"}]}` +
		`{"id":1,"traffic":{"at":1,"interfaces":[{"name":"i[2J","rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0}]}}` +
		`{"id":1,"events":[{"event":{},"text":"t[2J","program":"p"}]}`
	if string(told) != want {
		t.Errorf("got  %s\nwant %s", told, want)
	}
}

// TestDial connects by an id, and tells a run that has ended from one that is refused.
func TestDial(t *testing.T) {
	d, id := says(t, `{"usock":1,"run":{"id":"x","name":"web"}}`+"\n")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(d.Path()))
	stale, staleID, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	stale.Close() // as the kernel closes it when the process is killed
	if list := IDs(); !slices.Contains(list, id) || !slices.Contains(list, staleID) {
		t.Errorf("%v: neither of %s and %s may be missing", list, id, staleID)
	}
	c, err := Dial(id)
	if err != nil || c.Run.Name != "web" {
		t.Fatal(c, err)
	}
	c.Close()
	if _, err := Dial(staleID); !Ended(err) {
		t.Error(err)
	}
	if list := IDs(); !slices.Contains(list, id) || slices.Contains(list, staleID) {
		t.Errorf("%v: %s is to be left, and %s is not", list, id, staleID)
	}
}

// TestOver tells a run that says that it ends from one that is gone without a word, whenever that is asked.
func TestOver(t *testing.T) {
	const greeting = `{"usock":1,"run":{"id":"x"}}` + "\n"
	for name, end := range map[string]string{"killed": "", "ended": `{"id":0,"error":{"code":"over","text":"the run has ended"},"done":true}` + "\n"} {
		d := openDir(t)
		l, id, err := d.Listen()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			s, err := l.AcceptUnix()
			if err == nil {
				io.WriteString(s, greeting+end)
				s.Close()
			}
		}()
		c, err := d.dial(id)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 2 {
			if err := c.HowEnded(); !Ended(err) || errors.Is(err, ErrKilled) != (end == "") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHostileCapture has why a capture is refused not change a terminal.
func TestHostileCapture(t *testing.T) {
	d, id := says(t, `{"usock":1,"run":{"id":"x"}}`, `{"id":1,"error":{"code":"invalid","text":"no\u001b[2J"}}`+"\n")
	c, err := d.dial(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Capture(Request{Do: DoCapture}, io.Discard); err == nil || err.Error() != "no[2J" {
		t.Errorf("%q", err)
	}
}

// stopping stops a capture once something has come.
type stopping struct{ c *Client }

func (s stopping) Write(p []byte) (int, error) { return len(p), s.c.StopCapture() }

// TestCutCapture tells a recording that has its end from one that is cut short, wherever that is, however its bytes come.
func TestCutCapture(t *testing.T) {
	block := func(kind byte, body int) string {
		size := byte(12 + body)
		return string([]byte{kind, 0, 0, 0, size, 0, 0, 0}) + strings.Repeat("x", body) + string([]byte{size, 0, 0, 0})
	}
	begins := block(10, 16) + block(1, 8)
	whole := begins + block(6, 40) + block(5, 12)
	ends := map[int]bool{len(whole): true, len(block(10, 16)): true} // at the latter there are no interfaces yet
	for n := range len(whole) + 1 {
		for _, size := range []int{1, 7, len(whole)} {
			var got bytes.Buffer
			b := &blocks{w: &got}
			for p := []byte(whole[:n]); len(p) > 0; {
				k, _ := b.Write(p[:min(size, len(p))])
				p = p[k:]
			}
			if b.complete() != ends[n] || got.String() != whole[:n] {
				t.Errorf("after %d bytes of %d, in parts of %d: %v", n, len(whole), size, b.complete())
			}
		}
	}
	for what, want := range map[string]error{begins: ErrCut, whole: nil} {
		d, id := says(t, `{"usock":1,"run":{"id":"x"}}`, `{"id":1}`+"\n"+what)
		c, err := d.dial(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Capture(Request{Do: DoCapture}, stopping{c}); err != want {
			t.Errorf("%v, want %v", err, want)
		}
		c.Close()
	}
}

// TestEnd tells the end of a run from other errors.
func TestEnd(t *testing.T) {
	d := openDir(t)
	l, id, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, _ := l.AcceptUnix()
		io.WriteString(c, `{"usock":1,"run":{"id":"x"}}`+"\n")
		l.Close()
		c.Close()
	}()
	c, err := d.dial(id)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Do(Request{Do: DoTraffic}, func(*Reply) error { return errors.New("no reply") })
	if !Ended(err) || Ended(&Error{Busy, "x"}) || Ended(nil) {
		t.Error(err)
	}
}
