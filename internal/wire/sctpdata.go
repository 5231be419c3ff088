package wire

import "encoding/binary"

// Flags of DATA and I-DATA (RFC 9260, section 3.3.1).
const (
	DataE uint8 = 1 << iota // ending fragment
	DataB                   // beginning fragment
	DataU                   // unordered
	DataI                   // acknowledge at once (RFC 9260, section 6.2)
)

// FlagT of ABORT and SHUTDOWN COMPLETE says that the tag is the receiver's own, reflected (RFC 9260,
// section 8.5.1).
const FlagT = 1

// Sizes of the headers of DATA and I-DATA in bytes.
const (
	DataLen  = 16
	IDataLen = 20
)

// Data is the header of a DATA chunk (RFC 9260, section 3.3.1).
type Data struct {
	Flags  uint8
	TSN    uint32
	Stream uint16
	SSN    uint16
	PPID   uint32 // Payload Protocol Identifier
}

// Parse reads the part of the header that stands in the chunk's value, of which v has 12 bytes or more.
func (d *Data) Parse(flags uint8, v []byte) error {
	if len(v) < DataLen-ChunkHeaderLen {
		return ErrMalformed
	}
	d.Flags = flags
	d.TSN = binary.BigEndian.Uint32(v)
	d.Stream = binary.BigEndian.Uint16(v[4:])
	d.SSN = binary.BigEndian.Uint16(v[6:])
	d.PPID = binary.BigEndian.Uint32(v[8:])
	return nil
}

// Put writes the header into b, which has DataLen bytes, for n bytes of user data.
func (d *Data) Put(b []byte, n int) {
	b[0], b[1] = byte(ChunkData), d.Flags
	binary.BigEndian.PutUint16(b[2:], uint16(DataLen+n))
	binary.BigEndian.PutUint32(b[4:], d.TSN)
	binary.BigEndian.PutUint16(b[8:], d.Stream)
	binary.BigEndian.PutUint16(b[10:], d.SSN)
	binary.BigEndian.PutUint32(b[12:], d.PPID)
}

// IData is the header of an I-DATA chunk (RFC 8260, section 2.1).
type IData struct {
	Flags  uint8
	TSN    uint32
	Stream uint16
	MID    uint32 // Message Identifier
	PPID   uint32 // of the first fragment
	FSN    uint32 // Fragment Sequence Number; of the first fragment 0
}

// Parse reads the part of the header that stands in the chunk's value, of which v has 16 bytes or more.
func (d *IData) Parse(flags uint8, v []byte) error {
	if len(v) < IDataLen-ChunkHeaderLen {
		return ErrMalformed
	}
	*d = IData{
		Flags: flags, TSN: binary.BigEndian.Uint32(v),
		Stream: binary.BigEndian.Uint16(v[4:]), MID: binary.BigEndian.Uint32(v[8:]),
	}
	if last := binary.BigEndian.Uint32(v[12:]); flags&DataB != 0 {
		d.PPID = last
	} else {
		d.FSN = last
	}
	return nil
}

// Put writes the header into b, which has IDataLen bytes, for n bytes of user data.
func (d *IData) Put(b []byte, n int) {
	b[0], b[1] = byte(ChunkIData), d.Flags
	binary.BigEndian.PutUint16(b[2:], uint16(IDataLen+n))
	binary.BigEndian.PutUint32(b[4:], d.TSN)
	binary.BigEndian.PutUint16(b[8:], d.Stream)
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint32(b[12:], d.MID)
	last := d.FSN
	if d.Flags&DataB != 0 {
		last = d.PPID
	}
	binary.BigEndian.PutUint32(b[16:], last)
}

// GapBlock is a run of TSNs that came behind a gap: offsets from the Cumulative TSN Ack, both ends in it
// (RFC 9260, section 3.3.4).
type GapBlock struct{ Start, End uint16 }

// sackLen is the size of a SACK chunk without gap blocks and duplicates in bytes.
const sackLen = 16

// Sack is a SACK chunk (RFC 9260, section 3.3.4). Of one that was read, the blocks and duplicates are
// a part of the bytes that it was read from.
type Sack struct {
	CumTSN uint32 // Cumulative TSN Ack
	ARwnd  uint32 // Advertised Receiver Window Credit
	gaps   []byte
	dups   []byte
}

// ParseSack reads the value of a SACK chunk.
func ParseSack(v []byte) (s Sack, err error) {
	if len(v) < sackLen-ChunkHeaderLen {
		return s, ErrMalformed
	}
	gaps, dups := 4*int(binary.BigEndian.Uint16(v[8:])), 4*int(binary.BigEndian.Uint16(v[10:]))
	rest := v[12:]
	if len(rest) != gaps+dups {
		return s, ErrMalformed
	}
	s = Sack{binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:]), rest[:gaps], rest[gaps:]}
	return s, nil
}

// Gaps returns the number of Gap Ack Blocks.
func (s *Sack) Gaps() int { return len(s.gaps) / 4 }

// Gap returns block i. A receiver must expect anything of it: a start behind its end, blocks that overlap.
func (s *Sack) Gap(i int) GapBlock {
	b := s.gaps[4*i:]
	return GapBlock{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
}

// Dups returns the number of duplicate TSNs.
func (s *Sack) Dups() int { return len(s.dups) / 4 }

// Dup returns duplicate i.
func (s *Sack) Dup(i int) uint32 { return binary.BigEndian.Uint32(s.dups[4*i:]) }

// SackLen returns the length on the wire of a SACK chunk with so many gap blocks and duplicates.
func SackLen(gaps, dups int) int { return sackLen + 4*(gaps+dups) }

// AppendSack writes a SACK chunk behind b.
func AppendSack(b []byte, cumTSN, arwnd uint32, gaps []GapBlock, dups []uint32) []byte {
	b, at := openChunk(b, ChunkSack, 0)
	b = binary.BigEndian.AppendUint32(b, cumTSN)
	b = binary.BigEndian.AppendUint32(b, arwnd)
	b = binary.BigEndian.AppendUint16(b, uint16(len(gaps)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(dups)))
	for _, g := range gaps {
		b = binary.BigEndian.AppendUint16(b, g.Start)
		b = binary.BigEndian.AppendUint16(b, g.End)
	}
	for _, d := range dups {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return closeChunk(b, at)
}

// ParseTSN reads the value of a chunk that is one TSN: SHUTDOWN, ECNE, CWR.
func ParseTSN(v []byte) (uint32, error) {
	if len(v) != 4 {
		return 0, ErrMalformed
	}
	return binary.BigEndian.Uint32(v), nil
}

// AppendTSN writes a chunk whose value is one TSN behind b.
func AppendTSN(b []byte, t ChunkType, tsn uint32) []byte {
	b, at := openChunk(b, t, 0)
	b = binary.BigEndian.AppendUint32(b, tsn)
	return closeChunk(b, at)
}

// Skipped says of a FORWARD-TSN or I-FORWARD-TSN chunk which message of a stream is the last that is
// given up.
type Skipped struct {
	Stream    uint16
	Unordered bool   // of I-FORWARD-TSN alone
	MID       uint32 // of FORWARD-TSN the Stream Sequence Number
}

// ForwardTSN is a FORWARD-TSN (RFC 3758, section 3.2) or I-FORWARD-TSN chunk (RFC 8260, section 2.3.1).
// Of one that was read, the streams are a part of the bytes that it was read from.
type ForwardTSN struct {
	CumTSN      uint32 // New Cumulative TSN
	Interleaved bool   // I-FORWARD-TSN
	streams     []byte
}

// ParseForwardTSN reads the value of a chunk of the type t, one of the two.
func ParseForwardTSN(t ChunkType, v []byte) (f ForwardTSN, err error) {
	f.Interleaved = t == ChunkIForwardTSN
	if len(v) < 4 || (len(v)-4)%f.entry() != 0 {
		return f, ErrMalformed
	}
	f.CumTSN, f.streams = binary.BigEndian.Uint32(v), v[4:]
	return f, nil
}

// entry is what a stream takes.
func (f *ForwardTSN) entry() int {
	if f.Interleaved {
		return 8
	}
	return 4
}

// Streams returns the number of streams.
func (f *ForwardTSN) Streams() int { return len(f.streams) / f.entry() }

// Stream returns stream i.
func (f *ForwardTSN) Stream(i int) Skipped {
	b := f.streams[f.entry()*i:]
	s := Skipped{Stream: binary.BigEndian.Uint16(b)}
	if f.Interleaved {
		s.Unordered, s.MID = b[3]&1 != 0, binary.BigEndian.Uint32(b[4:])
	} else {
		s.MID = uint32(binary.BigEndian.Uint16(b[2:]))
	}
	return s
}

// AppendForwardTSN writes a FORWARD-TSN or, interleaved, an I-FORWARD-TSN chunk behind b.
func AppendForwardTSN(b []byte, interleaved bool, cumTSN uint32, streams []Skipped) []byte {
	t := ChunkForwardTSN
	if interleaved {
		t = ChunkIForwardTSN
	}
	b, at := openChunk(b, t, 0)
	b = binary.BigEndian.AppendUint32(b, cumTSN)
	for _, s := range streams {
		b = binary.BigEndian.AppendUint16(b, s.Stream)
		if !interleaved {
			b = binary.BigEndian.AppendUint16(b, uint16(s.MID))
			continue
		}
		u := byte(0)
		if s.Unordered {
			u = 1
		}
		b = append(b, 0, u)
		b = binary.BigEndian.AppendUint32(b, s.MID)
	}
	return closeChunk(b, at)
}
