package usock

import (
	"time"

	"usock/internal/sctp"
)

// SCTPConfig is a host's settings of SCTP, which Linux has in net.sctp: each field names its sysctl.
// DefaultSCTPConfig has Linux's values; the zero SCTPConfig has no extension and no timer, and is of no use.
//
// What is offered to peers is chosen for each socket as well (SCTP_PR_SUPPORTED and its neighbours).
type SCTPConfig struct {
	PRSCTP     bool // prsctp_enable: messages may be given up (RFC 3758)
	ReConf     bool // reconf_enable: streams can be reset and added (RFC 6525)
	Auth       bool // auth_enable: chunks can be authenticated (RFC 4895)
	Addip      bool // addip_enable: addresses can be added and removed (RFC 5061)
	Interleave bool // intl_enable: messages of several streams can be interleaved where a socket asks for it (RFC 8260)
	ECN        bool // ecn_enable (RFC 9260, appendix A)

	RcvBuf, SndBuf int           // sctp_rmem, sctp_wmem: a socket's buffers at first, in bytes
	SackDelay      time.Duration // sack_timeout
	HBInterval     time.Duration // hb_interval
	ProbeInterval  time.Duration // plpmtud_probe_interval (RFC 8899); 0: no path MTU is searched for
	RTOInitial     time.Duration // rto_initial
	RTOMin, RTOMax time.Duration // rto_min, rto_max
	MaxRetrans     int           // association_max_retrans
	PathMaxRetrans int           // path_max_retrans
	MaxInitRetrans int           // max_init_retransmits
	PFRetrans      int           // pf_retrans (RFC 7829)
	PSRetrans      int           // ps_retrans (RFC 7829, section 5)
	PFExpose       int           // pf_expose: 0, 1 or 2 (SCTP_EXPOSE_POTENTIALLY_FAILED_STATE)
	MaxBurst       int           // max_burst, in packets

	ValidCookieLife time.Duration // valid_cookie_life
	MaxAutoclose    time.Duration // max_autoclose: what SCTP_AUTOCLOSE is bounded by
	SndBufPolicy    bool          // sndbuf_policy: each association has a send buffer of its own

	// Associations may travel in UDP (RFC 6951). UDPPort (udp_port) is where the host takes such packets, and
	// what it sends them from: no socket can bind it then; 0: such packets are taken once a socket has sent
	// one, at a port that was free. EncapPort (encap_port) is the peers' port, where SCTP_REMOTE_UDP_ENCAPS_PORT
	// does not say it; 0: associations begin without UDP. EncapVia has that hold for those alone that leave
	// by the interface of that name. What leaves in UDP tells peers of no other address than its own.
	UDPPort, EncapPort uint16
	EncapVia           string

	// TranslatedVia is the name of an interface behind which addresses are translated: associations that leave by it
	// tell peers of no other address than their packets', either.
	TranslatedVia string
}

// DefaultSCTPConfig returns Linux's settings.
func DefaultSCTPConfig() *SCTPConfig {
	s := sctp.DefaultSettings()
	return &SCTPConfig{
		PRSCTP: s.PRSCTP, ReConf: s.ReConf, Auth: s.Auth, Addip: s.Addip, Interleave: s.Interleave, ECN: s.ECN,
		RcvBuf: s.RcvBuf, SndBuf: s.SndBuf, SackDelay: s.SackDelay, HBInterval: s.HBInterval, ProbeInterval: s.ProbeInterval,
		RTOInitial: s.RTOInitial, RTOMin: s.RTOMin, RTOMax: s.RTOMax,
		MaxRetrans: s.MaxRetrans, PathMaxRetrans: s.PathMaxRetrans, MaxInitRetrans: s.MaxInitRetrans, PFRetrans: s.PFRetrans,
		PSRetrans: s.PSRetrans, PFExpose: s.PFExpose, MaxBurst: s.MaxBurst,
		ValidCookieLife: s.CookieLife, MaxAutoclose: s.MaxAutoClose, SndBufPolicy: s.SndBufPolicy,
		UDPPort: s.UDPPort, EncapPort: s.EncapPort, EncapVia: s.EncapVia, TranslatedVia: s.TranslatedVia,
	}
}

// settings returns the core's; of nil its defaults.
func (c *SCTPConfig) settings() *sctp.Settings {
	s := sctp.DefaultSettings()
	if c == nil {
		return s
	}
	s.PRSCTP, s.ReConf, s.Auth, s.Addip, s.Interleave, s.ECN = c.PRSCTP, c.ReConf, c.Auth, c.Addip, c.Interleave, c.ECN
	s.RcvBuf, s.SndBuf, s.SackDelay, s.HBInterval, s.ProbeInterval = c.RcvBuf, c.SndBuf, c.SackDelay, c.HBInterval, c.ProbeInterval
	s.RTOInitial, s.RTOMin, s.RTOMax = c.RTOInitial, c.RTOMin, c.RTOMax
	s.MaxRetrans, s.PathMaxRetrans, s.MaxInitRetrans, s.PFRetrans = c.MaxRetrans, c.PathMaxRetrans, c.MaxInitRetrans, c.PFRetrans
	s.PSRetrans, s.PFExpose, s.MaxBurst = c.PSRetrans, c.PFExpose, c.MaxBurst
	s.CookieLife, s.MaxAutoClose, s.SndBufPolicy = c.ValidCookieLife, c.MaxAutoclose, c.SndBufPolicy
	s.UDPPort, s.EncapPort, s.EncapVia, s.TranslatedVia = c.UDPPort, c.EncapPort, c.EncapVia, c.TranslatedVia
	return s
}
