package socket

import (
	"context"
	"syscall"

	"usock/internal/abi"
	"usock/internal/buf"
	"usock/internal/wait"
)

// SendView sends v's bytes on a stream without copying them, and takes off v what was sent.
func (s *Socket) SendView(ctx context.Context, v *buf.View, m *Msg) error {
	if !s.Proto.Stream() {
		return syscall.EOPNOTSUPP
	}
	m.Stamps, m.Done = 0, false
	sent := 0
	for v.Len() > 0 {
		v.Retain()
		m.Data = append(m.Data[:0], *v)
		n, err := s.sendViews(ctx, m)
		sent += n
		if *v = v.Slice(n, v.Len()); v.Len() == 0 {
			v.Release()
			*v = buf.View{}
		}
		switch {
		case err != nil:
			return s.later(sent, err)
		case v.Len() > 0 && (m.Flags&abi.MSG_DONTWAIT != 0 || s.Nonblock()):
			return nil
		}
	}
	return nil
}

// RecvViews receives up to most bytes of a stream. m.Data are they, and the caller's.
func (s *Socket) RecvViews(ctx context.Context, most int, m *Msg) error {
	m.Data = m.Data[:0]
	if !s.Proto.Stream() {
		return syscall.EOPNOTSUPP
	}
	flags := m.Flags & (abi.MSG_DONTWAIT | abi.MSG_PEEK)
	m.Max = most
	c := call{s: s, ctx: ctx, mask: wait.In, nowait: flags&abi.MSG_DONTWAIT != 0}
	return c.do(func() error {
		m.Flags = flags
		_, err := s.Proto.Recv(s, m)
		return err
	})
}
