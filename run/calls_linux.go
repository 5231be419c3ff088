//go:build amd64 || arm64

package run

// row is a system call that the filter knows. All that is particular to a call
// stands in its row: the filter, the dispatch and the names in messages follow.
type row struct {
	name         string
	amd64, arm64 int32 // its number
	when         when  // with which arguments it comes here
	handle       func(*call) result
	netlink      func(*call) result // on a netlink socket; nil: the kernel's
	is           trait
}

type trait uint8

const (
	free   trait = 1 << iota // its first argument is no socket of the host
	gives                    // it gives the program a descriptor
	paths                    // on a socket of the kernel's it may name one that is to be absent
	either                   // its socket may be its third argument
	brings                   // on a socket of the kernel's it may bring descriptors
)

// none is the number of a call that a machine does not have.
const none = -1

// rows returns the calls. Those that servers make most come first: the filter looks
// in this order.
func rows() []row {
	return []row{
		{"recvfrom", 45, 207, receives, callRecvfrom, netlinkRecvfrom, 0},
		{"sendto", 44, 206, sends, callSendto, netlinkSendto, 0},
		{"recvmsg", 47, 212, always, callRecvmsg, netlinkRecvmsg, brings},
		{"sendmsg", 46, 211, always, callSendmsg, netlinkSendmsg, 0},
		{"accept4", 288, 242, always, callAccept4, netlinkUnsupported, gives},
		{"setsockopt", 54, 208, setsOption, callSetsockopt, netlinkSetsockopt, 0},
		{"ioctl", 16, 29, asksSocket, callIoctl, callIoctl, 0},
		{"socket", 41, 198, makesSocket, callSocket, nil, free | gives},
		{"socketpair", 53, 199, makesPair, callSocketpair, nil, free | gives},
		{"connect", 42, 203, always, callConnect, netlinkConnect, paths},
		{"accept", 43, 202, always, callAccept, netlinkUnsupported, gives},
		{"shutdown", 48, 210, always, callShutdown, netlinkUnsupported, 0},
		{"getsockname", 51, 204, always, callGetsockname, netlinkGetsockname, 0},
		{"getpeername", 52, 205, always, callGetpeername, netlinkGetpeername, 0},
		{"getsockopt", 55, 209, always, callGetsockopt, netlinkGetsockopt, 0},
		{"bind", 49, 200, always, callBind, netlinkBind, 0},
		{"listen", 50, 201, always, callListen, netlinkUnsupported, 0},
		{"recvmmsg", 299, 243, always, callRecvmmsg, netlinkRecvmmsg, brings},
		{"sendmmsg", 307, 269, always, callSendmmsg, netlinkSendmmsg, 0},
		{"unshare", 272, 97, unsharesNet, callNamespace, nil, free},
		{"setns", 308, 268, joinsNet, callNamespace, nil, free},
		{"read", 0, 63, allOr(reads), callRead, nil, 0},
		{"write", 1, 64, allOr(writes), callWrite, nil, 0},
		{"readv", 19, 65, allOr(reads), callReadv, nil, 0},
		{"writev", 20, 66, allOr(writes), callWritev, nil, 0},
		{"fcntl", 72, 25, noneOr(duplicates), callFcntl, nil, gives},
		{"dup", 32, 23, noneOr(onMarked), callDup, nil, gives},
		{"dup2", 33, none, noneOr(movesOut), callDup2, nil, gives},
		{"dup3", 292, 24, noneOr(movesOut), callDup2, nil, gives},
		{"close", 3, 57, allOr(onMarked), callClose, nil, 0},
		{"preadv2", 327, 286, allOr(reads), callPreadv2, nil, 0},
		{"pwritev2", 328, 287, allOr(writes), callPwritev2, nil, 0},
		{"sendfile", 40, 71, allOr(onMarked), callSendfile, nil, 0},
		{"splice", 275, 76, allOr(onEither), callSplice, nil, either},
		{"io_uring_setup", 425, 425, never, nil, nil, free},
		{"landlock_create_ruleset", 444, 444, always, callLandlock, nil, free},
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
	for i := range list { // none is no call's number
		m[list[i].number(&native)] = &list[i]
	}
	return m
}
