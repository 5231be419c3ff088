package unix

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// Listen implements socket.Proto.
func (p proto) Listen(s *socket.Socket, backlog int) error {
	e := pcb(s)
	if !e.connected() {
		return syscall.EOPNOTSUPP
	}
	if e.name == nil || e.state == established {
		return syscall.EINVAL
	}
	if backlog < 0 || backlog > abi.SOMAXCONN {
		backlog = abi.SOMAXCONN
	}
	more := backlog > e.backlog
	e.backlog, e.state = backlog, listening
	e.peerCred = e.own()
	if more {
		e.wakeWaiters()
	}
	return nil
}

// Connect implements socket.Proto. Where the listener's queue is full it returns
// EAGAIN, which Linux gives to those who do not wait.
func (p proto) Connect(s *socket.Socket, a abi.Addr) error {
	e := pcb(s)
	if e.connected() {
		return e.connectStream(a)
	}
	return e.connectDatagram(a)
}

// connectStream is unix_stream_connect, with its order of checks.
func (e *endpoint) connectStream(a abi.Addr) error {
	if _, err := checkAddr(a); err != nil {
		return err
	}
	if e.passCred {
		if err := e.autobind(); err != nil {
			return err
		}
	}
	l, err := e.find(a)
	if err != nil {
		return err
	}
	if l.state != listening || l.shut&shutRecv != 0 {
		return syscall.ECONNREFUSED
	}
	if l.full() {
		e.wait(l)
		return syscall.EAGAIN
	}
	switch e.state {
	case established:
		return syscall.EISCONN
	case listening:
		return syscall.EINVAL
	}
	far := e.domain.endpoint(nil, e.typ)
	far.cred, far.passCred = l.cred, l.passCred
	far.name = l.name
	far.peerCred = e.own()
	e.peerCred = l.peerCred
	join(e, far)
	l.pending = append(l.pending, far)
	l.notify(wait.In)
	e.notify(wait.Out)
	return nil
}

// join makes a and b each other's peers.
func join(a, b *endpoint) {
	a.peer, b.peer = b, a
	a.state, b.state = established, established
}

// maySend is unix_may_send: o takes datagrams from everybody, or from its peer.
func (e *endpoint) maySend(o *endpoint) bool { return o.peer == nil || o.peer == e }

// connectDatagram sets the peer, or with AF_UNSPEC removes it.
func (e *endpoint) connectDatagram(a abi.Addr) error {
	var o *endpoint
	if a.Family != abi.AF_UNSPEC {
		if _, err := checkAddr(a); err != nil {
			return err
		}
		if e.passCred {
			if err := e.autobind(); err != nil {
				return err
			}
		}
		var err error
		if o, err = e.find(a); err != nil {
			return err
		}
		if !e.maySend(o) {
			return syscall.EPERM
		}
		e.state, o.state = established, established
	}
	old := e.peer
	e.peer = o
	if old == nil {
		return nil
	}
	if o == nil {
		e.state = closed
	}
	if o != old {
		e.disconnected(old)
	}
	e.notify(wait.Out)
	return nil
}

// disconnected drops what the former peer has sent, and tells it if it still is
// connected here: unix_dgram_disconnected.
func (e *endpoint) disconnected(old *endpoint) {
	if e.queue.len == 0 {
		return
	}
	e.queue.purge()
	e.wakeWaiters()
	if !old.dead && old.peer == e {
		old.fail(syscall.ECONNRESET)
	}
}

// Accept implements socket.Proto.
func (p proto) Accept(s *socket.Socket, flags int) (*socket.Socket, error) {
	e := pcb(s)
	if !e.connected() {
		return nil, syscall.EOPNOTSUPP
	}
	if e.state != listening {
		return nil, syscall.EINVAL
	}
	if len(e.pending) == 0 {
		if e.shut&shutRecv != 0 && flags&abi.MSG_DONTWAIT == 0 {
			return nil, syscall.EINVAL
		}
		return nil, syscall.EAGAIN
	}
	c := e.pending[0]
	e.pending[0] = nil
	e.pending = e.pending[1:]
	if len(e.pending) == 0 {
		e.pending = nil
	}
	e.wakeWaiters()
	n := e.domain.config.Sockets.NewSocket(p, abi.AF_UNIX, e.typ, int(s.Protocol))
	n.Owner.Store(s.Owner.Load())
	n.PCB, c.sock = c, n
	return n, nil
}

// Pair connects two fresh sockets of the same type (socketpair(2)). Locked.
func Pair(a, b *socket.Socket) {
	x, y := pcb(a), pcb(b)
	join(x, y)
	x.peerCred, y.peerCred = y.own(), x.own()
}
