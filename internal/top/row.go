package top

import (
	"cmp"
	"slices"
	"strings"

	"usock/internal/control"
)

// row is a socket as the screen has it, or all sockets of a process.
type row struct {
	control.Socket
	run     *run
	members []*row // of a process; nil: it is a socket
	fresh   bool   // it was not in the look before, so that nothing is known of its rates

	rx, tx float64 // bytes a second
	lost   uint64  // retransmissions; of datagrams those for which there was no room
	losing float64 // a second
}

// key says which rows of two looks are the same socket's. A connection keeps its addresses when its socket goes, and then
// has no number.
type key struct {
	run, proto, local, peer string
	id                      uint64
}

func (r *row) key() key {
	k := key{run: r.run.ID, proto: r.Proto, local: r.Local, peer: r.Peer, id: r.ID}
	if r.TCP != nil && r.State != listen {
		k.id = 0
	}
	if r.members != nil {
		k.id = uint64(uint32(r.Process))
	}
	return k
}

// rowsOf are the rows of a look, with rates since the look before, whose rows were seconds ago.
func rowsOf(of *run, list []control.Socket, before map[key]*row, seconds float64) map[key]*row {
	rows := make([]row, len(list))
	now := make(map[key]*row, len(list))
	for i := range list {
		r := &rows[i]
		*r = row{Socket: list[i], run: of, fresh: true, lost: list[i].Drops}
		if r.TCP != nil {
			r.lost = uint64(r.TCP.TotalRetrans)
		}
		k := r.key()
		if b := before[k]; b != nil && seconds > 0 {
			r.since(b, seconds)
		}
		now[k] = r // one that is listed twice has moved meanwhile
	}
	return now
}

// since reckons rates. Counters that have gone back are those of another connection with the same addresses.
func (r *row) since(b *row, seconds float64) {
	rx, tx := r.bytes()
	rxWas, txWas := b.bytes()
	if rx < rxWas || tx < txWas || r.lost < b.lost {
		return
	}
	r.fresh = false
	r.rx, r.tx = float64(rx-rxWas)/seconds, float64(tx-txWas)/seconds
	r.losing = float64(r.lost-b.lost) / seconds
}

// listen is the state of sockets with a queue of connections, as ss prints it.
const listen = "LISTEN"

// bytes are those that the socket has received and sent.
func (r *row) bytes() (rx, tx uint64) {
	if r.TCP != nil {
		return r.TCP.BytesReceived, r.TCP.BytesAcked
	}
	return r.RxBytes, r.TxBytes
}

// counts reports whether the socket counts its bytes: those of AF_UNIX do not.
func (r *row) counts() bool {
	return r.State != listen && r.Proto != "unix" && (r.Proto != "tcp" || r.TCP != nil)
}

// connection reports whether it is one of TCP's.
func (r *row) connection() bool { return r.TCP != nil && r.State != listen }

// rtt is the smoothed round-trip time in µs, of a process the longest; 0: not known.
func (r *row) rtt() (us uint32) {
	if r.TCP != nil {
		us = r.TCP.RTT
	}
	for _, m := range r.members {
		us = max(us, m.rtt())
	}
	return us
}

// idle is what stands for a program that has nothing to do.
const idle = "idle"

// waits is who waits, in a word of at most eight letters, and in how far that is in the way: 0 is not at all. What is said
// of a program with nothing in its queues is that it is idle.
func (r *row) waits() (word string, weight int) {
	who, _, _ := strings.Cut(r.Stall, ":")
	switch who {
	case "path", "resolver", "outside":
		return who, 7
	case "receiver":
		return who, 6
	case "congestion":
		return "cwnd", 5
	case "program":
		if r.RecvQ == 0 && r.SendQ == 0 {
			return idle, 0
		}
		return who, 4
	case "Nagle":
		return who, 3
	case "pacing":
		return who, 2
	case "acknowledgment":
		return "ack", 1
	}
	return who, 0
}

// Order is what rows are sorted by.
type Order int

// The orders. Each has the largest first, but for names.
const (
	ByRate Order = iota
	ByLoss
	ByQueues
	ByWaits
	ByRTT
	ByProcess
	orders
)

var orderNames = [orders]string{"rate", "retrans", "queues", "waits", "rtt", "name"}

// Orders are the names of the orders.
func Orders() []string { return orderNames[:] }

// ParseOrder returns the order of a name.
func ParseOrder(name string) (Order, bool) {
	i := slices.Index(orderNames[:], name)
	return Order(i), i >= 0
}

func (o Order) String() string { return orderNames[o] }

// compare is negative where a comes before b.
func (o Order) compare(a, b *row) int {
	switch o {
	case ByRate:
		return cmp.Compare(b.rx+b.tx, a.rx+a.tx)
	case ByLoss:
		return cmp.Or(cmp.Compare(b.losing, a.losing), cmp.Compare(b.lost, a.lost))
	case ByQueues:
		return cmp.Compare(b.RecvQ+b.SendQ, a.RecvQ+a.SendQ)
	case ByWaits:
		_, wa := a.waits()
		_, wb := b.waits()
		return cmp.Or(cmp.Compare(wb, wa), cmp.Compare(b.RecvQ+b.SendQ, a.RecvQ+a.SendQ))
	case ByRTT:
		return cmp.Compare(b.rtt(), a.rtt())
	}
	return cmp.Or(strings.Compare(a.Program, b.Program), cmp.Compare(a.Process, b.Process))
}

// sorted puts rows in order. Those that are equal in it stay where they are from look to look: connections come first.
func sorted(rows []*row, o Order, reversed bool) {
	slices.SortFunc(rows, func(a, b *row) int {
		c := o.compare(a, b)
		if reversed {
			c = -c
		}
		return cmp.Or(c, -compareBool(a.connection(), b.connection()), strings.Compare(a.run.ID, b.run.ID), cmp.Compare(a.ID, b.ID),
			strings.Compare(a.Proto, b.Proto), strings.Compare(a.Local, b.Local), strings.Compare(a.Peer, b.Peer))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
