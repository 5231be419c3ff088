package oracle

import (
	"encoding/json"
	"flag"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"usock"
)

var recordTo = flag.String("record", "", "write the kernel's answers to the sequences to this `file`")

// recording is the kernel's answers to a sequence.
type recording struct {
	Name         string
	Unprivileged bool
	Steps        []step
}

// step is a line, its result, and how the sockets look after it.
type step struct {
	Line, Result string
	Looks        map[string][3]string `json:",omitempty"` // where another than after the last line

	// Library and LibraryLooks are what the library answers where it differs: such
	// differences are TestOracle's.
	Library      string               `json:",omitempty"`
	LibraryLooks map[string][3]string `json:",omitempty"`
}

// allCases returns the sequences under the names that TestOracle gives them.
func allCases() []sequence {
	var out []sequence
	for _, table := range tables {
		if table.name == urgentTable {
			continue // AF_UNIX's urgent data is another, as the table tcp shows
		}
		for _, c := range table.cases() {
			if c.but != nil {
				continue // who plays it has all or none
			}
			c.name = table.name + "/" + c.name
			out = append(out, c)
		}
	}
	return out
}

// record plays a sequence on the kernel. A library host plays along: it tells when
// the kernel's looks may have settled.
func record(t *testing.T, c sequence) (r recording) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		k := newPlainKernel(t)
		defer k.end()
		if c.unprivileged {
			k.drop()
		}
		h, err := usock.NewHost(usock.Config{Privileged: !c.unprivileged})
		if err != nil {
			panic(err)
		}
		u := &user{host: h, fds: make(map[int]*usock.Socket)}
		defer u.end()
		r = recording{c.name, c.unprivileged, steps(newScript(u), newScript(k), split(c.lines))}
	}()
	<-done
	return r
}

func steps(u, k *script, lines []string) (out []step) {
	u.ports.asks(lines)
	k.ports.asks(lines)
	differ := make(map[string]string)
	shown := make(map[string][3]string)
	for _, line := range lines {
		lib := u.run(line)
		st := step{Line: line, Result: k.run(line), Looks: make(map[string][3]string), LibraryLooks: make(map[string][3]string)}
		if lib != st.Result {
			st.Library = lib
		}
		for _, s := range k.names() {
			if _, ok := u.fds[s]; !ok {
				st.Looks[s] = k.look(s)
				continue
			}
			a, b := agree(u, k, s, differ)
			for i := range a {
				differ[s+" "+looks[i]] = a[i] + " / " + b[i]
			}
			if a != b {
				st.LibraryLooks[s] = a
			}
			if was, ok := shown[s]; !ok || was != b {
				st.Looks[s], shown[s] = b, b
			}
		}
		for s := range shown {
			if _, ok := k.fds[s]; !ok {
				delete(shown, s)
			}
		}
		out = append(out, st)
	}
	return out
}

// recordAll records the sequences, several at a time.
func recordAll(t *testing.T, cases []sequence) []recording {
	out := make([]recording, len(cases))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range next {
				out[i] = record(t, cases[i])
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

func writeRecordings(t *testing.T, path string, list []recording) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	for i := range list {
		if err := e.Encode(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRecord(t *testing.T) {
	if *recordTo == "" {
		t.Skip("no -record")
	}
	writeRecordings(t, *recordTo, recordAll(t, allCases()))
}
