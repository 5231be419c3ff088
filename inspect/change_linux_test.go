package inspect

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"usock/link"
)

// TestSet has a client change faults and traces: the texts of traces come in pieces before, are used once, and are bounded.
func TestSet(t *testing.T) {
	var changes atomic.Int32
	x := serve(t, Config{Change: func(c Change) (string, error) {
		text := fmt.Sprintf("%q %q", c.Faults, c.NoFaults)
		for _, t := range c.Traces {
			text += fmt.Sprintf(" %s %s %q", t.Option, t.Name, t.Text)
		}
		if changes.Add(1); len(c.Faults) == 0 {
			return "", errors.New("no fault")
		}
		return text, nil
	}})
	c := x.greeted()
	ask := func(request, want string) {
		t.Helper()
		io.WriteString(c, request+"\n")
		if line := c.line(); !strings.HasPrefix(line, want) {
			t.Errorf("%.80s: %s, want %s", request, line, want)
		}
	}
	piece := func(text string) string {
		return `{"id":1,"do":"trace","piece":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}`
	}
	const done, set = `{"id":1,"done":true}`, `{"id":1,"do":"set","faults":["a"],"no_faults":["b"],"traces":[{"name":"up-trace","file":"x","size":3},{"name":"trace","file":"y","size":2}]}`
	ask(piece("12"), done)
	ask(piece("345"), done)
	ask(set, `{"id":1,"shape":{"text":"[\"a\"] [\"b\"] up-trace x \"123\" trace y \"45\""},"done":true}`)
	ask(set, `{"id":1,"error":{"code":"invalid","text":"up-trace \"x\": of its 3 bytes 0 have come"},"done":true}`)
	ask(strings.Replace(set, `:3`, `:-3`, 1), `{"id":1,"error":{"code":"invalid"`)
	ask(piece("12345"), done)
	ask(`{"id":1,"do":"set","no_faults":["b"]}`, `{"id":1,"error":{"code":"invalid","text":"no fault"},"done":true}`)
	ask(set, `{"id":1,"error":{"code":"invalid"`) // the pieces were those of the change before
	if n := changes.Load(); n != 2 {
		t.Errorf("%d changes", n)
	}
	const size = 32 << 10
	for n := 0; n+size <= maxPieces; n += size {
		ask(piece(strings.Repeat("1", size)), done)
	}
	ask(piece("1"), `{"id":1,"error":{"code":"invalid","text":"the traces of a change have more than 8 MiB"},"done":true}`)
	ask(piece("12345"), done)
	ask(set, `{"id":1,"shape":`)
	ask(`{"id":1,"do":"trace","piece":"!"}`, `{"id":1,"error":{"code":"malformed"`)
}

// TestNote has a note stand in captures at the next packet.
func TestNote(t *testing.T) {
	x := serve(t, Config{})
	x.s.Note("to nobody")
	var file bytes.Buffer
	w := link.NewPcapWriter(&file, 0)
	defer x.s.notes(w)()
	stop, err := x.h.Record(w)
	if err != nil {
		t.Fatal(err)
	}
	x.s.Note("fault: of this moment")
	sends(t, x.h, 1)
	stop()
	w.Close()
	if n := bytes.Count(file.Bytes(), []byte("fault: of this moment")); n != 1 {
		t.Errorf("it is there %d times", n)
	}
}
