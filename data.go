package usock

import (
	"context"

	"usock/internal/socket"
	"usock/packet"
)

// Data is a run of bytes that is shared with a host and not copied: for relays, which hand on
// what they receive. The zero Data is empty. It has one owner, who hands it on or calls
// Release, once; a Data is not safe for use by several goroutines.
type Data struct{ v packet.View }

// MaxData is the length in bytes of the longest Data.
const MaxData = packet.MaxBlock

// NewData returns a Data of n bytes, at most MaxData, of any value. They may be written to
// until the first of them is handed on.
func NewData(n int) Data { return Data{packet.NewBlock(n).View(0, n)} }

// Len returns the number of bytes.
func (d *Data) Len() int { return d.v.Len() }

// Room returns the bytes of a Data that NewData has made, to be written to.
func (d *Data) Room() []byte { return d.v.Room() }

// Bytes returns the bytes, which must not be written to. They are the Data's owner's.
func (d *Data) Bytes() []byte { return d.v.Bytes() }

// Trim takes n bytes off the front.
func (d *Data) Trim(n int) {
	if d.v = d.v.Slice(n, d.v.Len()); d.v.Len() == 0 {
		d.Release()
	}
}

// TrimData takes n bytes off the front of pieces, which have that many, and returns what is
// left of them: what a relay does when somebody has taken a part.
func TrimData(pieces []Data, n int) []Data {
	for len(pieces) > 0 {
		k := min(n, pieces[0].Len())
		pieces[0].Trim(k)
		if pieces[0].Len() > 0 {
			break
		}
		n -= k
		pieces = pieces[1:]
	}
	return pieces
}

// Cut leaves the first n bytes.
func (d *Data) Cut(n int) {
	if d.v = d.v.Slice(0, n); n == 0 {
		d.Release()
	}
}

// Release gives the bytes back. The Data is empty then.
func (d *Data) Release() {
	d.v.Release()
	d.v = packet.View{}
}

// SendData sends pieces on a stream, one after another, as Send does, without copying them, and
// returns what is left of them: with a nil error nothing, unless the socket is non-blocking. What
// is sent together arrives together, and so costs those between less. Errors: those of Send;
// EOPNOTSUPP on sockets that are no streams.
func (s *Socket) SendData(pieces []Data, flags int) ([]Data, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.HasAddr, m.Control = flags, false, nil
	var few [8]packet.View
	views := few[:0]
	for i := range pieces {
		views = append(views, pieces[i].v)
	}
	n, err := s.in.SendViews(context.Background(), views, m)
	msgPool.Put(m)
	return TrimData(pieces, n), err
}

// RecvData receives up to most bytes of a stream as Recv does, without copying them, and
// appends them to out, in pieces that the caller releases. No bytes and no error is the end
// of the stream. Of flags, MSG_DONTWAIT and MSG_PEEK are heeded. Errors: those of Recv;
// EOPNOTSUPP on sockets that are no streams.
func (s *Socket) RecvData(most int, flags int, out []Data) ([]Data, error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.Want = flags, false
	err := s.in.RecvViews(context.Background(), most, m)
	for _, v := range m.Data {
		out = append(out, Data{v})
	}
	clear(m.Data)
	m.Data = m.Data[:0]
	msgPool.Put(m)
	return out, err
}
