package wire

import "encoding/binary"

// TCPFlags are the control bits of a TCP header (RFC 9293, section 3.1).
type TCPFlags uint8

// The control bits.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String returns the flags' names joined by "|", "0" for none.
func (f TCPFlags) String() string {
	if f == 0 {
		return "0"
	}
	s := ""
	for i, name := range [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"} {
		if f&(1<<i) != 0 {
			if s != "" {
				s += "|"
			}
			s += name
		}
	}
	return s
}

// Sizes of a TCP header in bytes.
const (
	TCPMinLen = 20
	TCPMaxLen = 60
)

// MaxFastOpenCookie is the length of the longest Fast Open cookie (RFC 7413,
// section 4.1.1), minFastOpenCookie that of the shortest.
const (
	MaxFastOpenCookie = 16
	minFastOpenCookie = 4
)

// SACKBlock is a range of sequence numbers received: [Left, Right) (RFC 2018,
// section 3).
type SACKBlock struct{ Left, Right uint32 }

// TCPOptions are the options of a segment. A zero field is an absent option,
// where the Has fields do not say otherwise.
type TCPOptions struct {
	MSS           uint16 // RFC 9293, section 3.7.1
	HasWScale     bool   // RFC 7323, section 2
	WScale        uint8
	SACKPermitted bool // RFC 2018, section 2
	HasTimestamp  bool // RFC 7323, section 3
	TSVal, TSEcr  uint32
	NSACK         uint8 // RFC 2018, section 3
	SACK          [4]SACKBlock
	HasFastOpen   bool // RFC 7413, section 4.1.1: a cookie or, empty, a request
	ExpFastOpen   bool // its form is the experimental one (RFC 7413, appendix A.5; RFC 6994)
	NCookie       uint8
	Cookie        [MaxFastOpenCookie]byte
}

// TCP is a TCP header.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            TCPFlags
	Window           uint16
	Checksum         uint16 // as read; Put leaves it to the caller
	Urgent           uint16
	Options          TCPOptions
}

// Option kinds (IANA, TCP parameters).
const (
	tcpOptEnd           = 0
	tcpOptNOP           = 1
	tcpOptMSS           = 2
	tcpOptWScale        = 3
	tcpOptSACKPermitted = 4
	tcpOptSACK          = 5
	tcpOptTimestamp     = 8
	tcpOptFastOpen      = 34
	tcpOptExperiment    = 254
)

// expFastOpen is the identifier by which Fast Open is told from the other experiments of kind 254
// (IANA, TCP Experimental Option Experiment Identifiers).
const expFastOpen = 0xf989

// ParseTCP reads the header at the start of b and returns its length. It fails
// with ErrMalformed if b is shorter than the header says. An option that is cut
// off or has an impossible length ends the options, as on Linux; an unknown one
// is passed over.
func ParseTCP(b []byte) (h TCP, n int, err error) {
	n, err = h.Parse(b)
	return h, n, err
}

// Parse is ParseTCP into h, of which nothing stays. It needs no stack for a header.
func (h *TCP) Parse(b []byte) (n int, err error) {
	*h = TCP{}
	if len(b) < TCPMinLen {
		return 0, ErrMalformed
	}
	n = int(b[12]>>4) * 4
	if n < TCPMinLen || n > len(b) {
		return 0, ErrMalformed
	}
	h.SrcPort = binary.BigEndian.Uint16(b)
	h.DstPort = binary.BigEndian.Uint16(b[2:])
	h.Seq = binary.BigEndian.Uint32(b[4:])
	h.Ack = binary.BigEndian.Uint32(b[8:])
	h.Flags = TCPFlags(b[13])
	h.Window = binary.BigEndian.Uint16(b[14:])
	h.Checksum = binary.BigEndian.Uint16(b[16:])
	h.Urgent = binary.BigEndian.Uint16(b[18:])
	if n > TCPMinLen {
		h.Options.parse(b[TCPMinLen:n], h.Flags&SYN != 0)
	}
	return n, nil
}

// tsAligned is NOP, NOP, kind 8, length 10: the form of the timestamp option
// that nearly every segment of every stack has.
const tsAligned = 0x0101080a

func (o *TCPOptions) parse(b []byte, syn bool) {
	if len(b) == 12 && binary.BigEndian.Uint32(b) == tsAligned {
		o.HasTimestamp = true
		o.TSVal = binary.BigEndian.Uint32(b[4:])
		o.TSEcr = binary.BigEndian.Uint32(b[8:])
		return
	}
	for len(b) > 0 {
		kind := b[0]
		if kind == tcpOptEnd {
			return
		}
		if kind == tcpOptNOP {
			b = b[1:]
			continue
		}

		// A length below two would never get on, one beyond the header would read the data.
		// What came before stays: it was whole.
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return
		}
		v := b[2:b[1]]
		b = b[b[1]:]

		// A known kind with a wrong length is passed over. MSS, scale, SACK-permitted and
		// cookies belong in SYNs, and are nothing elsewhere: nobody may change in the middle
		// what was agreed at the start.
		switch kind {
		case tcpOptMSS:
			if len(v) == 2 && syn {
				o.MSS = binary.BigEndian.Uint16(v)
			}
		case tcpOptWScale:
			if len(v) == 1 && syn {
				o.HasWScale, o.WScale = true, v[0]
			}
		case tcpOptSACKPermitted:
			if len(v) == 0 && syn {
				o.SACKPermitted = true
			}
		case tcpOptTimestamp:
			if len(v) == 8 {
				o.HasTimestamp = true
				o.TSVal = binary.BigEndian.Uint32(v)
				o.TSEcr = binary.BigEndian.Uint32(v[4:])
			}
		case tcpOptSACK:
			o.parseSACK(v)
		case tcpOptFastOpen:
			if syn {
				o.parseFastOpen(v, false)
			}
		case tcpOptExperiment:
			if syn && len(v) >= 2 && binary.BigEndian.Uint16(v) == expFastOpen {
				o.parseFastOpen(v[2:], true)
			}
		}
	}
}

// parseFastOpen takes a Fast Open option. Of two the last one counts, whatever their forms, and one of
// an even length that no cookie has makes the one before it void (Linux, tcp_parse_fastopen_option).
func (o *TCPOptions) parseFastOpen(v []byte, exp bool) {
	if len(v)%2 != 0 {
		return
	}
	o.HasFastOpen, o.ExpFastOpen, o.NCookie, o.Cookie = false, false, 0, [MaxFastOpenCookie]byte{}
	if validCookie(len(v)) {
		o.HasFastOpen, o.ExpFastOpen, o.NCookie = true, exp, uint8(copy(o.Cookie[:], v))
	}
}

// fastOpenLen returns the length of the Fast Open option without padding.
func (o *TCPOptions) fastOpenLen() int {
	n := 2 + int(o.NCookie)
	if o.ExpFastOpen {
		n += 2
	}
	return n
}

// validCookie reports whether a Fast Open option may have a cookie of n bytes: none,
// which asks for one, or 4 to 16 and an even number (RFC 7413 MUST-4.1.1a).
func validCookie(n int) bool {
	return n == 0 || n >= minFastOpenCookie && n <= MaxFastOpenCookie && n%2 == 0
}

func (o *TCPOptions) parseSACK(v []byte) {
	if len(v)%8 != 0 || len(v) > 8*len(o.SACK) {
		return
	}

	// An option that comes twice: the last one counts.
	o.NSACK, o.SACK = 0, [4]SACKBlock{}
	for ; len(v) > 0; v = v[8:] {
		o.SACK[o.NSACK] = SACKBlock{binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])}
		o.NSACK++
	}
}

// Len returns the length of the options on the wire, padding included: a
// multiple of 4.
func (o *TCPOptions) Len() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	if o.HasTimestamp {
		n += 12
	} else if o.SACKPermitted {
		n += 4
	}
	if o.HasWScale {
		n += 4
	}
	if o.HasFastOpen {
		n += (o.fastOpenLen() + 3) &^ 3
	}
	if o.NSACK > 0 {
		n += 4 + 8*int(o.NSACK)
	}
	return n
}

// Len returns the length of the header with its options.
func (h *TCP) Len() int { return TCPMinLen + h.Options.Len() }

// Put writes the header into b, which has exactly h.Len() bytes, with a zero
// checksum. The options have Linux's order: MSS, SACK-permitted, timestamps,
// window scale, Fast Open, SACK. They must fit into 40 bytes.
func (h *TCP) Put(b []byte) {
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint32(b[4:], h.Seq)
	binary.BigEndian.PutUint32(b[8:], h.Ack)
	b[12] = byte(len(b) / 4 << 4)
	b[13] = byte(h.Flags)
	binary.BigEndian.PutUint16(b[14:], h.Window)
	b[16], b[17] = 0, 0
	binary.BigEndian.PutUint16(b[18:], h.Urgent)
	if len(b) > TCPMinLen {
		h.Options.put(b[TCPMinLen:])
	}
}

func (o *TCPOptions) put(b []byte) {
	if o.MSS != 0 {
		b[0], b[1] = tcpOptMSS, 4
		binary.BigEndian.PutUint16(b[2:], o.MSS)
		b = b[4:]
	}
	switch {
	case o.HasTimestamp:
		// SACK-permitted takes the place of the two NOPs.
		binary.BigEndian.PutUint32(b, tsAligned)
		if o.SACKPermitted {
			b[0], b[1] = tcpOptSACKPermitted, 2
		}
		binary.BigEndian.PutUint32(b[4:], o.TSVal)
		binary.BigEndian.PutUint32(b[8:], o.TSEcr)
		b = b[12:]
	case o.SACKPermitted:
		b[0], b[1], b[2], b[3] = tcpOptNOP, tcpOptNOP, tcpOptSACKPermitted, 2
		b = b[4:]
	}
	if o.HasWScale {
		b[0], b[1], b[2], b[3] = tcpOptNOP, tcpOptWScale, 3, o.WScale
		b = b[4:]
	}
	if o.HasFastOpen {
		n := o.fastOpenLen()
		if o.ExpFastOpen {
			b[0], b[1] = tcpOptExperiment, byte(n)
			binary.BigEndian.PutUint16(b[2:], expFastOpen)
		} else {
			b[0], b[1] = tcpOptFastOpen, byte(n)
		}
		copy(b[n-int(o.NCookie):], o.Cookie[:o.NCookie])
		for ; n%4 != 0; n++ {
			b[n] = tcpOptNOP
		}
		b = b[n:]
	}
	if o.NSACK > 0 {
		b[0], b[1], b[2], b[3] = tcpOptNOP, tcpOptNOP, tcpOptSACK, 2+8*o.NSACK
		for i, s := range o.SACK[:o.NSACK] {
			binary.BigEndian.PutUint32(b[4+8*i:], s.Left)
			binary.BigEndian.PutUint32(b[8+8*i:], s.Right)
		}
	}
}
