package usock_test

import (
	"syscall"
	"testing"

	"usock"
	"usock/internal/abi"
)

// knows reports whether some socket has the option, to be set or to be got.
func knows(t *testing.T, h *usock.Host, level, name int) bool {
	t.Helper()
	no := func(err error) bool { return err == syscall.ENOPROTOOPT || err == syscall.EOPNOTSUPP }
	for _, k := range append(kinds[:len(kinds):len(kinds)], kind{usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_RAW}) {
		s, err := h.Socket(k.domain, k.typ, k.protocol)
		if err != nil {
			t.Fatal(err)
		}
		_, got := s.GetSockOpt(level, name, make([]byte, 64))
		set := s.SetSockOpt(level, name, make([]byte, 4))
		s.Close()
		if !no(got) || !no(set) {
			return true
		}
	}
	return false
}

// The table of options says what is built, and no socket has an option that is not in it.
func TestOptionTable(t *testing.T) {
	h := newHost(t, usock.Config{Privileged: true})
	type option struct{ level, number int }
	built := map[option]bool{}
	for _, o := range abi.Options {
		built[option{o.Level, o.Number}] = o.Built
		if got := knows(t, h, o.Level, o.Number); got != o.Built {
			t.Errorf("%s: built %v in internal/abi/const.txt, and %v on sockets", o.Name, o.Built, got)
		}
	}

	// MCAST_* stand in the table at SOL_IP, and are of both levels (RFC 3678).
	for n := usock.MCAST_JOIN_GROUP; n <= usock.MCAST_MSFILTER; n++ {
		built[option{usock.SOL_IPV6, n}] = true
	}
	for _, level := range []int{usock.SOL_SOCKET, usock.SOL_IP, usock.SOL_IPV6, usock.SOL_TCP, usock.SOL_UDP, usock.SOL_ICMPV6, usock.SOL_SCTP} {
		for n := range 160 {
			if !built[option{level, n}] && knows(t, h, level, n) {
				t.Errorf("level %d, option %d is not in internal/abi/const.txt", level, n)
			}
		}
	}
}
