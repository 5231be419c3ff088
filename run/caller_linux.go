//go:build amd64 || arm64

package run

import "strconv"

// Caller is the program's thread whose call is being carried out. The host asks for its
// capabilities (usock.Config.Capable), not for those of whoever has started the run: it may
// have given some up since, or have others in a user namespace of its own.
type Caller struct {
	now *call // nil: the host is called on nobody's behalf. Of whoever has the turn
}

// Capable reports whether the caller has a capability over the host. As over a network
// namespace, that takes its having it in the user namespace that the host belongs to: the
// supervisor's (Linux, ns_capable). What cannot be seen is denied.
func (a *Caller) Capable(capability int) bool {
	c := a.now
	if c == nil {
		return false
	}
	has := capable(c.t.tid, capability)
	// The thread's number was not another's meanwhile.
	return has && c.l.notify.valid(c.n.id)
}

// capable reports whether the thread has the capability in this process's user namespace.
func capable(tid, capability int) bool {
	v, ok := statusField(tid, "CapEff:")
	if !ok {
		return false
	}
	set, err := strconv.ParseUint(v, 16, 64)
	if err != nil || set>>capability&1 == 0 {
		return false
	}
	own, some := namespace("self", "user")
	its, seen := namespace(strconv.Itoa(tid), "user")
	return !some || seen && its == own // there may be none: CONFIG_USER_NS
}

// calls says on whose behalf the host is called from now on, and returns who it was.
func (a *Caller) calls(c *call) (was *call) {
	was, a.now = a.now, c
	return was
}
