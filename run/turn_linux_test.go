//go:build amd64 || arm64

package run

import "testing"

// A thread that is away has the buffer for itself, whichever way it gave the loop to
// the others.
func TestAwayKeepsBuffer(t *testing.T) {
	ways := map[string]func(*loop) (slow bool){
		"its turn passed": func(l *loop) bool {
			l.turns.free.Store(1)
			return true
		},
		"let in": func(l *loop) bool {
			v := &visit{make(chan struct{}), make(chan struct{}, 1)}
			l.turns.now.guest = v
			return false
		},
	}
	for name, prepare := range ways {
		t.Run(name, func(t *testing.T) {
			l := &loop{msgBuf: make([]byte, 1), wake: -1}
			l.turns.init()
			l.turns.now = new(turn)
			slow := prepare(l)
			mine, same := &l.msgBuf[0], false
			kept := l.away(slow, func() {
				same = &l.msgBuf[0] == mine
				go serveInbox(l)
			})
			if kept || same {
				t.Errorf("the turn was kept: %v; the loop uses the buffer: %v", kept, same)
			}
			l.turns.now.guest.leave <- struct{}{}
		})
	}
}

// serveInbox does what the loop has been asked for, when it is.
func serveInbox(l *loop) {
	for {
		l.mu.Lock()
		fns := l.inbox
		l.mu.Unlock()
		if len(fns) > 0 {
			fns[0]()
			return
		}
	}
}
