//go:build linux

package interop

import (
	"net/netip"
	"sync"
	"testing"

	"usock"
	"usock/link"
)

// counted is a link that counts by which of its queues packets pass.
type counted struct {
	link.Queued
	queues []link.Queue

	mu    sync.Mutex
	flows map[flow]*counts // mu
}

// flow is a connection of TCP, by its ends: those of usock first.
type flow struct {
	v6          bool
	usock, peer uint16
}

// counts are the packets of a flow by queue, those that came from the flow's first one out on.
type counts struct{ out, in [2]int }

func newCounted(l link.Queued) *counted {
	c := &counted{Queued: l, flows: map[flow]*counts{}}
	for i, q := range l.Queues() {
		c.queues = append(c.queues, countedQueue{q, c, i})
	}
	return c
}

// Queues implements link.Queued.
func (c *counted) Queues() []link.Queue { return c.queues }

type countedQueue struct {
	link.Queue
	c  *counted
	at int
}

func (q countedQueue) Send(batch []*link.Packet) int {
	q.c.count(batch, q.at, true)
	return q.Queue.Send(batch)
}

func (q countedQueue) Recv(batch []*link.Packet) (int, error) {
	n, err := q.Queue.Recv(batch)
	q.c.count(batch[:n], q.at, false)
	return n, err
}

func (c *counted) count(batch []*link.Packet, queue int, out bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range batch {
		b := p.AppendTo(nil)
		f, at, proto := flow{}, int(b[0]&15)*4, b[9]
		if b[0]>>4 == 6 {
			f.v6, at, proto = true, 40, b[6]
		}
		if proto != 6 {
			continue
		}
		f.usock, f.peer = uint16(b[at])<<8|uint16(b[at+1]), uint16(b[at+2])<<8|uint16(b[at+3])
		if !out {
			f.usock, f.peer = f.peer, f.usock
		}
		n := c.flows[f]
		switch {
		case n == nil && !out:
		case n == nil:
			c.flows[f] = &counts{}
			c.flows[f].out[queue]++
		case out:
			n.out[queue]++
		default:
			n.in[queue]++
		}
	}
}

// Connections of both directions pass a device with two queues, all packets of one by the same queue out, and
// most of them by that one in: the kernel finds it out by the first packet, while its answer is under way.
func TestQueues(t *testing.T) {
	const connections, size = 12, 256 << 10
	n := newNamespace(t)
	c := newCounted(n.attach(t, &setup{offload: true, queues: 2}).(link.Queued))
	host, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
		Link: c, Addrs: []netip.Prefix{usock4, usock6},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	l := &lab{neighbour: n, t: t, host: host}
	var all sync.WaitGroup
	for i := range connections {
		client, server := l.usock(), l.kernel()
		if i%2 == 1 {
			client, server = server, client
		}
		a, b := connect(t, client, server, i%4 >= 2)
		all.Go(func() { exchange(t, a, b, size) })
	}
	all.Wait()
	host.Close()

	var out, in [2]int
	strange := 0
	for f, k := range c.flows {
		home := 0
		if k.out[1] > 0 {
			home = 1
		}
		if k.out[1-home] > 0 {
			t.Errorf("%+v leaves by both queues: %v", f, k.out)
		}
		strange += k.in[1-home]
		for i := range 2 {
			out[i] += k.out[i]
			in[i] += k.in[i]
		}
	}
	t.Logf("%d connections: %v packets out by the queues, %v in, of which %d by the other one", len(c.flows), out, in, strange)
	if len(c.flows) != connections || min(out[0], out[1], in[0], in[1]) == 0 {
		t.Errorf("%d connections: %v packets out by the queues, %v in: none by one", len(c.flows), out, in)
	}
	if 4*strange > in[0]+in[1] {
		t.Errorf("%d of %d packets came by the other queue than their flow leaves by", strange, in[0]+in[1])
	}
}

// An impaired device with several queues carries the connections of all.
func TestQueuesImpaired(t *testing.T) {
	l := newLab(t, setup{offload: true, queues: 2})
	var all sync.WaitGroup
	for i := range 8 {
		a, b := connect(t, l.kernel(), l.usock(), i%2 == 1)
		all.Go(func() { exchange(t, a, b, 64<<10) })
	}
	all.Wait()
}
