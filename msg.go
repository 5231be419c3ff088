package usock

import (
	"sync"

	"usock/internal/socket"
)

var msgPool = sync.Pool{New: func() any { return new(socket.Msg) }}

func total(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// gather returns the bytes of bufs in one piece.
func gather(bufs [][]byte) []byte {
	if len(bufs) == 1 {
		return bufs[0]
	}
	p := make([]byte, 0, total(bufs))
	for _, b := range bufs {
		p = append(p, b...)
	}
	return p
}

// scatter copies p into bufs, filling one after the other.
func scatter(bufs [][]byte, p []byte) {
	for _, b := range bufs {
		p = p[copy(b, p):]
	}
}
