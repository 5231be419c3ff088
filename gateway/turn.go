//go:build linux

package gateway

import "sync"

// turn lets one goroutine at a time work on what it guards. Who comes meanwhile, also from
// within that work, leaves his behind and goes on.
type turn struct {
	mu   sync.Mutex
	busy bool
	work []func()
}

// take begins a turn and reports whether it was free. Who has it calls end.
func (t *turn) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return false
	}
	t.busy = true
	return true
}

// leave has f called by who has the turn, or calls it.
func (t *turn) leave(f func()) {
	t.mu.Lock()
	t.work = append(t.work, f)
	if t.busy {
		t.mu.Unlock()
		return
	}
	t.busy = true
	t.mu.Unlock()
	t.end()
}

// waiting returns how much work waits for who has the turn.
func (t *turn) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.work)
}

// end does what others have left behind, and ends the turn.
func (t *turn) end() {
	t.mu.Lock()
	for len(t.work) > 0 {
		work := t.work
		t.work = nil
		t.mu.Unlock()
		for _, f := range work {
			f()
		}
		t.mu.Lock()
	}
	t.busy = false
	t.mu.Unlock()
}
