package inet

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// defaultFlags are what may be asked for of all messages that say nothing themselves.
const defaultFlags = abi.SCTP_UNORDERED | abi.SCTP_ADDR_OVER | abi.SCTP_ABORT | abi.SCTP_EOF

// defaultsFor returns what is added to the messages of the association, or of those to come.
func (e *sctpEndpoint) defaultsFor(x *sctpAssoc) *sctpDefaults {
	if x != nil {
		return &x.sctpDefaults
	}
	return &e.own.sctpDefaults
}

// messageRows are about what is added to messages that say nothing themselves.
func (t *sctpProto) messageRows() []socket.Option {
	return []socket.Option{
		structRow(abi.SCTP_DEFAULT_SEND_PARAM, (*sctpEndpoint).getSendParam,
			func(e *sctpEndpoint, v *abi.SCTPSndrcvinfo) error {
				return e.setDefaults(&abi.SCTPSndinfo{
					SID: v.Stream, Flags: v.Flags, PPID: v.PPID, Context: v.Context, AssocID: v.AssocID,
				}, &v.Timetolive)
			}),
		structRow(abi.SCTP_DEFAULT_SNDINFO,
			func(e *sctpEndpoint, v *abi.SCTPSndinfo) error {
				p := abi.SCTPSndrcvinfo{AssocID: v.AssocID}
				if err := e.getSendParam(&p); err != nil {
					return err
				}
				v.SID, v.Flags, v.PPID, v.Context = p.Stream, p.Flags, p.PPID, p.Context
				return nil
			},
			func(e *sctpEndpoint, v *abi.SCTPSndinfo) error { return e.setDefaults(v, nil) }),
		structRow(abi.SCTP_DEFAULT_PRINFO,
			func(e *sctpEndpoint, v *abi.SCTPDefaultPrinfo) error {
				x, err := e.future(v.AssocID)
				if err != nil {
					return err
				}
				d := e.defaultsFor(x)
				v.Policy, v.Value = d.flags&abi.SCTP_PR_SCTP_MASK, d.timeToLive
				return nil
			},
			func(e *sctpEndpoint, v *abi.SCTPDefaultPrinfo) error {
				if v.Policy&^abi.SCTP_PR_SCTP_MASK != 0 {
					return syscall.EINVAL
				}
				if v.Policy == abi.SCTP_PR_SCTP_NONE {
					v.Value = 0
				}
				return e.each(v.AssocID, func(x *sctpAssoc, _ *sctp.Options) {
					d := e.defaultsFor(x)
					d.flags, d.timeToLive = d.flags&^abi.SCTP_PR_SCTP_MASK|v.Policy, v.Value
				})
			}),
	}
}

func (e *sctpEndpoint) getSendParam(v *abi.SCTPSndrcvinfo) error {
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	o, d := e.optionsFor(x), e.defaultsFor(x)
	v.Stream, v.PPID, v.Context = o.Default.Stream, o.Default.PPID, o.Default.Context
	v.Flags, v.Timetolive = d.flags, d.timeToLive
	return nil
}

// setDefaults is SCTP_DEFAULT_SNDINFO, or SCTP_DEFAULT_SEND_PARAM, which has a time to live.
func (e *sctpEndpoint) setDefaults(v *abi.SCTPSndinfo, life *uint32) error {
	if v.Flags&^defaultFlags != 0 {
		return syscall.EINVAL
	}
	return e.each(v.AssocID, func(x *sctpAssoc, o *sctp.Options) {
		o.Default.Stream, o.Default.PPID, o.Default.Context = v.SID, v.PPID, v.Context
		d := e.defaultsFor(x)
		d.flags = v.Flags
		if life != nil {
			d.timeToLive = *life
		}
	})
}

// eventRows are about which notifications are asked for.
func (t *sctpProto) eventRows() []socket.Option {
	return []socket.Option{
		{
			// A program may know fewer kinds than there are, and gives or takes fewer bytes.
			Level: abi.SOL_SCTP, Name: abi.SCTP_EVENTS,
			Ask: func(s *socket.Socket, b []byte) ([]byte, error) {
				if len(b) == 0 {
					return nil, syscall.EINVAL
				}
				var v abi.SCTPEventSubscribe
				for i := range v {
					v[i] = uint8(toInt(sctpOf(s).options.Events.Has(sctp.EventDataIO + sctp.EventType(i))))
				}
				return v[:min(len(b), len(v))], nil
			},
			Set: func(s *socket.Socket, b []byte) error {
				e := sctpOf(s)
				if len(b) > len(abi.SCTPEventSubscribe{}) {
					return syscall.EINVAL
				}
				events := &e.change().Events
				for i, on := range b {
					*events = events.With(sctp.EventDataIO+sctp.EventType(i), on != 0)
				}
				for x := e.assocs; x != nil; x = x.next {
					x.core.Change().Events = e.options.Events
					x.changed()
				}
				if x := e.assoc(0); x != nil && e.options.Events.Has(sctp.EventSenderDry) {
					e.proto.update(x, x.core.TellDry())
				}
				return nil
			},
		},
		structRow(abi.SCTP_EVENT,
			func(e *sctpEndpoint, v *abi.SCTPEvent) error {
				if v.Type < abi.SCTP_SN_TYPE_BASE || v.Type > abi.SCTP_SN_TYPE_MAX {
					return syscall.EINVAL
				}
				x, err := e.future(v.AssocID)
				if err == nil {
					v.On = uint8(toInt(e.optionsFor(x).Events.Has(sctp.EventType(v.Type))))
				}
				return err
			},
			func(e *sctpEndpoint, v *abi.SCTPEvent) error {
				if v.Type < abi.SCTP_SN_TYPE_BASE || v.Type > abi.SCTP_SN_TYPE_MAX {
					return syscall.EINVAL
				}
				return e.each(v.AssocID, func(x *sctpAssoc, o *sctp.Options) {
					o.Events = o.Events.With(sctp.EventType(v.Type), v.On != 0)
					if x != nil && v.On != 0 && v.Type == abi.SCTP_SENDER_DRY_EVENT {
						e.proto.update(x, x.core.TellDry())
					}
				})
			}),
	}
}

// statusRows tell of associations.
func (t *sctpProto) statusRows() []socket.Option {
	return []socket.Option{
		structRow(abi.SCTP_STATUS, (*sctpEndpoint).getStatus, nil),
		styled(severalPeers, socket.Option{
			Level: abi.SOL_SCTP, Name: abi.SCTP_GET_ASSOC_NUMBER, Room: 4,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) { return abi.AppendInt(b, int(sctpOf(s).count)), nil },
		}),
		styled(severalPeers, socket.Option{
			Level: abi.SOL_SCTP, Name: abi.SCTP_GET_ASSOC_ID_LIST,
			Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
				e := sctpOf(s)
				b := abi.AppendStruct(nil, &abi.SCTPAssocIDs{NumberOfIDs: uint32(e.count)})
				for x := e.assocs; x != nil; x = x.next {
					b = abi.AppendInt(b, int(x.id))
				}
				if len(v) < len(b) {
					return nil, syscall.EINVAL
				}
				return b, nil
			},
		}),
		supportRow(abi.SCTP_PR_SUPPORTED, func(o *sctp.Options) *bool { return &o.PR }, func(x sctp.Extensions) bool { return x.PR }),
		supportRow(abi.SCTP_ECN_SUPPORTED, func(o *sctp.Options) *bool { return &o.ECN }, func(x sctp.Extensions) bool { return x.ECN }),
		t.interleavingRow(),
		zeroSumRow,
	}
}

// zeroSumRow is SCTP_ACCEPT_ZERO_CHECKSUM (RFC 9653, section 6.1), of the associations to come: the program says
// what protects their packets instead of the checksum.
var zeroSumRow = setOnly(lengthOf(4, sctpInt(abi.SCTP_ACCEPT_ZERO_CHECKSUM, nil, func(e *sctpEndpoint, v int) error {
	if v != abi.SCTP_EDMID_NONE && v != abi.SCTP_EDMID_LOWER_LAYER_DTLS {
		return syscall.EINVAL
	}
	e.change().EDMID = uint32(v)
	return nil
})))

// supportRow is the row of an option that says whether associations to come offer an extension, and of
// one that is there whether it was agreed to.
func supportRow(name int, field func(*sctp.Options) *bool, agreed func(sctp.Extensions) bool) socket.Option {
	return valueRow(name, false,
		func(_ *sctpEndpoint, x *sctpAssoc, o *sctp.Options) uint32 {
			if x != nil {
				return uint32(toInt(agreed(x.core.Agreed())))
			}
			return uint32(toInt(*field(o)))
		},
		func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
			if _, err := e.future(v.AssocID); err != nil {
				return err
			}
			*field(e.change()) = v.Value != 0
			return nil
		})
}

// interleavingRow is SCTP_INTERLEAVING_SUPPORTED, which takes net.sctp.intl_enable and
// SCTP_FRAGMENT_INTERLEAVE.
func (t *sctpProto) interleavingRow() socket.Option {
	return longer(assocValue, valueRow(abi.SCTP_INTERLEAVING_SUPPORTED, false,
		func(_ *sctpEndpoint, x *sctpAssoc, o *sctp.Options) uint32 {
			return uint32(toInt(x != nil && x.core.Agreed().IData || x == nil && o.IData))
		},
		func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
			if _, err := e.future(v.AssocID); err != nil {
				return err
			}
			if !t.cfg.Interleave || e.options.Interleave == 0 {
				return syscall.EPERM
			}
			e.change().IData = v.Value != 0
			return nil
		}))
}

// assocValue is the size of a struct sctp_assoc_value, and of a struct sctp_stream_value.
var assocValue = abi.Sizeof(&abi.SCTPAssocValue{})

// schedulerRows are about which stream's message goes next.
func (t *sctpProto) schedulerRows() []socket.Option {
	scheduler := valueRow(abi.SCTP_STREAM_SCHEDULER, false,
		func(_ *sctpEndpoint, _ *sctpAssoc, o *sctp.Options) uint32 {
			if sctp.Sched(o.Scheduler) == sctp.SchedPackets {
				return abi.SCTP_SS_RR_PKT
			}
			return uint32(o.Scheduler)
		},
		func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
			k := uint16(v.Value)
			switch {
			case v.Value == abi.SCTP_SS_RR_PKT:
				k = uint16(sctp.SchedPackets)
			case v.Value > abi.SCTP_SS_MAX:
				return syscall.EINVAL
			}
			return e.each(v.AssocID, func(_ *sctpAssoc, o *sctp.Options) { o.Scheduler = k })
		})
	return []socket.Option{longer(assocValue, scheduler), longer(assocValue, structRow(abi.SCTP_STREAM_SCHEDULER_VALUE,
		func(e *sctpEndpoint, v *abi.SCTPStreamValue) (err error) {
			x := e.assoc(v.AssocID)
			if x == nil {
				return syscall.EINVAL
			}
			value, errno := x.core.StreamValue(v.StreamID)
			v.StreamValue = value
			return orNil(errno)
		},
		func(e *sctpEndpoint, v *abi.SCTPStreamValue) error {
			x := e.assoc(v.AssocID)
			switch {
			case x == nil && v.AssocID != abi.SCTP_CURRENT_ASSOC && e.many:
				return syscall.EINVAL
			case x != nil:
				return orNil(x.core.SetStreamValue(v.StreamID, v.StreamValue))
			case !e.many:
				return nil
			}
			for x := e.assocs; x != nil; x = x.next {
				if errno := x.core.SetStreamValue(v.StreamID, v.StreamValue); errno != 0 {
					return errno
				}
			}
			return nil
		}))}
}

// orNil is an errno as an error, nil for 0.
func orNil(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

func (e *sctpEndpoint) getStatus(v *abi.SCTPStatus) error {
	x := e.assoc(v.AssocID)
	if x == nil {
		return syscall.EINVAL
	}
	st := x.core.Status()
	*v = abi.SCTPStatus{
		AssocID: x.id, State: st.State.Linux(), Rwnd: st.RWnd,
		Unackdata: uint16(st.Unacked), Penddata: uint16(st.Missing),
		Instrms: st.InStreams, Outstrms: st.OutStreams, FragmentationPoint: uint32(st.FragmentPoint),
	}
	if p, ok := x.core.Path(st.Primary); ok {
		v.Primary = x.pathInfo(&p)
	}
	return nil
}

// pathInfo is struct sctp_paddrinfo.
func (x *sctpAssoc) pathInfo(p *sctp.PathInfo) abi.SCTPPaddrinfo {
	return abi.SCTPPaddrinfo{
		AssocID: x.id, Address: x.e.show(p.Addr, x.peer), State: int32(p.State),
		Cwnd: uint32(p.Cwnd), Srtt: millis(p.SRTT), Rto: millis(p.RTO), Mtu: uint32(p.MTU),
	}
}

func appendNative16(b []byte, v uint16) []byte { return binary.NativeEndian.AppendUint16(b, v) }
