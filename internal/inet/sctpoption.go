package inet

import (
	"encoding/binary"
	"slices"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// sctpRows are SCTP's options: those at SOL_SCTP, and those at SOL_SOCKET that it has its own way with.
func sctpRows(t *sctpProto) []socket.Option {
	return slices.Concat(t.socketRows(), t.flagRows(), t.assocRows(), t.ackRows(), t.messageRows(), t.eventRows(),
		t.pathRows(), t.statusRows(), t.countRows(), t.schedulerRows(), t.reconfRows(), t.authRows(), t.addrRows())
}

// assoc returns the association that a program names; nil: none. Of one-to-one style, and of one that
// was peeled off, it is the only one, whatever the number (Linux, sctp_id2assoc).
func (e *sctpEndpoint) assoc(id int32) *sctpAssoc {
	if !e.many {
		if e.stage == sctpEstablished || e.stage == sctpClosing {
			return e.assocs
		}
		return nil
	}
	if x := e.proto.byID[id]; x != nil && x.e == e && x.id == id {
		return x
	}
	return nil
}

// future returns the association that an option is about; nil: those to come.
func (e *sctpEndpoint) future(id int32) (*sctpAssoc, error) {
	x := e.assoc(id)
	if x == nil && e.many && id != abi.SCTP_FUTURE_ASSOC {
		return nil, syscall.EINVAL
	}
	return x, nil
}

// change returns the options of the associations to come, to be changed.
func (e *sctpEndpoint) change() *sctp.Options {
	o := *e.options
	e.options = &o
	return &o
}

// changeFor returns the options of the association, or of those to come, to be changed.
func (e *sctpEndpoint) changeFor(x *sctpAssoc) *sctp.Options {
	if x != nil {
		return x.core.Change()
	}
	return e.change()
}

// optionsFor returns the options of the association, or of those to come, to be read.
func (e *sctpEndpoint) optionsFor(x *sctpAssoc) *sctp.Options {
	if x != nil {
		return x.core.Options()
	}
	return e.options
}

// each calls f for the associations that an option is set for by SCTP_CURRENT_ASSOC, SCTP_ALL_ASSOC or
// a number, and with nil where it is about those to come.
func (e *sctpEndpoint) each(id int32, f func(x *sctpAssoc, o *sctp.Options)) error {
	if x := e.assoc(id); x != nil {
		f(x, x.core.Change())
		x.changed()
		return nil
	}
	if e.many && id > abi.SCTP_ALL_ASSOC || id < 0 {
		return syscall.EINVAL
	}
	if !e.many {
		id = abi.SCTP_FUTURE_ASSOC
	}
	if id != abi.SCTP_CURRENT_ASSOC {
		f(nil, e.change())
	}
	if id != abi.SCTP_FUTURE_ASSOC {
		for x := e.assocs; x != nil; x = x.next {
			f(x, x.core.Change())
			x.changed()
		}
	}
	return nil
}

// changed has the core heed options that were changed.
func (x *sctpAssoc) changed() { x.proto.update(x, x.core.OptionsChanged(x.now())) }

// structRow is the row of an option whose value is a structure. set takes one of exactly its size; get
// is given what the program has put into it.
func structRow[T any, P interface {
	*T
	abi.Layout
}](name int, get, set func(*sctpEndpoint, P) error) socket.Option {
	o := socket.Option{Level: abi.SOL_SCTP, Name: name}
	if get != nil {
		o.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
			v := P(new(T))
			if err := abi.ParseStruct(b, v); err != nil {
				return nil, err
			}
			if err := get(sctpOf(s), v); err != nil {
				return nil, err
			}
			return abi.AppendStruct(nil, v), nil
		}
	}
	if set != nil {
		o.Set = func(s *socket.Socket, b []byte) error {
			v := P(new(T))
			if err := exact(b, v); err != nil {
				return err
			}
			return set(sctpOf(s), v)
		}
	}
	return o
}

// sctpInt is the row of an int.
func sctpInt(name int, get func(*sctpEndpoint) int, set func(*sctpEndpoint, int) error) socket.Option {
	o := socket.IntOption(abi.SOL_SCTP, name,
		func(s *socket.Socket) int { return get(sctpOf(s)) },
		func(s *socket.Socket, v int) error { return set(sctpOf(s), v) })
	o.Room = 4
	return o
}

// sctpFlag is sctpInt of 0 and 1.
func sctpFlag(name int, get func(*sctpEndpoint) bool, set func(*sctpEndpoint, bool)) socket.Option {
	return sctpInt(name,
		func(e *sctpEndpoint) int { return toInt(get(e)) },
		func(e *sctpEndpoint, v int) error { set(e, v != 0); return nil })
}

// lengthOf is the row o, whose values have exactly so many bytes.
func lengthOf(n int, o socket.Option) socket.Option {
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		if len(v) != n {
			return syscall.EINVAL
		}
		return set(s, v)
	}
	return o
}

// styled is the row o, which sockets of a style that has not got it say EOPNOTSUPP to.
func styled(has func(*sctpEndpoint) bool, o socket.Option) socket.Option {
	ask, set := o.Ask, o.Set
	if ask == nil {
		get := o.Get
		ask = func(s *socket.Socket, _ []byte) ([]byte, error) { return get(s, nil) }
	}
	o.Get = nil
	o.Ask = func(s *socket.Socket, v []byte) ([]byte, error) {
		if !has(sctpOf(s)) {
			return nil, syscall.EOPNOTSUPP
		}
		return ask(s, v)
	}
	if set != nil {
		o.Set = func(s *socket.Socket, v []byte) error {
			if !has(sctpOf(s)) {
				return syscall.EOPNOTSUPP
			}
			return set(s, v)
		}
	}
	return o
}

func severalPeers(e *sctpEndpoint) bool { return !e.one() }

// socketRows are options that every socket has, where SCTP's associations have to hear of them.
func (t *sctpProto) socketRows() []socket.Option {
	resize := func(s *socket.Socket) {
		e := sctpOf(s)
		for x := e.assocs; x != nil; x = x.next {
			e.proto.update(x, x.core.SetBuffers(e.buffers()))
		}
		s.RoomMade()
	}
	force := func(name int, set func(*socket.Socket, int)) socket.Option {
		return socket.ForceOption(name, t.may, func(s *socket.Socket, v int) { set(s, v); resize(s) })
	}
	size := func(name int, get func(*socket.Socket) int, set func(*socket.Socket, int)) socket.Option {
		return socket.IntOption(abi.SOL_SOCKET, name, get, func(s *socket.Socket, v int) error {
			set(s, v)
			resize(s)
			return nil
		})
	}
	return []socket.Option{
		size(abi.SO_RCVBUF, func(s *socket.Socket) int { return int(s.Opt.RcvBuf) }, (*socket.Socket).SetRcvBuf),
		size(abi.SO_SNDBUF, func(s *socket.Socket) int { return int(s.Opt.SndBuf) }, (*socket.Socket).SetSndBuf),
		force(abi.SO_RCVBUFFORCE, func(s *socket.Socket, v int) { s.Opt.RcvBuf = socket.Force(v, socket.MinRcvBuf) }),
		force(abi.SO_SNDBUFFORCE, func(s *socket.Socket, v int) { s.Opt.SndBuf = socket.Force(v, socket.MinSndBuf) }),
		socket.BoolOption(abi.SOL_SOCKET, abi.SO_ACCEPTCONN,
			func(s *socket.Socket) bool { return sctpOf(s).stage == sctpListening }, nil),
		// Nothing that leaves is told of.
		socket.StampingOption(abi.SOF_TIMESTAMPING_TX_RECORD|abi.SOF_TIMESTAMPING_OPT_ID,
			func(*socket.Socket, uint32) error { return nil }),
	}
}

// flagRows are what is on or off, or a number, for all of a socket.
func (t *sctpProto) flagRows() []socket.Option {
	// both is an option of the socket and of all its associations.
	both := func(name int, field func(*sctp.Options) *bool) socket.Option {
		return sctpFlag(name, func(e *sctpEndpoint) bool { return *field(e.options) }, func(e *sctpEndpoint, on bool) {
			*field(e.change()) = on
			for x := e.assocs; x != nil; x = x.next {
				*field(x.core.Change()) = on
				x.changed()
			}
		})
	}
	return []socket.Option{
		both(abi.SCTP_NODELAY, func(o *sctp.Options) *bool { return &o.NoDelay }),
		both(abi.SCTP_DISABLE_FRAGMENTS, func(o *sctp.Options) *bool { return &o.NoFragment }),
		sctpFlag(abi.SCTP_I_WANT_MAPPED_V4_ADDR,
			func(e *sctpEndpoint) bool { return !e.own.unmapped },
			func(e *sctpEndpoint, on bool) {
				e.own.unmapped = !on
				t.Recall(e.s)
			}),
		sctpFlag(abi.SCTP_RECVRCVINFO,
			func(e *sctpEndpoint) bool { return e.own.rcvinfo },
			func(e *sctpEndpoint, on bool) { e.own.rcvinfo = on }),
		sctpFlag(abi.SCTP_RECVNXTINFO,
			func(e *sctpEndpoint) bool { return e.own.nxtinfo },
			func(e *sctpEndpoint, on bool) { e.own.nxtinfo = on }),
		styled(severalPeers, lengthOf(4, sctpInt(abi.SCTP_AUTOCLOSE,
			func(e *sctpEndpoint) int { return int(e.options.AutoClose / time.Second) },
			func(e *sctpEndpoint, v int) error {
				e.change().AutoClose = min(time.Duration(uint32(v))*time.Second, t.cfg.MaxAutoClose)
				return nil
			}))),
		lengthOf(4, sctpInt(abi.SCTP_FRAGMENT_INTERLEAVE,
			func(e *sctpEndpoint) int { return toInt(e.options.Interleave != 0) },
			func(e *sctpEndpoint, v int) error {
				o := e.change()
				o.Interleave, o.IData = uint32(toInt(v != 0)), o.IData && v != 0
				return nil
			})),
		lengthOf(4, sctpInt(abi.SCTP_PARTIAL_DELIVERY_POINT,
			func(e *sctpEndpoint) int { return int(e.options.PDPoint) },
			func(e *sctpEndpoint, v int) error {
				if uint32(v) > uint32(e.s.Opt.RcvBuf)/2 {
					return syscall.EINVAL
				}
				e.change().PDPoint = uint32(v)
				return nil
			})),
		structRow(abi.SCTP_ADAPTATION_LAYER,
			func(e *sctpEndpoint, v *abi.SCTPSetadaptation) error {
				v.AdaptationInd = e.options.Adaptation
				return nil
			},
			func(e *sctpEndpoint, v *abi.SCTPSetadaptation) error {
				o := e.change()
				o.Adaptation, o.HasAdapt = v.AdaptationInd, v.AdaptationInd != 0 // Linux tells no zero
				return nil
			}),
		t.reusePortRow(),
	}
}

// reusePortRow is SCTP_REUSE_PORT.
func (t *sctpProto) reusePortRow() socket.Option {
	o := sctpFlag(abi.SCTP_REUSE_PORT,
		func(e *sctpEndpoint) bool { return e.own.reuse },
		func(e *sctpEndpoint, on bool) { e.own.reuse = on; e.claim() })
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		switch e := sctpOf(s); {
		case !e.one():
			return syscall.EOPNOTSUPP
		case e.bound():
			return syscall.EFAULT
		}
		return set(s, v)
	}
	return o
}

func millis(d time.Duration) uint32 { return uint32(d / time.Millisecond) }

func ofMillis(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// setInit applies what a struct sctp_initmsg says: 0 leaves a number as it is.
func setInit(o *sctp.Options, v *abi.SCTPInitmsg) {
	for _, f := range [...]struct {
		to *uint16
		v  uint16
	}{{&o.OutStreams, v.NumOstreams}, {&o.MaxInStreams, v.MaxInstreams}, {&o.MaxInitRetrans, v.MaxAttempts}} {
		if f.v != 0 {
			*f.to = f.v
		}
	}
	if v.MaxInitTimeo != 0 {
		o.MaxInitTimeout = ofMillis(uint32(v.MaxInitTimeo))
	}
}

// assocRows are the parameters of associations.
func (t *sctpProto) assocRows() []socket.Option {
	return []socket.Option{
		structRow(abi.SCTP_INITMSG,
			func(e *sctpEndpoint, v *abi.SCTPInitmsg) error {
				o := e.options
				*v = abi.SCTPInitmsg{
					NumOstreams: o.OutStreams, MaxInstreams: o.MaxInStreams, MaxAttempts: o.MaxInitRetrans,
					MaxInitTimeo: uint16(millis(o.MaxInitTimeout)),
				}
				if o.MaxInitTimeout == 0 {
					v.MaxInitTimeo = uint16(millis(t.cfg.RTOMax))
				}
				return nil
			},
			func(e *sctpEndpoint, v *abi.SCTPInitmsg) error { setInit(e.change(), v); return nil }),
		structRow(abi.SCTP_RTOINFO, (*sctpEndpoint).getRTO, (*sctpEndpoint).setRTO),
		structRow(abi.SCTP_ASSOCINFO, (*sctpEndpoint).getAssocInfo, (*sctpEndpoint).setAssocInfo),
		unshortened(valueRow(abi.SCTP_MAX_BURST, true,
			func(_ *sctpEndpoint, _ *sctpAssoc, o *sctp.Options) uint32 { return o.MaxBurst },
			func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
				return e.each(v.AssocID, func(_ *sctpAssoc, o *sctp.Options) { o.MaxBurst = v.Value })
			})),
		valueRow(abi.SCTP_MAXSEG, true, (*sctpEndpoint).maxSeg, (*sctpEndpoint).setMaxSeg),
		valueRow(abi.SCTP_CONTEXT, false,
			func(_ *sctpEndpoint, _ *sctpAssoc, o *sctp.Options) uint32 { return o.Context },
			func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
				return e.each(v.AssocID, func(_ *sctpAssoc, o *sctp.Options) { o.Context = v.Value })
			}),
	}
}

// unshortened is the row o, which leaves the length of a buffer that is too long as it is, and what stands
// behind the value.
func unshortened(o socket.Option) socket.Option {
	ask := o.Ask
	o.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
		v, err := ask(s, b)
		return append(v, b[min(len(v), len(b)):]...), err
	}
	return o
}

// valueRow is the row of a struct sctp_assoc_value; short says that an int is taken, too, for the
// associations to come.
func valueRow(name int, short bool, get func(*sctpEndpoint, *sctpAssoc, *sctp.Options) uint32,
	set func(*sctpEndpoint, *abi.SCTPAssocValue) error) socket.Option {
	o := structRow(name, func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
		x, err := e.future(v.AssocID)
		if err == nil {
			v.Value = get(e, x, e.optionsFor(x))
		}
		return err
	}, set)
	if !short {
		return o
	}
	ask, put := o.Ask, o.Set
	o.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
		if len(b) != 4 {
			return ask(s, b)
		}
		e := sctpOf(s)
		x := e.assoc(abi.SCTP_FUTURE_ASSOC)
		return binary.NativeEndian.AppendUint32(nil, get(e, x, e.optionsFor(x))), nil
	}
	o.Set = func(s *socket.Socket, b []byte) error {
		if len(b) != 4 {
			return put(s, b)
		}
		return set(sctpOf(s), &abi.SCTPAssocValue{Value: binary.NativeEndian.Uint32(b)})
	}
	return o
}

func (e *sctpEndpoint) getRTO(v *abi.SCTPRtoinfo) error {
	x, err := e.future(v.AssocID)
	if err == nil {
		o := e.optionsFor(x)
		v.Initial, v.Max, v.Min = millis(o.RTOInitial), millis(o.RTOMax), millis(o.RTOMin)
	}
	return err
}

func (e *sctpEndpoint) setRTO(v *abi.SCTPRtoinfo) error {
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	o := e.optionsFor(x)
	most, least := o.RTOMax, o.RTOMin
	if v.Max != 0 {
		most = ofMillis(v.Max)
	}
	if v.Min != 0 {
		least = ofMillis(v.Min)
	}
	if least > most {
		return syscall.EINVAL
	}
	o = e.changeFor(x)
	if v.Initial != 0 {
		o.RTOInitial = ofMillis(v.Initial)
	}
	o.RTOMax, o.RTOMin = most, least
	if x != nil {
		x.changed()
	}
	return nil
}

func (e *sctpEndpoint) getAssocInfo(v *abi.SCTPAssocparams) error {
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	o := e.optionsFor(x)
	*v = abi.SCTPAssocparams{AssocID: v.AssocID, Asocmaxrxt: o.MaxRetrans, CookieLife: millis(o.CookieLife)}
	if x != nil {
		v.NumberPeerDestinations = uint16(len(x.core.Peers(nil)))
		st := x.core.Status()
		v.PeerRwnd, v.LocalRwnd = st.RWnd, st.Advertised
	}
	return nil
}

// setAssocInfo is SCTP_ASSOCINFO. An association with several paths is not to have more retransmissions
// than all of these (RFC 6458, section 8.1.2).
func (e *sctpEndpoint) setAssocInfo(v *abi.SCTPAssocparams) error {
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	if x != nil && v.Asocmaxrxt != 0 {
		sum, peers := 0, x.core.Peers(nil)
		for _, a := range peers {
			if p, ok := x.core.Path(a); ok {
				sum += int(p.Options.MaxRetrans)
			}
		}
		if len(peers) > 1 && int(v.Asocmaxrxt) > sum {
			return syscall.EINVAL
		}
	}
	o := e.changeFor(x)
	if v.Asocmaxrxt != 0 {
		o.MaxRetrans = v.Asocmaxrxt
	}
	if v.CookieLife != 0 {
		o.CookieLife = ofMillis(v.CookieLife)
	}
	if x != nil {
		x.changed()
	}
	return nil
}

// maxSeg is SCTP_MAXSEG: of an association what it cuts messages into.
func (e *sctpEndpoint) maxSeg(x *sctpAssoc, o *sctp.Options) uint32 {
	if x != nil {
		return uint32(x.core.FragmentPoint())
	}
	return o.MaxSeg
}

// Bounds of SCTP_MAXSEG: what fits a packet of the least size that Linux sends, and a chunk.
const (
	sctpMinPacket   = 512
	sctpDataHeader  = 16
	sctpIDataHeader = 20
	sctpMaxChunk    = 65532
)

func (e *sctpEndpoint) setMaxSeg(v *abi.SCTPAssocValue) error {
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	o, head := e.optionsFor(x), sctpDataHeader
	if o.IData {
		head = sctpIDataHeader
	}
	least := sctpMinPacket - ipHeaderLen(!e.six) - 12 - head
	if n := int(v.Value); n != 0 && (n < least || n > sctpMaxChunk-head) {
		return syscall.EINVAL
	}
	e.changeFor(x).MaxSeg = v.Value
	if x != nil {
		x.changed()
	}
	return nil
}

// ackRows are about delayed acknowledgments.
func (t *sctpProto) ackRows() []socket.Option {
	get := func(e *sctpEndpoint, v *abi.SCTPSackInfo) error {
		x, err := e.future(v.AssocID)
		if err != nil {
			return err
		}
		o := e.optionsFor(x)
		if v.Delay, v.Freq = millis(o.SackDelay), o.SackFreq; o.SackFreq == 1 {
			v.Delay = 0
		}
		return nil
	}
	set := func(e *sctpEndpoint, v *abi.SCTPSackInfo) error {
		switch {
		case v.Delay == 0 && v.Freq == 0:
			return nil
		case v.Delay > maxSackDelay:
			return syscall.EINVAL
		}
		return e.each(v.AssocID, func(_ *sctpAssoc, o *sctp.Options) {
			if v.Delay != 0 {
				o.SackDelay = ofMillis(v.Delay)
				o.SackFreq = max(o.SackFreq, 2)
			}
			if v.Freq != 0 {
				o.SackFreq = v.Freq
			}
		})
	}
	o := structRow(abi.SCTP_DELAYED_SACK, get, set)
	ask, put := o.Ask, o.Set
	short := abi.Sizeof(&abi.SCTPAssocValue{})
	o.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
		if len(b) != short {
			return ask(s, b)
		}
		var a abi.SCTPAssocValue
		abi.ParseStruct(b, &a)
		v := abi.SCTPSackInfo{AssocID: a.AssocID}
		err := get(sctpOf(s), &v)
		a.Value = v.Delay
		return abi.AppendStruct(nil, &a), err
	}
	o.Set = func(s *socket.Socket, b []byte) error {
		if len(b) != short {
			return put(s, b)
		}
		var a abi.SCTPAssocValue
		abi.ParseStruct(b, &a)
		v := abi.SCTPSackInfo{AssocID: a.AssocID, Delay: a.Value}
		if a.Value == 0 {
			v.Freq = 1
		}
		return set(sctpOf(s), &v)
	}
	return []socket.Option{o}
}

// maxSackDelay is the longest delay of acknowledgments in ms (RFC 9260, section 6.2).
const maxSackDelay = 500
