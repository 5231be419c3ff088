//go:build amd64 || arm64

package run

import (
	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// Sends of SCTP's that are trapped.

// trySendMessage sends a message after those that were sent without a trap, or waits for room.
func (c *call) trySendMessage(m *message) result {
	s := c.s
	if m.done > 0 {
		return c.opened(m)
	}
	if s.drain(); len(s.held) > 0 {
		return c.awaitRoom(m)
	}
	if e := s.err; e != 0 && s.state == connected {
		s.err = 0
		return c.fail(e)
	}
	if s.state == over {
		if m.waits {
			return c.fail(unix.ESRCH) // it has waited for room (Linux, sctp_wait_for_sndbuf)
		}
		if e := c.overError(); e != 0 {
			return c.fail(e)
		}
	}
	if m.total > len(c.l.msgBuf) {
		c.l.msgBuf = make([]byte, m.total) // SO_SNDBUF allows it, or the stack refuses it
	}
	r := c.sendStack(m)
	if r.how == answered && r.err == 0 && m.to.Family != usock.AF_UNSPEC && c.mayWait(m) {
		m.opens, m.done = s.assocWith(m.to.AppendSockaddr(nil)), int(r.val)
		return c.opened(m)
	}
	if r.how == park {
		return c.awaitRoom(m)
	}
	return r
}

// awaitRoom has a send wait, or poll show that there is no room to one that does not.
func (c *call) awaitRoom(m *message) result {
	if !c.mayWait(m) {
		c.s.fillMessages(c.dup)
		c.s.l.later(c.s)
	}
	return result{how: park}
}

// opened ends a send once the association that it may have opened is made, or is not: which of the two
// it does not say (Linux, sctp_sendmsg_to_asoc).
func (c *call) opened(m *message) result {
	status := abi.SCTPStatus{AssocID: m.opens}
	v := abi.AppendStruct(nil, &status)
	_, err := c.s.u.GetSockOpt(usock.SOL_SCTP, usock.SCTP_STATUS, v)
	if err == nil && abi.ParseStruct(v, &status) == nil && (status.State == usock.SCTP_COOKIE_WAIT || status.State == usock.SCTP_COOKIE_ECHOED) {
		return result{how: park}
	}
	c.s.pump() // a socket of one-to-one style is writable now
	return c.answer(int64(m.done))
}
