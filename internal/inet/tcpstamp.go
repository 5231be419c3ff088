package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
)

// Times of a stream (SO_TIMESTAMP, SO_TIMESTAMPING): of what is received, the time at which
// its last byte came; of a send, those at which its last byte left and was acknowledged.
// Bytes are counted by their offsets in the stream.

// tcpStamps is what an endpoint knows about times; nil until it is asked to.
type tcpStamps struct {
	came   []arrival // not read yet
	sent   []sentByte
	base   uint64 // the byte that is number 0 (SOF_TIMESTAMPING_OPT_ID)
	zeroID uint32 // the next number of MSG_ZEROCOPY
	errors []queuedError
}

// arrival is bytes that came together.
type arrival struct {
	from, to uint64
	at       int64 // ns of wall clock
}

// sentByte is the last byte of a send.
type sentByte struct {
	end   uint64 // behind it
	flags uint32 // stamps to come
	key   uint32
}

const (
	maxArrivals = 64
	txSoftware  = abi.SOF_TIMESTAMPING_TX_SOFTWARE | abi.SOF_TIMESTAMPING_TX_SCHED | abi.SOF_TIMESTAMPING_TX_ACK
)

func (e *tcpEndpoint) times() *tcpStamps {
	if e.stamps == nil {
		e.stamps = new(tcpStamps)
	}
	return e.stamps
}

// socketOptions returns the options of e's socket or, until it has one, of its listener's.
func (e *tcpEndpoint) socketOptions() *socket.Opt {
	switch {
	case e.s != nil:
		return &e.s.Opt
	case e.parent != nil && e.parent.s != nil:
		return &e.parent.s.Opt
	}
	return nil
}

// cameUpTo notes that the stream is received up to an offset, from before on.
func (e *tcpEndpoint) cameUpTo(before, to uint64) {
	o := e.socketOptions()
	if to <= before || o == nil || !o.WantsArrival() {
		return
	}
	st := e.times()
	if len(st.came) == maxArrivals {
		st.came = append(st.came[:0], st.came[1:]...)
	}
	st.came = append(st.came, arrival{before, to, e.dom.Stamp()})
}

// cameAt returns when the byte in front of an offset has come; 0 if that is not known. What
// came before the first byte that is still to be read is forgotten.
func (e *tcpEndpoint) cameAt(off, base uint64) (at int64) {
	if e.stamps == nil {
		return 0
	}
	for _, a := range e.stamps.came {
		if a.from < off && off <= a.to {
			at = a.at
		}
	}
	for len(e.stamps.came) > 0 && e.stamps.came[0].to <= base {
		e.stamps.came = e.stamps.came[1:]
	}
	return at
}

// arrivalControl appends when the last of n bytes has come that a receive has given, from
// the offset before on; of none, the first that waits.
func (e *tcpEndpoint) arrivalControl(b []byte, before uint64, n, flags int) []byte {
	if flags&abi.MSG_PEEK != 0 {
		before += uint64(max(int(e.s.Opt.PeekOff)-n, 0))
	}
	base, _ := e.conn.Received()
	if flags&abi.MSG_PEEK == 0 && n > 0 {
		before = base - uint64(n) // an urgent byte may have been passed over
	}
	at := e.cameAt(before+uint64(max(n, 1)), base)
	if at == 0 {
		return b
	}
	return e.s.AppendArrival(b, at)
}

// stampsOf returns the stamps that a send with the control messages b asks for. A stream
// tells them without data.
func (t *tcpProto) stampsOf(s *socket.Socket, b []byte) (uint32, error) {
	said, flags := false, 0
	if len(b) > 0 {
		list, err := abi.ParseCmsgs(b)
		if err != nil {
			return 0, err
		}
		for _, m := range list {
			if m.Level == abi.SOL_SOCKET && m.Type == abi.SO_TIMESTAMPING {
				if flags, err = stampFlags(m); err != nil {
					return 0, err
				}
				said = true
			}
		}
	}
	f := s.Opt.SendStamping(said, uint32(flags))
	if f&txSoftware == 0 {
		return 0, nil
	}
	if f&abi.SOF_TIMESTAMPING_OPT_TSONLY == 0 {
		return 0, syscall.EINVAL
	}
	return f, nil
}

// wrote notes a send whose last byte is the last of the stream so far.
func (e *tcpEndpoint) wrote(flags uint32) {
	_, _, end := e.conn.Sequence()
	st := e.times()
	x := sentByte{end: end, flags: flags & txSoftware}
	if flags&abi.SOF_TIMESTAMPING_OPT_ID != 0 {
		x.key = uint32(end - 1 - st.base)
	}
	st.sent = append(st.sent, x)
}

// stampSent tells of the bytes that have left or were acknowledged by now.
func (e *tcpEndpoint) stampSent() (ev wait.Events) {
	una, nxt, _ := e.conn.Sequence()
	st := e.stamps
	for i := range st.sent {
		x := &st.sent[i]
		if x.end > nxt {
			break
		}
		for _, k := range [...]struct {
			flag, kind uint32
			due        bool
		}{
			{abi.SOF_TIMESTAMPING_TX_SCHED, stampScheduled, true},
			{abi.SOF_TIMESTAMPING_TX_SOFTWARE, stampSent, true},
			{abi.SOF_TIMESTAMPING_TX_ACK, stampAcked, x.end <= una},
		} {
			if x.flags&k.flag == 0 || !k.due {
				continue
			}
			x.flags &^= k.flag
			if len(st.errors) < maxErrors {
				q := queuedError{key: x.key, origin: originTimestamping, at: e.dom.Stamp()}
				q.Errno, q.Info = syscall.ENOMSG, k.kind
				st.errors = append(st.errors, q)
			}
			ev = wait.Err
		}
	}
	for len(st.sent) > 0 && st.sent[0].flags == 0 {
		st.sent = st.sent[1:]
	}
	return ev
}

// recvError receives from the queue of errors, in which there are stamps alone.
func (e *tcpEndpoint) recvError(m *socket.Msg) (int, error) {
	if e.stamps == nil || len(e.stamps.errors) == 0 {
		return 0, socket.ErrNever
	}
	x := e.stamps.errors[0]
	e.stamps.errors = e.stamps.errors[1:]
	m.Flags |= abi.MSG_ERRQUEUE
	if m.Want {
		m.Control = appendExtendedError(e.s.Opt.AppendStamp(m.Control[:0], x.at), e.s, &x, uint32(e.scope))
	}
	return 0, nil
}

// stampRow is SO_TIMESTAMPING of a stream. It has neither statistics nor packets to tell
// besides the stamps.
func (t *tcpProto) stampRow() socket.Option {
	o := socket.StampingOption(abi.SOF_TIMESTAMPING_OPT_STATS, func(s *socket.Socket, flags uint32) error {
		e := endpointOf(s)
		if e.listener != nil || e.conn.State() == tcp.Closed {
			return syscall.EINVAL
		}
		una, _, end := e.conn.Sequence()
		e.times().base = una
		if flags&abi.SOF_TIMESTAMPING_OPT_ID_TCP != 0 {
			e.times().base = end
		}
		return nil
	})
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		if i, err := abi.ParseInt(v); err == nil && i&txSoftware != 0 && i&abi.SOF_TIMESTAMPING_OPT_TSONLY == 0 && uint32(i)&^abi.SOF_TIMESTAMPING_MASK == 0 {
			return syscall.ENOPROTOOPT
		}
		return set(s, v)
	}
	return o
}
