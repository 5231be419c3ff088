package unix

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/packet"
)

// Many goroutines make random calls on shared sockets, blocking ones with a
// deadline. Nothing is expected of the results: only that every call returns, and
// that nothing is left when all is closed.
func TestRandomCallsAtOnce(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	u := newUser(Cred{1, 2, 3}, false)
	var mu sync.Mutex
	var socks []*socket.Socket
	pick := func(r *rand.Rand) *socket.Socket {
		mu.Lock()
		defer mu.Unlock()
		if len(socks) == 0 {
			return nil
		}
		return socks[r.IntN(len(socks))]
	}
	put := func(list ...*socket.Socket) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range list {
			if s.SetDeadline(time.Now().Add(time.Second)) == nil {
				socks = append(socks, s)
			}
		}
		for len(socks) > 50 {
			socks[0].Close()
			socks = socks[1:]
		}
	}
	var wait sync.WaitGroup
	for seed := range uint64(8) {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 1500 {
				u.randomCall(r, pick(r), put)
			}
		})
	}
	wait.Wait()
	u.closeAll()
	u.end()
	if n := packet.Live(); n != before {
		t.Errorf("%d blocks are left", n-before)
	}
	if n := len(u.sockets.All()); len(u.d.abstract) != 0 || n != 0 {
		t.Errorf("%d abstract names, %d sockets are left", len(u.d.abstract), n)
	}
}

// randomCall makes one call on s, which may be nil, and hands over new sockets.
func (u *user) randomCall(r *rand.Rand, s *socket.Socket, put func(...*socket.Socket)) {
	addr := u.addr([]string{"p:x", "p:y", "a:x", "a:y"}[r.IntN(4)])
	types := []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET}
	verb := r.IntN(14)
	if s == nil || verb == 0 {
		n, err := u.open(types[r.IntN(3)], 0)
		if err != nil {
			return
		}
		n.SetNonblock(r.IntN(3) > 0)
		put(n)
		return
	}
	flags := 0
	if r.IntN(2) == 0 {
		flags = abi.MSG_DONTWAIT
	}
	switch verb {
	case 1:
		typ := types[r.IntN(3)]
		a, err1 := u.open(typ, 0)
		b, err2 := u.open(typ, 0)
		if errors.Join(err1, err2) == nil {
			u.h.Enter()
			Pair(a, b)
			u.h.Leave()
			put(a, b)
		}
	case 2:
		s.Bind(addr)
	case 3:
		s.Listen(r.IntN(4))
	case 4, 5:
		s.Connect(background, addr)
	case 6:
		if n, err := s.Accept(background); err == nil {
			put(n)
		}
	case 7, 8:
		m := &socket.Msg{Flags: flags}
		if r.IntN(3) == 0 {
			m.HasAddr, m.Addr = true, addr
		}
		s.Send(background, make([]byte, r.IntN(1<<r.IntN(18))), m)
	case 9, 10, 11:
		s.Recv(background, make([]byte, r.IntN(1<<r.IntN(18))), &socket.Msg{Flags: flags | r.IntN(2)*abi.MSG_PEEK})
	case 12:
		s.Shutdown(r.IntN(3))
	case 13:
		if r.IntN(3) == 0 {
			s.Close()
		} else {
			u.h.Enter()
			u.d.Unlink(addr.Path)
			u.h.Leave()
		}
	}
}

// Bytes of several senders on one stream arrive whole: each write of theirs is one
// message. Records of several receivers arrive once.
func TestManySendersManyReceivers(t *testing.T) {
	u := newUser(Cred{}, false)
	defer u.end()
	for _, typ := range []int{abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		a, b := u.make(t, typ), u.make(t, typ)
		u.h.Enter()
		Pair(a, b)
		u.h.Leave()
		const senders, each = 4, 2000
		seen := make([]bool, senders*each)
		var mu sync.Mutex
		var sending, receiving sync.WaitGroup
		for i := range senders {
			sending.Go(func() {
				for j := range each {
					if err := send(a, binary.BigEndian.AppendUint64(nil, uint64(i*each+j))); err != nil {
						t.Error(err)
						return
					}
				}
			})
			receiving.Go(func() {
				p := make([]byte, 100)
				for {
					n, err := b.Recv(background, p, &socket.Msg{})
					if n == 0 || err != nil {
						if err != nil && err != syscall.EAGAIN {
							t.Error(err)
						}
						return
					}
					k := binary.BigEndian.Uint64(p[:n])
					mu.Lock()
					if seen[k] {
						t.Errorf("record %d came twice", k)
					}
					seen[k] = true
					mu.Unlock()
				}
			})
		}
		sending.Wait()
		// What was sent is still received once nothing more can come.
		if err := b.Shutdown(abi.SHUT_RD); err != nil {
			t.Fatal(err)
		}
		receiving.Wait()
		for k, ok := range seen {
			if !ok {
				t.Fatalf("type %d: record %d did not come", typ, k)
			}
		}
		a.Close()
		b.Close()
	}
}

// A stream carries all bytes in order, whatever the sizes of the calls.
func TestStreamKeepsBytes(t *testing.T) {
	u := newUser(Cred{}, false)
	defer u.end()
	a, b := u.makePair(t, abi.SOCK_STREAM)
	data := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		for p := data; len(p) > 0; {
			n := min(len(p), 1+r.IntN(1<<r.IntN(20)))
			if err := send(a, p[:n]); err != nil {
				t.Error(err)
				break
			}
			p = p[n:]
		}
		a.Close()
	}()
	r := rand.New(rand.NewPCG(3, 4))
	sum := sha256.New()
	p := make([]byte, 1<<20)
	for {
		q := p[:1+r.IntN(1<<r.IntN(20))]
		n, err := b.Recv(background, q, &socket.Msg{Flags: r.IntN(2) * abi.MSG_WAITALL})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		sum.Write(q[:n])
	}
	want := sha256.Sum256(data)
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("other bytes came")
	}
	b.Close()
}
