package usock

import (
	"io"
	"net"
)

// Copying from and to a TCP connection without a copy more than the bytes need: what comes
// from a reader is read into the block that the send queue keeps, what goes to a writer is
// written from the blocks that have come, and from one connection to another blocks are
// handed on as they are.

// small is the length in bytes below which a piece is copied to a block of its own size: a
// queue of short pieces must not hold the memory of long ones.
const small = 8 << 10

// ReadFrom sends what r has until its end, and returns how many bytes. It implements
// io.ReaderFrom, for io.Copy.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.readFrom(r)
	return n, c.copyError("readfrom", err)
}

func (c *TCPConn) readFrom(r io.Reader) (n int64, err error) {
	d := NewData(MaxData)
	defer func() { d.Release() }()
	for {
		k, err := r.Read(d.Room())
		var sendErr error
		switch {
		case k <= 0:
		case k < small:
			var sent int
			sent, sendErr = c.Write(d.Room()[:k])
			n += int64(sent)
		default:
			d.Cut(k)
			n += int64(k)
			var left []Data
			left, sendErr = c.sendAll([]Data{d})
			n -= int64(release(left))
			d = NewData(MaxData)
		}
		switch {
		case sendErr != nil:
			return n, sendErr
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// WriteTo writes what is received to w until the end of the stream, and returns how many
// bytes. It implements io.WriterTo, for io.Copy.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	n, err := c.writeTo(w)
	return n, c.copyError("writeto", err)
}

func (c *TCPConn) writeTo(w io.Writer) (n int64, err error) {
	to, relay := w.(*TCPConn)
	var few [8]Data
	for {
		pieces, err := c.s.RecvData(MaxData, 0, few[:0])
		if err != nil {
			return n, c.opError("read", "read", err)
		}
		if len(pieces) == 0 {
			return n, nil
		}

		if relay {
			all := length(pieces)
			left, err := to.sendAll(pieces)
			n += int64(all - release(left))
			if err != nil {
				return n, err
			}
			continue
		}
		for i := range pieces {
			want := pieces[i].Len()
			k, err := w.Write(pieces[i].Bytes())
			n += int64(k)
			if err == nil && k < want {
				err = io.ErrShortWrite
			}
			if err != nil {
				release(pieces[i:])
				return n, err
			}
			pieces[i].Release()
		}
	}
}

// sendAll is SendData for a socket that may be non-blocking: as Write, it goes on until all
// is sent or a send fails.
func (c *TCPConn) sendAll(pieces []Data) (left []Data, err error) {
	for len(pieces) > 0 && err == nil {
		pieces, err = c.s.SendData(pieces, 0)
	}
	return pieces, c.opError("write", "write", err)
}

// length is the number of bytes of pieces.
func length(pieces []Data) int {
	n := 0
	for i := range pieces {
		n += pieces[i].Len()
	}
	return n
}

// release gives pieces back, and returns how many bytes they had.
func release(pieces []Data) int {
	n := length(pieces)
	for i := range pieces {
		pieces[i].Release()
	}
	return n
}

// copyError wraps what ended a copy as package net does: the error of the read or the write
// inside is about that.
func (c *TCPConn) copyError(op string, err error) error {
	if err == nil {
		return nil
	}
	a := c.addresses()
	return &net.OpError{Op: op, Net: c.k.network, Source: a.local, Addr: a.remote, Err: err}
}

var (
	_ io.ReaderFrom = (*TCPConn)(nil)
	_ io.WriterTo   = (*TCPConn)(nil)
	_ net.Conn      = (*TCPConn)(nil)
)
