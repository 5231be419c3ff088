//go:build linux

package gateway

import (
	"bytes"

	"usock"
)

// side is a host that asks the gateway: the router, or the inner host itself about its
// loopback addresses.
type side struct {
	g   *Gateway
	own bool
}

// host returns the host whose side it is.
func (s *side) host() *usock.Host {
	if s.own {
		return s.g.inner
	}
	return s.g.router
}

// HandleTCP implements usock.FlowHandler.
func (s *side) HandleTCP(f *usock.Flow) {
	s.g.leave(func() {
		if s.g.closed || s.g.inner == nil {
			f.Drop()
			return
		}
		s.g.connect(s, f)
	})
}

// HandleUDP implements usock.FlowHandler.
func (s *side) HandleUDP(d *usock.Datagram) {
	if s.g.take() {
		s.g.carry(s, d)
		s.g.end()
		return
	}
	if s.g.waiting() >= maxLeft {
		return
	}
	c := *d
	c.Data = [][]byte{bytes.Join(d.Data, nil)}
	s.g.leave(func() { s.g.carry(s, &c) })
}

// HandleEcho implements usock.FlowHandler.
func (s *side) HandleEcho(e *usock.Echo) {
	c := *e
	c.Data = [][]byte{bytes.Join(e.Data, nil)}
	s.g.leave(func() { s.g.ping(&c) })
}
