package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"usock/link"
)

// FuzzTraceMahimahi has a reader of mahimahi's traces: what it takes it takes again from its own times, and what it refuses it says
// where.
func FuzzTraceMahimahi(f *testing.F) {
	f.Add([]byte("0\n5\n5\n\n"))
	f.Add([]byte("7\r\n 9 \n604800000"))
	f.Add([]byte("5\n4x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := parseMahimahi(text)
		if err != nil {
			checkPlace(t, text, err)
			return
		}
		opportunities := x.Opportunities()
		var again strings.Builder
		n := 0
		for at := time.Duration(0); at <= opportunities.Period(); at += time.Millisecond {
			// A turn that begins has lines of 0 ms, which the last line's time would count twice.
			until := opportunities.Count(at)
			if at == opportunities.Period() {
				until -= opportunities.Count(0)
			}
			for ; n < until; n++ {
				fmt.Fprintln(&again, at.Milliseconds())
			}
			if at > 10*time.Minute {
				return // long enough
			}
		}
		y, err := parseMahimahi([]byte(again.String()))
		if err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%q: %v, of\n%q", text, err, again.String())
		}
	})
}

var placeText = regexp.MustCompile(`^line (\d+), column (\d+): `)

// checkPlace looks whether an error's place is in the text.
func checkPlace(t *testing.T, text []byte, err error) {
	t.Helper()
	m := placeText.FindStringSubmatch(err.Error())
	if m == nil {
		if !strings.Contains(err.Error(), "it says nothing") {
			t.Fatalf("%q: no place in %v", text, err)
		}
		return
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	lines := bytes.Split(text, []byte("\n"))
	if line < 1 || column < 1 || line > len(lines) || column > len(lines[line-1])+2 {
		t.Fatalf("%q: there is no such place: %v", text, err)
	}
}

// FuzzTraceCSV has a reader of CSV.
func FuzzTraceCSV(f *testing.F) {
	f.Add([]byte("time,rate_mbit,up_delay,down_loss\n0,5,20,1%\n1.5,,40ms,0.02\n3,repeat\n"))
	f.Add([]byte("# a comment\ntime_ms , loss,jitter,delay,limit\n0,\"gemodel,1%,30%\",5,20,64kb\n"))
	f.Add([]byte("time,rate\n0,5mb\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkRows(t, text, parseCSV) })
}

// FuzzTraceJSON has a reader of JSON.
func FuzzTraceJSON(f *testing.F) {
	f.Add([]byte(`[{"time": 0, "rate": "5mbit", "up_delay": 20}, {"time": 1.5, "loss": null, "down_rate_kbit": 1e3}, {"time": 3, "repeat": true}]`))
	f.Add([]byte(`[{"time_ms": "5s", "rate": 0},` + "\n" + `{"rate": 5, "time": 6}] 7`))
	f.Add([]byte(`[{"time": 0, "delay": [1]}]`))
	f.Fuzz(func(t *testing.T, text []byte) { checkRows(t, text, parseJSON) })
}

// checkRows has what is read be written as JSON and read again: it is the same. A shape takes it, or says why not.
func checkRows(t *testing.T, text []byte, parse func([]byte) (*Trace, error)) {
	x, err := parse(text)
	if err != nil {
		checkPlace(t, text, err)
		return
	}
	var list []map[string]any
	for _, r := range x.rows {
		o := map[string]any{timeColumn: fmt.Sprintf("%dns", r.at)}
		for _, c := range r.cells {
			prefix := map[link.Directions]string{link.BothWays: "", link.Sent: "up_", link.Received: "down_"}[c.of]
			o[prefix+c.option] = c.text
		}
		list = append(list, o)
	}
	if x.every > 0 {
		list = append(list, map[string]any{timeColumn: fmt.Sprintf("%dns", x.every), repeatWord: true})
	}
	again, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	y, err := parseJSON(again)
	if err != nil {
		t.Fatalf("%q: %v, of\n%s", text, err, again)
	}
	var a, b Shape
	errA, errB := x.Apply(&a, link.BothWays), y.Apply(&b, link.BothWays)
	if fmt.Sprint(errA) != fmt.Sprint(errB) || !reflect.DeepEqual(a, b) {
		t.Fatalf("%q: %v, %v\n%+v\n%+v", text, errA, errB, a, b)
	}
	if errA != nil {
		t.Fatalf("%q: what was read cannot be applied: %v", text, errA)
	}
	if err := a.Check(); err != nil && !strings.Contains(err.Error(), ": ") {
		t.Fatalf("%q: %v", text, err)
	}
}
