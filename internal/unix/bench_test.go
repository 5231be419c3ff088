package unix

import (
	"testing"

	"usock/internal/abi"
	"usock/internal/socket"
)

func BenchmarkStream(b *testing.B) {
	for _, size := range []int{64, 64 << 10} {
		b.Run(map[int]string{64: "64", 64 << 10: "64KiB"}[size], func(b *testing.B) {
			u := newUser(Cred{}, false)
			defer u.end()
			x, err1 := u.open(abi.SOCK_STREAM, 0)
			y, err2 := u.open(abi.SOCK_STREAM, 0)
			if err1 != nil || err2 != nil {
				b.Fatal(err1, err2)
			}
			x.SetNonblock(false)
			y.SetNonblock(false)
			u.h.Enter()
			Pair(x, y)
			u.h.Leave()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			go func() {
				p, m := make([]byte, size), &socket.Msg{}
				for range b.N {
					if _, err := x.Send(background, p, m); err != nil {
						b.Error(err)
						break
					}
				}
				x.Close()
			}()
			p, m := make([]byte, 256<<10), &socket.Msg{}
			for {
				n, err := y.Recv(background, p, m)
				if err != nil {
					b.Fatal(err)
				}
				if n == 0 {
					break
				}
			}
			y.Close()
		})
	}
}
