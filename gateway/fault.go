//go:build linux

package gateway

import (
	"bytes"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"usock"
	"usock/clock"
	"usock/shape"
)

// Faults that strike at questions about names (Config.Faults), those that the gateway answers itself and those for name servers.

// strikable reports whether some fault is about names. n may be nil.
func (n *names) strikable() bool { return n != nil && n.faults != nil && n.faults.About() }

// nameVerdict is what faults make of a question.
type nameVerdict struct {
	late  time.Duration // so much later it goes on
	reply []byte        // with this answer; nil: as if there were no faults
}

// The addresses of wrong answers, which nobody has (RFC 5737, RFC 3849).
var (
	wrong4 = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	wrong6 = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
)

// strike asks what faults make of a message, from a socket of the run's at local, by TCP if stream is set.
func (n *names) strike(msg []byte, stream bool, owner func() int32) (v nameVerdict) {
	q, ok := parseQuery(msg)
	if !ok {
		return v
	}
	limit := q.size
	if stream {
		limit = wholeSize
	}
	for _, b := range n.faults.Question(shape.Call{PID: owner()}, bare(q.Name.String()), uint16(q.Type)) {
		if b.Kind != shape.NameLate && v.reply != nil || !b.Strike() {
			continue // the first answer counts
		}
		switch b.Kind {
		case shape.NameLate:
			v.late += b.Wait
		case shape.NameNotFound:
			v.reply = q.reply(dnsmessage.RCodeNameError, nil, limit)
		case shape.NameServerFails:
			v.reply = q.reply(dnsmessage.RCodeServerFailure, nil, limit)
		case shape.NameWrongFirst:
			v.reply = q.reply(dnsmessage.RCodeSuccess, &entry{addrs: []netip.Addr{wrong4, wrong6}}, limit)
		case shape.NameAAAAOnly:
			v.reply = q.reply(dnsmessage.RCodeSuccess, nil, limit)
		}
	}
	return v
}

// ownerOf returns what finds the process that a flow of the run's is of.
func (g *Gateway) ownerOf(proto int, local, server netip.AddrPort) func() int32 {
	return func() int32 { return int32(g.inner.Owner(proto, local, server)) }
}

// afflicted asks what faults make of a datagram to a name server, and reports whether it was answered, or will be, or goes on later.
func (g *Gateway) afflicted(side *side, d *usock.Datagram) bool {
	if !g.names.strikable() || d.SegmentSize > 0 && lengthOf(d.Data) > d.SegmentSize { // each comes by itself
		return false
	}
	msg := bytes.Join(d.Data, nil)
	v := g.names.strike(msg, false, g.ownerOf(unix.IPPROTO_UDP, d.Src, d.Dst))
	if v.late == 0 {
		return v.reply != nil && g.reply(side, d, v.reply)
	}
	held := *d
	held.Data = [][]byte{msg}
	g.after(v.late, func() {
		if v.reply != nil {
			g.reply(side, &held, v.reply)
		} else {
			g.carryOn(side, &held)
		}
	})
	return true
}

// maxHeldNames bounds the questions that wait.
const maxHeldNames = 4096

// after has f called later, with the turn, unless the gateway is closed by then. Of too many the last ones are forgotten, as
// datagrams are lost.
func (g *Gateway) after(d time.Duration, f func()) {
	if g.held == nil {
		g.held = make(map[*clock.Alarm]struct{})
	}
	if len(g.held) >= maxHeldNames {
		return
	}
	a := new(clock.Alarm)
	*a = g.clock.NewAlarm(func() {
		g.leave(func() {
			if _, ok := g.held[a]; ok && !g.closed {
				delete(g.held, a)
				f()
			}
		})
	})
	g.held[a] = struct{}{}
	(*a).Set(d)
}

// forgetHeld stops what after has set.
func (g *Gateway) forgetHeld() {
	for a := range g.held {
		(*a).Stop()
	}
	g.held = nil
}

// reply gives a program the answer to its datagram.
func (g *Gateway) reply(side *side, d *usock.Datagram, reply []byte) bool {
	err := side.host().SendDatagram(&usock.Datagram{Src: d.Dst, Dst: d.Src, Data: [][]byte{reply}})
	if err != nil {
		g.warn("usock: the gateway cannot hand on an answer about a name: %v", err)
	}
	return true
}

// nameFaults is what a stream to a name server has of faults; nil: nothing.
type nameFaults struct {
	strike  func(msg []byte) nameVerdict
	later   func(time.Duration, func())
	resume  func()
	decided bool // verdict is of the message that comes next
	late    bool // which waits
	verdict nameVerdict
}

// streamFaults returns what a stream has of them that goes on by resume.
func (g *Gateway) streamFaults(local, server netip.AddrPort, resume func()) *nameFaults {
	if !g.names.strikable() {
		return nil
	}
	owner := g.ownerOf(unix.IPPROTO_TCP, local, server)
	return &nameFaults{
		strike: func(msg []byte) nameVerdict { return g.names.strike(msg, true, owner) },
		later:  g.after, resume: resume,
	}
}

// decide asks about the next message, if that was not done. It reports whether that waits.
func (f *nameFaults) decide(msg []byte) bool {
	if f == nil || f.decided {
		return f.waits()
	}
	f.decided, f.verdict = true, f.strike(msg)
	if f.verdict.late > 0 {
		f.late = true
		f.later(f.verdict.late, func() {
			f.late = false
			f.resume()
		})
	}
	return f.late
}

// waits reports whether the next message waits.
func (f *nameFaults) waits() bool { return f != nil && f.late }

// taken returns the answer to the message that was decided, nil for none, and goes on to the next.
func (f *nameFaults) taken() []byte {
	if f == nil {
		return nil
	}
	f.decided = false
	return f.verdict.reply
}
