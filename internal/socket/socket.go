package socket

import (
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/packet"
)

// Proto is one row of the protocol table: what a domain, type and protocol do.
// Every method is called with the socket's lock domain entered, or the whole host, and never blocks: EAGAIN means
// 'wait for readiness and call again', but where the flags have MSG_DONTWAIT, as they do
// whenever a call must not wait; ErrNever is EAGAIN for those that never wait. Other errors
// are syscall.Errno values.
type Proto interface {
	// Attach gives a fresh socket its control block.
	Attach(*Socket) error
	Bind(*Socket, abi.Addr) error
	// Connect starts to connect and returns EINPROGRESS, or does it at once.
	// Called again it returns EALREADY until the outcome is known, then that.
	Connect(*Socket, abi.Addr) error
	Listen(s *Socket, backlog int) error
	// Accept takes the next connection, as a socket of its own. Of flags MSG_DONTWAIT
	// says that the call does not wait.
	Accept(s *Socket, flags int) (*Socket, error)
	// Send takes over the views of m.Data unless it fails.
	Send(*Socket, *Msg) (int, error)
	// Recv appends to m.Data views that the caller then owns. A stream gives what there
	// is, and no bytes where a receive that has had some is not to wait for more.
	Recv(*Socket, *Msg) (int, error)
	Shutdown(s *Socket, how int) error
	// Close lets go of the socket; the control block may outlive it.
	Close(*Socket)
	// Ready is the single truth for poll, epoll and blocking calls.
	Ready(*Socket) wait.Events
	// Name returns the local address, Peer the foreign one or ENOTCONN.
	Name(*Socket) abi.Addr
	Peer(*Socket) (abi.Addr, error)
	// Queued returns the bytes to be received (of the next datagram, for record
	// types) and the bytes sent that the peer has not acknowledged.
	Queued(*Socket) (in, out int)
	// Options returns the protocol's rows, by level and name. They take precedence
	// over the rows that all sockets have.
	Options() *Options
	// Kind returns the facts of the row, always the same.
	Kind() *Kind
	// Describe fills in what the control block knows: addresses, state, queues, what was
	// dropped, details.
	Describe(*Socket, *Info)
}

// Msg is one send or receive.
type Msg struct {
	Flags int // MSG_*: in, what is asked for; out, what happened

	Addr    abi.Addr // send: destination, if HasAddr; receive: source
	HasAddr bool

	Data []packet.View // send: what to send, owned; receive: what came, to be released

	// Small is what to send in place of Data, until the entry is over: a record so short (Kind.Small) that to copy it once more
	// takes less than a block for it.
	Small []byte
	small [MaxSmall]byte // where Small is

	Max int // receive: at most so many bytes
	Len int // receive: the datagram's whole length, where it was cut

	// Rest is set by Send of a stream: what it has not taken of the view that it has cut, which is
	// the caller's. The views behind that are released.
	Rest packet.View

	// Before is how many bytes of a stream the same call has sent or received already: it
	// then keeps what it gets, and an error is left for the next call, or dropped.
	Before int
	// Waited says that the call has waited.
	Waited bool
	// Base and Sender are the protocol's own notes from one part of a receive for the next:
	// where in the stream a peek began, and whose bytes came.
	Base   uint64
	Sender any

	// Opening is set by a Send that waits for the handshake that it, or a call before it, has begun:
	// what the call fails with when its time is up, unless Len bytes went with the SYN.
	Opening syscall.Errno

	// Stamps and Done are set by Send of a stream: what Tell is to tell of the call.
	Stamps uint32 // SOF_TIMESTAMPING_TX_*
	Done   bool   // MSG_ZEROCOPY

	Control []byte // control messages in Linux's layout
	Want    bool   // receive: control messages are asked for
}

// MaxSmall is the most bytes of Msg.Small.
const MaxSmall = 256

// Pack moves Small into a block, for who needs Data.
func (m *Msg) Pack() {
	if len(m.Small) > 0 {
		m.Data = append(m.Data, packet.Copy(m.Small))
		m.Small = nil
	}
}

// Flag bits of a socket.
const (
	ReuseAddr uint32 = 1 << iota
	ReusePort
	KeepAlive
	Broadcast
	OOBInline
	DontRoute
	NoCheck
	Timestamp
	TimestampNS
	RxqOvfl
	Debug
	ZeroCopy
	StampAsked // SIOCGSTAMP was asked for: arrivals are stamped from then on
)

// stamps are the flags that have the time of arrival noted.
const stamps = Timestamp | TimestampNS | StampAsked

// Options every socket has (socket(7)).
type Opt struct {
	Flags   uint32 // ReuseAddr and so on
	RcvBuf  int32  // bytes, as getsockopt returns them: twice what was asked for
	SndBuf  int32
	PeekOff int32 // SO_PEEK_OFF: where peeking begins; negative: at the front
	Device  int32 // interface index of SO_BINDTODEVICE; 0: none
	Linger  int32 // seconds; negative: off, and -1-n the seconds that are kept
	rare    *rare // nil: none of these is set
}

// Has reports whether all flags of f are set.
func (o *Opt) Has(f uint32) bool { return o.Flags&f == f }

// Set sets or clears the flags of f.
func (o *Opt) Set(f uint32, on bool) {
	if on {
		o.Flags |= f
	} else {
		o.Flags &^= f
	}
}

// Socket is an endpoint of communication. Its fields are guarded by its lock domain, but for those that never
// change.
type Socket struct {
	// Set by newSocket and never changed.
	Host         *host.Domain
	Proto        Proto
	Domain, Type int8
	Protocol     int16

	nonblock, closed bool  // guarded by the lock
	pending          int16 // error, an errno; 0: none

	// Never changed either.
	ID uint64

	PCB   any // the protocol's control block
	Opt   Opt
	slot  int32        // place in its part of the registry, guarded by that
	Owner atomic.Int32 // process on whose behalf the socket acts; 0: this one. Read in any domain, or none

	// Dissolved counts how often a connection of the socket was dissolved or an attempt to
	// connect has failed: calls that wait from before then are not about what comes after.
	Dissolved uint32

	Priority int32 // SO_PRIORITY; an accepted socket has none (Linux, sk_clone)

	queue     wait.Queue
	deadlines atomic.Pointer[deadlines] // nil until one is set; changed under the lock
}

// Default buffer sizes in bytes (net.core.rmem_default, wmem_default).
const defaultBuf = 212992

// newSocket returns a socket of h without control block.
func newSocket(h *host.Domain, p Proto, domain, typ, protocol int) *Socket {
	s := &Socket{
		Host: h, Proto: p,
		Domain: int8(domain), Type: int8(typ), Protocol: int16(protocol),
	}
	s.Opt.RcvBuf, s.Opt.SndBuf, s.Opt.Linger, s.Opt.PeekOff = defaultBuf, defaultBuf, -1, -1
	return s
}

// Notify tells those who wait that ev happened. Locked.
func (s *Socket) Notify(ev wait.Events) { s.Host.Notify(&s.queue, ev) }

// Waited reports whether anyone waits for the socket or watches it. Locked.
func (s *Socket) Waited() bool { return !s.queue.Empty() }

// Err returns the pending error; 0: there is none. Locked.
func (s *Socket) Err() syscall.Errno { return syscall.Errno(s.pending) }

// KeepErr makes e the pending error for those who ask, and tells nobody; 0: there is none any more. Locked.
func (s *Socket) KeepErr(e syscall.Errno) { s.pending = int16(e) }

// SetErr makes e the pending error. Locked.
func (s *Socket) SetErr(e syscall.Errno) {
	s.KeepErr(e)
	s.recall()
	s.Notify(wait.Err | wait.In | wait.Out)
}

// TakeErr returns the pending error and clears it; nil if there is none. Locked.
func (s *Socket) TakeErr() error {
	e := s.Err()
	if e == 0 {
		return nil
	}
	s.KeepErr(0)
	return e
}

// wakeAll has everyone who waits look again. Locked.
func (s *Socket) wakeAll() { s.Notify(wait.In | wait.Out | wait.Err | wait.Hup) }

// SetOwner says on behalf of which process the socket acts.
func (s *Socket) SetOwner(pid int32) {
	s.locked(func() error {
		if s.spans() {
			return ErrWhole // connections have it from their listener
		}
		s.Owner.Store(pid)
		return nil
	})
}

// Closed reports whether Close was called. Locked.
func (s *Socket) Closed() bool { return s.closed }

// SetNonblock makes every call non-blocking, or blocking again.
func (s *Socket) SetNonblock(on bool) {
	s.Host.Enter()
	s.nonblock = on
	s.Host.Leave()
}

// Nonblock reports whether calls are non-blocking.
func (s *Socket) Nonblock() bool {
	s.Host.Enter()
	defer s.Host.Leave()
	return s.nonblock
}

// deadline is a time after which the calls of one direction fail.
type deadline struct {
	timer.Entry
	s  *Socket
	at atomic.Int64 // a time.Duration; timer.Never: none
}

func (d *deadline) passesAt() time.Duration { return time.Duration(d.at.Load()) }

type deadlines struct{ read, write deadline }

// ended are the deadlines of a closed socket.
var ended deadlines

// Expired implements timer.Expirer.
func (d *deadline) Expired(*timer.Entry, time.Duration) { d.s.wakeAll() }

// Home implements host.Homed.
func (d *deadline) Home() *host.Domain { return d.s.Host }

// SetReadDeadline has receives and accepts that are not done by t fail with
// os.ErrDeadlineExceeded, those that wait now included. The zero time is none.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.setDeadline(t, true, false) }

// SetWriteDeadline is SetReadDeadline for sends and connects.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(t, false, true) }

// SetDeadline is SetReadDeadline and SetWriteDeadline at once.
func (s *Socket) SetDeadline(t time.Time) error { return s.setDeadline(t, true, true) }

func (s *Socket) setDeadline(t time.Time, read, write bool) error {
	if t.IsZero() && !s.hasDeadline(read, write) {
		return nil // many programs take off before each call what they seldom set
	}
	s.Host.Enter()
	defer s.Host.Leave()
	if s.closed {
		return syscall.EBADF
	}
	s.recall()
	at := timer.Never
	if !t.IsZero() {
		at = max(s.Host.Now()+t.Sub(s.Host.Wall()), 0)
	}
	d := s.deadlines.Load()
	if d == nil {
		if at == timer.Never {
			return nil
		}
		d = &deadlines{}
		d.read.s, d.write.s = s, s
		d.read.On, d.write.On = &d.read, &d.write
		d.read.at.Store(int64(timer.Never))
		d.write.at.Store(int64(timer.Never))
		s.deadlines.Store(d)
	}
	passed := at <= s.Host.Now()
	set := func(d *deadline) {
		d.at.Store(int64(at))
		if passed {
			s.Host.RemoveTimer(&d.Entry)
		} else {
			s.Host.SetTimer(&d.Entry, at)
		}
	}
	if read {
		set(&d.read)
	}
	if write {
		set(&d.write)
	}
	if passed {
		s.wakeAll()
	}
	return nil
}

// hasDeadline reports whether there is a deadline to take off, or the socket is
// closed. The lock need not be held.
func (s *Socket) hasDeadline(read, write bool) bool {
	d := s.deadlines.Load()
	return d != nil && (read && d.read.passesAt() != timer.Never || write && d.write.passesAt() != timer.Never)
}

func (s *Socket) dropDeadlines() {
	if d := s.deadlines.Swap(&ended); d != nil {
		s.Host.RemoveTimer(&d.read.Entry)
		s.Host.RemoveTimer(&d.write.Entry)
	}
}

// InitNonblock makes a socket that nobody else knows yet non-blocking.
func (s *Socket) InitNonblock() { s.nonblock = true }
