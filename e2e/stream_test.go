//go:build linux

package e2e

import (
	"testing"
)

// TestStreamCalls has blocking calls on streams that go through the supervisor, for
// they name an address, have control data or rare flags: each moves all that Linux
// moves, tells how much it did when it is cut, and consumes nothing with a bad buffer.
func TestStreamCalls(t *testing.T) {
	needC(t)
	for _, c := range []string{"waitall", "send", "cut", "oob", "fastopen", "badbuf", "timeout", "sndbuf"} {
		t.Run(c, func(t *testing.T) {
			everyWay(t, false, func(t *testing.T, w way) { twin(t, w, "moves "+c) })
		})
	}
	t.Run("one processor", func(t *testing.T) { twin(t, onOne, "moves send; moves badbuf") })
}

// TestLinger has close(2) wait for what was sent, as SO_LINGER says, which takes --every-call.
func TestLinger(t *testing.T) {
	t.Parallel()
	needC(t)
	twin(t, way{user: nobody, flags: []string{"--every-call"}}, "lingers")
}
