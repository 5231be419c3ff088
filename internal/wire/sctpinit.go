package wire

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Parameters of chunks: of RFC 9260 (section 3.3), and of its extensions.
const (
	ParamHeartbeatInfo      uint16 = 1
	ParamIPv4               uint16 = 5
	ParamIPv6               uint16 = 6
	ParamStateCookie        uint16 = 7
	ParamUnrecognized       uint16 = 8
	ParamCookiePreservative uint16 = 9
	ParamHostName           uint16 = 11 // deprecated: its sender is aborted (RFC 9260, section 5.1.2)
	ParamSupportedAddrTypes uint16 = 12

	ParamOutgoingReset uint16 = 13 // RFC 6525, as the next five
	ParamIncomingReset uint16 = 14
	ParamTSNReset      uint16 = 15
	ParamReConfResp    uint16 = 16
	ParamAddOutgoing   uint16 = 17
	ParamAddIncoming   uint16 = 18

	ParamECN           uint16 = 0x8000
	ParamZeroChecksum  uint16 = 0x8001 // RFC 9653
	ParamRandom        uint16 = 0x8002 // RFC 4895, as the next two
	ParamChunkList     uint16 = 0x8003
	ParamHMACAlgo      uint16 = 0x8004
	ParamPadding       uint16 = 0x8005 // RFC 4820
	ParamExtensions    uint16 = 0x8008 // RFC 5061, section 4.2.7: Supported Extensions
	ParamForwardTSN    uint16 = 0xc000 // RFC 3758
	ParamAddIP         uint16 = 0xc001 // RFC 5061, as the rest
	ParamDeleteIP      uint16 = 0xc002
	ParamErrorCause    uint16 = 0xc003
	ParamSetPrimary    uint16 = 0xc004
	ParamSuccess       uint16 = 0xc005
	ParamAdaptationInd uint16 = 0xc006
)

// ParamSkip and ParamReport say what a receiver does that does not know a parameter's type (RFC 9260,
// section 3.2.1): go on with the next one or stop reading the chunk; tell the sender or not.
func ParamSkip(t uint16) bool { return t&0x8000 != 0 }

// ParamReport: see ParamSkip.
func ParamReport(t uint16) bool { return t&0x4000 != 0 }

// Error causes (RFC 9260, section 3.3.10, and from CauseDeleteLast on extensions).
const (
	CauseInvalidStream      uint16 = 1
	CauseMissingParam       uint16 = 2
	CauseStaleCookie        uint16 = 3
	CauseOutOfResource      uint16 = 4
	CauseUnresolvable       uint16 = 5
	CauseUnrecognizedChunk  uint16 = 6
	CauseInvalidParam       uint16 = 7
	CauseUnrecognizedParams uint16 = 8
	CauseNoUserData         uint16 = 9
	CauseCookieShutdown     uint16 = 10
	CauseRestartNewAddrs    uint16 = 11
	CauseUserAbort          uint16 = 12
	CauseProtocolViolation  uint16 = 13

	CauseDeleteLast      uint16 = 0xa0 // RFC 5061, section 3.3, as the next four
	CauseResource        uint16 = 0xa1
	CauseDeleteSource    uint16 = 0xa2
	CauseIllegalAsconf   uint16 = 0xa3
	CauseNoAuthorization uint16 = 0xa4
	CauseUnsupportedHMAC uint16 = 0x105 // RFC 4895, section 4
)

// initLen is the size of an INIT chunk without parameters in bytes.
const initLen = 20

// Init is an INIT or INIT ACK chunk (RFC 9260, sections 3.3.2 and 3.3.3).
type Init struct {
	Tag        uint32 // Initiate Tag
	ARwnd      uint32
	OutStreams uint16
	InStreams  uint16
	TSN        uint32 // Initial TSN
	Params     []byte // parameters, to be read by ParseTLV
}

// ParseInit reads the value of an INIT or INIT ACK chunk. Whether its fields make sense, and its
// parameters, is for the caller to see.
func ParseInit(v []byte) (i Init, err error) {
	if len(v) < initLen-ChunkHeaderLen {
		return i, ErrMalformed
	}
	return Init{
		Tag:        binary.BigEndian.Uint32(v),
		ARwnd:      binary.BigEndian.Uint32(v[4:]),
		OutStreams: binary.BigEndian.Uint16(v[8:]),
		InStreams:  binary.BigEndian.Uint16(v[10:]),
		TSN:        binary.BigEndian.Uint32(v[12:]),
		Params:     v[16:],
	}, nil
}

// Append writes a chunk of the type t, INIT or INIT ACK, behind b. Params are as TLV.Append leaves
// them.
func (i *Init) Append(b []byte, t ChunkType) []byte {
	b, at := openChunk(slices.Grow(b, Pad4(initLen+len(i.Params))), t, 0)
	b = binary.BigEndian.AppendUint32(b, i.Tag)
	b = binary.BigEndian.AppendUint32(b, i.ARwnd)
	b = binary.BigEndian.AppendUint16(b, i.OutStreams)
	b = binary.BigEndian.AppendUint16(b, i.InStreams)
	b = binary.BigEndian.AppendUint32(b, i.TSN)
	b = append(b, i.Params...)
	return closeChunk(b, at)
}

// ParseAddr reads the value of an address parameter of the type t. An IPv4 address that is mapped to IPv6
// stays so, which nobody may send (RFC 9260, section 3.3.2.1.2).
func ParseAddr(t uint16, v []byte) (netip.Addr, error) {
	switch {
	case t == ParamIPv4 && len(v) == 4, t == ParamIPv6 && len(v) == 16:
		a, _ := netip.AddrFromSlice(v)
		return a, nil
	}
	return netip.Addr{}, ErrMalformed
}

// AppendAddr writes an address parameter behind b.
func AppendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return (&TLV{ParamIPv4, v[:]}).Append(b)
	}
	v := a.As16()
	return (&TLV{ParamIPv6, v[:]}).Append(b)
}

// AppendParam32 writes a parameter or cause whose value is one number of 32 bits behind b.
func AppendParam32(b []byte, t uint16, v uint32) []byte {
	var x [4]byte
	binary.BigEndian.PutUint32(x[:], v)
	return (&TLV{t, x[:]}).Append(b)
}

// Auth is the value of an AUTH chunk (RFC 4895, section 4.1).
type Auth struct {
	KeyID  uint16 // Shared Key Identifier
	HMACID uint16
	HMAC   []byte
}

// ParseAuth reads the value of an AUTH chunk.
func ParseAuth(v []byte) (a Auth, err error) {
	if len(v) < 4 {
		return a, ErrMalformed
	}
	return Auth{binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:]), v[4:]}, nil
}

// Append writes the chunk behind b.
func (a *Auth) Append(b []byte) []byte {
	b, at := openChunk(b, ChunkAuth, 0)
	b = binary.BigEndian.AppendUint16(b, a.KeyID)
	b = binary.BigEndian.AppendUint16(b, a.HMACID)
	b = append(b, a.HMAC...)
	return closeChunk(b, at)
}

// Asconf is an ASCONF or ASCONF-ACK chunk (RFC 5061, section 4.1).
type Asconf struct {
	Serial uint32
	Params []byte // of ASCONF: the address parameter first; to be read by ParseTLV
}

// ParseAsconf reads the value of an ASCONF or ASCONF-ACK chunk.
func ParseAsconf(v []byte) (a Asconf, err error) {
	if len(v) < 4 {
		return a, ErrMalformed
	}
	return Asconf{binary.BigEndian.Uint32(v), v[4:]}, nil
}

// Append writes a chunk of the type t, ASCONF or ASCONF-ACK, behind b.
func (a *Asconf) Append(b []byte, t ChunkType) []byte {
	b, at := openChunk(b, t, 0)
	b = binary.BigEndian.AppendUint32(b, a.Serial)
	b = append(b, a.Params...)
	return closeChunk(b, at)
}

// AsconfParam is the value of a parameter of ASCONF or ASCONF-ACK: Add IP, Delete IP, Set Primary,
// Error Cause Indication, Success Indication (RFC 5061, section 4.2).
type AsconfParam struct {
	CorrelationID uint32
	Rest          []byte // the address parameter, the causes
}

// ParseAsconfParam reads the value of such a parameter.
func ParseAsconfParam(v []byte) (p AsconfParam, err error) {
	if len(v) < 4 {
		return p, ErrMalformed
	}
	return AsconfParam{binary.BigEndian.Uint32(v), v[4:]}, nil
}

// Append writes a parameter of the type t behind b.
func (p *AsconfParam) Append(b []byte, t uint16) []byte {
	b, at := openTLV(b, t)
	b = binary.BigEndian.AppendUint32(b, p.CorrelationID)
	b = append(b, p.Rest...)
	return closeTLV(b, at)
}
