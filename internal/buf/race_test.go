//go:build race

package buf

// raceEnabled says that sync.Pool drops some of what it is given.
const raceEnabled = true
