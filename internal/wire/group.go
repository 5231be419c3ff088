package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Messages about multicast groups between hosts and routers: IGMP (RFC 1112, RFC 2236, RFC 3376) and
// MLD (RFC 2710, RFC 3810), which is part of ICMPv6. The latest versions of both are one
// protocol with addresses of two lengths.

// Types of IGMP messages.
const (
	IGMPQuery     = 0x11
	IGMPv1Report  = 0x12
	IGMPv2Report  = 0x16
	IGMPLeave     = 0x17
	IGMPv3Report  = 0x22
	IGMPMinLen    = 8
	igmpV3Query   = 12 // bytes without sources
	groupsHeadLen = 8  // bytes of a report before its records
)

// Types of MLD messages, which are ICMPv6's.
const (
	MLDQuery    = 130
	MLDv1Report = 131
	MLDDone     = 132
	MLDv2Report = 143
	MLDMinLen   = 24
	mldV2Query  = 28
)

// GroupGeneration is a version of IGMP or MLD by what it can say.
type GroupGeneration uint8

// The generations. MLD has no first one.
const (
	FirstGeneration  GroupGeneration = iota // IGMPv1: reports
	SecondGeneration                        // IGMPv2, MLDv1: reports and leaves
	ThirdGeneration                         // IGMPv3, MLDv2: reports of sources
)

// GroupQuery is a router's question.
type GroupQuery struct {
	Generation GroupGeneration
	Group      netip.Addr   // the zero Addr: all
	Sources    []netip.Addr // none: all
	MaxDelay   time.Duration
	Robustness int           // 0: unsaid
	Interval   time.Duration // between the router's queries; 0: unsaid
}

// maxDelay1 is how long a host may take that is asked by IGMPv1, which does not say (RFC 2236,
// section 4).
const maxDelay1 = 10 * time.Second

// ParseIGMPQuery parses b, an IGMP message of type IGMPQuery from its first byte to the end of the
// datagram, which tells the versions apart (RFC 3376, section 7.1).
func ParseIGMPQuery(b []byte) (q GroupQuery, err error) {
	if len(b) < IGMPMinLen {
		return q, ErrMalformed
	}
	q.Group = netip.AddrFrom4([4]byte(b[4:8]))
	switch {
	case len(b) >= igmpV3Query:
		q.MaxDelay = time.Duration(floating(uint32(b[1]), 8)) * (time.Second / 10)
		err = q.parseSources(b[8:], 4)
	case len(b) > IGMPMinLen:
		return q, ErrMalformed
	case b[1] == 0:
		q.Generation, q.MaxDelay = FirstGeneration, maxDelay1
	default:
		q.Generation, q.MaxDelay = SecondGeneration, time.Duration(b[1])*(time.Second/10)
	}
	return q.checked(err)
}

// ParseMLDQuery parses b, an ICMPv6 message of type MLDQuery from its first byte to the end of the
// datagram, which tells the versions apart (RFC 3810, section 8.1).
func ParseMLDQuery(b []byte) (q GroupQuery, err error) {
	if len(b) < MLDMinLen {
		return q, ErrMalformed
	}
	q.Group = netip.AddrFrom16([16]byte(b[8:24]))
	delay := binary.BigEndian.Uint16(b[4:])
	switch {
	case len(b) >= mldV2Query:
		q.MaxDelay = time.Duration(floating(uint32(delay), 16)) * time.Millisecond
		err = q.parseSources(b[24:], 16)
	case len(b) > MLDMinLen:
		return q, ErrMalformed
	default:
		q.Generation, q.MaxDelay = SecondGeneration, time.Duration(delay)*time.Millisecond
	}
	return q.checked(err)
}

// parseSources parses what the latest versions have behind the group, with addresses of width bytes.
func (q *GroupQuery) parseSources(b []byte, width int) error {
	q.Generation = ThirdGeneration
	q.Robustness = int(b[0] & 7)
	q.Interval = time.Duration(floating(uint32(b[1]), 8)) * time.Second
	n := int(binary.BigEndian.Uint16(b[2:]))
	if b = b[4:]; len(b) < n*width {
		return ErrMalformed
	}
	for i := range n {
		a, _ := netip.AddrFromSlice(b[i*width : (i+1)*width])
		q.Sources = append(q.Sources, a)
	}
	return nil
}

// checked makes the group zero of a question about all, which names no sources.
func (q *GroupQuery) checked(err error) (GroupQuery, error) {
	switch {
	case err != nil:
	case q.Group.IsUnspecified():
		q.Group = netip.Addr{}
		if len(q.Sources) > 0 {
			err = ErrMalformed
		}
	case !q.Group.IsMulticast():
		err = ErrMalformed
	}
	return *q, err
}

// floating reads a number of so many bits that is a floating point one from its highest bit on: three
// bits of exponent and the rest of mantissa (RFC 3376, section 4.1.1; RFC 3810, section 5.1.3).
func floating(v uint32, bits int) uint32 {
	if v>>(bits-1) == 0 {
		return v
	}
	mantissa := bits - 4
	return (v&(1<<mantissa-1) | 1<<mantissa) << (v>>mantissa&7 + 3)
}

// Types of group records (RFC 3376, section 4.2.12; RFC 3810, section 5.2.12).
const (
	ModeIsInclude = 1 + iota
	ModeIsExclude
	ChangeToInclude
	ChangeToExclude
	AllowNewSources
	BlockOldSources
)

// GroupRecord says something about one group in a report.
type GroupRecord struct {
	Kind    uint8
	Group   netip.Addr
	Sources []netip.Addr
}

// AppendGroupReport appends a report of the latest version with the records, of typ IGMPv3Report or
// MLDv2Report. Its checksum is zero.
func AppendGroupReport(b []byte, typ uint8, records []GroupRecord) []byte {
	b = append(b, typ, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(records)))
	for _, r := range records {
		b = append(b, r.Kind, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
		b = append(b, r.Group.AsSlice()...)
		for _, a := range r.Sources {
			b = append(b, a.AsSlice()...)
		}
	}
	return b
}

// AppendIGMP appends a message of the first two versions about a group. Its checksum is zero.
func AppendIGMP(b []byte, typ uint8, group netip.Addr) []byte {
	return append(append(b, typ, 0, 0, 0), group.AsSlice()...)
}

// AppendMLD appends a message of the first version about a group. Its checksum is zero.
func AppendMLD(b []byte, typ uint8, group netip.Addr) []byte {
	return append(append(b, typ, 0, 0, 0, 0, 0, 0, 0), group.AsSlice()...)
}

// Bytes of a report beside its records, and of a record beside its sources but for the group's address.
const (
	GroupReportLen = groupsHeadLen
	GroupRecordLen = 4
)
