package socket

import (
	"sync/atomic"

	"usock/internal/host"
	"usock/internal/rank"
)

// Registry is the open sockets of a host, whatever their family. A socket stands in it once, however many
// addresses or associations it has. Those who make and forget sockets have entered a domain of the host; who
// goes over them has the whole host.
type Registry struct {
	host *host.Host
	also []Lister // those that list more than sockets

	parts []registryPart // as many as lanes: who makes sockets in different lanes seldom meets

	_   [host.CacheLine]byte
	ids atomic.Uint64 // the last socket's number
}

// registryPart is the sockets whose domains have that part.
type registryPart struct {
	mu  rank.Leaf
	all []*Socket // each at its slot
	_   [host.CacheLine]byte
}

// NewRegistry returns a registry for the sockets of h.
func NewRegistry(h *host.Host) *Registry {
	return &Registry{host: h, parts: make([]registryPart, h.Lanes())}
}

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

// NewSocketIn returns a socket of the row in the lock domain d, which others may be in: it is nobody's yet. It stays in the
// registry until it is forgotten.
func (r *Registry) NewSocketIn(d *host.Domain, p Proto, domain, typ, protocol int) *Socket {
	s := newSocket(d, p, domain, typ, protocol)
	s.ID = r.ids.Add(1)
	part := &r.parts[d.Part()]
	part.mu.Lock()
	s.slot = int32(len(part.all))
	part.all = append(part.all, s)
	part.mu.Unlock()
	return s
}

// Forget takes a closed socket out: the last one takes its place. One that is out already
// is left alone.
func (r *Registry) Forget(s *Socket) {
	p := &r.parts[s.Host.Part()]
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.all) - 1
	if i := int(s.slot); i <= last && p.all[i] == s {
		moved := p.all[last]
		p.all[i], moved.slot = moved, s.slot
		p.all[last] = nil
		p.all = p.all[:last]
	}
}

// All returns the open sockets in no order.
func (r *Registry) All() []*Socket {
	var all []*Socket
	r.Each(func(s *Socket) { all = append(all, s) })
	return all
}

// Each calls f with every open socket. f may forget any of them: what takes the place of one
// comes from behind it.
func (r *Registry) Each(f func(*Socket)) {
	for k := range r.parts {
		p := &r.parts[k]
		for i := len(p.all) - 1; i >= 0; i-- {
			if i < len(p.all) {
				f(p.all[i])
			}
		}
	}
}
