package socket

import (
	"context"
	"syscall"

	"usock/internal/abi"
	"usock/internal/wait"
	"usock/packet"
)

// SendViews sends the views' bytes on a stream without copying them, and returns how many it
// sent: all, unless it fails or does not wait. The views stay the caller's.
func (s *Socket) SendViews(ctx context.Context, views []packet.View, m *Msg) (sent int, err error) {
	if !s.Proto.Kind().Stream {
		return 0, syscall.EOPNOTSUPP
	}
	m.Stamps, m.Done = 0, false
	for m.Data = appendAfter(m.Data[:0], views, 0); len(m.Data) > 0; m.Data = appendAfter(m.Data, views, sent) {
		n, err := s.sendViews(ctx, m)
		sent += n
		m.Rest.Release()
		m.Rest = packet.View{}
		if err != nil {
			err = s.later(sent, err)
			s.called("send", sent, err)
			return sent, err
		}
		if m.Flags&abi.MSG_DONTWAIT != 0 || s.Nonblock() {
			break
		}
	}
	s.called("send", sent, nil)
	return sent, nil
}

// appendAfter appends references to what follows the first n bytes of views.
func appendAfter(to, views []packet.View, n int) []packet.View {
	for _, v := range views {
		k := min(n, v.Len())
		n -= k
		if v = v.Slice(k, v.Len()); v.Len() > 0 {
			v.Retain()
			to = append(to, v)
		}
	}
	return to
}

// RecvViews receives up to most bytes of a stream. m.Data are they, and the caller's.
func (s *Socket) RecvViews(ctx context.Context, most int, m *Msg) error {
	m.Data = m.Data[:0]
	if !s.Proto.Kind().Stream {
		return syscall.EOPNOTSUPP
	}
	flags := m.Flags & (abi.MSG_DONTWAIT | abi.MSG_PEEK)
	m.Max = most
	c := call{s: s, ctx: ctx, mask: wait.In, nowait: flags&abi.MSG_DONTWAIT != 0}
	n := 0
	err := c.do(func() (err error) {
		m.Flags = flags
		n, err = s.Proto.Recv(s, m)
		return err
	})
	s.called("recv", n, err)
	return err
}
