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
func (s *side) host() *usock.Host { return s.g.host(s.own) }

// host returns the inner host, for what is of its own loopback, or the router.
func (g *Gateway) host(own bool) *usock.Host {
	if own {
		return g.inner
	}
	return g.router
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
