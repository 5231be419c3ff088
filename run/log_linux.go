//go:build amd64 || arm64

package run

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// logger tells the user what programs asked for in vain, each thing once. A goroutine
// of its own writes, so that nobody waits for who does not read: what is too much
// meanwhile is left out.
type logger struct {
	w     io.Writer // nil: nobody wants to know
	warns io.Writer // what the user must know
	told  map[string]bool
	lines chan line
	ended chan struct{}
}

type line struct {
	w    io.Writer
	text string
}

const logLines = 256

func newLogger(w, warns io.Writer) *logger {
	g := &logger{w: w, warns: warns, told: make(map[string]bool), lines: make(chan line, logLines), ended: make(chan struct{})}
	go func() {
		defer close(g.ended)
		for x := range g.lines {
			io.WriteString(x.w, x.text)
		}
	}()
	return g
}

// logGrace is how long the last lines may take.
const logGrace = time.Second

// close writes the last lines, if somebody reads them.
func (g *logger) close() {
	close(g.lines)
	select {
	case <-g.ended:
	case <-time.After(logGrace):
	}
}

func (g *logger) put(w io.Writer, text string) {
	if w == nil {
		return
	}
	select {
	case g.lines <- line{w, "usock: " + text + "\n"}:
	default:
	}
}

// warn tells the user whether he has asked or not.
func (g *logger) warn(text string) { g.put(g.warns, text) }

func (g *logger) printf(t *task, format string, args ...any) {
	if g.w == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	name := command(t.tid)
	if g.told[name+text] {
		return
	}
	g.told[name+text] = true
	g.put(g.w, fmt.Sprintf("%s (%d): %s", name, t.process(), text))
}

// command returns the name of the thread's program.
func command(tid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/comm")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}

// refused reports a call that asked for something that usock does not have.
func (g *logger) refused(c *call, e syscall.Errno) {
	if g.w == nil {
		return
	}
	a := &c.n.data.args
	what := c.row.name
	switch what {
	case "socket", "socketpair":
		what = fmt.Sprintf("%s(%d, %d, %d)", what, int32(a[0]), int32(a[1])&0xf, int32(a[2]))
	case "setsockopt", "getsockopt":
		what = fmt.Sprintf("%s(level %d, option %d)", what, int32(a[1]), int32(a[2]))
	}
	g.printf(c.t, "%s: %s", what, unix.ErrnoName(e))
}
