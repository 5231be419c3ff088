package inet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"usock/internal/abi"
	"usock/internal/sctp"
)

// sctpSetting is a value of an option, other than the default, for the association id where it names one.
type sctpSetting struct {
	level, name int
	value       func(id int32) []byte
	all         bool // it is a socket's, not one association's
}

// sctpSettings are of all options that can be set.
func sctpSettings() []sctpSetting {
	number := func(level, name, v int) sctpSetting {
		return sctpSetting{level, name, func(int32) []byte { return abi.AppendInt(nil, v) }, true}
	}
	of := func(name int, v func(id int32) abi.Layout, behind ...byte) sctpSetting {
		return sctpSetting{abi.SOL_SCTP, name, func(id int32) []byte { return append(abi.AppendStruct(nil, v(id)), behind...) }, false}
	}
	value := func(name int, v uint32) sctpSetting {
		return of(name, func(id int32) abi.Layout { return &abi.SCTPAssocValue{AssocID: id, Value: v} })
	}
	supported := func(name int, v uint32) sctpSetting {
		o := value(name, v)
		o.all = true // of those to come
		return o
	}
	whole := func(name int, v abi.Layout, behind ...byte) sctpSetting {
		o := of(name, func(int32) abi.Layout { return v }, behind...)
		o.all = true
		return o
	}
	key := func(name int, k uint16) sctpSetting {
		return of(name, func(id int32) abi.Layout { return &abi.SCTPAuthkeyid{AssocID: id, Keynumber: k} })
	}
	thresholds := func(id int32, n uint16) abi.SCTPPaddrthlds {
		return abi.SCTPPaddrthlds{AssocID: id, Pathmaxrxt: n, Pathpfthld: n - 1}
	}
	events := abi.SCTPEventSubscribe{1, 1, 1}
	return []sctpSetting{
		number(abi.SOL_SOCKET, abi.SO_RCVBUF, 50000),
		number(abi.SOL_SOCKET, abi.SO_SNDBUF, 50000),
		number(abi.SOL_SCTP, abi.SCTP_REUSE_PORT, 1),
		number(abi.SOL_SCTP, abi.SCTP_AUTO_ASCONF, 1),
		number(abi.SOL_SCTP, abi.SCTP_NODELAY, 1),
		number(abi.SOL_SCTP, abi.SCTP_DISABLE_FRAGMENTS, 1),
		number(abi.SOL_SCTP, abi.SCTP_I_WANT_MAPPED_V4_ADDR, 0),
		number(abi.SOL_SCTP, abi.SCTP_RECVRCVINFO, 1),
		number(abi.SOL_SCTP, abi.SCTP_RECVNXTINFO, 1),
		number(abi.SOL_SCTP, abi.SCTP_AUTOCLOSE, 77),
		number(abi.SOL_SCTP, abi.SCTP_FRAGMENT_INTERLEAVE, 1),
		number(abi.SOL_SCTP, abi.SCTP_PARTIAL_DELIVERY_POINT, 777),
		number(abi.SOL_SCTP, abi.SCTP_ACCEPT_ZERO_CHECKSUM, abi.SCTP_EDMID_LOWER_LAYER_DTLS),
		whole(abi.SCTP_ADAPTATION_LAYER, &abi.SCTPSetadaptation{AdaptationInd: 7}),
		whole(abi.SCTP_INITMSG, &abi.SCTPInitmsg{NumOstreams: 3, MaxInstreams: 4, MaxAttempts: 5, MaxInitTimeo: 600}),
		{abi.SOL_SCTP, abi.SCTP_EVENTS, func(int32) []byte { return events[:] }, true},

		of(abi.SCTP_RTOINFO, func(id int32) abi.Layout { return &abi.SCTPRtoinfo{AssocID: id, Initial: 77, Max: 777, Min: 7} }),
		of(abi.SCTP_ASSOCINFO, func(id int32) abi.Layout { return &abi.SCTPAssocparams{AssocID: id, Asocmaxrxt: 3, CookieLife: 5} }),
		value(abi.SCTP_MAX_BURST, 7),
		value(abi.SCTP_MAXSEG, 700),
		value(abi.SCTP_CONTEXT, 77),
		of(abi.SCTP_DELAYED_SACK, func(id int32) abi.Layout { return &abi.SCTPSackInfo{AssocID: id, Delay: 77, Freq: 3} }),
		of(abi.SCTP_DEFAULT_SEND_PARAM, func(id int32) abi.Layout { return &abi.SCTPSndrcvinfo{AssocID: id, PPID: 7, Timetolive: 8} }),
		of(abi.SCTP_DEFAULT_SNDINFO, func(id int32) abi.Layout { return &abi.SCTPSndinfo{AssocID: id, PPID: 77} }),
		of(abi.SCTP_DEFAULT_PRINFO, func(id int32) abi.Layout {
			return &abi.SCTPDefaultPrinfo{AssocID: id, Policy: abi.SCTP_PR_SCTP_TTL, Value: 777}
		}),
		of(abi.SCTP_EVENT, func(id int32) abi.Layout {
			return &abi.SCTPEvent{AssocID: id, Type: abi.SCTP_SENDER_DRY_EVENT, On: 1}
		}),
		of(abi.SCTP_PEER_ADDR_PARAMS, func(id int32) abi.Layout {
			return &abi.SCTPPaddrparams{AssocID: id, Hbinterval: 77, Flags: abi.SPP_HB_ENABLE | abi.SPP_SACKDELAY_ENABLE, Sackdelay: 300}
		}),
		of(abi.SCTP_PEER_ADDR_THLDS, func(id int32) abi.Layout { v := thresholds(id, 3); return &v }),
		of(abi.SCTP_PEER_ADDR_THLDS_V2, func(id int32) abi.Layout {
			return &abi.SCTPPaddrthldsV2{SCTPPaddrthlds: thresholds(id, 4), Pathcpthld: 5}
		}),
		value(abi.SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, exposeTold),
		of(abi.SCTP_PLPMTUD_PROBE_INTERVAL, func(id int32) abi.Layout { return &abi.SCTPProbeinterval{AssocID: id, Interval: 7777} }),
		of(abi.SCTP_REMOTE_UDP_ENCAPS_PORT, func(id int32) abi.Layout { return &abi.SCTPUdpencaps{AssocID: id, Port: 9899} }),
		value(abi.SCTP_STREAM_SCHEDULER, abi.SCTP_SS_PRIO),
		of(abi.SCTP_STREAM_SCHEDULER_VALUE, func(id int32) abi.Layout { return &abi.SCTPStreamValue{AssocID: id, StreamValue: 7} }),
		value(abi.SCTP_ENABLE_STREAM_RESET, abi.SCTP_ENABLE_STRRESET_MASK),
		supported(abi.SCTP_PR_SUPPORTED, 0),
		supported(abi.SCTP_ECN_SUPPORTED, 0),
		supported(abi.SCTP_INTERLEAVING_SUPPORTED, 1),
		supported(abi.SCTP_RECONFIG_SUPPORTED, 0),
		supported(abi.SCTP_ASCONF_SUPPORTED, 0),

		whole(abi.SCTP_AUTH_CHUNK, &abi.SCTPAuthchunk{Chunk: 77}),
		whole(abi.SCTP_HMAC_IDENT, &abi.SCTPHmacalgo{NumIdents: 1}, binary.NativeEndian.AppendUint16(nil, sctp.HMACSHA1)...),
		of(abi.SCTP_AUTH_KEY, func(id int32) abi.Layout { return &abi.SCTPAuthkey{AssocID: id, Keynumber: 1, Keylength: 1} }, 'k'),
		key(abi.SCTP_AUTH_ACTIVE_KEY, 0),
		key(abi.SCTP_AUTH_DEACTIVATE_KEY, 0),
		key(abi.SCTP_AUTH_DELETE_KEY, 0),
		supported(abi.SCTP_AUTH_SUPPORTED, 0),
	}
}

// sctpActs are set to have something be done.
var sctpActs = map[int]bool{
	abi.SCTP_SOCKOPT_BINDX_ADD: true, abi.SCTP_SOCKOPT_BINDX_REM: true, abi.SCTP_SOCKOPT_CONNECTX: true, abi.SCTP_SOCKOPT_CONNECTX_OLD: true,
	abi.SCTP_RESET_STREAMS: true, abi.SCTP_RESET_ASSOC: true, abi.SCTP_ADD_STREAMS: true,
	abi.SCTP_PRIMARY_ADDR: true, abi.SCTP_SET_PEER_PRIMARY_ADDR: true,
}

// settings returns all that is set of the associations to come, in words.
func (e *sctpEndpoint) settings() string {
	return inWords(e.options) + fmt.Sprintf(" %+v %+v", e.own, e.buffers())
}

// settings returns all that is set of the association.
func (x *sctpAssoc) settings() string {
	s := inWords(x.core.Options()) + fmt.Sprintf(" %+v room %d", x.sctpDefaults, x.core.SendSpace())
	prio, _ := x.core.StreamValue(0)
	for _, addr := range x.core.Peers(nil) {
		p, _ := x.core.Path(addr)
		s += fmt.Sprintf(" %+v", p.Options)
	}
	return s + fmt.Sprint(" stream ", prio)
}

func inWords(o *sctp.Options) string {
	own, auth := *o, sctp.AuthOptions{}
	if o.AuthSetup != nil {
		own.AuthSetup, auth = nil, *o.AuthSetup
	}
	return fmt.Sprintf("%+v %+v", own, auth)
}

// What a socket sets is its own, and an association's its own: others share what they began with, and nothing of it
// changes. All rows that set an option are looked at.
func TestSCTPOptionsAreShared(t *testing.T) {
	all := sctp.DefaultSettings()
	all.Auth, all.Addip, all.Interleave, all.ReConf = true, true, true, true
	a, b := pairOf(t, Config{SCTP: all}, Config{SCTP: all})
	b.listening("many4", addrB+":7")
	b.listening("many4", addrB+":8")
	proto := a.st.sctp
	initial := func() string { return inWords(proto.initial) }
	tried := map[int]bool{}
	for _, w := range sctpSettings() {
		changed := false
		for _, kind := range []string{"one4", "many4"} {
			fresh, other := a.open(kind).before(&w), a.open(kind)
			changed = fresh.sets(&w, 0, sctpOf(fresh.Socket).settings, initial, sctpOf(other.Socket).settings) || changed

			used, bystander := a.open(kind).before(&w), a.open(kind)
			x, y := associate(used, 7), associate(bystander, 7)
			if x.core.Options() != x.e.options || y.core.Options() != proto.initial {
				t.Fatal("options are not shared")
			}
			own := func() string { return x.settings() + x.e.settings() }
			changed = used.sets(&w, 0, own, initial, sctpOf(bystander.Socket).settings, y.settings) || changed
		}
		if !w.all {
			many := a.open("many4").before(&w)
			x, y := associate(many, 7), associate(many, 8)
			changed = many.sets(&w, 0, x.e.settings, initial, x.settings, y.settings) || changed
			changed = many.sets(&w, x.number, x.settings, initial, x.e.settings, y.settings) || changed
			z := associate(a.open("many4").before(&w), 7)
			changed = (&sock{z.e.s, a}).sets(&w, z.number, z.settings, initial, z.e.settings) || changed
		}
		if !changed {
			t.Errorf("option %d/%d was not set", w.level, w.name)
		}
		tried[w.name] = true
	}
	for _, row := range sctpRows(proto) {
		if row.Level == abi.SOL_SCTP && row.Set != nil && !tried[row.Name] && !sctpActs[row.Name] {
			t.Errorf("option %d can be set, and is none of those that are tried", row.Name)
		}
	}
}

// before sets what w asks for.
func (s *sock) before(w *sctpSetting) *sock {
	s.m.t.Helper()
	switch {
	case w.name == abi.SCTP_AUTH_ACTIVE_KEY, w.name == abi.SCTP_AUTH_DEACTIVATE_KEY, w.name == abi.SCTP_AUTH_DELETE_KEY:
		s.authenticated("k")
	case w.name == abi.SCTP_INTERLEAVING_SUPPORTED:
		s.set(abi.SOL_SCTP, abi.SCTP_FRAGMENT_INTERLEAVE, 1)
	}
	return s
}

// sets sets w of the association id, and reports whether that has changed what own tells. What others tell must
// not change.
func (s *sock) sets(w *sctpSetting, id int32, own func() string, others ...func() string) bool {
	s.m.t.Helper()
	look := func() (seen []string) {
		s.m.do(func() {
			for _, f := range append(others, own) {
				seen = append(seen, f())
			}
		})
		return seen
	}
	before := look()
	err := s.SetOpt(w.level, w.name, w.value(id))
	now := look()
	for i := range others {
		if now[i] != before[i] {
			s.m.t.Errorf("option %d is another's, too:\n%s\n%s", w.name, before[i], now[i])
		}
	}
	return err == nil && now[len(others)] != before[len(others)]
}

// associate returns the association of s with the socket at the port.
func associate(s *sock, port uint16) (x *sctpAssoc) {
	s.m.t.Helper()
	to := netip.AddrPortFrom(netip.MustParseAddr(addrB), port)
	s.with(to.String())
	s.m.must(s.FinishConnect())
	s.m.do(func() { x = s.m.st.sctp.findOf(sctpOf(s.Socket), to) })
	return x
}
