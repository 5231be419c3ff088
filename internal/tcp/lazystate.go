package tcp

import "syscall"

// lazyState is what few connections need.
type lazyState struct {
	reset   rst // the RST that Poll is to send
	urg     urgent
	fo      fastOpen
	mtu     mtuProbe
	softErr syscall.Errno // last error that ICMP told (RFC 5927, section 4)
}

func (t *tcb) makeLazy() *lazyState {
	if t.lazy == nil {
		t.lazy = new(lazyState)
	}
	return t.lazy
}
