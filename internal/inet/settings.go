package inet

import (
	"net/netip"
	"slices"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// Settings are the options of a connection that are about the way to its peer: who carries
// it on asks for the same there.
type Settings struct {
	KeepAlive   bool   // SO_KEEPALIVE
	KeepIdle    int    // TCP_KEEPIDLE, in seconds; 0: the host's
	KeepIntvl   int    // TCP_KEEPINTVL, in seconds; 0: the host's
	KeepCnt     int    // TCP_KEEPCNT; 0: the host's
	UserTimeout int    // TCP_USER_TIMEOUT, in milliseconds; 0: none
	TTL         uint8  // IP_TTL or IPV6_UNICAST_HOPS; 0: the host's
	TOS         uint8  // IP_TOS or IPV6_TCLASS
	Congestion  string // TCP_CONGESTION; "": the host's
}

// settingRows are the options that Settings are made of.
var settingRows = [][2]int{
	{abi.SOL_SOCKET, abi.SO_KEEPALIVE}, {abi.SOL_TCP, abi.TCP_KEEPIDLE}, {abi.SOL_TCP, abi.TCP_KEEPINTVL},
	{abi.SOL_TCP, abi.TCP_KEEPCNT}, {abi.SOL_TCP, abi.TCP_USER_TIMEOUT}, {abi.SOL_TCP, abi.TCP_CONGESTION},
	{abi.SOL_IP, abi.IP_TTL}, {abi.SOL_IP, abi.IP_TOS}, {abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS}, {abi.SOL_IPV6, abi.IPV6_TCLASS},
}

// Settings returns those of the socket that is connected, or connects, from local to remote;
// false if there is none. Locked.
func (s *Stack) Settings(local, remote netip.AddrPort) (Settings, bool) {
	e, ok := s.connection(local, remote)
	if !ok {
		return Settings{}, false
	}
	o := e.conn.Options()
	var out ip.Out
	e.ip().out(&out, remote.Addr())
	return Settings{
		KeepAlive: o.KeepAlive, KeepIdle: int(o.KeepIdle), KeepIntvl: int(o.KeepIntvl), KeepCnt: int(o.KeepCnt),
		UserTimeout: int(o.UserTimeout), TTL: out.TTL, TOS: out.TOS, Congestion: o.CC,
	}, true
}

// telling returns rows whose settings, once set on a connection, are told.
func (t *tcpProto) telling(rows []socket.Option) []socket.Option {
	if t.settings == nil {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		r := &rows[i]
		if r.Set == nil || !slices.Contains(settingRows, [2]int{r.Level, r.Name}) {
			continue
		}
		set := r.Set
		r.Set = func(s *socket.Socket, v []byte) error {
			err := set(s, v)
			if e := endpointOf(s); err == nil && e.path != nil && e.conn.State() != tcp.Closed {
				local, remote := netip.AddrPortFrom(e.laddr, e.lport), netip.AddrPortFrom(e.raddr, e.rport)
				s.Host.After(func() { t.settings(local, remote) })
			}
			return err
		}
	}
	return rows
}
