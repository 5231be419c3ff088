package abi

import (
	"encoding/binary"
	"syscall"
)

// Cmsg is one control message (cmsg(3)).
type Cmsg struct {
	Level, Type int
	Data        []byte
}

const (
	cmsgAlign  = 8
	cmsgHeader = 16
)

// ParseCmsgs reads a control buffer in the layout of 64-bit Linux. It fails with
// EINVAL where a length does not fit. Data refers to b.
func ParseCmsgs(b []byte) ([]Cmsg, error) {
	var out []Cmsg
	for len(b) >= cmsgHeader {
		n := binary.NativeEndian.Uint64(b)
		if n < cmsgHeader || n > uint64(len(b)) {
			return nil, syscall.EINVAL
		}
		out = append(out, Cmsg{
			Level: int(int32(binary.NativeEndian.Uint32(b[8:]))),
			Type:  int(int32(binary.NativeEndian.Uint32(b[12:]))),
			Data:  b[cmsgHeader:n],
		})
		next := (int(n) + cmsgAlign - 1) &^ (cmsgAlign - 1)
		if next >= len(b) {
			break
		}
		b = b[next:]
	}
	return out, nil
}

// AppendCmsg appends a control message, padded to the next header.
func AppendCmsg(b []byte, level, typ int, data []byte) []byte {
	b = binary.NativeEndian.AppendUint64(b, uint64(cmsgHeader+len(data)))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(typ))
	b = append(b, data...)
	for len(b)%cmsgAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// CutCmsgs returns what of the control messages b a receiver with room for n bytes
// gets, and whether that is less than all. As on Linux (put_cmsg) the first message
// that does not fit is cut where the room ends, and dropped if not even its header
// fits. b is changed.
func CutCmsgs(b []byte, n int) (out []byte, cut bool) {
	if len(b) <= n {
		return b, false
	}
	at := 0
	for at+cmsgHeader <= len(b) {
		size := int(binary.NativeEndian.Uint64(b[at:]))
		room := n - at
		if room < cmsgHeader {
			return b[:at], true
		}
		if room < size {
			binary.NativeEndian.PutUint64(b[at:], uint64(room))
			return b[:n], true
		}
		next := at + (size+cmsgAlign-1)&^(cmsgAlign-1)
		if next >= len(b) || next > n {
			return b[:min(n, len(b))], next < len(b)
		}
		at = next
	}
	return b[:at], at < len(b)
}
