package socket

import (
	"context"
	"syscall"

	"usock/internal/abi"
	"usock/packet"
)

// SendViews sends the views' bytes on a stream without copying them, and returns how many it
// sent: all, unless it fails or does not wait. The views stay the caller's.
func (s *Socket) SendViews(ctx context.Context, views []packet.View, m *Msg) (sent int, err error) {
	if !s.Proto.Kind().Stream {
		return 0, syscall.EOPNOTSUPP
	}
	m.Stamps, m.Done = 0, false
	size := 0
	for _, v := range views {
		size += v.Len()
	}
	c := sending(s, ctx, m, size)
	for m.Data = appendAfter(m.Data[:0], views, 0); len(m.Data) > 0 && err == nil; m.Data = appendAfter(m.Data, views, sent) {
		n := 0
		n, err = c.sendViews(m, sent)
		sent += n
		m.Rest.Release()
		m.Rest = packet.View{}
		if c.nowait {
			break
		}
	}
	packet.ReleaseAll(m.Data)
	m.Data = m.Data[:0]
	if sent > 0 {
		err = nil
	}
	c.called("send", sent, err)
	return sent, err
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
	m.Flags &= abi.MSG_DONTWAIT | abi.MSG_PEEK
	c := receiving(s, ctx, m, most)
	n, err := 0, error(nil)
	for got := 1; err == nil && got > 0 && (n == 0 || n < c.enough); n += got {
		got, err = c.recvViews(m, n)
	}
	if n > 0 {
		err = nil
	}
	c.called("recv", n, err)
	return err
}
