package socket

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/wait"
	"usock/packet"
)

// fake is a protocol that does what a test tells it to. Its fields are changed by change, which tells
// those who wait.
type fake struct {
	kind Kind
	opts *Options

	in    []string // to be received: pieces of a stream, or records
	eof   bool
	oob   string
	room  int      // how many bytes Send takes
	sent  []string // what it has taken
	more  wait.Events
	err   error // of Send and Recv, once there is nothing else to do
	conn  func(tries int) error
	tries int
	ready []*Socket // to be accepted

	name, peer abi.Addr
	hasPeer    bool
	calls      []string // of Bind, Listen, Shutdown and Close
}

func (f *fake) Attach(*Socket) error { return nil }

func (f *fake) Bind(_ *Socket, a abi.Addr) error {
	f.calls, f.name = append(f.calls, "bind"), a
	return f.err
}

func (f *fake) Connect(*Socket, abi.Addr) error {
	f.tries++
	return f.conn(f.tries)
}

func (f *fake) Listen(_ *Socket, n int) error {
	f.calls = append(f.calls, "listen")
	return f.err
}

func (f *fake) Accept(*Socket, int) (*Socket, error) {
	if len(f.ready) == 0 {
		return nil, syscall.EAGAIN
	}
	n := f.ready[0]
	f.ready = f.ready[1:]
	return n, nil
}

func (f *fake) Send(s *Socket, m *Msg) (int, error) {
	n, text := 0, ""
	for _, v := range m.Data {
		n += v.Len()
		text += string(v.Bytes())
	}
	switch {
	case n > 0 && f.room == 0 && f.err != nil:
		return 0, f.err
	case n > 0 && f.room == 0, !f.kind.Stream && n > f.room:
		return 0, syscall.EAGAIN
	}
	n = min(n, f.room)
	f.room -= n
	f.sent = append(f.sent, text[:n])

	// Of the view that is cut the rest is the caller's.
	at := 0
	for _, v := range m.Data {
		if from := n - at; from > 0 && from < v.Len() {
			m.Rest = v.Slice(from, v.Len())
			m.Rest.Retain()
		}
		at += v.Len()
	}
	packet.ReleaseAll(m.Data)
	return n, nil
}

func (f *fake) Recv(s *Socket, m *Msg) (int, error) {
	if m.Flags&abi.MSG_OOB != 0 {
		if f.oob == "" {
			return 0, ErrNever
		}
		m.Data = append(m.Data, packet.Copy([]byte(f.oob)))
		return len(f.oob), nil
	}
	first := ""
	if f.kind.Stream && m.Flags&abi.MSG_PEEK != 0 {
		first = strings.Join(f.in, "")[m.Before:] // what was shown is not shown again
	} else if len(f.in) > 0 {
		first = f.in[0]
	}
	if first == "" && (f.kind.Stream || len(f.in) == 0) {
		switch {
		case f.err != nil:
			return 0, f.err
		case f.eof, m.Before > 0 && m.Flags&abi.MSG_DONTWAIT != 0:
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	n := min(len(first), m.Max)
	if f.kind.Stream {
		switch {
		case m.Flags&abi.MSG_PEEK != 0:
		case n < len(first):
			f.in[0] = first[n:]
		default:
			f.in = f.in[1:]
		}
		if m.Flags&abi.MSG_TRUNC == 0 {
			m.Data = append(m.Data, packet.Copy([]byte(first[:n])))
		}
		return n, nil
	}
	m.Data = append(m.Data, packet.Copy([]byte(first[:n])))
	if asked := m.Flags&abi.MSG_TRUNC != 0; n < len(first) {
		m.Flags |= abi.MSG_TRUNC
		m.Len = len(first)
		if asked {
			n = len(first)
		}
	}
	f.in = f.in[1:]
	return n, nil
}

func (f *fake) Shutdown(_ *Socket, how int) error {
	f.calls = append(f.calls, "shutdown")
	return f.err
}

func (f *fake) Close(*Socket) { f.calls = append(f.calls, "close") }

func (f *fake) Ready(*Socket) wait.Events {
	ev := f.more
	if len(f.in) > 0 || f.eof || len(f.ready) > 0 {
		ev |= wait.In
	}
	if f.room > 0 {
		ev |= wait.Out
	}
	if f.oob != "" {
		ev |= wait.Pri
	}
	return ev
}

func (f *fake) Name(*Socket) abi.Addr { return f.name }

func (f *fake) Peer(*Socket) (abi.Addr, error) {
	if !f.hasPeer {
		return abi.Addr{}, syscall.ENOTCONN
	}
	return f.peer, nil
}

func (f *fake) Queued(*Socket) (in, out int) {
	for _, s := range f.in {
		in += len(s)
	}
	for _, s := range f.sent {
		out += len(s)
	}
	return in, out
}

func (f *fake) Options() *Options           { return f.opts }
func (f *fake) Kind() *Kind                 { return &f.kind }
func (f *fake) Describe(_ *Socket, _ *Info) {}

// noContext has calls wait for ever, or not at all.
var noContext context.Context

// newFake returns a socket of the protocol p on a host of its own, whose time is the machine's.
func newFake(t testing.TB, p Proto) *Socket {
	packet.Track(true)
	live := packet.Live()
	h := host.New(clock.System())
	s := NewRegistry(h).NewSocket(p, abi.AF_INET, abi.SOCK_STREAM, 6)
	t.Cleanup(func() {
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
		h.Enter()
		h.Close()
		h.Leave()
	})
	return s
}

func stream() *fake { return &fake{kind: Kind{Name: "stream", Stream: true, Level: abi.SOL_TCP}} }
func record() *fake { return &fake{kind: Kind{Name: "record", Level: abi.SOL_UDP}} }

// change has f change the protocol and tells those who wait of the events.
func (s *Socket) change(ev wait.Events, f func()) {
	s.Host.Enter()
	f()
	s.Notify(ev)
	s.Host.Leave()
}
