//go:build amd64 || arm64

package run

import (
	"golang.org/x/sys/unix"

	"usock"
)

// Faults that the host's Config has strike at the host's calls, most of them by themselves. Those that are about a program's
// own calls are asked for here: an accept, as the host's socket was accepted from ahead of the program; calls that wait; and
// what a program reads at once.

// faulty reports whether the host's Config has faults that may strike.
func (l *loop) faulty() bool { return l.faults != nil && l.faults.Any() }

// interrupted reports whether a fault interrupts the call, which would wait, and is of the name.
func (c *call) interrupted(name string) bool {
	return c.l.faulty() && c.waits == nil && c.s.u.WaitFault(name) != nil
}

// sendInterrupted reports whether a fault interrupts the call, which would wait to send m: not for a connection that it has begun.
func (c *call) sendInterrupted(m *message) bool {
	return m.flags&usock.MSG_FASTOPEN == 0 && m.opens == 0 && c.interrupted("send")
}

// acceptFault is the result of an accept that a fault strikes at, though there is a connection for it. That stays the first
// one.
func (c *call) acceptFault() (result, bool) {
	if !c.l.faulty() {
		return result{}, false
	}
	err := c.s.u.AcceptFault()
	if err == nil {
		return result{}, false
	}
	c.s.acceptAll() // for the token
	return c.fail(errno(err)), true
}

// pieceWaits reports whether the program is to read what it was given before it is given more.
func (s *sock) pieceWaits() bool {
	if !s.l.faulty() || !s.u.InPieces() || unsent(s.far.fd) == 0 {
		return false
	}
	s.pieces = true
	if !s.far.armed {
		s.far.armed = true // for good: to arm it tells that there is room, which there is all the time
		s.l.rewatch(s.far.fd, farEvents|unix.EPOLLOUT)
	}
	return true
}

// ProgramName returns the name of a process's program (comm in proc(5)), of which what would change a terminal is left out; "?"
// if there is none.
func ProgramName(pid int32) string { return command(int(pid)) }
