package sctp

import (
	"slices"

	"usock/internal/wait"
)

// note is a notification that waits for Recv, behind so many messages since the association began.
type note struct {
	behind uint64
	n      Notification
}

// cost is what a notification that waits is charged: itself, and what it refers to.
func (n *Notification) cost() int { return 256 + len(n.Data) + 2*len(n.Streams) }

// notify queues a notification that the program asks for, behind the messages that are there.
func (a *Assoc) notify(n Notification) { a.insert(len(a.notes()), note{a.rcv.delivered, n}) }

// insert queues a notification at a place. While those that nobody reads fill the receive buffer, one that a
// peer can bring about as often as he likes is lost.
func (a *Assoc) insert(at int, n note) {
	if !a.opt.Events.Has(n.n.Type) {
		return
	}
	w := a.makeWaiting()
	if w.noteBytes > int(a.rcv.bufSize) && n.n.recurs() {
		return
	}
	w.noteBytes += n.n.cost()
	w.notes = slices.Insert(w.notes, at, n)
	a.noted++
	a.events |= wait.In
}

// recurs reports whether a peer can bring the notification about again and again: it tells of no message
// of the program's, nor of the association's begin or end.
func (n *Notification) recurs() bool {
	switch n.Type {
	case EventSendFailed, EventSendFailedEvent, EventSenderDry, EventShutdown:
		return false
	case EventAssocChange:
		return n.State == Restart
	}
	return true
}

// tellAborted tells of messages that were given up while they were delivered in part: where their parts end.
func (a *Assoc) tellAborted() {
	var m inMessage
	for a.rcv.pdAborted(&m) {
		n := Notification{Type: EventPartialDelivery, State: PartialDeliveryAborted, Stream: m.stream, Ind: uint32(m.ssn)}
		notes := a.notes()
		for i := range notes {
			if notes[i].behind < m.stood {
				notes[i].behind++ // it counts as read, and those before it are still to be
			}
		}
		at := slices.IndexFunc(notes, func(o note) bool { return o.behind > m.behind })
		if at < 0 {
			at = len(notes)
		}
		a.insert(at, note{m.behind, n})
	}
}

// TellDry queues the notification that all messages were acknowledged, if they were: one who asks for it
// is told at once (RFC 6458, section 6.1.9).
func (a *Assoc) TellDry() wait.Events {
	if a.state != Closed && a.snd.empty() {
		a.notify(Notification{Type: EventSenderDry})
	}
	return a.take()
}

// tellFailed tells of the messages that are given up, and for which cause.
func (a *Assoc) tellFailed(cause uint16) {
	for m := a.snd.takeFailed(); m != nil; m = a.snd.takeFailed() {
		if a.opt.Events.Has(EventSendFailed) || a.opt.Events.Has(EventSendFailedEvent) {
			n := Notification{Type: EventSendFailed, Flags: DataUnsent, Error: uint32(cause), Data: bytesOf(m)}
			if m.begun() {
				n.Flags = DataSent
			}
			n.Info = SendInfo{Stream: m.stream, Unordered: m.unordered, SackNow: m.immediate, PPID: m.ppid, Context: m.context}
			a.notify(n)
			n.Type = EventSendFailedEvent
			a.notify(n)
		}
		m.free()
	}
}

// bytesOf returns a copy of a message.
func bytesOf(m *message) []byte {
	b := make([]byte, 0, m.n)
	for _, v := range m.views {
		b = append(b, v.Bytes()...)
	}
	return b
}
