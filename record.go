package usock

import (
	"errors"
	"net/netip"
	"sync"
	"syscall"

	"usock/internal/ip"
	"usock/link"
	"usock/packet"
)

// errRecording is of a second recording by the same writer.
var errRecording = errors.New("usock: the writer records this host already")

// Record has all that the host's interfaces carry recorded to w, until stop is called, or w or the host is closed; of the
// loopback interface, what is sent. Several may record at once. A host that nobody records pays nothing for it. What an impaired link
// loses is recorded as by [link.Pcap]; unlike there, a regular file is written by a goroutine too, and what it cannot keep up
// with is left out and counted, as the host does not wait.
//
// Errors: EBADF if the host is closed.
func (h *Host) Record(w *link.PcapWriter) (stop func(), err error) {
	w.InBackground()
	r := &recorder{h: h, w: w, ifaces: make(map[*ip.Iface]*recorded)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, syscall.EBADF
	}
	for _, o := range h.recorders {
		if o.w == w {
			return nil, errRecording
		}
	}
	w.UseClock(h.h.Clock())
	for _, a := range h.links {
		r.attach(a.iface, a.link)
	}
	h.record(append(h.recorders[:len(h.recorders):len(h.recorders)], r))
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		var others []*recorder
		for _, o := range h.recorders {
			if o != r {
				others = append(others, o)
			}
		}
		h.record(others)
		r.end()
	}), nil
}

// record has the recorders record. The caller holds mu.
func (h *Host) record(list []*recorder) {
	h.recorders = list
	var tap func(*ip.Lane, *ip.Iface, *packet.Packet, bool)
	if len(list) > 0 {
		tap = func(_ *ip.Lane, i *ip.Iface, p *packet.Packet, sent bool) {
			for _, r := range list {
				r.see(i, p, sent)
			}
		}
	}
	h.h.Enter()
	defer h.h.Leave()
	h.stack.IP.Tap(tap)
}

// recorder is a recording of a host.
type recorder struct {
	h *Host
	w *link.PcapWriter

	mu     sync.Mutex // of the map and its values' ends; taken in a lane
	ifaces map[*ip.Iface]*recorded
}

// recorded is an interface in a recording.
type recorded struct {
	to    *link.PcapInterface
	lossy bool // what it sends is recorded where it decides what becomes of it
	end   func()
}

// attach describes an interface with its link to the recording.
func (r *recorder) attach(i *ip.Iface, l link.Link) { r.leaves(i, r.watch(i, l)) }

// watch has the link tell what becomes of packets, in place of the one that the interface had, and reports whether it does.
func (r *recorder) watch(i *ip.Iface, l link.Link) (lossy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.iface(i)
	x.end, lossy = x.to.Watch(l)
	return lossy
}

// leaves says by what link the interface's packets leave from now on.
func (r *recorder) leaves(i *ip.Iface, lossy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.iface(i).lossy = lossy
}

// iface returns an interface in the recording. The caller holds mu.
func (r *recorder) iface(i *ip.Iface) *recorded {
	x := r.ifaces[i]
	if x == nil {
		x = &recorded{to: r.w.Interface(link.Info{Name: i.Name(), MTU: i.MTU(), Loopback: i.Flags()&ip.FlagLoopback != 0})}
		x.to.UseTakers(link.Takers{Taker: r.taker(i), SCTPPort: r.h.stack.EncapPort})
		r.ifaces[i] = x
	}
	return x
}

// taker tells for whom packets are that come by an interface, to who has a lane.
func (r *recorder) taker(i *ip.Iface) func(uint8, netip.AddrPort, netip.AddrPort) packet.Owner {
	return func(proto uint8, local, remote netip.AddrPort) packet.Owner {
		return r.h.stack.Taker(i.Index(), proto, local, remote)
	}
}

// takers are an interface's, for links, which hold no lock of the host.
func (h *Host) takers(i *ip.Iface) link.Takers {
	return link.Takers{
		Taker: func(proto uint8, local, remote netip.AddrPort) packet.Owner {
			l := h.h.EnterLane(int(remote.Port()))
			defer l.Leave()
			return h.stack.Taker(i.Index(), proto, local, remote)
		},
		SCTPPort: h.stack.EncapPort,
	}
}

// see records a packet.
func (r *recorder) see(i *ip.Iface, p *packet.Packet, sent bool) {
	r.mu.Lock()
	x := r.iface(i)
	to, lossy := x.to, x.lossy
	r.mu.Unlock()
	switch {
	case !sent:
		to.Record(link.Received, []*packet.Packet{p})
	case !lossy:
		to.Record(link.Sent, []*packet.Packet{p})
	}
}

// end has the impaired links tell no more.
func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.ifaces {
		if x.end != nil {
			x.end()
		}
	}
}
