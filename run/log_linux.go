//go:build amd64 || arm64

package run

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

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
	w      io.Writer
	text   string
	unless func() bool // nil, or what tells that the line need not be written; it may take its time
}

const logLines = 256

func newLogger(w, warns io.Writer) *logger {
	g := &logger{w: w, warns: warns, told: make(map[string]bool), lines: make(chan line, logLines), ended: make(chan struct{})}
	go func() {
		defer close(g.ended)
		for x := range g.lines {
			if x.unless == nil || !x.unless() {
				io.WriteString(x.w, x.text)
			}
		}
	}()
	return g
}

// logGrace is how long the last lines may take.
const logGrace = time.Second

// close writes the last lines, if somebody reads them.
func (g *logger) close() {
	close(g.lines)
	late := newAlarm()
	late.Set(logGrace)
	defer late.Stop()
	select {
	case <-g.ended:
	case <-late.C:
	}
}

func (g *logger) put(w io.Writer, text string, unless func() bool) {
	if w == nil {
		return
	}
	select {
	case g.lines <- line{w, "usock: " + text + "\n", unless}:
	default:
	}
}

// warn tells the user whether he has asked or not.
func (g *logger) warn(text string) { g.put(g.warns, text, nil) }

// warnFirst is warn about the first program of which something of a kind is to be said.
func (g *logger) warnFirst(kind string, t *task, text string) {
	if g.first(kind) {
		g.warn(fmt.Sprintf("%s (%d): %s", command(t.tid), t.process(), text))
	}
}

// note tells who has asked (Options.Log) about a program, each thing once.
func (g *logger) note(t *task, text string, unless func() bool) {
	if g.w == nil {
		return
	}
	if name := command(t.tid); g.first(name + text) {
		g.put(g.w, fmt.Sprintf("%s (%d): %s", name, t.process(), text), unless)
	}
}

const maxTold = 4096 // things; what comes after them is not told

// first reports whether a thing has not been told yet, and is told now.
func (g *logger) first(thing string) bool {
	if g.told[thing] || len(g.told) >= maxTold {
		return false
	}
	g.told[thing] = true
	return true
}

const unknownCommand = "?"

// command returns the name of the thread's program, which may be anything that a program
// calls itself: what would change a terminal or begin a line is left out.
func command(tid int) string {
	// os.ReadFile takes ten system calls, and there is one of these for each new socket.
	fd, err := unix.Open("/proc/"+strconv.Itoa(tid)+"/comm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unknownCommand
	}
	var room [64]byte // more than TASK_COMM_LEN, and what the kernel adds to its own threads' names
	n, err := unix.Read(fd, room[:])
	unix.Close(fd)
	if err != nil {
		return unknownCommand
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(string(room[:n])))
	if name == "" {
		return unknownCommand
	}
	return name
}

// refused reports a call that asked for something that usock does not have. Only a new
// socket and an option can be lacking, so all else that is refused the kernel refuses, too;
// and of those two it is asked itself.
func (g *logger) refused(c *call, e syscall.Errno) {
	if g.w == nil || c.row == nil {
		return
	}
	a := &c.n.data.args
	what := c.row.name
	switch what {
	case "socket", "socketpair":
		what = fmt.Sprintf("%s(%d, %d, %d)", what, int32(a[0]), int32(a[1])&0xf, int32(a[2]))
	case "setsockopt", "getsockopt":
		what = fmt.Sprintf("%s(level %d, option %d)", what, int32(a[1]), int32(a[2]))
	default:
		return
	}
	g.note(c.t, what+": "+unix.ErrnoName(e), c.question().refused)
}
