package sim

import (
	"math/rand/v2"
	"os"
	"strconv"
)

// seedVariable is the environment variable that a failing test names.
const seedVariable = "USOCK_SEED"

// Seed returns a seed for New and its kin: a new one each time, or the one in the environment
// variable USOCK_SEED. If the test fails, its log has the line that replays it.
func Seed(t TB) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return rand.Uint64()>>32 | 1 // short enough to be typed
	}
	seed, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatalf("sim: %s is no number: %s", seedVariable, text)
	}
	return seed
}

// logger is what a TB has besides, where it is a testing.TB.
type logger interface {
	Failed() bool
	Logf(format string, args ...any)
}

// tellSeed has the seed printed if the test fails.
func tellSeed(t TB, seed uint64) {
	l, ok := t.(logger)
	if !ok {
		return
	}
	t.Cleanup(func() {
		if l.Failed() {
			l.Logf("sim: the network's seed was %d; it replays with %s=%d where Seed gave it", seed, seedVariable, seed)
		}
	})
}
