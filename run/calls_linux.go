//go:build amd64 || arm64

package run

// row is a system call that the filter knows. All that is particular to a call
// stands in its row: the filter, the dispatch and the names in messages follow.
type row struct {
	name         string
	amd64, arm64 int32 // its number
	when         when  // with which arguments it comes here
	handle       func(*call) result
	free         bool // its first argument is no socket of the host
}

// rows returns the calls. Those that servers make most come first: the filter looks
// in this order.
func rows() []row {
	return []row{
		{"recvfrom", 45, 207, receives, callRecvfrom, false},
		{"sendto", 44, 206, sends, callSendto, false},
		{"recvmsg", 47, 212, always, callRecvmsg, false},
		{"sendmsg", 46, 211, always, callSendmsg, false},
		{"accept4", 288, 242, always, callAccept4, false},
		{"setsockopt", 54, 208, setsOption, callSetsockopt, false},
		{"ioctl", 16, 29, asksSocket, callIoctl, false},
		{"socket", 41, 198, makesSocket, callSocket, true},
		{"socketpair", 53, 199, makesSocket, callSocketpair, true},
		{"connect", 42, 203, always, callConnect, false},
		{"accept", 43, 202, always, callAccept, false},
		{"shutdown", 48, 210, always, callShutdown, false},
		{"getsockname", 51, 204, always, callGetsockname, false},
		{"getpeername", 52, 205, always, callGetpeername, false},
		{"getsockopt", 55, 209, always, callGetsockopt, false},
		{"bind", 49, 200, always, callBind, false},
		{"listen", 50, 201, always, callListen, false},
		{"recvmmsg", 299, 243, always, callRecvmmsg, false},
		{"sendmmsg", 307, 269, always, callSendmmsg, false},
		{"io_uring_setup", 425, 425, never, nil, true},
		{"landlock_create_ruleset", 444, 444, always, callLandlock, true},
	}
}

// number returns the call's number on a machine.
func (r *row) number(m *machine) int32 {
	if m.arm {
		return r.arm64
	}
	return r.amd64
}

// callTable returns the rows by number.
func callTable() map[int32]*row {
	list := rows()
	m := make(map[int32]*row, len(list))
	for i := range list {
		m[list[i].number(&native)] = &list[i]
	}
	return m
}
