package inet

import (
	"slices"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// tcpRows are TCP's options: those at SOL_TCP (tcp(7)), and those at SOL_SOCKET
// that the core has to hear of.
func tcpRows(t *tcpProto) []socket.Option {
	return slices.Concat(t.pushRows(), t.timerRows(), t.sizeRows(), t.bufferRows(), t.openRows(), t.stateRows())
}

func connOf(s *socket.Socket) *tcp.Conn    { return &endpointOf(s).conn }
func optsOf(s *socket.Socket) *tcp.Options { return connOf(s).Options() }

// pushRows are about when what is written is sent, and received data acknowledged.
func (t *tcpProto) pushRows() []socket.Option {
	return []socket.Option{
		t.boolRow(abi.TCP_NODELAY,
			func(s *socket.Socket) bool { return optsOf(s).NoDelay },
			func(s *socket.Socket, on bool) { connOf(s).SetNoDelay(s.Host.Now(), on) }),
		t.boolRow(abi.TCP_CORK,
			func(s *socket.Socket) bool { return optsOf(s).Cork },
			func(s *socket.Socket, on bool) { connOf(s).SetCork(s.Host.Now(), on) }),
		t.boolRow(abi.TCP_QUICKACK,
			func(s *socket.Socket) bool { return connOf(s).QuickAck() },
			func(s *socket.Socket, on bool) { connOf(s).SetQuickAck(s.Host.Now(), on) }),
	}
}

// timerRows are about how long things take.
func (t *tcpProto) timerRows() []socket.Option {
	return []socket.Option{
		t.intRow(abi.TCP_THIN_LINEAR_TIMEOUTS,
			func(s *socket.Socket) int { return toInt(optsOf(s).ThinLinear) },
			func(s *socket.Socket, v int) error {
				if v < 0 || v > 1 {
					return syscall.EINVAL
				}
				connOf(s).SetThinLinear(v == 1)
				return nil
			}),
		t.intRow(abi.TCP_KEEPIDLE,
			func(s *socket.Socket) int { return seconds(int(optsOf(s).KeepIdle), t.cfg.KeepIdle) },
			func(s *socket.Socket, v int) error { return connOf(s).SetKeepIdle(s.Host.Now(), v) }),
		t.intRow(abi.TCP_KEEPINTVL,
			func(s *socket.Socket) int { return seconds(int(optsOf(s).KeepIntvl), t.cfg.KeepIntvl) },
			func(s *socket.Socket, v int) error { return connOf(s).SetKeepIntvl(v) }),
		t.intRow(abi.TCP_KEEPCNT,
			func(s *socket.Socket) int { return orDefault(int(optsOf(s).KeepCnt), t.cfg.KeepCnt) },
			func(s *socket.Socket, v int) error { return connOf(s).SetKeepCnt(v) }),
		t.flagRow(abi.SO_KEEPALIVE, socket.KeepAlive,
			func(s *socket.Socket, on bool) { connOf(s).SetKeepAlive(s.Host.Now(), on) }),
		t.intRow(abi.TCP_SYNCNT,
			func(s *socket.Socket) int { return orDefault(int(optsOf(s).SynCnt), t.cfg.SynRetries) },
			func(s *socket.Socket, v int) error { return connOf(s).SetSynCnt(v) }),
		t.intRow(abi.TCP_USER_TIMEOUT,
			func(s *socket.Socket) int { return int(optsOf(s).UserTimeout) },
			func(s *socket.Socket, v int) error { return connOf(s).SetUserTimeout(v) }),
		t.intRow(abi.TCP_LINGER2,
			func(s *socket.Socket) int {
				if v := int(optsOf(s).Linger2); v != 0 {
					return max(v, -1)
				}
				return int(t.cfg.FinTimeout / time.Second)
			},
			func(s *socket.Socket, v int) error { connOf(s).SetLinger2(v); return nil }),
	}
}

// sizeRows are about segments and windows.
func (t *tcpProto) sizeRows() []socket.Option {
	return []socket.Option{
		t.intRow(abi.TCP_MAXSEG,
			func(s *socket.Socket) int {
				var in tcp.Info
				connOf(s).Info(s.Host.Now(), &in)
				if st := connOf(s).State(); st == tcp.Closed && optsOf(s).MaxSeg != 0 {
					return int(optsOf(s).MaxSeg)
				}
				return int(in.SndMSS)
			},
			func(s *socket.Socket, v int) error { return connOf(s).SetMaxSeg(v) }),
		t.intRow(abi.TCP_WINDOW_CLAMP,
			func(s *socket.Socket) int { return int(optsOf(s).WindowClamp) },
			func(s *socket.Socket, v int) error {
				if v == 0 && endpointOf(s).listener != nil {
					return syscall.EINVAL
				}
				return connOf(s).SetWindowClamp(v)
			}),
		socket.PacingOption(
			func(s *socket.Socket) uint64 { return connOf(s).MaxPacing() },
			func(s *socket.Socket, rate uint64) { connOf(s).SetMaxPacing(rate); t.settle(s) }),
		t.intRow(abi.TCP_NOTSENT_LOWAT,
			func(s *socket.Socket) int { return int(int32(optsOf(s).NotSentLowat)) },
			func(s *socket.Socket, v int) error {
				connOf(s).SetNotSentLowat(uint32(v))
				s.RoomMade()
				return nil
			}),
		socket.IntOption(abi.SOL_SOCKET, abi.SO_RCVLOWAT,
			func(s *socket.Socket) int { return int(s.Opt.RcvLowat()) },
			func(s *socket.Socket, v int) error {
				if v < 0 {
					v = 1<<31 - 1
				}
				most := t.cfg.RMem[2] / 2 // what a buffer can come to hold
				if n := int(endpointOf(s).rcvBuf); n != 0 {
					most = n / 2
				}
				v = max(min(v, most), 1)
				s.SetRcvLowat(v)
				connOf(s).SetRcvLowat(s.Host.Now(), v)
				s.Notify(t.Ready(s))
				return nil
			}),
	}
}

// bufferRows are about the buffers.
func (t *tcpProto) bufferRows() []socket.Option {
	return []socket.Option{
		socket.IntOption(abi.SOL_SOCKET, abi.SO_RCVBUF,
			func(s *socket.Socket) int {
				if v := connOf(s).RcvBuf(); v != 0 {
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
				if v := connOf(s).SndBuf(); v != 0 {
					return v
				}
				return int(s.Opt.SndBuf)
			},
			func(s *socket.Socket, v int) error {
				s.SetSndBuf(v)
				t.fixSndBuf(s)
				return nil
			}),
		socket.ForceOption(abi.SO_RCVBUFFORCE, t.may, func(s *socket.Socket, v int) {
			s.Opt.RcvBuf = socket.Force(v, socket.MinRcvBuf)
			t.fixRcvBuf(s)
		}),
		socket.ForceOption(abi.SO_SNDBUFFORCE, t.may, func(s *socket.Socket, v int) {
			s.Opt.SndBuf = socket.Force(v, socket.MinSndBuf)
			t.fixSndBuf(s)
		}),
	}
}

// openRows are about how a connection is opened.
func (t *tcpProto) openRows() []socket.Option {
	return []socket.Option{
		t.intRow(abi.TCP_FASTOPEN,
			func(s *socket.Socket) int { return int(endpointOf(s).fastOpen().queue) },
			func(s *socket.Socket, v int) error {
				if v < 0 || !endpointOf(s).idle() {
					return syscall.EINVAL
				}
				endpointOf(s).ownFastOpen().queue = int32(min(v, abi.SOMAXCONN))
				return nil
			}),
		t.intRow(abi.TCP_FASTOPEN_CONNECT,
			func(s *socket.Socket) int { return toInt(endpointOf(s).fastOpen().connect) },
			func(s *socket.Socket, v int) error {
				switch {
				case v < 0 || v > 1:
					return syscall.EINVAL
				case t.cfg.FastOpen&tcp.FastOpenClient == 0:
					return syscall.EOPNOTSUPP
				case !endpointOf(s).idle() || endpointOf(s).listener != nil:
					return syscall.EINVAL
				}
				endpointOf(s).ownFastOpen().connect = v == 1
				return nil
			}),
		t.intRow(abi.TCP_FASTOPEN_NO_COOKIE,
			func(s *socket.Socket) int { return toInt(endpointOf(s).fastOpen().noCookie) },
			func(s *socket.Socket, v int) error {
				if v < 0 || v > 1 || !endpointOf(s).idle() {
					return syscall.EINVAL
				}
				endpointOf(s).ownFastOpen().noCookie = v == 1
				return nil
			}),
		{
			Level: abi.SOL_TCP, Name: abi.TCP_FASTOPEN_KEY,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) { return endpointOf(s).fastOpen().keys.append(b), nil },
			Set: func(s *socket.Socket, v []byte) error {
				keys, err := parseFastOpenKeys(v)
				if err == nil {
					endpointOf(s).ownFastOpen().keys = keys
				}
				return err
			},
		},
		t.intRow(abi.TCP_DEFER_ACCEPT,
			func(s *socket.Socket) int { return retransToSeconds(int(optsOf(s).DeferAccept)) },
			func(s *socket.Socket, v int) error { connOf(s).SetDeferAccept(v); return nil }),
		socket.BoolOption(abi.SOL_SOCKET, abi.SO_ACCEPTCONN,
			func(s *socket.Socket) bool { return endpointOf(s).listener != nil }, nil),
	}
}

// idle reports whether e is closed or listens: what its next connections begin with can be set
// then (Linux, do_tcp_setsockopt).
func (e *tcpEndpoint) idle() bool {
	st := e.conn.State()
	return st == tcp.Closed || st == tcp.TimeWait
}

// stateRows are about the connection as a whole.
func (t *tcpProto) stateRows() []socket.Option {
	return []socket.Option{
		{
			Level: abi.SOL_TCP, Name: abi.TCP_CONGESTION,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				name := optsOf(s).CC
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
				if len(v) == 0 {
					return syscall.ENOENT
				}
				err := connOf(s).SetCC(s.Host.Now(), string(v))
				t.sign(endpointOf(s))
				return err
			},
		},
		{
			Level: abi.SOL_TCP, Name: abi.TCP_INFO,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				var in tcp.Info
				e := endpointOf(s)
				e.info(&in)
				if l := e.listener; l != nil {
					// The queues' lengths, where a connection has other counts.
					in.State = tcp.Listen.Linux()
					in.Unacked, in.Sacked = uint32(l.waiting()), uint32(l.backlog)
				}
				var v [tcp.InfoLen]byte
				return append(b, v[:in.Put(v[:])]...), nil
			},
		},
		socket.IntOption(abi.SOL_SOCKET, abi.SO_ERROR, func(s *socket.Socket) int {
			e := endpointOf(s)
			err, _ := e.takeErr().(syscall.Errno)
			if err == 0 {
				err, _ = e.conn.TakeSoftErr().(syscall.Errno)
			}
			return int(err)
		}, nil),
		socket.PeekOff,
		t.stampRow(),
		socket.ZeroCopyOption,
		socket.IntOption(abi.SOL_TCP, abi.TCP_INQ,
			func(s *socket.Socket) int { return toInt(endpointOf(s).inq) },
			func(s *socket.Socket, v int) error {
				if v < 0 || v > 1 {
					return syscall.EINVAL
				}
				endpointOf(s).inq = v == 1
				return nil
			}),
		{Level: abi.SOL_TCP, Name: abi.TCP_CC_INFO, Get: func(s *socket.Socket, b []byte) ([]byte, error) {
			return connOf(s).AppendCCInfo(b), nil
		}},
		{
			// There are no upper-layer protocols. A name is looked for before anything else.
			Level: abi.SOL_TCP, Name: abi.TCP_ULP,
			Get: func(_ *socket.Socket, b []byte) ([]byte, error) { return b, nil },
			Set: func(_ *socket.Socket, v []byte) error {
				if len(v) == 0 {
					return syscall.EINVAL
				}
				return syscall.ENOENT
			},
		},
		t.flagRow(abi.SO_OOBINLINE, socket.OOBInline,
			func(s *socket.Socket, on bool) { connOf(s).SetOOBInline(s.Host.Now(), on) }),
	}
}

// streamGroups are the options about multicast, of which a stream has no use
// (Linux, do_ip_setsockopt): they can be read.
func streamGroups() []socket.Option {
	refused := func(level, name int, e syscall.Errno, get func(*ipOptions) int) socket.Option {
		o := socket.Option{Level: level, Name: name, Set: func(_ *socket.Socket, v []byte) error {
			if e == syscall.EPROTO && level == abi.SOL_IPV6 && len(v) < 20 {
				return syscall.EINVAL
			}
			return e
		}}
		if get != nil {
			o.Get = func(s *socket.Socket, b []byte) ([]byte, error) {
				return abi.AppendInt(b, get(ipOptionsOf(s))), nil
			}
		}
		return o
	}
	ttl := refused(abi.SOL_IP, abi.IP_MULTICAST_TTL, syscall.EINVAL, func(o *ipOptions) int { return int(o.mcastTTL) })
	ttl.Byte = true
	return []socket.Option{
		refused(abi.SOL_IP, abi.IP_MULTICAST_IF, syscall.EINVAL, func(*ipOptions) int { return 0 }),
		ttl,
		refused(abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IP, abi.IP_DROP_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IPV6, abi.IPV6_ADD_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IPV6, abi.IPV6_DROP_MEMBERSHIP, syscall.EPROTO, nil),
		refused(abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, syscall.ENOPROTOOPT, func(o *ipOptions) int { return int(o.mcastHops) }),
		refused(abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, syscall.ENOPROTOOPT, func(*ipOptions) int { return 0 }),
	}
}

func (t *tcpProto) fixRcvBuf(s *socket.Socket) {
	endpointOf(s).rcvBuf = s.Opt.RcvBuf
	endpointOf(s).conn.SetRcvBuf(s.Host.Now(), int(s.Opt.RcvBuf))
}

func (t *tcpProto) fixSndBuf(s *socket.Socket) {
	endpointOf(s).sndBuf = s.Opt.SndBuf
	endpointOf(s).conn.SetSndBuf(int(s.Opt.SndBuf))
	s.RoomMade()
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
