package usock

import (
	"context"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// Socket is an endpoint of communication. Its methods are the BSD calls. A call
// that cannot be carried out at once waits, unless the socket is non-blocking
// (SetNonblock) or the call says MSG_DONTWAIT: then it fails with EAGAIN, or
// EINPROGRESS for Connect. Deadlines end waiting with os.ErrDeadlineExceeded, and
// the timeouts SO_RCVTIMEO and SO_SNDTIMEO with EAGAIN.
type Socket struct {
	in   *socket.Socket
	host *Host
}

// Msg is a message with everything that sendmsg(2) and recvmsg(2) know of it.
type Msg struct {
	Bufs    [][]byte // the bytes, scattered or gathered
	Name    Addr     // send: destination, if Family is not AF_UNSPEC; receive: source
	Control []byte   // send: control messages; receive: room for them, then what came
	Flags   int      // receive: MSG_TRUNC, MSG_CTRUNC, MSG_OOB, MSG_ERRQUEUE
}

// ID returns the socket's number, unique within its host.
func (s *Socket) ID() uint64 { return s.in.ID }

// Host returns the host that the socket belongs to.
func (s *Socket) Host() *Host { return s.host }

// SetOwner says on behalf of which process the socket acts, for captures and
// listings.
func (s *Socket) SetOwner(pid int32) { s.in.SetOwner(pid) }

// SetNonblock makes all calls non-blocking, or blocking again (O_NONBLOCK).
func (s *Socket) SetNonblock(on bool) { s.in.SetNonblock(on) }

// Bind gives the socket its local address (bind(2)). Port 0 stands for one that is
// free. Errors: EADDRINUSE, EADDRNOTAVAIL, EINVAL, EAFNOSUPPORT, and EACCES for a port below 1024
// without Config.Privileged.
func (s *Socket) Bind(a Addr) error { return s.in.Bind(abi.Addr(a)) }

// Listen makes the socket accept connections, of which up to backlog+1 wait to be
// accepted (listen(2)).
func (s *Socket) Listen(backlog int) error { return s.in.Listen(backlog) }

// Accept waits for a connection and returns a socket for it, with the peer's
// address (accept(2)).
func (s *Socket) Accept() (*Socket, Addr, error) { return s.AcceptContext(context.Background()) }

// AcceptContext is Accept, given up when ctx ends.
func (s *Socket) AcceptContext(ctx context.Context) (*Socket, Addr, error) {
	n, err := s.accept(ctx)
	if err != nil {
		return nil, Addr{}, err
	}
	peer, _ := n.Peer()
	return &Socket{n, s.host}, Addr(peer), nil
}

// PeelOff makes a socket of its own of an association of an SCTP socket of one-to-many style, whose
// number notifications and control messages tell (sctp_peeloff(3)). EINVAL: there is no such
// association; ENOPROTOOPT: the socket is of another protocol.
func (s *Socket) PeelOff(assoc int32) (*Socket, error) {
	n, err := s.in.Peel(assoc)
	if err != nil {
		return nil, err
	}
	return &Socket{n, s.host}, nil
}

// Connect connects to a, or fixes a datagram socket's peer; an address of family
// AF_UNSPEC dissolves that again (connect(2)).
func (s *Socket) Connect(a Addr) error { return s.ConnectContext(context.Background(), a) }

// ConnectContext is Connect, given up when ctx ends; the attempt itself goes on.
func (s *Socket) ConnectContext(ctx context.Context, a Addr) error {
	return s.connect(ctx, a)
}

// FinishConnect reports what became of the attempt to connect that an earlier Connect
// began, on a non-blocking socket or one whose SO_SNDTIMEO or context ended its
// waiting. It never waits and never begins an attempt; POLLOUT says that there is an
// outcome. It tells what a second connect(2) tells of the first one:
//
//	nil          the connection was made; the next Connect is EISCONN
//	EALREADY     the attempt is under way
//	ENOTCONN     there is no attempt, or its outcome was an error and has been told
//	ECONNABORTED the attempt failed, and SO_ERROR has told why
//	EINVAL       the socket was shut down before the outcome was told
//	EBADF        the socket is closed
//
// or else the error of the attempt, such as ECONNREFUSED or ETIMEDOUT. That takes the
// pending error, as SO_ERROR does, and leaves the socket free to connect again. Only
// the connection counts: what waits in the error queue (MSG_ERRQUEUE) is no failure.
// A connection that was made and ended since is nil too, as it is EISCONN to Connect.
//
// A datagram socket connects at once: nil if it has a peer, else ENOTCONN. So does
// AF_UNIX.
//
// Of several goroutines that call it, one is told the error and the others ENOTCONN.
func (s *Socket) FinishConnect() error { return s.in.FinishConnect() }

// Send sends p to the peer (send(2)) and returns how many bytes were taken: all of
// them, unless there is an error or the socket is non-blocking.
func (s *Socket) Send(p []byte, flags int) (int, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.HasAddr, m.Control = flags, false, nil
	var n int
	var err error
	if s.host.faults == nil { // as send, with a frame less to return through
		n, err = s.in.Send(context.Background(), p, m)
	} else {
		n, err = s.send(context.Background(), p, m)
	}
	msgPool.Put(m)
	return n, err
}

// SendTo sends p to the address to (sendto(2)).
func (s *Socket) SendTo(p []byte, flags int, to Addr) (int, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.HasAddr, m.Addr, m.Control = flags, true, abi.Addr(to), nil
	var n int
	var err error
	if s.host.faults == nil {
		n, err = s.in.Send(context.Background(), p, m)
	} else {
		n, err = s.send(context.Background(), p, m)
	}
	msgPool.Put(m)
	return n, err
}

// Recv receives into p (recv(2)) and returns how many bytes came; 0 at the end of
// a stream. What does not fit of a datagram is lost.
func (s *Socket) Recv(p []byte, flags int) (int, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.Want = flags, false
	var n int
	var err error
	if s.host.faults == nil {
		n, err = s.in.Recv(context.Background(), p, m)
	} else {
		n, err = s.recv(context.Background(), p, m)
	}
	msgPool.Put(m)
	return n, err
}

// RecvFrom is Recv with the sender's address (recvfrom(2)).
func (s *Socket) RecvFrom(p []byte, flags int) (int, Addr, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.Want, m.Addr = flags, false, abi.Addr{}
	var n int
	var err error
	if s.host.faults == nil {
		n, err = s.in.Recv(context.Background(), p, m)
	} else {
		n, err = s.recv(context.Background(), p, m)
	}
	from := Addr(m.Addr)
	msgPool.Put(m)
	return n, from, err
}

// SendMsg sends m (sendmsg(2)).
func (s *Socket) SendMsg(ctx context.Context, m *Msg, flags int) (int, error) {
	in := msgPool.Get().(*socket.Msg)
	in.Flags, in.Control = flags, m.Control
	in.HasAddr, in.Addr = m.Name.Family != abi.AF_UNSPEC, abi.Addr(m.Name)
	n, err := s.send(ctx, gather(m.Bufs), in)
	in.Control = nil
	msgPool.Put(in)
	return n, err
}

// RecvMsg receives into m (recvmsg(2)): the bytes, the source, the control
// messages that the socket's options ask for, and the flags.
func (s *Socket) RecvMsg(ctx context.Context, m *Msg, flags int) (int, error) {
	in := msgPool.Get().(*socket.Msg)
	in.Flags, in.Want, in.Addr, in.Control = flags, true, abi.Addr{}, nil
	var p []byte
	if len(m.Bufs) == 1 {
		p = m.Bufs[0]
	} else {
		p = make([]byte, total(m.Bufs))
	}
	n, err := s.recv(ctx, p, in)
	if len(m.Bufs) != 1 {
		scatter(m.Bufs, p[:min(n, len(p))])
	}
	m.Name, m.Flags = Addr(in.Addr), in.Flags
	control, cut := abi.CutCmsgs(in.Control, len(m.Control))
	if cut {
		m.Flags |= abi.MSG_CTRUNC
	}
	m.Control = m.Control[:copy(m.Control, control)]
	in.Control = nil
	msgPool.Put(in)
	return n, err
}

// Shutdown ends one direction, or both (shutdown(2)): SHUT_RD, SHUT_WR, SHUT_RDWR.
func (s *Socket) Shutdown(how int) error { return s.in.Shutdown(how) }

// Close lets go of the socket (close(2)). A stream is ended in order, or reset if
// data was left unread or SO_LINGER says so. Calls that wait on it fail with EBADF.
func (s *Socket) Close() error { return s.in.Close() }

// GetSockName returns the local address (getsockname(2)).
func (s *Socket) GetSockName() (Addr, error) {
	a, err := s.in.Name()
	return Addr(a), err
}

// GetPeerName returns the peer's address, or ENOTCONN (getpeername(2)).
func (s *Socket) GetPeerName() (Addr, error) {
	a, err := s.in.Peer()
	return Addr(a), err
}

// SetSockOpt sets an option from its value in Linux's layout and the machine's
// byte order (setsockopt(2)). ENOPROTOOPT says that usock does not have it. The value of
// SO_ATTACH_FILTER is the program, structs sock_filter in a row.
func (s *Socket) SetSockOpt(level, name int, value []byte) error {
	return s.in.SetOpt(level, name, value)
}

// GetSockOpt stores an option's value, cut to len(value), and returns how many
// bytes it stored (getsockopt(2)). Of SCTP_GET_LOCAL_ADDRS Linux does not count the structure's head.
func (s *Socket) GetSockOpt(level, name int, value []byte) (int, error) {
	return s.in.GetOpt(level, name, value)
}

// SetSockOptInt sets an option whose value is an int.
func (s *Socket) SetSockOptInt(level, name, value int) error {
	return s.in.SetOpt(level, name, abi.AppendInt(nil, value))
}

// GetSockOptInt returns an option whose value is an int; EINVAL if it is shorter.
func (s *Socket) GetSockOptInt(level, name int) (int, error) {
	var b [4]byte
	n, err := s.in.GetOpt(level, name, b[:])
	if err != nil {
		return 0, err
	}
	if n < 4 {
		return 0, syscall.EINVAL
	}
	return abi.ParseInt(b[:])
}

// SetDeadline has calls that are not done by t fail with os.ErrDeadlineExceeded,
// those under way included. The zero time is no deadline.
func (s *Socket) SetDeadline(t time.Time) error { return s.in.SetDeadline(t) }

// SetReadDeadline is SetDeadline for receives and Accept.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.in.SetReadDeadline(t) }

// SetWriteDeadline is SetDeadline for sends and Connect.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.in.SetWriteDeadline(t) }

// Events returns the socket's readiness now, as poll(2) would; POLLHUP once it is
// closed.
func (s *Socket) Events() Events { return Events(s.in.Ready()) }

// Poll waits until an event of mask, POLLERR or POLLHUP holds and returns which.
func (s *Socket) Poll(ctx context.Context, mask Events) (Events, error) {
	ev, err := s.in.Poll(ctx, wait.Events(mask))
	return Events(ev), err
}

// InQueue returns the bytes that can be received now, of the next datagram where
// bounds are kept (SIOCINQ).
func (s *Socket) InQueue() (int, error) {
	return s.in.Queued(false)
}

// OutQueue returns the bytes sent that the peer has not acknowledged (SIOCOUTQ); ENOTTY for SCTP, as Linux has it.
func (s *Socket) OutQueue() (int, error) {
	return s.in.Queued(true)
}

// OutQueueUnsent returns the bytes that were never sent (SIOCOUTQNSD); ENOTTY for sockets
// that send at once.
func (s *Socket) OutQueueUnsent() (int, error) { return s.in.Unsent() }

// Timestamp returns when the datagram that was received last has arrived (SIOCGSTAMP,
// SIOCGSTAMPNS); ENOENT if there is none. Times are noted from the first call on.
func (s *Socket) Timestamp() (time.Time, error) { return s.in.Stamp() }

// Hold has n connections that were accepted count against a listener's backlog
// (listen(2)) as if they waited in its queue still: for one who accepts ahead of the
// program that the connections are for. n replaces the number of the last call. Without
// effect on other sockets.
func (s *Socket) Hold(n int) { s.in.Hold(n) }

// AtMark reports whether the next byte to be received is the urgent one
// (SIOCATMARK, sockatmark(3)); ENOTTY for sockets without urgent data.
func (s *Socket) AtMark() (bool, error) { return s.in.AtMark() }
