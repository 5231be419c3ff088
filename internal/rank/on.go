//go:build lockrank && (amd64 || arm64)

package rank

import (
	"fmt"
	"sync"
)

const (
	domain = 1 + iota
	gate
	lane
	set
	timeWait
	ports
	leaf
)

var names = [...]string{domain: "domain", gate: "gate", lane: "lane", set: "set", timeWait: "TIME-WAIT", ports: "ports", leaf: "leaf"}

// shards is how many parts held has, so that checking does not make one queue of all goroutines.
const shards = 256

// held is the ranks of the locks that each goroutine has, by the goroutine.
var held [shards]struct {
	mu sync.Mutex
	of map[uintptr][]int
}

// g returns what tells the goroutine that calls from all others that live. Nobody ends with a lock.
func g() uintptr

// take notes a lock of rank r, and panics if whoever waits for it may not.
func take(r int) {
	note(r, func(h int) bool { return h < r || h == lane && r == lane }) // the whole host is lane after lane
}

func note(r int, may func(h int) bool) {
	g := g()
	part := &held[g>>8%shards]
	part.mu.Lock()
	defer part.mu.Unlock()
	for _, h := range part.of[g] {
		if !may(h) {
			panic(fmt.Sprintf("rank: a goroutine that has a lock of rank %q takes one of rank %q", names[h], names[r]))
		}
	}
	if part.of == nil {
		part.of = make(map[uintptr][]int)
	}
	part.of[g] = append(part.of[g], r)
}

// put notes that a lock of rank r is free again. Whoever has taken it gives it back.
func put(r int) {
	g := g()
	part := &held[g>>8%shards]
	part.mu.Lock()
	defer part.mu.Unlock()
	l := part.of[g]
	for i := len(l) - 1; i >= 0; i-- {
		if l[i] == r {
			part.of[g] = append(l[:i], l[i+1:]...) // which stays when empty: there are no more g than goroutines at once
			return
		}
	}
	panic(fmt.Sprintf("rank: a goroutine gives back a lock of rank %q that it has not", names[r]))
}

// mutex is a sync.Mutex of a rank.
type mutex struct{ m sync.Mutex }

func (x *mutex) lock(r int) {
	take(r)
	x.m.Lock()
}

func (x *mutex) try(r int) bool {
	if !x.m.TryLock() {
		return false
	}
	note(r, func(int) bool { return true })
	return true
}

func (x *mutex) unlock(r int) {
	put(r)
	x.m.Unlock()
}

// Domain is a lock of its rank.
type Domain struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Domain) Lock() { m.lock(domain) }

// TryLock locks it if it is free.
func (m *Domain) TryLock() bool { return m.try(domain) }

// Unlock unlocks it.
func (m *Domain) Unlock() { m.unlock(domain) }

// Gate is a lock of its rank.
type Gate struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Gate) Lock() { m.lock(gate) }

// TryLock locks it if it is free.
func (m *Gate) TryLock() bool { return m.try(gate) }

// Unlock unlocks it.
func (m *Gate) Unlock() { m.unlock(gate) }

// Lane is a lock of its rank.
type Lane struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Lane) Lock() { m.lock(lane) }

// TryLock locks it if it is free.
func (m *Lane) TryLock() bool { return m.try(lane) }

// Unlock unlocks it.
func (m *Lane) Unlock() { m.unlock(lane) }

// Set is a lock of its rank.
type Set struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Set) Lock() { m.lock(set) }

// TryLock locks it if it is free.
func (m *Set) TryLock() bool { return m.try(set) }

// Unlock unlocks it.
func (m *Set) Unlock() { m.unlock(set) }

// TimeWait is a lock of its rank.
type TimeWait struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *TimeWait) Lock() { m.lock(timeWait) }

// TryLock locks it if it is free.
func (m *TimeWait) TryLock() bool { return m.try(timeWait) }

// Unlock unlocks it.
func (m *TimeWait) Unlock() { m.unlock(timeWait) }

// Ports is a lock of its rank.
type Ports struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Ports) Lock() { m.lock(ports) }

// TryLock locks it if it is free.
func (m *Ports) TryLock() bool { return m.try(ports) }

// Unlock unlocks it.
func (m *Ports) Unlock() { m.unlock(ports) }

// Leaf is a lock of its rank.
type Leaf struct{ mutex }

// Lock locks it, or panics if that may not be.
func (m *Leaf) Lock() { m.lock(leaf) }

// TryLock locks it if it is free.
func (m *Leaf) TryLock() bool { return m.try(leaf) }

// Unlock unlocks it.
func (m *Leaf) Unlock() { m.unlock(leaf) }

// LeafRW is a Leaf with readers.
type LeafRW struct{ m sync.RWMutex }

// Lock locks it for writing, or panics if that may not be.
func (m *LeafRW) Lock() {
	take(leaf)
	m.m.Lock()
}

// Unlock unlocks it for writing.
func (m *LeafRW) Unlock() {
	put(leaf)
	m.m.Unlock()
}

// RLock locks it for reading, or panics if that may not be.
func (m *LeafRW) RLock() {
	take(leaf)
	m.m.RLock()
}

// RUnlock unlocks it for reading.
func (m *LeafRW) RUnlock() {
	put(leaf)
	m.m.RUnlock()
}
