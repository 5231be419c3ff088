//go:build race

package ip

// raceEnabled says that sync.Pool drops some of what it is given.
const raceEnabled = true
