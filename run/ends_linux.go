//go:build amd64 || arm64

package run

import (
	"sync"

	"usock"
	"usock/internal/rtnl"
)

// Ends tells who looks at a run's sockets of the programs' ends. Its zero value is that of a
// run that has not begun. Its methods may be called from any goroutine.
type Ends struct {
	mu sync.Mutex // held while the loop is asked, so that it is there
	l  *loop      // mu; nil: before the run, or after it
}

func (e *Ends) open(l *loop) {
	if e != nil {
		e.mu.Lock()
		e.l = l
		e.mu.Unlock()
	}
}

// close waits for who asks.
func (e *Ends) close() {
	if e != nil {
		e.mu.Lock()
		e.l = nil
		e.mu.Unlock()
	}
}

// ask has f called by the loop, if there is one, and waits for it.
func (e *Ends) ask(f func(*loop)) {
	e.await(func(l *loop, done func()) { f(l); done() })
}

// await is ask for what is done when done is called.
func (e *Ends) await(f func(l *loop, done func())) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.l
	if l == nil {
		return
	}
	done := make(chan struct{})
	l.do(func() { f(l, func() { close(done) }) })
	select {
	case <-done:
	case <-l.turns.closed:
	}
}

// List begins a look at a list of sockets, of which those are gone that the programs have closed before. What it returns
// is for the parts of that list: it adds to the queues of each what is on its way between the program and the host's
// socket, and puts the inode of the program's end, by which /proc/PID/fd tells who has it, in its place; 0 for none. The
// calls of the programs wait for as long as it takes for socketsAtOnce of them.
func (e *Ends) List() func(list []usock.SocketInfo, inodes []uint32) {
	var ends map[uint64]*sock
	e.await(func(l *loop, done func()) {
		l.scanner.before(func() {
			ends = l.endsByID()
			done()
		})
	})
	return func(list []usock.SocketInfo, inodes []uint32) {
		for at := 0; at < len(list); at += socketsAtOnce {
			last := min(at+socketsAtOnce, len(list))
			e.ask(func(*loop) {
				for i := at; i < last; i++ {
					if s := ends[list[i].ID]; s != nil {
						inodes[i] = s.addEnd(&list[i])
					}
				}
			})
		}
	}
}

// endsByID returns the programs' ends by the numbers of the host's sockets.
func (l *loop) endsByID() map[uint64]*sock {
	ends := make(map[uint64]*sock, len(l.socks))
	for _, s := range l.socks {
		ends[s.u.ID()] = s
	}
	return ends
}

// addEnd adds what lies between the program and the stack to the queues of the host's socket, and
// returns the inode of the program's end.
func (s *sock) addEnd(in *usock.SocketInfo) uint32 {
	if s.state == released {
		return 0
	}
	var k rtnl.Socket
	s.addQueued(&k)
	in.RecvQ += int(k.RecvQ)
	in.SendQ += int(k.SendQ)
	return uint32(s.id.ino)
}
