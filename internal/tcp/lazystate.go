package tcp

import "syscall"

// lazyState is made when one of its parts is first needed, which is so for few
// connections: the others do not carry it. Each part's methods stand in the file of its
// subject: close.go, urgent.go, fastopen.go, mtu.go, record.go,
// rcvwindow.go, limit.go.
type lazyState struct {
	reset    rst // the RST that Poll is to send
	urg      urgent
	fo       fastOpen
	mtu      mtuProbe
	tookBack span          // the window that was last taken back, from where the peer may still see it begin (rcvwindow.go)
	softErr  syscall.Errno // last error that ICMP told (RFC 5927 §4)
	records  []record      // that are not acknowledged (MSG_EOR), in order
	tales    *tales        // what it tells; nil: nobody listens
	limit    uint64        // no byte from here on leaves (limit.go); 0: any
}

// makeLazy returns the lazy state, and makes it if need be.
func (t *tcb) makeLazy() *lazyState {
	if t.lazy == nil {
		t.lazy = new(lazyState)
	}
	return t.lazy
}
