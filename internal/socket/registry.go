package socket

import (
	"usock/internal/host"
	"usock/internal/rank"
)

// Registry is the open sockets of a host, whatever their family. A socket stands in it once, however many
// addresses or associations it has. Those who make and forget sockets have entered a domain of the host; who
// goes over them has the whole host.
type Registry struct {
	host *host.Host
	also []Lister // those that list more than sockets

	mu  rank.Leaf
	ids uint64    // the last socket's number
	all []*Socket // each at its slot
}

// NewRegistry returns a registry for the sockets of h.
func NewRegistry(h *host.Host) *Registry { return &Registry{host: h} }

// Housed is a Proto whose sockets are all in one lock domain.
type Housed interface{ House() *host.Domain }

// DomainFor returns the lock domain that a socket of the row is to be in: one of its own, the row's, or the whole
// host.
func (r *Registry) DomainFor(p Proto) *host.Domain {
	if h, ok := p.(Housed); ok {
		return h.House()
	}
	switch k := p.Kind(); {
	case !k.Own || r.host.Alone():
		return &r.host.Domain
	case k.Stream:
		return r.host.NewDomain()
	default:
		// Who sends enters the receiver's domain, while the receiver is on another processor.
		return r.host.NewDomainApart()
	}
}

// NewSocket is NewSocketIn for a new domain, or for that of the row. Who calls it has entered that, or the
// whole host.
func (r *Registry) NewSocket(p Proto, domain, typ, protocol int) *Socket {
	return r.NewSocketIn(r.DomainFor(p), p, domain, typ, protocol)
}

// NewSocketIn returns a socket of the row in the lock domain d, which is entered, or the whole host. It stays in the
// registry until it is forgotten.
func (r *Registry) NewSocketIn(d *host.Domain, p Proto, domain, typ, protocol int) *Socket {
	s := newSocket(d, p, domain, typ, protocol)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	s.ID, s.slot = r.ids, int32(len(r.all))
	r.all = append(r.all, s)
	return s
}

// Forget takes a closed socket out: the last one takes its place. One that is out already
// is left alone.
func (r *Registry) Forget(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.all) - 1
	if i := int(s.slot); i <= last && r.all[i] == s {
		moved := r.all[last]
		r.all[i], moved.slot = moved, s.slot
		r.all[last] = nil
		r.all = r.all[:last]
	}
}

// All returns the open sockets in no order. The slice is the registry's own, good until the
// next socket comes or goes.
func (r *Registry) All() []*Socket { return r.all }

// Each calls f with every open socket. f may forget any of them: what takes the place of one
// comes from behind it.
func (r *Registry) Each(f func(*Socket)) {
	for i := len(r.all) - 1; i >= 0; i-- {
		if i < len(r.all) {
			f(r.all[i])
		}
	}
}
