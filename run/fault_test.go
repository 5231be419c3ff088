//go:build linux && (amd64 || arm64)

package run

import (
	"sync"
	"syscall"
)

// injector has system calls of the loop fail as planned. It is asked by the loop and
// by the goroutines that search for it.
var injector faults

type faults struct {
	mu    sync.Mutex
	op    op
	errno syscall.Errno
	nth   int  // which one fails, from 1 on; 0: none
	stays bool // and all later ones
	count [ops]int
	hit   bool
}

func init() { fault = injector.fail }

func (f *faults) fail(o op) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[o]++
	if f.nth == 0 || o != f.op {
		return 0
	}
	if n := f.count[o]; n == f.nth || n > f.nth && f.stays {
		f.hit = true
		return f.errno
	}
	return 0
}

// plan has the nth call from now on fail, and all later ones if it stays.
func (f *faults) plan(o op, e syscall.Errno, nth int, stays bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.errno, f.nth, f.stays = o, e, nth, stays
	f.count, f.hit = [ops]int{}, false
}

// stop ends it, and reports whether a call has failed and how often each was made.
func (f *faults) stop() (hit bool, count [ops]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nth = 0
	return f.hit, f.count
}
