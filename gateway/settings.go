//go:build linux

package gateway

import (
	"cmp"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// ends are the addresses of a connection of the host's: its own socket's first.
type ends struct{ local, remote netip.AddrPort }

// know has the stream found by the host's end of its connection.
func (s *stream) know(local, remote netip.AddrPort) {
	s.ends = ends{local, remote}
	s.g.byEnds[s.ends] = s
}

// StreamSettings tells the gateway that the program of one of the host's connections has set
// one of its options, for the host's Config.
func (g *Gateway) StreamSettings(local, remote netip.AddrPort) {
	g.leave(func() {
		s := g.byEnds[ends{local, remote}]
		if s == nil || s.gone || g.closed {
			return
		}
		s.follow()
	})
}

// follow gives the outer socket what the program's has by now.
func (s *stream) follow() {
	if now, ok := s.g.inner.StreamSettings(s.ends.local, s.ends.remote); ok {
		s.set(now, s.asked)
	}
}

// set gives the outer socket the settings in which now differs from before.
func (s *stream) set(now, before usock.StreamSettings) {
	s.asked = now
	for _, o := range []struct {
		level, name int
		v, before   int
	}{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, toInt(now.KeepAlive), toInt(before.KeepAlive)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, now.KeepIdle, before.KeepIdle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, now.KeepIntvl, before.KeepIntvl},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, now.KeepCnt, before.KeepCnt},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, now.UserTimeout, before.UserTimeout},
	} {
		if o.v != o.before {
			setInt(s.fd, o.level, o.name, o.v)
		}
	}
	if now.Congestion != before.Congestion && now.Congestion != "" {
		// One that the machine has not, or does not let its users choose, stays inside.
		unix.SetsockoptString(s.fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, now.Congestion)
	}
	to := s.ends.remote.Addr()
	if now.TOS != before.TOS {
		setTOS(s.fd, to, now.TOS)
	}
	if now.TTL != before.TTL {
		setTTL(s.fd, to, cmp.Or(now.TTL, innerTTL))
	}
}

const innerTTL = 64 // of the host's packets, where its programs say nothing

// told keeps why the outer connection has ended, where a reset does not say it.
func (s *stream) told(e syscall.Errno) {
	switch e {
	case 0, unix.ECONNRESET, unix.EPIPE, unix.EAGAIN:
	default:
		s.why = e
	}
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
