package sim

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"usock"
	"usock/clock"
)

// end is one end of a flow in manual time: what client and server do by blocking, as a
// program.
//
//	connecting ─┐
//	accepting ──┴► exchanging ──► settling ──► over
type end struct {
	f     *Flow
	s     *usock.Socket // nil: not accepted yet
	phase func(*end) error
	over  bool

	send    int64         // bytes to be sent, if lasts is 0
	lasts   time.Duration // for how long to send
	want    int64         // bytes to be received; negative: any number
	sent    int64
	got     int64
	sending bool
	hearing bool
	buf     []byte

	first bool          // the end that connects
	moves int           // what it has done so far
	look  time.Duration // when settling looks again
	wake  clock.Alarm
}

// errWait says that a phase goes on.
var errWait = errors.New("wait")

// startManual begins the flow's two ends.
func (f *Flow) startManual() {
	late := f.n.manual.NewAlarm(func() {}) // so that the ends find the limit reached
	late.Set(f.c.Limit)
	client := &end{f: f, first: true, phase: (*end).connect, send: f.c.Bytes, lasts: f.c.Duration, want: f.c.Back}
	server := &end{f: f, phase: (*end).accept, send: f.c.Back, want: f.c.Bytes}
	if f.c.Duration != 0 {
		server.want = -1
	}
	for _, e := range []*end{client, server} {
		e.sending, e.hearing = true, true
		e.wake = f.n.manual.NewAlarm(func() {})
		e.buf = make([]byte, f.c.Chunk)
		f.n.Program(e.step)
	}
	f.n.Program(func() Progress {
		if !client.over || !server.over {
			return Idle
		}
		late.Stop()
		f.listen.Close()
		close(f.done)
		return Done
	})
}

// step goes through the phases as far as it can.
func (e *end) step() Progress {
	if e.f.since() >= e.f.c.Limit {
		e.end(fmt.Errorf("not over after %v, %d bytes sent and %d received", e.f.c.Limit, e.sent, e.got))
		return Done
	}
	was := e.moves
	for e.phase != nil {
		err := e.phase(e)
		if err == errWait && e.moves == was {
			return Idle
		}
		if err == errWait {
			return Moved
		}
		if err != nil {
			e.end(err)
			return Done
		}
		e.moves++
	}
	e.end(nil)
	return Done
}

func (e *end) end(err error) {
	if err != nil {
		e.f.fail(err)
	}
	e.over = true
	e.wake.Stop()
	if e.s != nil {
		e.s.Close()
	}
	if err != nil && e.first && !e.f.accepted {
		e.f.listen.Close() // nobody comes any more
	}
}

// waits is errWait for the errors that mean it.
func waits(err error) error {
	if err == syscall.EAGAIN || err == syscall.EINPROGRESS || err == syscall.EALREADY {
		return errWait
	}
	return err
}

func (e *end) connect() error {
	if e.s == nil {
		s, err := e.f.socket(e.f.from)
		if err != nil {
			return err
		}
		s.SetNonblock(true)
		e.s = s
		e.moves++
	}
	name, err := e.f.listen.GetSockName()
	if err == nil {
		err = e.s.Connect(name)
	}
	if err = waits(err); err != nil && err != errWait {
		return fmt.Errorf("connect: %w", err)
	} else if err != nil {
		return err
	}
	e.phase = (*end).exchange
	return nil
}

func (e *end) accept() error {
	s, _, err := e.f.listen.Accept()
	if err = waits(err); err != nil && err != errWait {
		return fmt.Errorf("accept: %w", err)
	} else if err != nil {
		return err
	}
	s.SetNonblock(true)
	e.s, e.f.accepted = s, true
	e.phase = (*end).exchange
	return nil
}

// exchange sends and receives what it can.
func (e *end) exchange() error {
	for e.sending && e.s.Events()&(usock.POLLOUT|usock.POLLERR|usock.POLLHUP) != 0 {
		if err := e.sendSome(); err == errWait {
			break
		} else if err != nil {
			return fmt.Errorf("send: after %d bytes: %w", e.sent, err)
		}
	}
	for e.hearing && e.s.Events()&(usock.POLLIN|usock.POLLERR|usock.POLLHUP) != 0 {
		if err := e.receiveSome(); err == errWait {
			break
		} else if err != nil {
			return fmt.Errorf("receive: after %d bytes: %w", e.got, err)
		}
	}
	if e.sending || e.hearing {
		return errWait
	}
	e.f.res.Closed = max(e.f.res.Closed, e.f.since())
	e.f.note(e.s, e.info())
	e.phase = (*end).settle
	return nil
}

func (e *end) sendSome() error {
	k := int64(e.f.c.Chunk)
	if e.lasts == 0 {
		k = min(k, e.send-e.sent)
	} else if e.f.since() >= e.lasts {
		k = 0
	}
	if k == 0 {
		e.sending = false
		return e.s.Shutdown(usock.SHUT_WR)
	}
	w, err := e.s.Send(pattern(e.sent, int(k)), 0)
	e.sent += int64(w)
	e.moves += w
	return waits(err)
}

func (e *end) receiveSome() error {
	k, err := e.s.Recv(e.buf, 0)
	if err != nil {
		return waits(err)
	}
	if err := check(e.got, e.buf[:k]); err != nil {
		return err
	}
	e.got += int64(k)
	e.moves += k
	if e.first {
		e.f.res.Back = e.got
	} else {
		e.f.Meter.Add(int64(k))
		e.f.res.Bytes = e.got
	}
	if k > 0 {
		return nil
	}
	e.hearing = false
	if !e.first {
		e.f.res.Elapsed = e.f.since()
	}
	if e.want >= 0 && e.got != e.want {
		return fmt.Errorf("the stream ended, and there should be %d", e.want)
	}
	return nil
}

// info is where the counters of this end are kept.
func (e *end) info() *usock.TCPInfo {
	if e.first {
		return &e.f.res.Info
	}
	return &e.f.res.InfoBack
}

// settle looks, now and then, whether the peer has acknowledged everything.
func (e *end) settle() error {
	if now := e.f.n.manual.Now(); now < e.look {
		return errWait
	} else if unacknowledged(e.s) {
		e.look = now + settleEvery
		e.wake.Set(settleEvery)
		return errWait
	}
	e.f.note(e.s, e.info())
	e.phase = nil
	return nil
}
