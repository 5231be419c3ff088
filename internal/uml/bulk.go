//go:build linux

package uml

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
)

// Source writes n random bytes to w, which follow from the seed, and returns their digest.
func Source(w io.Writer, n int64, seed uint64) ([]byte, error) {
	r, h := rand.NewChaCha8([32]byte{byte(seed), 1}), sha256.New()
	buf := make([]byte, 128<<10)
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		r.Read(b)
		h.Write(b)
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
		n -= int64(len(b))
	}
	return h.Sum(nil), nil
}

// Sink reads to the end and returns the digest and the number of bytes.
func Sink(r io.Reader) ([]byte, int64, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 128<<10))
	return h.Sum(nil), n, err
}
