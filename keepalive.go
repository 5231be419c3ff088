package usock

import (
	"net"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
)

// What package net has set on every TCP connection: TCP_NODELAY, and keepalive.
const (
	defaultKeepAlive      = 15 * time.Second
	defaultKeepAliveCount = 9
)

var noDelay = socket.Setting{Level: abi.SOL_TCP, Name: abi.TCP_NODELAY, Value: abi.AppendInt(nil, 1)}

// streamSettings are the defaults.
var streamSettings = settingsFor(defaultKeepAlive)

// settingsFor is TCP_NODELAY and keepalive after an idle time.
func settingsFor(idle time.Duration) []socket.Setting {
	k := net.KeepAliveConfig{Enable: true, Idle: idle, Interval: idle, Count: -1}
	return append([]socket.Setting{noDelay}, keepAlive(k)...)
}

// streamDefaults returns what package net sets on every TCP connection. idle is the KeepAlive of
// a Dialer or ListenConfig.
func streamDefaults(idle time.Duration, k net.KeepAliveConfig) []socket.Setting {
	switch {
	case k.Enable:
		return append([]socket.Setting{noDelay}, keepAlive(k)...)
	case idle < 0:
		return streamSettings[:1]
	case idle == 0:
		return streamSettings
	default:
		return settingsFor(idle)
	}
}

// keepAlive returns the options that k sets.
func keepAlive(k net.KeepAliveConfig) []socket.Setting {
	var out []socket.Setting
	set := func(level, name, v int) {
		out = append(out, socket.Setting{Level: level, Name: name, Value: abi.AppendInt(nil, v)})
	}
	on := 0
	if k.Enable {
		on = 1
	}
	set(abi.SOL_SOCKET, abi.SO_KEEPALIVE, on)
	if k.Idle >= 0 {
		set(abi.SOL_TCP, abi.TCP_KEEPIDLE, seconds(k.Idle))
	}
	if k.Interval >= 0 {
		set(abi.SOL_TCP, abi.TCP_KEEPINTVL, seconds(k.Interval))
	}
	switch {
	case k.Count == 0:
		set(abi.SOL_TCP, abi.TCP_KEEPCNT, defaultKeepAliveCount)
	case k.Count > 0:
		set(abi.SOL_TCP, abi.TCP_KEEPCNT, k.Count)
	}
	return out
}

// seconds is d, rounded up; 0 is the default.
func seconds(d time.Duration) int {
	if d == 0 {
		d = defaultKeepAlive
	}
	return int((d + time.Second - 1) / time.Second)
}
