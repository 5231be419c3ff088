package usock

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/unix"
)

// SocketPair makes two sockets that are connected to each other (socketpair(2)).
// typ may hold SOCK_NONBLOCK. Only AF_UNIX has pairs: EOPNOTSUPP for the others,
// once the errors of Socket are ruled out.
func (h *Host) SocketPair(domain, typ, protocol int) (*Socket, *Socket, error) {
	a, err := h.Socket(domain, typ, protocol)
	if err != nil {
		return nil, nil, err
	}
	b, err := h.Socket(domain, typ, protocol)
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	if domain != abi.AF_UNIX {
		a.Close()
		b.Close()
		return nil, nil, syscall.EOPNOTSUPP
	}
	h.h.Enter()
	unix.Pair(a.in, b.in)
	h.h.Leave()
	return a, b, nil
}

// Unlink frees the path of an AF_UNIX socket, open or closed, as unlink(2) does on
// a system where it is a file. ENOENT if nothing is bound there.
func (h *Host) Unlink(path string) error {
	h.h.Enter()
	defer h.h.Leave()
	return h.unix.Unlink(path)
}
