//go:build !lockrank || !(amd64 || arm64)

package rank

import "sync"

// The ranks.
type (
	Domain   = sync.Mutex
	Gate     = sync.Mutex
	Lane     = sync.Mutex
	Set      = sync.Mutex
	TimeWait = brief
	Ports    = brief
	Leaf     = brief
	LeafRW   = sync.RWMutex
)

// brief is a sync.Mutex that is held for less than a microsecond, within an entry into the host. Who waits for it looks again for
// about as long before he lets the scheduler know: a sync.Mutex alone would let him lose his processor at once where other
// goroutines can run, and they take lanes and domains of their own, until all lanes are those of goroutines that do not run.
type brief struct{ sync.Mutex }

const (
	briefSpins = 30 // tries, with a longer pause before each
	briefPause = 5  // calls of nothing
)

func (m *brief) Lock() {
	if !m.TryLock() {
		m.lockSlow()
	}
}

func (m *brief) lockSlow() {
	for i := range briefSpins {
		for range briefPause + i {
			pause()
		}
		if m.TryLock() {
			return
		}
	}
	m.Mutex.Lock()
}

//go:noinline
func pause() {}
