package inet

import (
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
)

// Config says how a stack behaves.
type Config struct {
	Privileged bool
	Forwarding bool
	Congestion string
}

// Stack is the Internet protocols of one host.
type Stack struct {
	Host *host.Host
	IP   *ip.Layer
	ids  uint64
}

// New returns the stack of h.
func New(h *host.Host, c Config) (*Stack, error) { return &Stack{Host: h}, nil }

// NewSocket returns a socket of the row.
func (s *Stack) NewSocket(p socket.Proto, domain, typ, protocol int) *socket.Socket {
	s.ids++
	return socket.New(s.Host, p, domain, typ, protocol, s.ids)
}

func (s *Stack) TCP() socket.Proto  { return nil }
func (s *Stack) UDP() socket.Proto  { return nil }
func (s *Stack) Ping() socket.Proto { return nil }
func (s *Stack) Raw() socket.Proto  { return nil }

// Close ends every socket.
func (s *Stack) Close() {}
