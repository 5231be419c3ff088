//go:build linux

package main

import (
	"net"
	"sync/atomic"
	"time"
)

const (
	// udpBuffer is what SO_RCVBUF is asked for: the most that an unprivileged program
	// gets from Linux, which doubles it. A window fits in, whatever a stack charges
	// for a datagram.
	udpBuffer = 212992

	// udpWindow is how many datagrams may be under way.
	udpWindow = 128
)

// window paces a sender: it waits while size datagrams are under way, until half
// of them have been received. So no stack loses any, and a figure is what sender
// and receiver together can do, not how a full queue sheds load. Each end counts on
// cache lines of its own, and the sender looks at the receiver's only where its window
// seems full.
type window struct {
	size     int64
	patience *time.Timer // the sender's
	seen     int64       // the sender's: what it last saw of received

	_        [128]byte
	sent     atomic.Int64
	_        [120]byte
	received atomic.Int64
	_        [120]byte
	waiting  atomic.Bool
	opened   chan struct{}
}

func newWindow(size int64) *window {
	return &window{size: size, opened: make(chan struct{}, 1), patience: time.NewTimer(time.Hour)}
}

// acquire waits for room. It reports false if nothing was received for a second.
func (w *window) acquire() bool {
	sent := w.sent.Add(1)
	if sent-w.seen < w.size {
		return true
	}
	if w.seen = w.received.Load(); sent-w.seen < w.size {
		return true
	}
	w.waiting.Store(true)
	if w.sent.Load()-w.received.Load() <= w.size/2 && w.waiting.CompareAndSwap(true, false) {
		return true
	}
	w.patience.Reset(time.Second)
	select {
	case <-w.opened:
		return true
	case <-w.patience.C:
		return false
	}
}

func (w *window) release() {
	n := w.received.Add(1)
	if w.waiting.Load() && w.sent.Load()-n <= w.size/2 && w.waiting.CompareAndSwap(true, false) {
		w.opened <- struct{}{}
	}
}

// datagrams sends datagrams of size bytes over pairs of sockets, at most under way at
// once on each (0: any number, however many are lost), and counts those received.
func datagrams(size int, underWay int64, pairs int) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		var m meter
		failed := make(chan error, 2*pairs)
		windows := make([]*window, pairs)
		for i := range windows {
			srv, err := p.server.ListenUDP(p.at(port + uint16(i)))
			if err != nil {
				return Result{}, err
			}
			cli, err := p.client.DialUDP(p.at(port + uint16(i)))
			if err != nil {
				return Result{}, err
			}
			w := newWindow(underWay)
			windows[i] = w
			go func() { failed <- receive(srv, &m, w) }()
			go func() {
				if err := send(cli, size, &m, w); err != nil {
					failed <- err
				}
			}()
		}
		rate, c, err := m.measure(t, failed)
		more := c.more()
		if underWay == 0 {
			var sent, received int64
			for _, w := range windows {
				sent, received = sent+w.sent.Load(), received+w.received.Load()
			}
			more["received of sent"] = float64(received) / float64(sent)
		}
		return Result{Value: rate, More: more}, err
	}
}

// send sends until the meter stops. Who floods does not mind what becomes of a datagram.
func send(c net.Conn, size int, m *meter, w *window) error {
	b := make([]byte, size)
	flood := w.size == 0
	for !m.stopped.Load() {
		if flood {
			w.sent.Add(1)
		} else if !w.acquire() {
			return errLost
		}
		if _, err := c.Write(b); err != nil && !flood {
			return err
		}
	}
	return nil
}

func receive(c net.Conn, m *meter, w *window) error {
	b := make([]byte, 2048)
	count := m.counter()
	for {
		if _, err := c.Read(b); err != nil {
			return err
		}
		count.Add(1)
		w.release()
	}
}
