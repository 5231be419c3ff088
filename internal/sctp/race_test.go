//go:build race

package sctp

// raceEnabled says that sync.Pool drops some of what it is given.
const raceEnabled = true
