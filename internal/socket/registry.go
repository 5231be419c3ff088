package socket

import "usock/internal/host"

// Registry is the open sockets of a host, whatever their family. The host's lock guards it.
// A socket stands in it once, however many addresses or associations it has.
type Registry struct {
	host *host.Domain
	ids  uint64    // the last socket's number
	all  []*Socket // each at its slot
	also []Lister  // those that list more than sockets
}

// NewRegistry returns a registry for the sockets of h.
func NewRegistry(h *host.Domain) *Registry { return &Registry{host: h} }

// NewSocket returns a socket of the row, which stays in the registry until it is forgotten.
func (r *Registry) NewSocket(p Proto, domain, typ, protocol int) *Socket {
	r.ids++
	s := newSocket(r.host, p, domain, typ, protocol, r.ids)
	s.slot = int32(len(r.all))
	r.all = append(r.all, s)
	return s
}

// Forget takes a closed socket out: the last one takes its place. One that is out already
// is left alone.
func (r *Registry) Forget(s *Socket) {
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
