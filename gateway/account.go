//go:build linux

package gateway

import (
	"container/list"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock/clock"
)

// account is what is known of a flow: to the policy, that it was allowed, and what the log is
// to say of it. A nil account has nobody who wants to know.
type account struct {
	g   *Gateway
	rec FlowRecord

	// Of datagrams.
	peer  netip.AddrPort
	among *peers
	place *list.Element // in g.recent
	gen   uint64        // of the names with which it was allowed
	used  time.Duration
}

// newAccount begins an account that the log wants; nil: it does not. Of ICMP local's port is
// the identifier.
func (g *Gateway) newAccount(proto uint8, direction string, local, remote netip.AddrPort) *account {
	if g.flowLog == nil {
		return nil
	}
	return &account{g: g, rec: g.record(proto, direction, local, remote)}
}

// record begins the record of a flow.
func (g *Gateway) record(proto uint8, direction string, local, remote netip.AddrPort) FlowRecord {
	r := FlowRecord{
		Start: clock.Wall(g.clock).UTC(), Proto: protoText(proto), Direction: direction,
		Name: g.table.last(remote.Addr()), Local: flowPoint{local}, Remote: flowPoint{remote},
	}
	number := int(proto)
	if proto == icmpProto {
		r.Local = flowPoint{netip.AddrPortFrom(local.Addr(), 0)}
		number = int(icmpOf(local.Addr()))
	}
	r.PID = g.inner.Owner(number, local, remote)
	r.Process = processName(r.PID)
	return r
}

// processName returns the name of a process's program; "" if that cannot be found out.
func processName(pid int) string {
	if pid == 0 {
		return ""
	}
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(b))
}

// is says how the flow has ended, unless that is known already.
func (a *account) is(outcome, by string) {
	if a != nil && a.rec.Outcome == "" {
		a.rec.Outcome, a.rec.By = outcome, by
	}
}

// failed says that the flow was not made.
func (a *account) failed(e syscall.Errno) { a.because(e, FlowRefused, "") }

// broke says that the other side has ended the flow in the midst, with a reset (0) or another
// errno.
func (a *account) broke(e syscall.Errno) { a.because(e, FlowReset, "remote") }

// because is is with an errno, 0 for none. A time-out is an outcome of its own.
func (a *account) because(e syscall.Errno, outcome, by string) {
	if a == nil || a.rec.Outcome != "" {
		return
	}
	if e == unix.ETIMEDOUT {
		outcome, by = FlowTimeout, ""
	}
	a.is(outcome, by)
	if e != 0 {
		a.rec.Errno = unix.ErrnoName(e)
	}
}

// carried counts bytes from the run and for it.
func (a *account) carried(sent, received int) {
	if a != nil {
		a.rec.Sent += uint64(sent)
		a.rec.Received += uint64(received)
	}
}

// end writes the account to the log. What nobody has said is how it ended.
func (a *account) end(outcome string) {
	if a == nil {
		return
	}
	if a.among != nil {
		a.among.forget(a)
	}
	if a.g.flowLog != nil {
		a.is(outcome, "")
		a.rec.End = clock.Wall(a.g.clock).UTC()
		a.g.flowLog.put(&a.rec)
	}
}

// peers are the accounts of a datagram socket, one for each that it talks with.
type peers struct {
	by   map[netip.AddrPort]*account
	last *account // the one that was used last
}

// maxAccounts bounds the accounts of datagrams.
const maxAccounts = 16384

// find returns the account with a peer; nil: there is none.
func (p *peers) find(peer netip.AddrPort) *account {
	if p.last != nil && p.last.peer == peer {
		return p.last
	}
	a := p.by[peer]
	if a != nil {
		p.last = a
	}
	return a
}

func (p *peers) forget(a *account) {
	delete(p.by, a.peer)
	if p.last == a {
		p.last = nil
	}
	a.g.recent.Remove(a.place)
}

// end ends all accounts.
func (p *peers) end(outcome string) {
	for _, a := range p.by {
		a.end(outcome)
	}
}

// open returns the account with a peer, which has been allowed, and begins it if need be.
func (p *peers) open(g *Gateway, proto uint8, direction string, local, peer netip.AddrPort) *account {
	a := p.find(peer)
	if a == nil {
		if g.recent.Len() >= maxAccounts {
			g.recent.Back().Value.(*account).end(FlowDisplaced)
		}
		if a = g.newAccount(proto, direction, local, peer); a == nil {
			a = &account{g: g}
		}
		a.peer, a.among, a.gen = peer, p, g.table.gen
		a.place = g.recent.PushFront(a)
		if p.by == nil {
			p.by = make(map[netip.AddrPort]*account)
		}
		p.by[peer], p.last = a, a
	}
	a.used = g.clock.Now()
	g.recent.MoveToFront(a.place)
	return a
}

// sweepAccounts ends the accounts of datagrams that have been idle.
func (g *Gateway) sweepAccounts(now time.Duration) {
	for e := g.recent.Back(); e != nil && now-e.Value.(*account).used > mappingIdle; e = g.recent.Back() {
		e.Value.(*account).end(FlowIdle)
	}
}
