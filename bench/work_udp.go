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
// and receiver together can do, not how a full queue sheds load. Both count with
// one atomic operation a datagram.
type window struct {
	size           int64
	sent, received atomic.Int64
	waiting        atomic.Bool
	opened         chan struct{}
	patience       *time.Timer // the sender's
}

func newWindow(size int64) *window {
	return &window{size: size, opened: make(chan struct{}, 1), patience: time.NewTimer(time.Hour)}
}

// acquire waits for room. It reports false if nothing was received for a second.
func (w *window) acquire() bool {
	if w.sent.Add(1)-w.received.Load() < w.size {
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

// datagrams sends datagrams of size bytes over one pair of sockets, at most under
// way at once (0: any number, however many are lost), and counts those received.
func datagrams(size int, underWay int64) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		srv, err := p.server.ListenUDP(p.at(port))
		if err != nil {
			return Result{}, err
		}
		cli, err := p.client.DialUDP(p.at(port))
		if err != nil {
			return Result{}, err
		}
		var m meter
		w := newWindow(underWay)
		failed := make(chan error, 2)
		go func() { failed <- receive(srv, &m, w) }()
		go func() {
			b := make([]byte, size)
			for !m.stopped.Load() {
				if underWay == 0 {
					w.sent.Add(1)
				} else if !w.acquire() {
					failed <- errLost
					return
				}
				if _, err := cli.Write(b); err != nil && underWay != 0 {
					failed <- err
					return
				}
			}
		}()
		rate, c, err := m.measure(t, failed)
		more := c.more()
		if underWay == 0 {
			more["received of sent"] = float64(w.received.Load()) / float64(w.sent.Load())
		}
		return Result{Value: rate, More: more}, err
	}
}

func receive(c net.Conn, m *meter, w *window) error {
	b := make([]byte, 2048)
	for {
		if _, err := c.Read(b); err != nil {
			return err
		}
		m.count.Add(1)
		w.release()
	}
}
