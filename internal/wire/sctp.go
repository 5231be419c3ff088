package wire

import (
	"encoding/binary"
	"slices"
)

// SCTPLen is the size of SCTP's common header in bytes.
const SCTPLen = 12

// SCTP is the common header (RFC 9260, section 3.1).
type SCTP struct {
	SrcPort, DstPort uint16
	VTag             uint32 // Verification Tag
	Checksum         uint32 // CRC32c as read, least significant byte first; Put leaves it to the caller
}

// ParseSCTP reads the common header at the start of b.
func ParseSCTP(b []byte) (h SCTP, err error) {
	if len(b) < SCTPLen {
		return h, ErrMalformed
	}
	h.SrcPort = binary.BigEndian.Uint16(b)
	h.DstPort = binary.BigEndian.Uint16(b[2:])
	h.VTag = binary.BigEndian.Uint32(b[4:])
	h.Checksum = binary.LittleEndian.Uint32(b[8:])
	return h, nil
}

// Put writes the header into b, which has SCTPLen bytes, with a zero checksum.
func (h *SCTP) Put(b []byte) {
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint32(b[4:], h.VTag)
	binary.BigEndian.PutUint32(b[8:], 0)
}

// Pad4 is n rounded up to what a chunk, parameter or cause of n bytes takes.
func Pad4(n int) int { return (n + 3) &^ 3 }

// ChunkType is the type of a chunk (RFC 9260, section 3.2).
type ChunkType uint8

// The types of RFC 9260 and, from ChunkAuth on, of its extensions.
const (
	ChunkData             ChunkType = 0
	ChunkInit             ChunkType = 1
	ChunkInitAck          ChunkType = 2
	ChunkSack             ChunkType = 3
	ChunkHeartbeat        ChunkType = 4
	ChunkHeartbeatAck     ChunkType = 5
	ChunkAbort            ChunkType = 6
	ChunkShutdown         ChunkType = 7
	ChunkShutdownAck      ChunkType = 8
	ChunkError            ChunkType = 9
	ChunkCookieEcho       ChunkType = 10
	ChunkCookieAck        ChunkType = 11
	ChunkECNE             ChunkType = 12
	ChunkCWR              ChunkType = 13
	ChunkShutdownComplete ChunkType = 14

	ChunkAuth        ChunkType = 0x0f // RFC 4895
	ChunkIData       ChunkType = 0x40 // RFC 8260
	ChunkAsconfAck   ChunkType = 0x80 // RFC 5061
	ChunkReConfig    ChunkType = 0x82 // RFC 6525
	ChunkPad         ChunkType = 0x84 // RFC 4820
	ChunkForwardTSN  ChunkType = 0xc0 // RFC 3758
	ChunkAsconf      ChunkType = 0xc1 // RFC 5061
	ChunkIForwardTSN ChunkType = 0xc2 // RFC 8260
)

var chunkNames = map[ChunkType]string{
	ChunkData: "DATA", ChunkInit: "INIT", ChunkInitAck: "INIT-ACK", ChunkSack: "SACK",
	ChunkHeartbeat: "HEARTBEAT", ChunkHeartbeatAck: "HEARTBEAT-ACK", ChunkAbort: "ABORT",
	ChunkShutdown: "SHUTDOWN", ChunkShutdownAck: "SHUTDOWN-ACK", ChunkError: "ERROR",
	ChunkCookieEcho: "COOKIE-ECHO", ChunkCookieAck: "COOKIE-ACK", ChunkECNE: "ECNE", ChunkCWR: "CWR",
	ChunkShutdownComplete: "SHUTDOWN-COMPLETE", ChunkAuth: "AUTH", ChunkIData: "I-DATA",
	ChunkAsconfAck: "ASCONF-ACK", ChunkReConfig: "RE-CONFIG", ChunkPad: "PAD",
	ChunkForwardTSN: "FORWARD-TSN", ChunkAsconf: "ASCONF", ChunkIForwardTSN: "I-FORWARD-TSN",
}

// String returns the RFC's name, or the number.
func (t ChunkType) String() string {
	if s, ok := chunkNames[t]; ok {
		return s
	}
	const hex = "0123456789abcdef"
	return "chunk 0x" + string(hex[t>>4]) + string(hex[t&15])
}

// Skip says what a receiver does that does not know the type: go on behind the chunk, or drop the
// rest of the packet (RFC 9260, section 3.2).
func (t ChunkType) Skip() bool { return t&0x80 != 0 }

// Report says whether a receiver that does not know the type tells the sender.
func (t ChunkType) Report() bool { return t&0x40 != 0 }

// ChunkHeaderLen is the size of a chunk without value in bytes.
const ChunkHeaderLen = 4

// Chunk is one chunk: its Value is a part of the bytes that it was read from.
type Chunk struct {
	Type  ChunkType
	Flags uint8
	Value []byte
}

// ParseChunkHeader reads type, flags and length at the start of b; the length counts the header and
// is at least ChunkHeaderLen.
func ParseChunkHeader(b []byte) (t ChunkType, flags uint8, length int, err error) {
	if len(b) < ChunkHeaderLen {
		return 0, 0, 0, ErrMalformed
	}
	length = int(binary.BigEndian.Uint16(b[2:]))
	if length < ChunkHeaderLen {
		return 0, 0, 0, ErrMalformed
	}
	return ChunkType(b[0]), b[1], length, nil
}

// ParseChunk reads the chunk at the start of b and returns what stands behind it. The padding of the
// last one may be missing.
func ParseChunk(b []byte) (c Chunk, rest []byte, err error) {
	t, flags, n, err := ParseChunkHeader(b)
	if err != nil || n > len(b) {
		return c, nil, ErrMalformed
	}
	return Chunk{t, flags, b[ChunkHeaderLen:n]}, b[min(Pad4(n), len(b)):], nil
}

// Len returns the length on the wire, padding included.
func (c *Chunk) Len() int { return Pad4(ChunkHeaderLen + len(c.Value)) }

// Append writes the chunk behind b, padded.
func (c *Chunk) Append(b []byte) []byte {
	b, at := openChunk(slices.Grow(b, c.Len()), c.Type, c.Flags)
	b = append(b, c.Value...)
	return closeChunk(b, at)
}

// openChunk writes a chunk's header behind b; closeChunk sets its length, and pads it.
func openChunk(b []byte, t ChunkType, flags uint8) ([]byte, int) {
	return append(b, byte(t), flags, 0, 0), len(b)
}

func closeChunk(b []byte, at int) []byte { return pad(closeTLV(b, at)) }

// A chunk's length does not count its padding, and so not that of its last parameter either, but that
// of the parameters before (RFC 9260, section 3.2). So a parameter is padded when something follows.

// openTLV writes the header of a parameter or cause behind b; closeTLV sets its length.
func openTLV(b []byte, t uint16) ([]byte, int) {
	b = pad(b)
	return append(binary.BigEndian.AppendUint16(b, t), 0, 0), len(b)
}

func closeTLV(b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	return b
}

// pad fills b, which begins at a multiple of 4, up to one.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// TLV is a parameter or an error cause: a type and a value, which is a part of the bytes that it was
// read from.
type TLV struct {
	Type  uint16
	Value []byte
}

// TLVHeaderLen is the size of a parameter or cause without value in bytes.
const TLVHeaderLen = 4

// ParseTLV reads the parameter or cause at the start of b and returns what stands behind it. The
// padding of the last one may be missing.
func ParseTLV(b []byte) (p TLV, rest []byte, err error) {
	if len(b) < TLVHeaderLen {
		return p, nil, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < TLVHeaderLen || n > len(b) {
		return p, nil, ErrMalformed
	}
	return TLV{binary.BigEndian.Uint16(b), b[TLVHeaderLen:n]}, b[min(Pad4(n), len(b)):], nil
}

// Len returns the length on the wire, padding included.
func (p *TLV) Len() int { return Pad4(TLVHeaderLen + len(p.Value)) }

// Append writes the parameter or cause behind b, which is padded for it.
func (p *TLV) Append(b []byte) []byte {
	b, at := openTLV(slices.Grow(b, p.Len()+TLVHeaderLen), p.Type)
	b = append(b, p.Value...)
	return closeTLV(b, at)
}
