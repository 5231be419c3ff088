package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/target"
)

// Faults decides what strikes: a list of faults, a seed and what has happened so far. Of the same questions in the same
// order the answers are always the same. Its methods may be called by several goroutines at once, with a host's locks
// held: what Program and Log do must not take long, nor call the host.
//
// A question is counted by each fault whose other conditions hold, which is what "at the 3rd" goes by. What happens to a connection
// is one question, also where both of its ends ask: they have the same answer.
type Faults struct {
	// Program, if not nil, returns the name of a process's program. Set before the first question.
	Program func(pid int32) string
	// Log, if not nil, is told of each fault that strikes. Set before the first question. A recording has those that reset a
	// connection by itself; of others link.PcapWriter.Note can say it (FaultStruck.Note, FaultStruck.Resets).
	Log func(FaultStruck)
	// Suffixes and Dots say how programs' resolvers make long names of short ones, as those of Config. Set before the first question.
	Suffixes []string
	Dots     int

	seed  uint64
	names names                   // that addresses were given for
	now   atomic.Pointer[watch]   // nil: time stands still at the beginning
	armed atomic.Pointer[arsenal] // what may strike

	mu   sync.Mutex // of what the faults have seen
	last uint64     // mu: the index of the last fault
}

// watch tells the time since the beginning.
type watch struct {
	now   func() time.Duration
	begun time.Duration
}

// arsenal is a list of faults, and what it has. It does not change.
type arsenal struct {
	list  []*armed
	at    [places]bool    // some fault is of this place
	calls map[string]bool // some fault interrupts the call
}

// armed is a fault, and what it has seen.
type armed struct {
	Fault
	index uint64      // of the faults that there have been
	met   atomic.Bool // there was a question that its kind is of

	// Faults.mu
	gone    bool // it was taken away
	due     bool // it was to strike
	asked   uint64
	struck  uint64
	told    recent[question, struct{}] // NameWrongFirst: those that were answered wrongly
	numbers recent[connection, uint64] // atStream: which one is a connection that begins
}

// question is a question about a name: of which type is a number of DNS.
type question struct {
	name string
	typ  uint16
}

// connection is one by its ends.
type connection struct {
	proto    uint8
	from, to netip.AddrPort
}

// maxRecent is how many questions, or connections, a fault remembers at least.
const maxRecent = 4096

// recent remembers what was put last: maxRecent keys, and up to as many others.
type recent[K comparable, V any] struct{ young, old map[K]V }

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if v, ok = r.young[k]; !ok {
		v, ok = r.old[k]
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if len(r.young) >= maxRecent {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = make(map[K]V)
	}
	r.young[k] = v
}

func (r *recent[K, V]) remove(k K) {
	delete(r.young, k)
	delete(r.old, k)
}

// FaultStruck is a fault that has struck, and where.
type FaultStruck struct {
	Fault   *Fault
	Seed    uint64
	Program string         // of the process, or the host's name; "": not known
	PID     int32          // 0: there is none
	Proto   uint8          // IPPROTO_; 0: not known
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
		if s.Proto != 0 && s.Proto != target.TCP {
			b = append(b, "/"+protocolName(s.Proto)...)
		}
	}
	if s.Name != "" {
		b = append(b, " for "+s.Name...)
	}
	return string(b) + ", " + ordinal(s.N) + ", seed " + strconv.FormatUint(s.Seed, 10)
}

// Note is what a recording says of it.
func (s FaultStruck) Note() string { return "fault: " + s.String() }

// Resets reports whether it is a packet that resets a connection: that says it itself.
func (s FaultStruck) Resets() bool {
	return s.Fault.Kind == ResetSent || s.Fault.Kind == ResetReceived || s.Fault.Kind == ResetAtAccept
}

// NewFaults returns what decides about a list of faults.
func NewFaults(seed uint64, list ...Fault) *Faults {
	f := &Faults{seed: seed}
	f.armed.Store(new(arsenal))
	f.Set(list...)
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

// Set has these faults be those that strike from now on. One that was among them before goes on with what it has counted; what was to
// happen to connections by one that is none of them any more does not.
func (f *Faults) Set(list ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := slices.Clone(f.armed.Load().list)
	now := &arsenal{calls: make(map[string]bool)}
	for _, x := range list {
		text := x.String()
		at := slices.IndexFunc(before, func(a *armed) bool { return a != nil && a.String() == text })
		a := &armed{Fault: x, index: f.last}
		if at >= 0 {
			a, before[at] = before[at], nil
		} else {
			f.last++
		}
		now.list = append(now.list, a)
		now.at[kinds[x.Kind].at] = true
		if x.Kind == Interrupt {
			now.calls[x.Call] = true
		}
	}
	for _, a := range before {
		if a != nil {
			a.gone = true
		}
	}
	f.armed.Store(now)
}

// Begin says that time begins now, on a clock, for the times that faults have. The first call counts.
func (f *Faults) Begin(now func() time.Duration) {
	if f.now.Load() == nil {
		f.now.CompareAndSwap(nil, &watch{now, now()})
	}
}

// since is the time since the beginning.
func (f *Faults) since() time.Duration {
	w := f.now.Load()
	if w == nil {
		return 0
	}
	return w.now() - w.begun
}

// Resolved tells for which name an address was given, so that faults to the name strike at it.
func (f *Faults) Resolved(a netip.Addr, name string) { f.names.add(a.WithZone(""), target.Bare(name)) }

// About reports whether some fault is about names, to be asked by Question.
func (f *Faults) About() (questions bool) { return f.armed.Load().at[atName] }

// Interrupts reports whether some fault interrupts a call of the name.
func (f *Faults) Interrupts(call string) bool { return f.armed.Load().calls[call] }

// Traps are which calls of programs faults need to be asked about, for who leaves some of them to others as long as nobody does.
type Traps struct{ Receives, Sends bool }

// Traps returns the traps that the fault needs.
func (x *Fault) Traps() Traps {
	return Traps{
		Receives: x.Kind == Interrupt && x.Call == "recv",
		Sends:    x.Kind == Interrupt && x.Call == "send" || x.Kind == SendFails,
	}
}

// String returns the calls in words.
func (t Traps) String() string {
	if t.Sends {
		return "send"
	}
	return "recv"
}

// Suffice reports whether a fault needs no others.
func (t Traps) Suffice(x Fault) bool {
	needs := x.Traps()
	return (t.Receives || !needs.Receives) && (t.Sends || !needs.Sends)
}

// Traps returns the traps that the faults need.
func (f *Faults) Traps() (t Traps) {
	for _, x := range f.armed.Load().list {
		needs := x.Traps()
		t.Receives, t.Sends = t.Receives || needs.Receives, t.Sends || needs.Sends
	}
	return t
}

// Sends reports whether some fault has sends fail.
func (f *Faults) Sends() bool { return f.armed.Load().at[atSend] }

// Any reports whether there are faults.
func (f *Faults) Any() bool { return len(f.armed.Load().list) > 0 }

// The types of records with addresses (RFC 1035, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
)

// Call is a program's call at which a fault may strike.
type Call struct {
	PID   int32          // 0: there is no process
	Host  string         // the name of the host, for those without processes
	Proto uint8          // of the socket: IPPROTO_
	From  netip.AddrPort // the connecting side; not valid: not known
	To    netip.AddrPort // where it connects to; not valid: nowhere
}

// asker is who asks, and about what.
type asker struct {
	Call
	call     string // its name
	name     question
	accepted bool // the connection, by its other end
}

// Blow is a fault that is about to strike.
type Blow struct {
	*Fault
	of  *Faults
	by  *armed
	n   uint64
	who asker
}

// Strike reports whether the fault strikes now, and has it logged. One that was to strike once may have struck elsewhere, and one may have
// been taken away.
func (b *Blow) Strike() bool {
	f := b.of
	f.mu.Lock()
	a := b.by
	if a.gone || b.Once && a.struck > 0 {
		f.mu.Unlock()
		return false
	}
	a.struck++
	f.mu.Unlock()
	if f.Log != nil {
		f.Log(b.Struck())
	}
	return true
}

// Over reports whether the fault was taken away (Faults.Set): what has begun by it ends, where it can.
func (b *Blow) Over() bool {
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	return b.by.gone
}

// Struck is what the log is told when the blow strikes.
func (b *Blow) Struck() FaultStruck {
	w := &b.who
	return FaultStruck{Fault: b.Fault, Seed: b.of.seed, Program: b.of.program(w), PID: w.PID, Proto: w.Proto, To: w.To, Name: w.name.name, N: b.n}
}

func (f *Faults) program(a *asker) string {
	if a.PID != 0 && f.Program != nil {
		return f.Program(a.PID)
	}
	return a.Host
}

// ask returns which faults are to strike. What each is about has matched.
func (f *Faults) ask(where place, a asker) (blows []*Blow) {
	now := f.armed.Load()
	if !now.at[where] {
		return nil
	}
	program, since := "", f.since()
	for _, x := range now.list {
		if kinds[x.Kind].at != where || !x.of(&a) {
			continue
		}
		x.met.Store(true)
		if !f.about(x, &a, since) {
			continue
		}
		if x.Process != "" {
			if program == "" {
				program = f.program(&a)
			}
			if program != x.Process && (a.PID == 0 || program != programName(x.Process)) {
				continue
			}
		}
		f.mu.Lock()
		if b := f.look(x, &a); b != nil {
			blows = append(blows, b)
		}
		f.mu.Unlock()
	}
	return blows
}

// of reports whether a fault of the place is of the kind that can strike at what is asked about.
func (x *Fault) of(a *asker) bool {
	protos := kinds[x.Kind].protos
	switch {
	case x.Kind == Interrupt:
		return x.Call == a.call
	case x.Kind == NameAAAAOnly:
		return a.name.typ == typeA
	case x.Kind == NameWrongFirst:
		return a.name.typ == typeA || a.name.typ == typeAAAA
	}
	return protos == nil || slices.Contains(protos, a.Proto)
}

// about reports whether a fault is about who asks, whichever process's that is.
func (f *Faults) about(x *armed, a *asker, since time.Duration) bool {
	if x.Proto != 0 && x.Proto != a.Proto || x.PID != 0 && x.PID != a.PID {
		return false
	}
	search := target.Search{Suffixes: f.Suffixes, Dots: f.Dots}
	if t := x.Name.of; t != nil && !t.MatchesName(a.name.name, &search) {
		return false
	}
	for _, end := range [...]struct {
		meant *target.Target
		at    netip.AddrPort
	}{{x.To.of, a.To}, {x.From.of, a.From}} {
		at := netip.AddrPortFrom(end.at.Addr().Unmap().WithZone(""), end.at.Port())
		if end.meant != nil && !end.meant.Is(a.Proto, at, f.names.of, &search) {
			return false
		}
	}
	holds, _ := x.times.at(since)
	return holds
}

// look counts the question for a fault that is about it, and returns what strikes; nil: nothing. mu is held.
func (f *Faults) look(x *armed, a *asker) *Blow {
	if x.Kind == NameWrongFirst {
		if _, ok := x.told.get(a.name); ok {
			return nil
		}
	}
	n := x.number(a)
	switch {
	case x.Nth != 0 && n != x.Nth, x.Every != 0 && n%x.Every != 0, x.Once && x.struck > 0:
		return nil
	case x.Percent != 0 && chance(f.seed, x.index, n)*100 >= x.Percent:
		return nil
	}
	if x.Kind == NameWrongFirst {
		x.told.put(a.name, struct{}{})
	}
	x.due = true
	return &Blow{Fault: &x.Fault, of: f, by: x, n: n, who: *a}
}

// number counts the question, and returns which one it is. Of a connection the second end that asks has the first one's. Faults.mu is
// held.
func (x *armed) number(a *asker) uint64 {
	of := connection{a.Proto, a.From, a.To}
	both := kinds[x.Kind].at == atStream && a.From.IsValid()
	if both && a.accepted {
		if n, ok := x.numbers.get(of); ok {
			x.numbers.remove(of)
			return n
		}
	}
	x.asked++
	if both && !a.accepted {
		x.numbers.put(of, x.asked)
	}
	return x.asked
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
func (f *Faults) Connect(c Call) (connect *Blow, stream []*Blow) {
	return first(f.ask(atConnect, asker{Call: c})), f.ask(atStream, asker{Call: c})
}

// Accept asks about a connection that is there to be accepted at a listener's address, To; nil: accept takes it.
func (f *Faults) Accept(c Call) *Blow { return first(f.ask(atAccept, asker{Call: c})) }

// Accepted asks about one that was taken.
func (f *Faults) Accepted(c Call) []*Blow {
	a := asker{Call: c, accepted: true}
	return append(f.ask(atAccepted, a), f.ask(atStream, a)...)
}

// Socket asks about a new socket; nil: it is made.
func (f *Faults) Socket(c Call) *Blow { return first(f.ask(atSocket, asker{Call: c})) }

// Send asks about a datagram that is to be sent; nil: it is.
func (f *Faults) Send(c Call) *Blow { return first(f.ask(atSend, asker{Call: c})) }

// Wait asks about a call of that name that would wait; nil: it does.
func (f *Faults) Wait(c Call, name string) *Blow {
	return first(f.ask(atWait, asker{Call: c, call: name}))
}

func first(list []*Blow) *Blow {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// Question asks about a question for a name's records of a type of DNS's, 1 for A and 28 for AAAA.
func (f *Faults) Question(c Call, name string, typ uint16) []*Blow {
	return f.ask(atName, asker{Call: c, name: question{target.Bare(name), typ}})
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
