package run

import (
	"encoding/binary"
	"syscall"
)

// span is a piece of a program's memory, with the layout of struct iovec.
type span struct {
	addr uint64
	size uint64
}

// msghdr is struct msghdr of a 64-bit program.
type msghdr struct {
	name       uint64
	nameLen    uint32
	iov        uint64
	iovLen     uint64
	control    uint64
	controlLen uint64
	flags      uint32
}

// Layout of struct msghdr and struct mmsghdr.
const (
	msghdrSize    = 56
	offNameLen    = 8
	offControlLen = 40
	offMsgFlags   = 48
	mmsghdrSize   = 64
	offMsgLen     = 56
	iovecSize     = 16
	maxIovec      = 1024 // UIO_MAXIOV
	sizeofStorage = 128  // struct sockaddr_storage
	maxTransfer   = 0x7ffff000
)

// parseMsghdr reads a struct msghdr from its bytes, with the checks of Linux's
// copy_msghdr_from_user.
func parseMsghdr(b []byte) (h msghdr, e syscall.Errno) {
	if len(b) < msghdrSize {
		return h, syscall.EFAULT
	}
	u64 := binary.NativeEndian.Uint64
	h = msghdr{
		name:       u64(b),
		nameLen:    binary.NativeEndian.Uint32(b[offNameLen:]),
		iov:        u64(b[16:]),
		iovLen:     u64(b[24:]),
		control:    u64(b[32:]),
		controlLen: u64(b[offControlLen:]),
		flags:      binary.NativeEndian.Uint32(b[offMsgFlags:]),
	}
	if h.name == 0 {
		h.nameLen = 0
	}
	if int32(h.nameLen) < 0 {
		return h, syscall.EINVAL
	}
	h.nameLen = min(h.nameLen, sizeofStorage)
	if h.iovLen > maxIovec {
		return h, syscall.EMSGSIZE
	}
	return h, 0
}

// parseIovecs reads struct iovecs and returns the spans with their total size,
// which is cut to what one call can move.
func parseIovecs(b []byte) (spans []span, total int, e syscall.Errno) {
	spans = make([]span, 0, len(b)/iovecSize)
	for ; len(b) >= iovecSize; b = b[iovecSize:] {
		s := span{binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])}
		if int64(s.size) < 0 {
			return nil, 0, syscall.EINVAL
		}
		s.size = min(s.size, uint64(maxTransfer-total))
		total += int(s.size)
		if s.size > 0 {
			spans = append(spans, s)
		}
	}
	return spans, total, 0
}
