package tcp

import "syscall"

// rare is what few connections need.
type rare struct {
	reset   rst // the RST that Poll is to send
	urg     urgent
	fo      fastOpen
	mtu     mtuProbe
	softErr syscall.Errno // last error that ICMP told (RFC 5927, section 4)
}

func (t *tcb) rareState() *rare {
	if t.rare == nil {
		t.rare = new(rare)
	}
	return t.rare
}
