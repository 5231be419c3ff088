package main

import (
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"usock/gateway"
	"usock/run"
	shapes "usock/shape"
)

// faultHelp is the part of run's help about --fault.
const faultHelp = `
Faults strike at the program's own calls, as --fault says, each as often as it is given:
  connect refused | connect timed out after 3s | connect late by 500ms
  reset after 1000 bytes [received] | reset at accept | read in pieces of 1,7,100 bytes
  stop reading for 5s after 64kb | peer stops reading for 5s after 64kb
  socket fails with EMFILE | accept fails with ENFILE (or ENOBUFS, ENOMEM)
  interrupt recv (or accept, connect: EINTR of a call that would wait)
  dns NXDOMAIN | dns SERVFAIL | dns late by 2s | dns wrong first | dns AAAA only
with conditions behind it: to api.test:443 (where the connecting side connects to: a
name, an address or prefix, a port), for api.test (of dns), process curl, at 10%, at the
3rd, at every 5th, once. Resets are packets: a recording has them. What strikes is told
on stderr with the seed; --seed NUMBER has the same happen again. Connections are
TCP's; reads by read(2) are not interrupted, and those of programs that wait in poll
never wait themselves.
`

// faults are the values of --fault, and who tells what strikes.
type faults struct {
	list  []shapes.Fault
	lines chan string
	ended chan struct{}
}

// String implements pflag.Value.
func (f *faults) String() string {
	var all []string
	for _, x := range f.list {
		all = append(all, x.String())
	}
	return strings.Join(all, ", ")
}

// Type implements pflag.Value.
func (f *faults) Type() string { return "TEXT" }

// Set implements pflag.Value: it adds one.
func (f *faults) Set(text string) error {
	x, err := shapes.ParseFault(text)
	if err != nil {
		return err
	}
	f.list = append(f.list, x)
	return nil
}

const (
	// maxFaultLines is how many lines wait at most for who reads them.
	maxFaultLines = 4096
	// faultGrace is how long the last ones may take.
	faultGrace = time.Second
)

// open returns what decides; nil if there are no faults. What strikes is told on w by a goroutine, so that no call waits for who
// does not read: what is too much is left out.
func (f *faults) open(seed uint64, w io.Writer) *shapes.Faults {
	if len(f.list) == 0 {
		return nil
	}
	d := shapes.NewFaults(seed, f.list...)
	d.Program = run.ProgramName
	f.lines, f.ended = make(chan string, maxFaultLines), make(chan struct{})
	lines := f.lines
	d.Log = func(s shapes.FaultStruck) {
		select {
		case lines <- "usock: fault: " + s.String() + "\n":
		default:
		}
	}
	go func() {
		defer close(f.ended)
		for line := range lines {
			if line == "" {
				return
			}
			io.WriteString(w, line)
		}
	}()
	file, _ := os.ReadFile("/etc/hosts") // those are the program's own names
	for line := range strings.Lines(string(file)) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 1 {
			if a, err := netip.ParseAddr(words[0]); err == nil {
				for _, name := range words[1:] {
					d.Resolved(a, name)
				}
			}
		}
	}
	return d
}

// close writes the last lines, if somebody reads them.
func (f *faults) close() {
	if f.lines == nil {
		return
	}
	select {
	case f.lines <- "": // the end
	default: // nobody reads
	}
	select {
	case <-f.ended:
	case <-time.After(faultGrace):
	}
	f.lines = nil
}

// tellFaults has the gateway tell the faults of names.
func (o *outside) tellFaults(g *gateway.Config) {
	if o.faults == nil {
		return
	}
	g.Faults = o.faults
	for _, h := range o.hosts.list {
		o.faults.Resolved(h.Addr, h.Name)
	}
	_, far := o.faults.About()
	if recorded := g.Named; far {
		g.Named = func(a netip.Addr, name string) {
			o.faults.Resolved(a, name)
			if recorded != nil {
				recorded(a, name)
			}
		}
	}
}
