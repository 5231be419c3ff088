//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/host"
)

// LockShare is for how much of the time the locks of one name were held.
type LockShare struct {
	Number  int     // how many there are
	Sum     float64 // the shares of all added up
	Busiest float64 // the share of that which is held most
	Least   float64 // and of that which is held least: a bound of how long all were held at once
}

// lockWord is where the state of a sync.Mutex lies in the memory of the process.
type lockWord struct {
	name string
	at   unsafe.Pointer // keeps it there
}

// locked is the bit of a sync.Mutex's first word that says that it is held.
const locked = 1

// hostLocks finds the locks of a usock host: all mutexes that can be reached from it by pointers, slices and
// interfaces within the packages of the stack, each by the name of the type that has it. The host is at rest
// meanwhile: whoever works with it waits.
// What is found is what exists at the time; maps are left out, whose sockets the registry has, too.
func hostLocks(of string, h any) (words []lockWord) {
	if h == nil {
		return nil
	}
	w := walker{of: of, seen: make(map[visit]bool)}
	defer func() {
		if w.entered != nil {
			w.entered.Leave()
		}
	}()
	w.walk(reflect.ValueOf(h), "")
	return w.words
}

// walker looks for mutexes.
type walker struct {
	of    string
	seen  map[visit]bool
	words []lockWord

	entered *host.Host // that all behind it belongs to
}

// visit is a place in memory and what it is taken for.
type visit struct {
	at unsafe.Pointer
	as reflect.Type
}

// outside are the packages of usock into which the walk does not go: what is there is not the host's alone.
var outside = []string{"usock/clock", "usock/link", "usock/packet", "usock/trace"}

// walk looks at v, which is in a struct of the named type owner.
func (w *walker) walk(v reflect.Value, owner string) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem(), owner)
		}
	case reflect.Pointer:
		at := visit{v.UnsafePointer(), v.Type()}
		if !v.IsNil() && !w.seen[at] {
			w.seen[at] = true
			if at.as == reflect.TypeFor[*host.Host]() && w.entered == nil {
				w.entered = (*host.Host)(at.at)
				w.entered.Enter()
			}
			w.walk(v.Elem(), owner)
		}
	case reflect.Slice, reflect.Array:
		if !holds(v.Type().Elem().Kind()) {
			return
		}
		if v.Kind() == reflect.Slice {
			v = v.Slice(0, v.Len()) // what has a lock of its own may be cut meanwhile
		}
		for i := range v.Len() {
			w.walk(v.Index(i), owner)
		}
	case reflect.Struct:
		w.structure(v, owner)
	}
}

// holds reports whether there can be a mutex in, or behind, what is of the kind.
func holds(k reflect.Kind) bool {
	switch k {
	case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Array, reflect.Struct:
		return true
	}
	return false
}

func (w *walker) structure(v reflect.Value, owner string) {
	t := v.Type()
	switch pkg := t.PkgPath(); {
	case t == reflect.TypeFor[sync.Mutex]():
		if !v.CanAddr() {
			return
		}
		at := visit{v.Addr().UnsafePointer(), t}
		if !w.seen[at] {
			w.seen[at] = true
			w.words = append(w.words, lockWord{w.of + owner, at.at})
		}
		return
	case pkg == "sync/atomic" && strings.HasPrefix(t.Name(), "Pointer["):
		// Its first field is an array of no pointers, which tells the type of what its last one points to.
		if p := v.FieldByName("v").UnsafePointer(); p != nil {
			w.walk(reflect.NewAt(t.Field(0).Type.Elem().Elem(), p), owner)
		}
		return
	case pkg != "" && (pkg != "main" && pkg != "usock" && !strings.HasPrefix(pkg, "usock/") || slices.Contains(outside, pkg)):
		return
	}
	// A type that is nothing but a mutex has no name that tells something.
	if t.Name() != "" && !isMutex(t) {
		owner = t.String()
	}
	for i := range v.NumField() {
		if holds(v.Field(i).Kind()) {
			w.walk(v.Field(i), owner)
		}
	}
}

// isMutex reports whether a value of type t is a sync.Mutex and nothing else.
func isMutex(t reflect.Type) bool {
	for t.Kind() == reflect.Struct && t.NumField() == 1 {
		t = t.Field(0).Type
	}
	return t == reflect.TypeFor[sync.Mutex]()
}

// locks returns the locks of the pair's usock hosts.
func (p *pair) locks() []lockWord {
	if p == nil {
		return nil
	}
	client, ok := p.client.(usockNet)
	server, ok2 := p.server.(usockNet)
	switch {
	case ok && ok2 && client.h == server.h:
		return hostLocks("", client.h)
	case ok && ok2:
		return append(hostLocks("client's ", client.h), hostLocks("server's ", server.h)...)
	case ok:
		return hostLocks("", client.h)
	case ok2:
		return hostLocks("", server.h)
	}
	return nil
}

// lockWatch has another process look at the locks of this one during a measurement, at
// moments of chance. That costs the stack nothing, and a look depends on nothing that
// the stack does: the other process runs at real-time priority, takes a processor from
// whatever goroutine has it, and reads the words with process_vm_readv. A share is that
// of the looks in which the lock was held. A holder whose thread is not running holds it
// too.
type lockWatch struct {
	pair   *pair
	words  []lockWord // those that there are when the measurement begins
	shares map[string]LockShare

	cmd *exec.Cmd
	in  io.WriteCloser
	out bytes.Buffer
}

// looks is what the other process is asked, and what it answers.
type looks struct {
	PID       int
	Addresses []uintptr

	Looks int
	Held  []int // in how many of them, by address
}

// lookEvery is the mean distance of two looks.
const lookEvery = time.Millisecond

// start has the other process begin. It does nothing where no lock is known.
func (l *lockWatch) start() error {
	if l == nil {
		return nil
	}
	if l.words = l.pair.locks(); len(l.words) == 0 {
		return nil
	}
	ask := looks{PID: os.Getpid()}
	for _, w := range l.words {
		ask.Addresses = append(ask.Addresses, uintptr(w.at))
	}
	arg, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	l.cmd = exec.Command("/proc/self/exe", "-look")
	l.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	l.cmd.Stdout, l.cmd.Stderr = &l.out, os.Stderr
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := l.cmd.Start(); err != nil {
		return err
	}
	_, err = l.in.Write(append(arg, '\n'))
	return err
}

// stop has it end and takes what it has seen.
func (l *lockWatch) stop() error {
	if l == nil || l.cmd == nil {
		return nil
	}
	err := errors.Join(l.in.Close(), l.cmd.Wait())
	var seen looks
	if err = errors.Join(err, json.Unmarshal(l.out.Bytes(), &seen)); err != nil {
		return fmt.Errorf("looking at locks: %w", err)
	}
	l.shares = shares(l.words, &seen)
	return nil
}

// shares adds up what was seen of the locks by their names.
func shares(words []lockWord, seen *looks) map[string]LockShare {
	all := make(map[string]LockShare)
	for i, w := range words {
		s, ok := all[w.name]
		share := float64(seen.Held[i]) / float64(max(seen.Looks, 1))
		if !ok || share < s.Least {
			s.Least = share
		}
		s.Number++
		s.Sum += share
		s.Busiest = max(s.Busiest, share)
		all[w.name] = s
	}
	return all
}

// look is the other process's part: it is told on its standard input what to look at, and looks until that ends.
func look() error {
	var l looks
	if err := json.NewDecoder(os.Stdin).Decode(&l); err != nil {
		return err
	}
	var stopped atomic.Bool
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stopped.Store(true)
	}()
	runtime.LockOSThread()
	// Without the priority it sees what it sees a little later.
	unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	if err := l.until(&stopped); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(l)
}

// until looks until it is stopped.
func (l *looks) until(stopped *atomic.Bool) error {
	words := make([]uint32, len(l.Addresses))
	l.Held = make([]int, len(words))
	for !stopped.Load() {
		pause := unix.NsecToTimespec(rand.Int64N(int64(2 * lookEvery)))
		unix.Nanosleep(&pause, nil)
		if err := l.read(words); err != nil {
			return err
		}
		l.Looks++
		for i, w := range words {
			if w&locked != 0 {
				l.Held[i]++
			}
		}
	}
	return nil
}

// read reads a word at each of the addresses.
func (l *looks) read(words []uint32) error {
	const atOnce = 1024 // IOV_MAX
	for from := 0; from < len(words); from += atOnce {
		part := words[from:min(len(words), from+atOnce)]
		local := unix.Iovec{Base: (*byte)(unsafe.Pointer(&part[0]))}
		local.SetLen(4 * len(part))
		remote := make([]unix.RemoteIovec, len(part))
		for i := range remote {
			remote[i] = unix.RemoteIovec{Base: l.Addresses[from+i], Len: 4}
		}
		n, err := unix.ProcessVMReadv(l.PID, []unix.Iovec{local}, remote, 0)
		if err != nil || n != 4*len(part) {
			return fmt.Errorf("process_vm_readv: %d bytes: %w", n, err)
		}
	}
	return nil
}

// lockTable tells for how much of the wall time locks were held, and which rate would have all of a name always
// held: the ceiling of the host, however many processors there are. Lanes and domains grow in number with processors
// and connections.
func (r *Report) lockTable(b *strings.Builder) {
	begun := false
	for _, x := range r.Rows {
		for _, name := range sortedKeys(x.Locks) {
			var sum, busiest, least []float64
			n := 0
			for _, s := range x.Locks[name] {
				sum, busiest, least = append(sum, 100*s.Sum), append(busiest, 100*s.Busiest), append(least, 100*s.Least)
				n = max(n, s.Number)
			}
			if median(sum) < 1 {
				continue
			}
			if !begun {
				begun = true
				b.WriteString("\n| usock's locks, on two processors (from 1 % on) | lock of | number | held, % of wall time, all together | the busiest | the least busy | unit | rate beside it | ceiling that follows |\n" +
					"|---|---|---|---|---|---|---|---|---|\n")
			}
			fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %s | %s | %s | %s |\n", x.Title, name, n,
				number(median(sum)), number(median(busiest)), number(median(least)), x.Unit, number(median(x.LockRates)), x.ceiling(median(sum)/float64(n)))
		}
	}
}

// ceiling is the rate beside which locks were held for so many percent, scaled to locks that are always held.
func (x *Row) ceiling(percent float64) string {
	rate := median(x.LockRates)
	if x.w.less || percent <= 0 {
		return "–"
	}
	return number(rate * 100 / percent)
}
