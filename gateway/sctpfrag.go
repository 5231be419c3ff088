//go:build linux

package gateway

import (
	"encoding/binary"
	"slices"
	"sort"

	"golang.org/x/sys/unix"
)

// fragments are those of the host's packets of SCTP that are not whole yet. What an association has cut for a path leaves in
// fragments once the path has been found to carry less (RFC 9260, section 7.3); raw sockets take whole packets, which the
// machine cuts again. A program of the host's may make its own (CAP_NET_RAW), which overlap or lie.
type fragments map[fragmentKey]*fragmented

type fragmentKey struct {
	ends [2 * 16]byte // source and destination
	id   uint32
}

type fragmented struct {
	header []byte // of the packet
	data   []byte // as far as what came goes
	came   []stretch
	whole  int // bytes of data; 0: not known
}

// stretch is a part of data that has come, from a byte to before another. Those of a packet are in order, and lie apart.
type stretch struct{ from, to int }

// maxFragmented is how many packets may lack something. Where one more comes, these are given up.
const maxFragmented = 64

// maxWhole is more than the data of any packet.
const maxWhole = 1<<16 - 1

// fragmentUnit is what the data of all fragments but the last are a multiple of.
const fragmentUnit = 8

// Fragments: flags and units of RFC 791, and the header of RFC 8200, section 4.5.
const (
	moreFragments4 = 0x2000
	offsetBits4    = 0x1fff
	nextFragment   = 44
	lenFragment    = 8
)

// isFragment reports whether a packet is one, of SCTP's.
func isFragment(b []byte, v4 bool) bool {
	if v4 {
		return binary.BigEndian.Uint16(b[6:])&^dontFragment != 0
	}
	return len(b) >= lenIPv6+lenFragment && b[6] == nextFragment && b[lenIPv6] == unix.IPPROTO_SCTP
}

// add takes a fragment, and returns the packet, if that is whole now.
func (f fragments) add(b []byte, v4 bool) []byte {
	var key fragmentKey
	var header, data []byte
	var off int
	var more bool
	if v4 {
		at := binary.BigEndian.Uint16(b[6:])
		off, more = int(at&offsetBits4)*8, at&moreFragments4 != 0
		copy(key.ends[:], b[12:20])
		key.id = uint32(binary.BigEndian.Uint16(b[4:]))
		n := int(b[0]&15) * 4
		if n < minIPv4 || n > len(b) {
			return nil
		}
		header, data = b[:n], b[n:]
		header[6], header[7] = 0, 0
	} else {
		at := binary.BigEndian.Uint16(b[lenIPv6+2:])
		off, more = int(at&^7), at&1 != 0
		copy(key.ends[:], b[8:40])
		key.id = binary.BigEndian.Uint32(b[lenIPv6+4:])
		header, data = b[:lenIPv6], b[lenIPv6+lenFragment:]
		header[6] = unix.IPPROTO_SCTP
	}
	p := f[key]
	if p == nil {
		if len(f) >= maxFragmented {
			clear(f)
		}
		p = new(fragmented)
		f[key] = p
	}
	if !p.put(data, off, more) {
		delete(f, key)
		return nil
	}
	if off == 0 {
		p.header = header
	}
	if len(p.came) != 1 || p.came[0] != (stretch{0, p.whole}) {
		return nil
	}
	delete(f, key)
	return append(p.header, p.data...)
}

// put takes the data at an offset, and reports whether they agree with what came before. What came before may come again; what
// overlaps it in part makes the packet worthless (RFC 5722, section 3, and Linux of IPv4, too: inet_frag_queue_insert), and so do data behind the
// packet's end, or two ends.
func (p *fragmented) put(data []byte, off int, more bool) bool {
	end := off + len(data)
	switch {
	case len(data) == 0 || end > maxWhole || more && len(data)%fragmentUnit != 0:
		return false
	case p.whole > 0 && (end > p.whole || !more && end < p.whole), !more && end < len(p.data):
		return false
	}
	i := sort.Search(len(p.came), func(i int) bool { return p.came[i].to > off })
	if i < len(p.came) && p.came[i].from < end {
		return p.came[i].from <= off && end <= p.came[i].to
	}
	if !more {
		p.whole = end
	}
	p.data = append(p.data, make([]byte, max(0, end-len(p.data)))...)
	copy(p.data[off:], data)
	p.came = slices.Insert(p.came, i, stretch{off, end})
	if i+1 < len(p.came) && p.came[i+1].from == end {
		p.came[i].to = p.came[i+1].to
		p.came = slices.Delete(p.came, i+1, i+2)
	}
	if i > 0 && p.came[i-1].to == off {
		p.came[i-1].to = p.came[i].to
		p.came = slices.Delete(p.came, i, i+1)
	}
	return true
}
