package unix

import (
	"sort"

	"usock/internal/abi"
)

// Info describes one socket.
type Info struct {
	ID           uint64
	Type         int
	Owner        int32
	Listening    bool
	Connected    bool
	Local, Peer  abi.Addr
	RecvQ, SendQ int // bytes; of a listener: connections waiting, and the backlog
}

// Sockets lists the open sockets by number. Locked.
func (d *Domain) Sockets() []Info {
	var out []Info
	for _, s := range d.config.Sockets.All() {
		e, ok := s.PCB.(*endpoint)
		if !ok {
			continue
		}
		in := Info{
			ID: e.sock.ID, Type: e.typ, Owner: e.sock.Owner,
			Listening: e.state == listening, Connected: e.peer != nil,
			Local: e.name.addr(), RecvQ: e.queue.bytes, SendQ: e.charged,
		}
		if e.peer != nil {
			in.Peer = e.peer.name.addr()
		}
		if in.Listening {
			in.RecvQ, in.SendQ = len(e.pending), e.backlog
		}
		out = append(out, in)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}
