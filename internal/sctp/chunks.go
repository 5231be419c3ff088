package sctp

import (
	"usock/internal/wire"
	"usock/packet"
)

// chunks reads the chunks of a packet that lies in pieces: in a head and in the views of a body. The
// value of a chunk is only copied where it does not lie in one of them.
type chunks struct {
	in   *In
	at   int // of the next chunk
	end  int
	user int    // where the user data of the last chunk begins, which is DATA
	n    int    // and its length
	buf  []byte // of what was copied

	sealed    int  // where what AUTH covers begins, of a COOKIE ECHO's packet
	authentic bool // what follows is covered by AUTH (RFC 4895)
	sawData   bool // there was DATA that was taken
}

// chunks begins at the first one.
func (in *In) chunks() chunks { return chunks{in: in, end: len(in.Head) + in.Body.Len()} }

// first returns the first chunk.
func (in *In) first() (wire.Chunk, bool) {
	r := in.chunks()
	return r.next()
}

// alone reports whether c, the first chunk, is the only one.
func (in *In) alone(c *wire.Chunk) bool {
	return c.Len() >= len(in.Head)+in.Body.Len()
}

// next returns the next chunk; of DATA and I-DATA the value is the header's part alone.
func (r *chunks) next() (c wire.Chunk, ok bool) {
	if r.at >= r.end {
		return c, false
	}
	h := r.bytes(r.at, min(wire.ChunkHeaderLen, r.end-r.at))
	t, flags, n, err := wire.ParseChunkHeader(h)
	if err != nil || n > r.end-r.at {
		r.at = r.end // a partial chunk is dropped (section 6.10)
		return c, false
	}
	c.Type, c.Flags = t, flags
	head := n
	switch t {
	case wire.ChunkData:
		head = min(n, wire.DataLen)
	case wire.ChunkIData:
		head = min(n, wire.IDataLen)
	}
	c.Value = r.bytes(r.at+wire.ChunkHeaderLen, head-wire.ChunkHeaderLen)
	r.user, r.n = r.at+head, n-head
	r.at = min(r.at+wire.Pad4(n), r.end)
	return c, true
}

// bytes returns n bytes from offset off on, valid until the next call where they had to be copied.
func (r *chunks) bytes(off, n int) []byte {
	if head := r.in.Head; off+n <= len(head) {
		return head[off : off+n]
	}
	at := len(r.in.Head)
	for _, v := range r.in.Body.Views() {
		if off >= at && off+n <= at+v.Len() {
			return v.Bytes()[off-at : off-at+n]
		}
		at += v.Len()
	}
	r.buf = append(r.buf[:0], make([]byte, n)...)
	k := 0
	if off < len(r.in.Head) {
		k = copy(r.buf, r.in.Head[off:])
	}
	r.in.Body.CopyTo(r.buf[k:], off+k-len(r.in.Head))
	return r.buf
}

// payload returns the vector in which the user data of the last chunk lies, and the offset in it. Data
// that is not wholly in blocks is copied into one, whose reference is in own.
func (r *chunks) payload(own *packet.Vec) (p *packet.Vec, off int) {
	if off = r.user - len(r.in.Head); off >= 0 {
		return &r.in.Body, off
	}
	own.Append(packet.Copy(r.bytes(r.user, r.n)))
	return own, 0
}

// each calls f with the bytes from offset off on.
func (r *chunks) each(off int, f func([]byte)) {
	if off < len(r.in.Head) {
		f(r.in.Head[off:])
	}
	at := len(r.in.Head)
	for _, v := range r.in.Body.Views() {
		if off < at+v.Len() {
			f(v.Bytes()[max(off-at, 0):])
		}
		at += v.Len()
	}
}
