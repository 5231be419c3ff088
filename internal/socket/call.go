package socket

import (
	"context"
	"os"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/packet"
)

// call is one call that may block.
type call struct {
	s      *Socket
	ctx    context.Context // nil: none
	mask   wait.Events     // the readiness to wait for
	nowait bool            // MSG_DONTWAIT
	limit  time.Duration   // in place of SO_RCVTIMEO or SO_SNDTIMEO; 0: those
}

// timeout wakes a waiter whose call has taken too long.
type timeout struct {
	timer.Entry
	s *Socket
}

// Expired implements timer.Expirer.
func (t *timeout) Expired(*timer.Entry, time.Duration) { t.s.wakeAll() }

// timeo returns SO_RCVTIMEO or SO_SNDTIMEO; 0: none.
func (c *call) timeo() time.Duration {
	if c.limit != 0 {
		return c.limit
	}
	if c.mask&wait.In != 0 {
		return c.s.Opt.RcvTimeo
	}
	return c.s.Opt.SndTimeo
}

func (c *call) deadline() time.Duration {
	d := c.s.deadlines.Load()
	switch {
	case d == nil || c.limit != 0:
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
	s, h := c.s, c.s.Host
	h.Enter()
	var (
		w     *wait.Waiter
		limit *timeout
		until = timer.Never
		err   error
	)
	for {
		if s.closed {
			err = syscall.EBADF
			break
		}
		if at := c.deadline(); at != timer.Never && at <= h.Now() {
			err = os.ErrDeadlineExceeded
			break
		}
		if err = op(); err != syscall.EAGAIN || (s.nonblock || c.nowait) && c.limit == 0 {
			break
		}
		if c.ctx != nil && c.ctx.Err() != nil {
			err = context.Cause(c.ctx)
			break
		}
		if t := c.timeo(); t != 0 && limit == nil {
			until = h.Now() + t
			limit = &timeout{s: s}
			limit.On = limit
			h.SetTimer(&limit.Entry, until)
		}
		if until != timer.Never && until <= h.Now() {
			break // EAGAIN
		}
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

// locked runs op under the lock unless the socket is closed.
func (s *Socket) locked(op func() error) error {
	s.Host.Enter()
	defer s.Host.Leave()
	if s.closed {
		return syscall.EBADF
	}
	return op()
}

// Bind gives the socket its local address (bind(2)).
func (s *Socket) Bind(a abi.Addr) error {
	err := s.locked(func() error { return s.Proto.Bind(s, a) })
	s.called("bind", 0, err)
	return err
}

// Listen makes the socket accept connections (listen(2)).
func (s *Socket) Listen(backlog int) error {
	err := s.locked(func() error { return s.Proto.Listen(s, backlog) })
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
func (s *Socket) Names() (local, peer abi.Addr, err error) {
	err = s.locked(func() error {
		local = s.Proto.Name(s)
		if a, err := s.Proto.Peer(s); err == nil {
			peer = a
		}
		return nil
	})
	return local, peer, err
}

// Queued returns SIOCINQ and SIOCOUTQ.
func (s *Socket) Queued() (in, out int, err error) {
	err = s.locked(func() error { in, out = s.Proto.Queued(s); return nil })
	return in, out, err
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

// Poll waits until an event of mask, Err or Hup holds and returns which do.
func (s *Socket) Poll(ctx context.Context, mask wait.Events) (ev wait.Events, err error) {
	c := call{s: s, ctx: ctx, mask: mask}
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
	c := call{s: s, ctx: ctx, mask: wait.Out}
	var first error // why the call waits
	err := c.do(func() error {
		err := s.Proto.Connect(s, a)
		if (err == syscall.EINPROGRESS || err == syscall.EALREADY) && !s.nonblock {
			if first == nil {
				first = err
			}
			return syscall.EAGAIN
		}
		if err == syscall.EISCONN && first != nil {
			return nil
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
	// begins none. Locked.
	FinishConnect(*Socket) error
}

// FinishConnect reports what became of a connect, as a second connect(2) would, but
// never begins another attempt. For protocols whose Connect is done at once it tells
// whether there is a peer.
func (s *Socket) FinishConnect() error {
	return s.locked(func() error {
		if f, ok := s.Proto.(Finisher); ok {
			return f.FinishConnect(s)
		}
		_, err := s.Proto.Peer(s)
		return err
	})
}

// Accept takes the next connection (accept(2)).
func (s *Socket) Accept(ctx context.Context) (n *Socket, err error) {
	c := call{s: s, ctx: ctx, mask: wait.In}
	err = c.do(func() (err error) { n, err = s.Proto.Accept(s); return err })
	s.accepted(n, err)
	return n, err
}

// chunk is how many bytes of a stream are copied before they are sent.
const chunk = packet.MaxBlock

// Send sends p (send(2), sendto(2), sendmsg(2)): m's address, control messages
// and flags. On a stream it waits until all of p is queued, and returns the count
// with the error if that fails in between.
func (s *Socket) Send(ctx context.Context, p []byte, m *Msg) (n int, err error) {
	if !s.Proto.Kind().Stream {
		n, err = s.sendRecord(ctx, p, m)
		s.called("send", n, err)
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
		done, err = s.sendViews(ctx, m)
		n += done
		v, m.Rest = m.Rest, packet.View{}
		if err != nil || n == len(p) {
			break
		}
		if done < size && (m.Flags&abi.MSG_DONTWAIT != 0 || s.Nonblock()) {
			v.Release()
			break
		}
	}
	err = s.later(n, err)

	if n > 0 && (m.Stamps != 0 || m.Done) {
		s.Host.Enter()
		if t, ok := s.Proto.(Teller); ok && !s.closed {
			t.Tell(s, m)
		}
		s.Host.Leave()
	}
	s.called("send", n, err)
	return n, err
}

// Teller is a stream that has something to tell of a send once all parts of it are queued.
type Teller interface {
	// Tell is called after the last part, where Send has set Stamps or Done. Locked.
	Tell(*Socket, *Msg)
}

// later keeps the error of a call that has carried bytes all the same for the next
// call to report, as Linux does; EAGAIN and the end of waiting are no news then.
func (s *Socket) later(n int, err error) error {
	if n == 0 || err == nil {
		return err
	}
	if e, ok := err.(syscall.Errno); ok && e != syscall.EAGAIN && e != syscall.EBADF {
		s.Host.Enter()
		s.Err = e
		s.Host.Leave()
	}
	return nil
}

// sendViews sends m.Data once, or waits until some of it can be sent.
func (s *Socket) sendViews(ctx context.Context, m *Msg) (n int, err error) {
	c := call{s: s, ctx: ctx, mask: wait.Out, nowait: m.Flags&abi.MSG_DONTWAIT != 0}
	err = c.do(func() (err error) { n, err = s.Proto.Send(s, m); return err })
	if err != nil {
		packet.ReleaseAll(m.Data)
	}
	m.Data = m.Data[:0]
	return n, err
}

// maxRecord is longer than any record that a protocol takes: what is copied
// before the protocol says EMSGSIZE.
const maxRecord = 16 * packet.MaxBlock

func (s *Socket) sendRecord(ctx context.Context, p []byte, m *Msg) (int, error) {
	if len(p) > maxRecord {
		return 0, syscall.EMSGSIZE
	}
	m.Data = append(m.Data[:0], packet.Copy(p[:min(len(p), packet.MaxBlock)]))
	for rest := p[m.Data[0].Len():]; len(rest) > 0; {
		k := min(len(rest), packet.MaxBlock)
		m.Data = append(m.Data, packet.Copy(rest[:k]))
		rest = rest[k:]
	}
	return s.sendViews(ctx, m)
}

// Recv receives into p (recv(2), recvfrom(2), recvmsg(2)). m says with which
// flags, and what came besides the bytes. The count is that of the bytes stored;
// with MSG_TRUNC asked for, on a datagram socket, that of the datagram.
func (s *Socket) Recv(ctx context.Context, p []byte, m *Msg) (n int, err error) {
	flags := m.Flags
	if n, ok := s.recvPrefetched(p, m); ok {
		return s.received(n, nil)
	}
	c := call{s: s, ctx: ctx, mask: wait.In, nowait: flags&abi.MSG_DONTWAIT != 0}
	if flags&abi.MSG_OOB != 0 {
		c.nowait = true
	}
	for {
		m.Data, m.Max = m.Data[:0], len(p)-n
		got := 0
		err = c.do(func() (err error) {
			m.Flags = flags // each attempt leaves there what it found
			got, err = s.Proto.Recv(s, m)
			return err
		})
		k := m.copyOut(p[n:])
		if flags&abi.MSG_TRUNC != 0 && err == nil {
			k = got // what a stream has thrown away counts (tcp(7))
		}
		n += k
		if !s.Proto.Kind().Stream {
			if err == nil {
				n = got
			}
			return s.received(n, err)
		}
		if err != nil {
			return s.received(n, s.later(n, err))
		}
		if got == 0 || n == len(p) || flags&abi.MSG_WAITALL == 0 || flags&abi.MSG_PEEK != 0 {
			return s.received(n, err)
		}
	}
}

// Close lets go of the socket (close(2)). Calls that wait on it fail with EBADF.
// With SO_LINGER it waits until sent data is acknowledged or the time is up.
func (s *Socket) Close() error {
	s.Host.Enter()
	if d := time.Duration(s.Opt.Linger) * time.Second; d > 0 && !s.closed {
		s.Host.Leave()
		s.linger(d)
		s.Host.Enter()
	}
	defer s.Host.Leave()
	var err error
	if s.closed {
		err = syscall.EBADF
	}
	if log := s.Host.Log(); log != nil {
		s.tell(log, "close", 0, err)
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
	c := call{s: s, mask: wait.Out, limit: d}
	c.do(func() error {
		if l.Linger(s) {
			return syscall.EAGAIN
		}
		return nil
	})
}

// CloseLocked is Close for those who hold the lock. It does not linger.
func (s *Socket) CloseLocked() {
	if s.closed {
		return
	}
	s.closed = true
	s.dropDeadlines()
	s.Proto.Close(s)
	s.wakeAll()
}
