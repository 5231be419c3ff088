package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"usock/internal/target"
)

// Faults decides what strikes: a list of faults, a seed and what has happened so far. Of the same questions in the same
// order the answers are always the same. Its methods may be called by several goroutines at once, with a host's locks
// held: what Program and Log do must not take long, nor call the host.
//
// A question is counted by each fault whose other conditions hold, which is what "at the 3rd" goes by.
type Faults struct {
	// Program, if not nil, returns the name of a process's program. Set before the first question.
	Program func(pid int32) string
	// Log, if not nil, is told of each fault that strikes. Set before the first question.
	Log func(FaultStruck)

	seed uint64
	list []Fault
	at   [atName + 1]bool // some fault is of this place
	far  bool             // some fault is about a name that connections go to

	names names // that addresses were given for

	mu    sync.Mutex
	count []count // mu: of each fault
}

// count is what a fault has seen.
type count struct {
	asked  uint64
	struck uint64
	told   map[question]bool // NameWrongFirst: those that were answered wrongly
}

// question is a question about a name: of which type is a number of DNS.
type question struct {
	name string
	typ  uint16
}

// FaultStruck is a fault that has struck, and where.
type FaultStruck struct {
	Fault   *Fault
	Seed    uint64
	Program string         // of the process, or the host's name; "": not known
	PID     int32          // 0: there is none
	To      netip.AddrPort // not valid: no connection is concerned
	Name    string         // of DNS
	N       uint64         // which of the questions that the fault could strike at it is, from 1
}

// String returns a line such as "connect refused: curl[12] to 10.0.0.1:80, 3rd, seed 7".
func (s FaultStruck) String() string {
	b := []byte(s.Fault.what() + ":")
	if s.Program != "" {
		b = append(b, " "+s.Program...)
	}
	if s.PID != 0 {
		b = fmt.Appendf(b, "[%d]", s.PID)
	}
	if s.To.IsValid() {
		b = append(b, " to "+netip.AddrPortFrom(s.To.Addr().Unmap(), s.To.Port()).String()...)
	}
	if s.Name != "" {
		b = append(b, " for "+s.Name...)
	}
	return string(b) + ", " + ordinal(s.N) + ", seed " + strconv.FormatUint(s.Seed, 10)
}

// NewFaults returns what decides about a list of faults.
func NewFaults(seed uint64, list ...Fault) *Faults {
	f := &Faults{seed: seed, list: slices.Clone(list), count: make([]count, len(list))}
	for i := range list {
		f.at[places[list[i].Kind]] = true
		f.far = f.far || list[i].To.Name != ""
	}
	return f
}

// ParseFaults is NewFaults of texts. Its errors name the text.
func ParseFaults(seed uint64, texts ...string) (*Faults, error) {
	list := make([]Fault, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = ParseFault(text); err != nil {
			return nil, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	return NewFaults(seed, list...), nil
}

// Resolved tells for which name an address was given, so that faults to the name strike at it.
func (f *Faults) Resolved(a netip.Addr, name string) {
	if f.far {
		f.names.add(a.WithZone(""), target.Bare(name))
	}
}

// About reports whether some fault is about names, to be asked by Question, or about those that connections go to, to be told by
// Resolved.
func (f *Faults) About() (questions, peers bool) { return f.at[atName], f.far }

// Interrupts reports whether some fault interrupts a call of the name.
func (f *Faults) Interrupts(call string) bool {
	return slices.ContainsFunc(f.list, func(x Fault) bool { return x.Kind == Interrupt && x.Call == call })
}

// The types of records with addresses (RFC 1035, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
)

// asker is who asks, and about what.
type asker struct {
	pid  int32
	host string // the name of the host, for those without processes
	to   netip.AddrPort
	call string
	name question
}

// Blow is a fault that is about to strike.
type Blow struct {
	*Fault
	of    *Faults
	index int
	n     uint64
	who   asker
}

// Strike reports whether the fault strikes now, and has it logged. One that was to strike once may have struck elsewhere.
func (b *Blow) Strike() bool {
	f := b.of
	f.mu.Lock()
	c := &f.count[b.index]
	if b.Once && c.struck > 0 {
		f.mu.Unlock()
		return false
	}
	c.struck++
	f.mu.Unlock()
	if f.Log != nil {
		f.Log(FaultStruck{Fault: b.Fault, Seed: f.seed, Program: f.program(&b.who), PID: b.who.pid, To: b.who.to, Name: b.who.name.name, N: b.n})
	}
	return true
}

func (f *Faults) program(a *asker) string {
	if a.pid != 0 && f.Program != nil {
		return f.Program(a.pid)
	}
	return a.host
}

// ask returns which faults are to strike. What each is about has matched.
func (f *Faults) ask(where place, a asker) (blows []*Blow) {
	if !f.at[where] {
		return nil
	}
	program := ""
	for i := range f.list {
		x := &f.list[i]
		if places[x.Kind] != where || x.Kind == Interrupt && x.Call != a.call {
			continue
		}
		if x.Process != "" {
			if program == "" {
				program = f.program(&a)
			}
			if program != x.Process {
				continue
			}
		}
		f.mu.Lock()
		if b := f.look(i, x, &a); b != nil {
			blows = append(blows, b)
		}
		f.mu.Unlock()
	}
	return blows
}

// look counts the question for a fault whose kind and process are right, and returns what strikes; nil: nothing. mu is held.
func (f *Faults) look(i int, x *Fault, a *asker) *Blow {
	if x.Name != "" && !matchesName(x.Name, a.name.name) {
		return nil
	}
	if typ := a.name.typ; x.Kind == NameAAAAOnly && typ != typeA || x.Kind == NameWrongFirst && typ != typeA && typ != typeAAAA {
		return nil
	}
	if !x.To.matches(a.to, f.names.of) {
		return nil
	}
	c := &f.count[i]
	if x.Kind == NameWrongFirst {
		if c.told[a.name] {
			return nil
		}
		if c.told == nil {
			c.told = make(map[question]bool)
		}
	}
	c.asked++
	switch n := c.asked; {
	case x.Nth != 0 && n != x.Nth, x.Every != 0 && n%x.Every != 0, x.Once && c.struck > 0:
		return nil
	case x.Percent != 0 && chance(f.seed, uint64(i), n)*100 >= x.Percent:
		return nil
	}
	if x.Kind == NameWrongFirst {
		c.told[a.name] = true
	}
	return &Blow{Fault: x, of: f, index: i, n: c.asked, who: *a}
}

// chance returns a number from 0 up to 1 that is a function of three: the mixing is that of SplitMix64 (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014).
func chance(seed, index, n uint64) float64 {
	z := seed
	for _, x := range [...]uint64{index, n} {
		z += (x + 1) * 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
	}
	return float64(z>>11) / (1 << 53)
}

// Connect asks about a program that begins to connect. The first answer is what becomes of that (ConnectRefused,
// ConnectTimeout, ConnectLate), nil for nothing; the others are for the connection.
func (f *Faults) Connect(pid int32, host string, to netip.AddrPort) (connect *Blow, stream []*Blow) {
	a := asker{pid: pid, host: host, to: to}
	if list := f.ask(atConnect, a); len(list) > 0 {
		connect = list[0]
	}
	return connect, f.ask(atStream, a)
}

// Accept asks about a connection that is there to be accepted at a listener's address; nil: accept takes it.
func (f *Faults) Accept(pid int32, host string, at netip.AddrPort) *Blow {
	return first(f.ask(atAccept, asker{pid: pid, host: host, to: at}))
}

// Accepted asks about one that was taken.
func (f *Faults) Accepted(pid int32, host string, at netip.AddrPort) []*Blow {
	a := asker{pid: pid, host: host, to: at}
	return append(f.ask(atAccepted, a), f.ask(atStream, a)...)
}

// Socket asks about a new socket; nil: it is made.
func (f *Faults) Socket(pid int32, host string) *Blow {
	return first(f.ask(atSocket, asker{pid: pid, host: host}))
}

// Wait asks about a call that would wait; nil: it does.
func (f *Faults) Wait(pid int32, host, call string, to netip.AddrPort) *Blow {
	return first(f.ask(atWait, asker{pid: pid, host: host, call: call, to: to}))
}

func first(list []*Blow) *Blow {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// Question asks about a question for a name's records of a type of DNS's, 1 for A and 28 for AAAA.
func (f *Faults) Question(pid int32, host, name string, typ uint16) []*Blow {
	return f.ask(atName, asker{pid: pid, host: host, name: question{target.Bare(name), typ}})
}

// Fails is with what the call fails that a blow of one of the kinds with an error strikes at.
func (b *Blow) Fails() syscall.Errno {
	switch b.Kind {
	case ConnectRefused:
		return syscall.ECONNREFUSED
	case ConnectTimeout:
		return syscall.ETIMEDOUT
	case ResetSent, ResetReceived, ResetAtAccept:
		return syscall.ECONNRESET
	case Interrupt:
		return syscall.EINTR
	}
	return b.Errno
}
