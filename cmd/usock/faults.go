package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"usock/gateway"
	"usock/internal/target"
	"usock/run"
	"usock/shape"
)

// faultHelp is the part of run's help about --fault.
const faultHelp = `
Faults strike at the program's own calls, as --fault says, each as often as it is given:
  connect refused | connect timed out after 3s | connect late by 500ms
  reset after 1000 bytes [received] | reset at accept | read in pieces of 1,7,100 bytes
  stop reading for 5s after 64kb | peer stops reading for 5s after 64kb
  socket fails with EMFILE | accept fails with ENFILE (or ENOBUFS, ENOMEM)
  send fails with ENOBUFS (or ENOMEM; of UDP)
  interrupt recv (or send, accept, connect: EINTR of a call that would wait)
  dns NXDOMAIN | dns SERVFAIL | dns late by 2s | dns wrong first | dns AAAA only
with conditions behind it: to TARGET or from TARGET as rules have them (to is where the
connecting side connects to), tcp, udp or sctp, for api.test (of dns), process NAME, pid
NUMBER, at 10%, at the 3rd, at every 5th, once, and times: from 10s until 20s, every 30s
for 2s. Resets are packets: a recording has them, with what struck. That is told on
stderr, too, with the seed; --seed NUMBER has the same happen again. A connection counts
once, also if both of its ends are here. Programs that wait in poll have no call that
waits itself. Faults of recv and of send make all reads and writes slower, of files, too.
Those that have never struck are told on stderr at the end, with the reason.
`

// faultList are the values of --fault.
type faultList struct{ list []shape.Fault }

// String implements pflag.Value.
func (f *faultList) String() string {
	var all []string
	for i := range f.list {
		all = append(all, f.list[i].String())
	}
	return strings.Join(all, ", ")
}

// Type implements pflag.Value.
func (f *faultList) Type() string { return "TEXT" }

// Set implements pflag.Value: it adds one.
func (f *faultList) Set(text string) error {
	x, err := shape.ParseFault(text)
	if err == nil {
		f.list = append(f.list, x)
	}
	return err
}

// remove takes the last one of that text away; false: there is none.
func (f *faultList) remove(text string) bool {
	if x, err := shape.ParseFault(text); err == nil {
		text = x.String()
	}
	for i := len(f.list) - 1; i >= 0; i-- {
		if f.list[i].String() == text {
			f.list = slices.Delete(f.list, i, i+1)
			return true
		}
	}
	return false
}

// strikes is what strikes at programs' calls, and who tells of it.
type strikes struct {
	*shape.Faults // nil: nothing does
	w             io.Writer
	lines         chan string
	ended         chan struct{}
}

const (
	// maxFaultLines is how many lines wait at most for who reads them.
	maxFaultLines = 4096
	// faultGrace is how long the last ones may take.
	faultGrace = time.Second
)

// strike opens what decides about the faults that were given. What strikes is told on w by a goroutine, so that no call waits for who
// does not read: what is too much is left out. It stands in recordings, and note, if not nil, is told of it, too.
func (s *conditions) strike(w io.Writer, note func(string)) *shape.Faults {
	d := shape.NewFaults(uint64(s.seed), s.strikers()...)
	d.Program = run.ProgramName
	d.Suffixes, d.Dots = gateway.Search()
	lines, ended := make(chan string, maxFaultLines), make(chan struct{})
	s.calls = strikes{d, w, lines, ended}
	d.Log = func(x shape.FaultStruck) {
		if !x.Resets() { // whose packet says it itself
			if s.w != nil {
				s.w.Note(x.Note())
			}
			if note != nil {
				note(x.Note())
			}
		}
		select {
		case lines <- x.Note():
		default:
		}
	}
	go func() {
		defer close(ended)
		for line := range lines {
			if line == "" {
				return
			}
			tell(w, line)
		}
	}()
	file, _ := os.ReadFile("/etc/hosts") // those are the program's own names
	for addr, name := range target.Hosts(string(file)) {
		d.Resolved(addr, name)
	}
	return d
}

// close writes the last lines, if somebody reads them.
func (s *strikes) close() {
	if s.lines == nil {
		return
	}
	select {
	case s.lines <- "": // the end
	default: // nobody reads
	}
	select {
	case <-s.ended:
	case <-time.After(faultGrace):
	}
	s.lines = nil
}

// end is close at the end of what went on, and tells of the faults that have not struck: without them a test has proved less than it seems.
func (s *strikes) end() {
	s.close()
	if s.Faults == nil {
		return
	}
	for _, m := range s.Missed() {
		tell(s.w, m)
	}
}
