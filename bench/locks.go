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
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LockShare is for how much of the time the locks of one name were held.
type LockShare struct {
	Number  int     // how many there are
	Sum     float64 // the shares of all added up
	Busiest float64 // the share of that which is held most
}

// lockWord is where the state of a sync.Mutex lies in the memory of the process.
type lockWord struct {
	name string
	at   unsafe.Pointer // keeps it there
}

// locked is the bit of a sync.Mutex's first word that says that it is held.
const locked = 1

// lockLister is a host that tells of its locks: those that exist at the time, by name.
type lockLister interface {
	Locks() map[string][]*sync.Mutex
}

// hostLocks finds the locks of a usock host: as it tells itself, or else the one that
// its field h, the lock domain, has as mu. It finds none where neither is there.
func hostLocks(of string, host any) (words []lockWord) {
	if l, ok := host.(lockLister); ok {
		for name, all := range l.Locks() {
			for _, m := range all {
				words = append(words, lockWord{of + name, unsafe.Pointer(m)})
			}
		}
		return words
	}
	h := reflect.ValueOf(host)
	if h.Kind() != reflect.Pointer || h.Elem().Kind() != reflect.Struct {
		return nil
	}
	domain := h.Elem().FieldByName("h")
	if !domain.IsValid() || domain.Kind() != reflect.Pointer || domain.Elem().Kind() != reflect.Struct {
		return nil
	}
	mu := domain.Elem().FieldByName("mu")
	if !mu.IsValid() || !isMutex(mu.Type()) {
		return nil
	}
	return []lockWord{{of + "host", mu.Addr().UnsafePointer()}}
}

// isMutex reports whether a value of type t begins with a sync.Mutex.
func isMutex(t reflect.Type) bool {
	for t.Kind() == reflect.Struct && t.NumField() > 0 {
		if t == reflect.TypeFor[sync.Mutex]() {
			return true
		}
		t = t.Field(0).Type
	}
	return false
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
	in  io.Closer
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
	l.cmd = exec.Command("/proc/self/exe", "-look", string(arg))
	l.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	l.cmd.Stdout, l.cmd.Stderr = &l.out, os.Stderr
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return err
	}
	return l.cmd.Start()
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
		s := all[w.name]
		share := float64(seen.Held[i]) / float64(max(seen.Looks, 1))
		s.Number++
		s.Sum += share
		s.Busiest = max(s.Busiest, share)
		all[w.name] = s
	}
	return all
}

// look is the other process's part: it looks until its standard input ends.
func look(arg string) error {
	var l looks
	if err := json.Unmarshal([]byte(arg), &l); err != nil {
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

// lockTable tells for how much of the wall time locks were held, and which rate the
// busiest of them would allow if it were always held: the ceiling of the host, however
// many processors there are.
func (r *Report) lockTable(b *strings.Builder) {
	begun := false
	for _, x := range r.Rows {
		for _, name := range sortedKeys(x.Locks) {
			if !begun {
				begun = true
				b.WriteString("\n| usock's locks, on two processors | lock | number | held, % of wall time, all together | the busiest | unit | rate beside it | ceiling that follows |\n" +
					"|---|---|---|---|---|---|---|---|\n")
			}
			var sum, busiest []float64
			n := 0
			for _, s := range x.Locks[name] {
				sum, busiest = append(sum, 100*s.Sum), append(busiest, 100*s.Busiest)
				n = max(n, s.Number)
			}
			fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %s | %s | %s |\n", x.Title, name, n,
				number(median(sum)), number(median(busiest)), x.Unit, number(median(x.LockRates)), x.ceiling(median(busiest)))
		}
	}
}

// ceiling is the rate beside which the lock was held for so many percent, scaled to a
// lock that is always held.
func (x *Row) ceiling(percent float64) string {
	rate := median(x.LockRates)
	if x.w.less || percent < 1 {
		return "–"
	}
	return number(rate * 100 / percent)
}
