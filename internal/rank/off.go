//go:build !lockrank || !(amd64 || arm64)

package rank

import "sync"

// The ranks.
type (
	Domain   = sync.Mutex
	Gate     = sync.Mutex
	Lane     = sync.Mutex
	Set      = sync.Mutex
	TimeWait = sync.Mutex
	Ports    = sync.Mutex
	Leaf     = sync.Mutex
	LeafRW   = sync.RWMutex
)
