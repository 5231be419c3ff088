package socket

import (
	"context"
	"os"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/packet"
)

// call is one call that may block. What the socket's settings say of waiting holds as it is
// when the call begins (Linux, sock_rcvtimeo and its like), and its time is for all of it.
type call struct {
	s      *Socket
	ctx    context.Context // nil: none
	mask   wait.Events     // the readiness to wait for
	nowait bool            // MSG_DONTWAIT; O_NONBLOCK or a negative time when it began
	always bool            // it waits whatever those say (poll, close)
	limit  time.Duration   // how long it waits; 0: SO_RCVTIMEO or SO_SNDTIMEO, if not always

	begun     bool
	waited    bool
	size      int           // bytes that it sends or receives
	told      bool          // those who listen to events were told of its end
	until     time.Duration // when limit is up; 0: it has not waited yet
	dissolved uint32        // Socket.Dissolved when it began
}

// begin takes note of the socket's settings. Locked.
func (c *call) begin() {
	if c.begun {
		return
	}
	c.begun, c.dissolved = true, c.s.Dissolved
	if c.always {
		return
	}
	if r := c.s.Opt.rare; r != nil {
		c.limit = r.sndTimeo
		if c.mask&wait.In != 0 {
			c.limit = r.rcvTimeo
		}
	}
	c.nowait = c.nowait || c.s.nonblock || c.limit < 0
}

// flags returns the flags for a protocol, whom MSG_DONTWAIT tells that the call does not
// wait, for whatever reason.
func (c *call) flags(asked int) int {
	if c.nowait {
		return asked | abi.MSG_DONTWAIT
	}
	return asked
}

// lost reports whether the connection that the call was about is gone, as another call has
// dissolved it. What the socket is connected to by now is not the call's (Linux,
// sk_disconnects).
func (c *call) lost() bool { return c.dissolved != c.s.Dissolved }

// ErrNever is EAGAIN of a call that never waits, as of MSG_ERRQUEUE and of the urgent byte.
var ErrNever error = neverWaits{}

// ErrWhole is returned by a Proto that needs the whole host for what it is asked to do, and has done nothing of
// it: it is called again with the whole host entered. It is never returned then.
var ErrWhole error = needsWhole{}

type needsWhole struct{}

func (needsWhole) Error() string { return "the whole host is needed" }

type neverWaits struct{}

func (neverWaits) Error() string { return syscall.EAGAIN.Error() }

// timeout wakes a waiter whose call has taken too long.
type timeout struct {
	timer.Entry
	s *Socket
}

// Expired implements timer.Expirer.
func (t *timeout) Expired(*timer.Entry, time.Duration) { t.s.wakeAll() }

// Home implements host.Homed.
func (t *timeout) Home() *host.Domain { return t.s.Host }

func (c *call) deadline() time.Duration {
	d := c.s.deadlines.Load()
	switch {
	case d == nil || c.always && c.limit != 0: // close
		return timer.Never
	case c.mask&wait.In != 0:
		return d.read.passesAt()
	default:
		return d.write.passesAt()
	}
}

// do tries op until it returns something other than EAGAIN. It enters the host
// and returns with the host left. See the package comment.
func (c *call) do(op func() error) error {
	room(false)
	s, h := c.s, c.s.Host
	h.Enter()
	c.begin()
	var w *wait.Waiter
	var limit *timeout
	var err error
	for {
		if s.closed {
			err = syscall.EBADF
			break
		}
		if at := c.deadline(); at != timer.Never && at <= h.Now() {
			err = os.ErrDeadlineExceeded
			break
		}
		if err = op(); err == ErrWhole {
			h.Leave()
			h.EnterWhole()
			continue
		} else if err == ErrNever {
			err = syscall.EAGAIN
			break
		} else if err != syscall.EAGAIN || c.nowait {
			break
		}
		if c.ended() {
			err = context.Cause(c.ctx)
			break
		}
		if c.limit != 0 {
			if c.until == 0 {
				c.until = h.Now() + c.limit
			}
			if c.until <= h.Now() {
				break // EAGAIN
			}
			if limit == nil {
				limit = &timeout{s: s}
				limit.On = limit
				h.SetTimer(&limit.Entry, c.until)
			}
		}
		c.waited = true
		if w == nil {
			w = h.Waiter()
			w.Mask = c.mask
			w.Exclusive = c.mask&wait.In != 0
		}
		s.queue.Add(&w.Entry)
		h.Leave()
		received := c.wait(w)
		h.Enter()
		w.Remove()
		if received {
			w.Received()
		} else if w.Listed() {
			// The signal is on its way: whoever holds the list sends it soon.
			h.Leave()
			<-w.C
			h.Enter()
			w.Received()
		}
	}
	if limit != nil {
		h.RemoveTimer(&limit.Entry)
	}
	if w != nil {
		// The event that it was told of was told to nobody else: what is left over
		// is the next one's.
		if w.Exclusive && !s.queue.Empty() && !s.closed {
			if ev := s.Proto.Ready(s) & wait.In; ev != 0 {
				s.Notify(ev)
			}
		}
		h.PutWaiter(w)
	}
	h.Leave()
	return err
}

// ended reports whether the context has ended.
func (c *call) ended() bool { return c.ctx != nil && c.ctx.Err() != nil }

// wait blocks until w is signalled (true) or the context ends (false).
func (c *call) wait(w *wait.Waiter) bool {
	if c.ctx == nil || c.ctx.Done() == nil {
		<-w.C
		return true
	}
	select {
	case <-w.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// locked runs op in the socket's domain, or in the whole host if op says so, unless the socket is closed.
func (s *Socket) locked(op func() error) error {
	s.Host.Enter()
	defer s.Host.Leave()
	if s.closed {
		return syscall.EBADF
	}
	err := op()
	if err != ErrWhole {
		return err
	}
	s.Host.Leave()
	s.Host.EnterWhole()
	if s.closed {
		return syscall.EBADF
	}
	return op()
}

// whole is locked for what always needs the whole host.
func (s *Socket) whole(op func() error) error {
	s.Host.EnterWhole()
	defer s.Host.Leave()
	if s.closed {
		return syscall.EBADF
	}
	return op()
}

// Spanner is a Proto of whose sockets others than their own domains read something.
type Spanner interface {
	// Spans reports whether the socket's options change, and it is closed, only while the whole host is
	// entered. The socket's domain is entered.
	Spans(*Socket) bool
}

// spans reports whether what is done to the socket needs the whole host, which is not entered.
func (s *Socket) spans() bool {
	p, ok := s.Proto.(Spanner)
	return ok && !s.Host.InWhole() && p.Spans(s)
}

// Bind gives the socket its local address (bind(2)).
func (s *Socket) Bind(a abi.Addr) error {
	err := s.whole(func() error { return s.Proto.Bind(s, a) })
	s.called("bind", 0, err)
	return err
}

// Listen makes the socket accept connections (listen(2)).
func (s *Socket) Listen(backlog int) error {
	err := s.whole(func() error { return s.Proto.Listen(s, backlog) })
	s.called("listen", 0, err)
	return err
}

// Shutdown ends one direction or both (shutdown(2)).
func (s *Socket) Shutdown(how int) error {
	if how < abi.SHUT_RD || how > abi.SHUT_RDWR {
		return syscall.EINVAL
	}
	err := s.locked(func() error { return s.Proto.Shutdown(s, how) })
	s.called("shutdown", 0, err)
	return err
}

// Name returns the local address (getsockname(2)).
func (s *Socket) Name() (a abi.Addr, err error) {
	err = s.locked(func() error { a = s.Proto.Name(s); return nil })
	return a, err
}

// Peer returns the foreign address (getpeername(2)).
func (s *Socket) Peer() (a abi.Addr, err error) {
	err = s.locked(func() (err error) { a, err = s.Proto.Peer(s); return err })
	return a, err
}

// Names returns both addresses at once; that of the peer has family AF_UNSPEC where
// there is none.
func (s *Socket) Names() (local, peer abi.Addr, err error) { return s.NamesWith(nil) }

// NamesWith is Names after SetOpts, in one entry. What becomes of the options is not told.
func (s *Socket) NamesWith(list []Setting) (local, peer abi.Addr, err error) {
	err = s.locked(func() error {
		local, peer, err = s.names(&list)
		return err
	})
	return local, peer, err
}

// names is NamesWith within an entry. After ErrWhole it is called again with what is left of the list.
func (s *Socket) names(list *[]Setting) (local, peer abi.Addr, err error) {
	if s.setAll(list) == ErrWhole {
		return local, peer, ErrWhole
	}
	if a, err := s.Proto.Peer(s); err == nil {
		peer = a
	}
	return s.Proto.Name(s), peer, nil
}

// QueueRefuser is a Proto of which not all sockets tell what is queued.
type QueueRefuser interface {
	// RefuseQueue returns why SIOCINQ is refused, or SIOCOUTQ; nil: it is not. Locked.
	RefuseQueue(s *Socket, out bool) error
}

// Queued returns SIOCINQ or SIOCOUTQ.
func (s *Socket) Queued(out bool) (n int, err error) {
	err = s.locked(func() error {
		if p, ok := s.Proto.(QueueRefuser); ok {
			if err := p.RefuseQueue(s, out); err != nil {
				return err
			}
		}
		in, unacked := s.Proto.Queued(s)
		if n = in; out {
			n = unacked
		}
		return nil
	})
	return n, err
}

// Marker is a Proto with urgent data.
type Marker interface {
	// AtMark reports whether the next byte to be received is the urgent one.
	// Locked.
	AtMark(*Socket) bool
}

// AtMark is SIOCATMARK; ENOTTY where there is no urgent data.
func (s *Socket) AtMark() (at bool, err error) {
	m, ok := s.Proto.(Marker)
	if !ok {
		return false, syscall.ENOTTY
	}
	err = s.locked(func() error { at = m.AtMark(s); return nil })
	return at, err
}

// Ready returns the current readiness (poll(2)); Hup for a closed socket.
func (s *Socket) Ready() wait.Events {
	s.Host.Enter()
	defer s.Host.Leave()
	if s.closed {
		return wait.Hup
	}
	return s.Proto.Ready(s)
}

// Poll waits until an event of mask, Err or Hup holds and returns which do. O_NONBLOCK and
// the socket's timeouts are not about it.
func (s *Socket) Poll(ctx context.Context, mask wait.Events) (ev wait.Events, err error) {
	c := call{s: s, ctx: ctx, mask: mask, always: true}
	err = c.do(func() error {
		if ev = s.Proto.Ready(s) & (mask | wait.Err | wait.Hup); ev == 0 {
			return syscall.EAGAIN
		}
		return nil
	})
	return ev, err
}

// Connect connects to a, or sets a datagram socket's peer (connect(2)). It waits
// for the outcome unless the socket is non-blocking, which gives EINPROGRESS.
func (s *Socket) Connect(ctx context.Context, a abi.Addr) error {
	return s.connect(ctx, func() error { return s.Proto.Connect(s, a) }, nil)
}

// ConnectWith is Connect, SetOpts on the connection, and Names. What becomes of the options is not told.
func (s *Socket) ConnectWith(ctx context.Context, a abi.Addr, list []Setting) (local, peer abi.Addr, err error) {
	err = s.connect(ctx, func() error { return s.Proto.Connect(s, a) }, func() (err error) {
		local, peer, err = s.names(&list)
		return err
	})
	return local, peer, err
}

// connect is Connect by whatever call begins to connect. then, if not nil, is called in the same entry once that has succeeded, and
// again if it returns ErrWhole.
func (s *Socket) connect(ctx context.Context, begin, then func() error) error {
	roomToConnect(false)
	c := call{s: s, ctx: ctx, mask: wait.Out}
	var first error // why the call waits
	made := false
	err := c.do(func() (err error) {
		f, finishes := s.Proto.(Finisher)
		switch {
		case made:
		case first == nil || !finishes:
			if err = begin(); err == syscall.EINPROGRESS && finishes && !c.nowait && !c.ended() {
				// If the other end is on this host, the outcome may be known at once.
				first = err
				s.Host.Settle()
				err = f.FinishConnect(s, true)
			}
		case c.lost():
			return syscall.EPIPE
		default:
			err = f.FinishConnect(s, true)
		}
		if (err == syscall.EINPROGRESS || err == syscall.EALREADY) && !c.nowait {
			if first == nil {
				first = err
			}
			return syscall.EAGAIN
		}
		if err == nil && then != nil {
			made = true
			return then()
		}
		return err
	})
	if err == syscall.EAGAIN && first != nil {
		err = first // SO_SNDTIMEO ran out
	}
	s.called("connect", 0, err)
	return err
}

// Finisher is a Proto whose connects can end later than they begin.
type Finisher interface {
	// FinishConnect reports what became of the attempt that a Connect began, and
	// begins none. waiting says that the caller waits for an attempt of its own: if a
	// shutdown has ended that, it is what failed, and not a thing of the past. Locked.
	FinishConnect(s *Socket, waiting bool) error
}

// FinishConnect reports what became of a connect, as a second connect(2) would, but
// never begins another attempt. For protocols whose Connect is done at once it tells
// whether there is a peer.
func (s *Socket) FinishConnect() error {
	return s.locked(func() error {
		if f, ok := s.Proto.(Finisher); ok {
			return f.FinishConnect(s, false)
		}
		_, err := s.Proto.Peer(s)
		return err
	})
}

// Accept takes the next connection (accept(2)).
func (s *Socket) Accept(ctx context.Context) (n *Socket, err error) { return s.accept(ctx, 0) }

func (s *Socket) accept(ctx context.Context, flags int) (n *Socket, err error) {
	n, err = s.take(ctx, flags)
	if p, adopts := s.Proto.(Adopter); err == nil && adopts {
		n.Host.Enter()
		p.Adopt(n)
		n.Host.Leave()
	}
	s.accepted(n, err)
	return n, err
}

// AcceptWith is Accept, SetOpts on the connection, and the addresses of both ends, that of the peer also where it has gone. What
// becomes of the options is not told. With an error there may be a connection: it has been closed meanwhile.
func (s *Socket) AcceptWith(ctx context.Context, list []Setting) (n *Socket, local, peer abi.Addr, err error) {
	n, err = s.take(ctx, 0)
	if err == nil {
		err = n.locked(func() error {
			if p, adopts := n.Proto.(Adopter); adopts {
				p.Adopt(n)
			}
			if n.setAll(&list) == ErrWhole {
				return ErrWhole
			}
			local = n.Proto.Name(n)
			peer, _ = n.Proto.Peer(n)
			return nil
		})
	}
	s.accepted(n, err)
	return n, local, peer, err
}

// take takes the next connection, which is adopted already if the whole host was entered for that.
func (s *Socket) take(ctx context.Context, flags int) (n *Socket, err error) {
	c := call{s: s, ctx: ctx, mask: wait.In}
	err = c.do(func() (err error) {
		if n, err = s.Proto.Accept(s, c.flags(flags)); err == nil && s.Host.InWhole() {
			if p, adopts := s.Proto.(Adopter); adopts {
				p.Adopt(n)
			}
		}
		return err
	})
	return n, err
}

// Adopter is a Proto whose connections have lock domains of their own before they are accepted.
type Adopter interface {
	// Adopt makes a socket that Accept has returned that of its connection. It is called in that socket's
	// domain, or the whole host, and has no effect the second time, nor on a closed socket.
	Adopt(*Socket)
}

// Peeler is a Proto whose sockets have several associations, each of which can become a socket of its
// own.
type Peeler interface {
	// Peel makes a socket of the association. Locked.
	Peel(s *Socket, assoc int32) (*Socket, error)
}

// Peel makes a socket of an association of s (sctp_peeloff(3)); ENOPROTOOPT where there are none.
func (s *Socket) Peel(assoc int32) (n *Socket, err error) {
	p, ok := s.Proto.(Peeler)
	if !ok {
		return nil, syscall.ENOPROTOOPT
	}
	err = s.locked(func() (err error) { n, err = p.Peel(s, assoc); return err })
	return n, err
}

// chunk is how many bytes of a stream are copied before they are sent.
const chunk = packet.MaxBlock

// Send sends p (send(2), sendto(2), sendmsg(2)): m's address, control messages
// and flags. On a stream it waits until all of p is queued. If that fails in between it
// returns the count: why is the next call's to find out.
func (s *Socket) Send(ctx context.Context, p []byte, m *Msg) (n int, err error) {
	c := sending(s, ctx, m, len(p))
	if !s.Proto.Kind().Stream {
		n, err = c.sendRecord(p, m)
		c.called("send", n, err)
		return n, err
	}

	m.Stamps, m.Done = 0, false

	// A record ends with the call: only the last part ends it.
	eor := m.Flags & abi.MSG_EOR
	m.Flags &^= eor

	var v packet.View // what is copied and not sent yet
	for {
		if v.Len() == 0 {
			part := p[n:min(len(p), n+chunk)]
			if n+len(part) == len(p) {
				m.Flags |= eor
			}
			v = packet.Copy(part)
		}

		size, done := v.Len(), 0
		m.Data = append(m.Data[:0], v)
		done, err = c.sendViews(m, n)
		n += done
		v, m.Rest = m.Rest, packet.View{}
		if err != nil || n == len(p) {
			break
		}
		if done < size && c.nowait {
			v.Release()
			break
		}
	}
	if n > 0 {
		err = nil
	}

	if n > 0 && (m.Stamps != 0 || m.Done) {
		s.Host.Enter()
		if t, ok := s.Proto.(Teller); ok && !s.closed {
			t.Tell(s, m)
		}
		s.Host.Leave()
	}
	c.called("send", n, err)
	return n, err
}

// Teller is a stream that has something to tell of a send once all parts of it are queued.
type Teller interface {
	// Tell is called after the last part, where Send has set Stamps or Done. Locked.
	Tell(*Socket, *Msg)
}

// sending returns the call that sends m.
func sending(s *Socket, ctx context.Context, m *Msg, size int) call {
	return call{s: s, ctx: ctx, mask: wait.Out, nowait: m.Flags&abi.MSG_DONTWAIT != 0, size: size}
}

// sendViews sends m.Data once, or waits until some of it can be sent. The call has sent so
// many bytes before.
func (c *call) sendViews(m *Msg, before int) (n int, err error) {
	s := c.s
	m.Before, m.Opening, m.Len = before, 0, 0
	err = c.do(func() (err error) {
		if c.lost() {
			if before == 0 && s.Err() != 0 {
				return s.TakeErr()
			}
			return syscall.EPIPE
		}
		m.Flags, m.Waited = c.flags(m.Flags), c.waited
		if n, err = s.Proto.Send(s, m); err == nil && s.Host.Tracing() && (before+n == c.size || !s.Proto.Kind().Stream) {
			c.end("send", before+n)
		}
		return err
	})
	if err == syscall.EAGAIN && m.Opening != 0 {
		if err = m.Opening; m.Len > 0 {
			n, err = m.Len, nil
		}
	}
	if err != nil {
		packet.ReleaseAll(m.Data)
	}
	if s.Proto.Kind().Parted {
		c.until = 0
	}
	m.Data = m.Data[:0]
	return n, err
}

// maxRecord is longer than any record that a protocol takes: what is copied
// before the protocol says EMSGSIZE.
const maxRecord = 16 * packet.MaxBlock

func (c *call) sendRecord(p []byte, m *Msg) (int, error) {
	if len(p) > maxRecord {
		return 0, syscall.EMSGSIZE
	}
	if small := c.s.Proto.Kind().Small; small > 0 && len(p) <= small {
		m.Data, m.Small = m.Data[:0], m.small[:copy(m.small[:], p)]
		n, err := c.sendViews(m, 0)
		m.Small = nil
		return n, err
	}
	m.Data = append(m.Data[:0], packet.Copy(p[:min(len(p), packet.MaxBlock)]))
	for rest := p[m.Data[0].Len():]; len(rest) > 0; {
		k := min(len(rest), packet.MaxBlock)
		m.Data = append(m.Data, packet.Copy(rest[:k]))
		rest = rest[k:]
	}
	return c.sendViews(m, 0)
}

// Recv receives into p (recv(2), recvfrom(2), recvmsg(2)). m says with which
// flags, and what came besides the bytes. The count is that of the bytes stored;
// with MSG_TRUNC asked for, on a datagram socket, that of the datagram.
//
// On a stream it takes what there is until that is enough: all with MSG_WAITALL, else
// SO_RCVLOWAT. Once it has taken some, nothing that ends its waiting is an error.
func (s *Socket) Recv(ctx context.Context, p []byte, m *Msg) (n int, err error) {
	if n, ok := s.recvPrefetched(p, m); ok {
		return n, nil
	}
	c := receiving(s, ctx, m, len(p))
	for {
		m.Data = m.Data[:0]
		got := 0
		got, err = c.recvViews(m, n)
		k := m.copyOut(p[n:])
		if c.asked&abi.MSG_TRUNC != 0 && err == nil {
			k = got // what a stream has thrown away counts (tcp(7))
		}
		n += k
		if !s.Proto.Kind().Stream {
			if err == nil {
				n = got
			}
			break
		}
		if err != nil || got == 0 || n >= c.enough {
			break
		}
	}
	if n > 0 {
		err = nil
	}
	c.called("recv", n, err)
	return n, err
}

// receive is a call that receives up to size bytes.
type receive struct {
	call
	asked  int // MSG_*
	enough int // of a stream: it waits for so many bytes
}

func receiving(s *Socket, ctx context.Context, m *Msg, size int) receive {
	c := receive{
		call:  call{s: s, ctx: ctx, mask: wait.In, nowait: m.Flags&abi.MSG_DONTWAIT != 0, size: size},
		asked: m.Flags,
	}
	if size == 0 && s.Proto.Kind().Stream {
		c.mask |= wait.Out | wait.Pri // whatever happens ends it (Linux, tcp_recvmsg_locked)
	}
	m.Sender = nil
	return c
}

// recvViews receives once, or waits until something has come. The call has received so many
// bytes before.
func (c *receive) recvViews(m *Msg, before int) (got int, err error) {
	s := c.s
	m.Max, m.Before = c.size-before, before
	err = c.do(func() (err error) {
		if c.enough == 0 {
			c.enough = max(1, min(int(s.Opt.RcvLowat()), c.size))
			if c.asked&abi.MSG_OOB != 0 {
				c.enough = 1
			} else if c.asked&abi.MSG_WAITALL != 0 {
				c.enough = c.size
			}
		}
		if c.lost() {
			return syscall.EPIPE
		}
		m.Flags, m.Waited = c.flags(c.asked), c.waited // each attempt leaves in Flags what it found
		if got, err = s.Proto.Recv(s, m); err == nil && s.Host.Tracing() && (got == 0 || before+got >= c.enough || !s.Proto.Kind().Stream) {
			c.end("recv", before+got)
		}
		return err
	})
	return got, err
}

// Close lets go of the socket (close(2)). Calls that wait on it fail with EBADF.
// With SO_LINGER it waits until sent data is acknowledged or the time is up.
func (s *Socket) Close() error {
	room(false)
	s.Host.Enter()
	if d := time.Duration(s.Opt.Linger) * time.Second; d > 0 && !s.closed {
		s.Host.Leave()
		s.linger(d)
		s.Host.Enter()
	}
	defer s.Host.Leave()
	if !s.closed && s.spans() {
		s.Host.Leave()
		s.Host.EnterWhole()
	}
	var err error
	if s.closed {
		err = syscall.EBADF
	}
	if tape := s.Host.Tape(); tape != nil {
		s.tell(tape, "close", 0, err)
	}
	if err == nil {
		s.CloseLocked()
	}
	return err
}

// Lingerer is a Proto whose Close can wait (SO_LINGER).
type Lingerer interface {
	// Linger begins to end the connection and reports whether something is still
	// on its way to the peer. It notifies the socket of Out once that is over.
	// Locked.
	Linger(*Socket) bool
}

// linger waits for at most d until what was sent has reached the peer.
func (s *Socket) linger(d time.Duration) {
	l, ok := s.Proto.(Lingerer)
	if !ok {
		return
	}
	c := call{s: s, mask: wait.Out, limit: d, always: true}
	c.do(func() error {
		if l.Linger(s) {
			return syscall.EAGAIN
		}
		return nil
	})
}

// CloseLocked is Close for those who have entered the socket's domain, or the whole host where the socket
// spans that. It does not linger.
func (s *Socket) CloseLocked() {
	if s.closed {
		return
	}
	s.closed = true
	s.dropDeadlines()
	s.Proto.Close(s)
	s.wakeAll()
}
