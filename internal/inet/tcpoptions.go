package inet

import (
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// tcpRows are TCP's options: those at SOL_TCP (tcp(7)), and those at SOL_SOCKET
// that the core has to hear of.
func tcpRows(t *tcpProto) []socket.Option {
	now := func() time.Duration { return t.Host.Now() }
	conn := func(s *socket.Socket) *tcp.Conn { return &endpointOf(s).conn }
	opts := func(s *socket.Socket) *tcp.Options { return conn(s).Options() }
	rows := []socket.Option{
		// changed has the core act on what a setting allows now.
		t.boolRow(abi.TCP_NODELAY,
			func(s *socket.Socket) bool { return opts(s).NoDelay },
			func(s *socket.Socket, on bool) { conn(s).SetNoDelay(now(), on) }),
		t.boolRow(abi.TCP_CORK,
			func(s *socket.Socket) bool { return opts(s).Cork && !endpointOf(s).more },
			func(s *socket.Socket, on bool) { endpointOf(s).more = false; conn(s).SetCork(now(), on) }),
		t.boolRow(abi.TCP_QUICKACK,
			func(s *socket.Socket) bool { return conn(s).QuickAck() },
			func(s *socket.Socket, on bool) { conn(s).SetQuickAck(now(), on) }),
		t.intRow(abi.TCP_THIN_LINEAR_TIMEOUTS,
			func(s *socket.Socket) int { return toInt(opts(s).ThinLinear) },
			func(s *socket.Socket, v int) error {
				if v < 0 || v > 1 {
					return syscall.EINVAL
				}
				conn(s).SetThinLinear(v == 1)
				return nil
			}),
		t.intRow(abi.TCP_KEEPIDLE,
			func(s *socket.Socket) int { return seconds(int(opts(s).KeepIdle), t.cfg.KeepIdle) },
			func(s *socket.Socket, v int) error { return conn(s).SetKeepIdle(now(), v) }),
		t.intRow(abi.TCP_KEEPINTVL,
			func(s *socket.Socket) int { return seconds(int(opts(s).KeepIntvl), t.cfg.KeepIntvl) },
			func(s *socket.Socket, v int) error { return conn(s).SetKeepIntvl(v) }),
		t.intRow(abi.TCP_KEEPCNT,
			func(s *socket.Socket) int { return orDefault(int(opts(s).KeepCnt), t.cfg.KeepCnt) },
			func(s *socket.Socket, v int) error { return conn(s).SetKeepCnt(v) }),
		t.intRow(abi.TCP_SYNCNT,
			func(s *socket.Socket) int { return orDefault(int(opts(s).SynCnt), t.cfg.SynRetries) },
			func(s *socket.Socket, v int) error { return conn(s).SetSynCnt(v) }),
		t.intRow(abi.TCP_USER_TIMEOUT,
			func(s *socket.Socket) int { return int(opts(s).UserTimeout) },
			func(s *socket.Socket, v int) error { return conn(s).SetUserTimeout(v) }),
		t.intRow(abi.TCP_LINGER2,
			func(s *socket.Socket) int {
				if v := int(opts(s).Linger2); v != 0 {
					return max(v, -1)
				}
				return int(t.cfg.FinTimeout / time.Second)
			},
			func(s *socket.Socket, v int) error { conn(s).SetLinger2(v); return nil }),
		t.intRow(abi.TCP_MAXSEG,
			func(s *socket.Socket) int {
				var in tcp.Info
				conn(s).Info(now(), &in)
				if st := conn(s).State(); st == tcp.Closed && opts(s).MaxSeg != 0 {
					return int(opts(s).MaxSeg)
				}
				return int(in.SndMSS)
			},
			func(s *socket.Socket, v int) error { return conn(s).SetMaxSeg(v) }),
		t.intRow(abi.TCP_WINDOW_CLAMP,
			func(s *socket.Socket) int { return int(opts(s).WindowClamp) },
			func(s *socket.Socket, v int) error {
				if v == 0 && endpointOf(s).listener != nil {
					return syscall.EINVAL
				}
				return conn(s).SetWindowClamp(v)
			}),
		t.intRow(abi.TCP_NOTSENT_LOWAT,
			func(s *socket.Socket) int { return int(int32(opts(s).NotSentLowat)) },
			func(s *socket.Socket, v int) error { conn(s).SetNotSentLowat(uint32(v)); return nil }),
		{
			Level: abi.SOL_TCP, Name: abi.TCP_CONGESTION,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				name := opts(s).CC
				if name == "" {
					name = t.cfg.CC
				}
				// The kernel's names have room for 16 bytes (TCP_CA_NAME_MAX).
				var v [16]byte
				copy(v[:], name)
				return append(b, v[:]...), nil
			},
			Set: func(s *socket.Socket, v []byte) error {
				if len(v) == 0 {
					return syscall.EINVAL
				}
				for i, c := range v {
					if c == 0 {
						v = v[:i]
						break
					}
				}
				return conn(s).SetCC(now(), string(v))
			},
		},
		{
			Level: abi.SOL_TCP, Name: abi.TCP_INFO,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				var in tcp.Info
				e := endpointOf(s)
				e.conn.Info(now(), &in)
				if l := e.listener; l != nil {
					// The queues' lengths, where a connection has other counts.
					in.State = tcp.Listen.Linux()
					in.Unacked, in.Sacked = uint32(l.length), uint32(l.backlog)
				}
				var v [tcp.InfoLen]byte
				return append(b, v[:in.Put(v[:])]...), nil
			},
		},
		socket.BoolOption(abi.SOL_SOCKET, abi.SO_ACCEPTCONN,
			func(s *socket.Socket) bool { return endpointOf(s).listener != nil }, nil),
		socket.IntOption(abi.SOL_SOCKET, abi.SO_ERROR, func(s *socket.Socket) int {
			e, _ := endpointOf(s).takeErr().(syscall.Errno)
			return int(e)
		}, nil),
		t.flagRow(abi.SO_KEEPALIVE, socket.KeepAlive,
			func(s *socket.Socket, on bool) { conn(s).SetKeepAlive(now(), on) }),
		t.flagRow(abi.SO_OOBINLINE, socket.OOBInline,
			func(s *socket.Socket, on bool) { conn(s).SetOOBInline(now(), on) }),
		socket.IntOption(abi.SOL_SOCKET, abi.SO_RCVBUF,
			func(s *socket.Socket) int {
				if v := conn(s).RcvBuf(); v != 0 {
					return v
				}
				return int(s.Opt.RcvBuf)
			},
			func(s *socket.Socket, v int) error {
				s.SetRcvBuf(v)
				t.fixRcvBuf(s)
				return nil
			}),
		socket.IntOption(abi.SOL_SOCKET, abi.SO_SNDBUF,
			func(s *socket.Socket) int {
				if v := conn(s).SndBuf(); v != 0 {
					return v
				}
				return int(s.Opt.SndBuf)
			},
			func(s *socket.Socket, v int) error {
				s.SetSndBuf(v)
				t.fixSndBuf(s)
				return nil
			}),
		forceRow(t.Stack, abi.SO_RCVBUFFORCE, func(s *socket.Socket, v int) {
			s.Opt.RcvBuf = socket.Force(v, socket.MinRcvBuf)
			t.fixRcvBuf(s)
		}),
		forceRow(t.Stack, abi.SO_SNDBUFFORCE, func(s *socket.Socket, v int) {
			s.Opt.SndBuf = socket.Force(v, socket.MinSndBuf)
			t.fixSndBuf(s)
		}),
		socket.IntOption(abi.SOL_SOCKET, abi.SO_RCVLOWAT,
			func(s *socket.Socket) int { return int(s.Opt.RcvLowat) },
			func(s *socket.Socket, v int) error {
				if v < 0 {
					v = 1<<31 - 1
				}
				most := t.cfg.RMem[2] / 2 // what a buffer can come to hold
				if n := int(endpointOf(s).rcvBuf); n != 0 {
					most = n / 2
				}
				s.Opt.RcvLowat = int32(max(min(v, most), 1))
				conn(s).SetRcvLowat(now(), int(s.Opt.RcvLowat))
				s.Notify(t.Ready(s))
				return nil
			}),
		t.intRow(abi.TCP_FASTOPEN,
			func(s *socket.Socket) int { return int(endpointOf(s).fastOpenQueue) },
			func(s *socket.Socket, v int) error {
				// Linux, do_tcp_setsockopt: on closed and listening sockets only.
				if v < 0 || conn(s).State() != tcp.Closed {
					return syscall.EINVAL
				}
				endpointOf(s).fastOpenQueue = int32(min(v, abi.SOMAXCONN))
				return nil
			}),
		t.intRow(abi.TCP_FASTOPEN_CONNECT,
			func(s *socket.Socket) int { return toInt(endpointOf(s).fastOpenConnect) },
			func(s *socket.Socket, v int) error {
				switch {
				case v < 0 || v > 1:
					return syscall.EINVAL
				case conn(s).State() != tcp.Closed || endpointOf(s).listener != nil:
					return syscall.EINVAL
				}
				endpointOf(s).fastOpenConnect = v == 1
				return nil
			}),
		t.intRow(abi.TCP_DEFER_ACCEPT,
			func(s *socket.Socket) int { return retransToSeconds(int(opts(s).DeferAccept)) },
			func(s *socket.Socket, v int) error { conn(s).SetDeferAccept(v); return nil }),
	}
	return rows
}

// streamGroups are the options about multicast, of which a stream has no use
// (Linux, do_ip_setsockopt): they can be read.
func streamGroups() []socket.Option {
	refused := func(level, name int, e syscall.Errno, get func(*ipOptions) int) socket.Option {
		o := socket.Option{Level: level, Name: name, Set: func(*socket.Socket, []byte) error { return e }}
		if get != nil {
			o.Get = func(s *socket.Socket, b []byte) ([]byte, error) {
				return abi.AppendInt(b, get(ipOptionsOf(s))), nil
			}
		}
		return o
	}
	return []socket.Option{
		refused(abi.SOL_IP, abi.IP_MULTICAST_IF, syscall.EINVAL, func(*ipOptions) int { return 0 }),
		refused(abi.SOL_IP, abi.IP_MULTICAST_TTL, syscall.EINVAL, func(o *ipOptions) int { return int(o.mcastTTL) }),
		refused(abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IP, abi.IP_DROP_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IPV6, abi.IPV6_ADD_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IPV6, abi.IPV6_DROP_MEMBERSHIP, syscall.EPROTO, nil),
	}
}

func (t *tcpProto) fixRcvBuf(s *socket.Socket) {
	endpointOf(s).rcvBuf = s.Opt.RcvBuf
	endpointOf(s).conn.SetRcvBuf(t.Host.Now(), int(s.Opt.RcvBuf))
}

func (t *tcpProto) fixSndBuf(s *socket.Socket) {
	endpointOf(s).sndBuf = s.Opt.SndBuf
	endpointOf(s).conn.SetSndBuf(int(s.Opt.SndBuf))
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func seconds(v int, def time.Duration) int { return orDefault(v, int(def/time.Second)) }

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// retransToSeconds turns a count of SYN-ACK retransmissions into the time that
// they take, with an RTO of 1 s that doubles (Linux, retrans_to_secs).
func retransToSeconds(n int) int {
	period, timeout := 0, 1
	for range n {
		period += timeout
		timeout = min(2*timeout, 120)
	}
	return period
}

// intRow returns the row of an int option at SOL_TCP, whose setting may let the
// core send something.
func (t *tcpProto) intRow(name int, get func(*socket.Socket) int, set func(*socket.Socket, int) error) socket.Option {
	return socket.IntOption(abi.SOL_TCP, name, get, func(s *socket.Socket, v int) error {
		if err := set(s, v); err != nil {
			return err
		}
		t.settle(s)
		return nil
	})
}

func (t *tcpProto) boolRow(name int, get func(*socket.Socket) bool, set func(*socket.Socket, bool)) socket.Option {
	return socket.BoolOption(abi.SOL_TCP, name, get, func(s *socket.Socket, on bool) error {
		set(s, on)
		t.settle(s)
		return nil
	})
}

func (t *tcpProto) flagRow(name int, flag uint32, set func(*socket.Socket, bool)) socket.Option {
	return socket.BoolOption(abi.SOL_SOCKET, name,
		func(s *socket.Socket) bool { return s.Opt.Has(flag) },
		func(s *socket.Socket, on bool) error {
			s.Opt.Set(flag, on)
			set(s, on)
			t.settle(s)
			return nil
		})
}

// settle lets the core of a live connection act on a changed setting.
func (t *tcpProto) settle(s *socket.Socket) {
	if e := endpointOf(s); e.node.owner != nil {
		t.update(e, 0)
	}
}
