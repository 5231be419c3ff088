package socket

import (
	"cmp"
	"math"
	"slices"
	"time"

	"usock/internal/abi"
	"usock/trace"
)

// Info describes one socket, or a connection that has none any more or not yet.
type Info struct {
	Brief                  bool   // nobody asks for Detail
	ID                     uint64 // 0: without socket
	Kind                   *Kind
	Domain, Type, Protocol int
	Owner                  int32
	State                  string   // as ss(8) names it; without states of its own: ESTAB with a peer, else UNCONN
	Local, Peer            abi.Addr // of several addresses or associations, the first; the zero Addr: none
	RecvQ, SendQ           int      // bytes; of a listener: connections waiting, and the backlog
	Drops                  uint64
	RxBytes, TxBytes       uint64 // of programs', but for TCP, which tells more in Detail
	V6Only                 bool
	RcvBuf, SndBuf         int // bytes; 0: without socket
	Device                 int // SO_BINDTODEVICE; 0: none
	Congestion             string
	Left                   time.Duration // of TIME-WAIT
	Age                    time.Duration // of a connection of TCP's, since its handshake began, and of a socket of UDP's
	Waits                  trace.Why     // whom the sender waits for, if there is Detail
	Detail                 any           // what its protocol alone has to tell: *tcp.Info, *inet.UDPDetail, *inet.SCTPDetail
}

// The states that sockets of every protocol may be in, as ss(8) names them.
const (
	Unconnected = "UNCONN"
	Established = "ESTAB"
	Listening   = "LISTEN"
)

// Lister is a protocol that has more to list than sockets.
type Lister interface {
	// ListRest appends what is without socket at n places from place on, 0 first, and returns
	// the next place; 0 after the last. Locked.
	ListRest(out []Info, place, n int) ([]Info, int)
}

// ListAlso has l's rest listed, too.
func (r *Registry) ListAlso(l Lister) {
	if !slices.Contains(r.also, l) {
		r.also = append(r.also, l)
	}
}

// List appends what stands at n places from place on, 0 first, and returns the next place; 0
// after the last. If sockets come or go between two calls, some may be missing or listed twice.
// Locked.
func (r *Registry) List(out []Info, place, n int) ([]Info, int) { return r.list(out, place, n, false) }

// ListBrief is List with the sockets' Brief set. Locked.
func (r *Registry) ListBrief(out []Info, place, n int) ([]Info, int) {
	return r.list(out, place, n, true)
}

func (r *Registry) list(out []Info, place, n int, brief bool) ([]Info, int) {
	// The lists' places take turns: those of list k are k, k+lists, k+2*lists and so on.
	lists := len(r.also) + 1
	k, at := place%lists, place/lists
	next := 0
	if k > 0 {
		out, next = r.also[k-1].ListRest(out, at, n)
	} else {
		first := 0 // the place of the part's first
		for i := range r.parts {
			all := r.parts[i].all
			from := min(max(at-first, 0), len(all))
			for _, s := range all[from:max(from, min(at+n-first, len(all)))] {
				out = append(out, Info{})
				s.info(&out[len(out)-1], brief)
			}
			first += len(all)
		}
		if at+n < first {
			next = at + n
		}
	}

	switch {
	case next != 0:
		return out, next*lists + k
	case k+1 < lists:
		return out, k + 1
	}
	return out, 0
}

// Sockets is the whole list, sorted by protocol number, those without one last, and by number.
// Locked.
func (r *Registry) Sockets() []Info {
	var out []Info
	for place, next := 0, 1; next != 0; place = next {
		out, next = r.List(out, place, math.MaxInt/2)
	}
	slices.SortFunc(out, func(a, b Info) int {
		return cmp.Or(cmp.Compare(uint32(a.Protocol)-1, uint32(b.Protocol)-1), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Info is what there is to tell of s. Locked.
func (s *Socket) Info() (in Info) {
	s.info(&in, false)
	return in
}

// info fills in what there is to tell of s. It writes where that is to be, as it is copied as often as there are sockets.
func (s *Socket) info(in *Info, brief bool) {
	in.Brief, in.Kind, in.State = brief, s.Proto.Kind(), Unconnected
	in.ID, in.Domain, in.Type, in.Protocol, in.Owner = s.ID, int(s.Domain), int(s.Type), int(s.Protocol), s.Owner.Load()
	in.RcvBuf, in.SndBuf, in.Device = int(s.Opt.RcvBuf), int(s.Opt.SndBuf), int(s.Opt.Device)
	s.Proto.Describe(s, in)
}
