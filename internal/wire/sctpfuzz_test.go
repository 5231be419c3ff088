package wire

import (
	"bytes"
	"testing"
)

// What is read of a packet's chunks is written again as it came, and no chunk, parameter or cause
// makes a parser panic or read beyond it.
func FuzzSCTP(f *testing.F) {
	const common = "04d2162e0000000100000000"
	for _, s := range []string{
		"", "00030013 00000005 00060007 00000008 61626300",
		"01000036 01020304 00010000 000a0014 fffffff0 00050008 0a000001 00060014 fd000000000000000000000000000001 000c0006 00050000",
		"0300001c 00000001 00000002 00020001 00020003 00050005 00000007",
		"0400000c 00010008 01020304 07000008 00000009 08000004",
		"0600000c 000c0008 61626364", "09000008 00090004", "0a000008 01020304 0b000004", "0c000008 00000001 0e010004",
		"0f00000c 00010003 01020304", "c1000014 00000005 c0010009 00000006 01000000", "c000000c 00000001 00030009",
		"c2000018 00000001 00030000 00000009 00040001 00012345",
		"82000016 000d0012 00000001 00000002 00000003 00040000",
		"82000010 0010000c 00000001 00000001", "40020018 00000005 00060000 00000007 00000008 61626364",
	} {
		f.Add(unhex(common + s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseSCTP(b)
		if err != nil {
			return
		}
		out := make([]byte, SCTPLen)
		h.Put(out)
		if !bytes.Equal(out[:8], b[:8]) {
			t.Fatalf("%x, put again: %x", b[:SCTPLen], out)
		}
		for rest := b[SCTPLen:]; len(rest) > 0; {
			c, next, err := ParseChunk(rest)
			if err != nil {
				return
			}
			whole := rest[:ChunkHeaderLen+len(c.Value)]
			if again := c.Append(nil); !bytes.Equal(again[:len(whole)], whole) || len(again) != c.Len() {
				t.Fatalf("%x, put again: %x", whole, again)
			}
			if again := againChunk(t, c); again != nil && !bytes.Equal(again[ChunkHeaderLen:len(whole)], c.Value) {
				t.Fatalf("%v %x, put again: %x", c.Type, c.Value, again)
			}
			rest = next
		}
	})
}

// againChunk reads the chunk's value and writes it again; nil where it is malformed or has parts that
// nobody keeps.
func againChunk(t *testing.T, c Chunk) []byte {
	switch c.Type {
	case ChunkData:
		var d Data
		if d.Parse(c.Flags, c.Value) != nil {
			return nil
		}
		b := make([]byte, DataLen)
		n := len(c.Value) - (DataLen - ChunkHeaderLen)
		d.Put(b, n)
		return append(b, c.Value[len(c.Value)-n:]...)
	case ChunkIData:
		var d IData
		if d.Parse(c.Flags, c.Value) != nil || c.Value[6] != 0 || c.Value[7] != 0 {
			return nil
		}
		b := make([]byte, IDataLen)
		n := len(c.Value) - (IDataLen - ChunkHeaderLen)
		d.Put(b, n)
		return append(b, c.Value[len(c.Value)-n:]...)
	case ChunkSack:
		s, err := ParseSack(c.Value)
		if err != nil {
			return nil
		}
		var gaps []GapBlock
		for i := range s.Gaps() {
			gaps = append(gaps, s.Gap(i))
		}
		var dups []uint32
		for i := range s.Dups() {
			dups = append(dups, s.Dup(i))
		}
		return AppendSack(nil, s.CumTSN, s.ARwnd, gaps, dups)
	case ChunkInit, ChunkInitAck:
		i, err := ParseInit(c.Value)
		if err != nil {
			return nil
		}
		walkTLVs(t, i.Params)
		return i.Append(nil, c.Type)
	case ChunkShutdown, ChunkECNE, ChunkCWR:
		tsn, err := ParseTSN(c.Value)
		if err != nil {
			return nil
		}
		return AppendTSN(nil, c.Type, tsn)
	case ChunkAuth:
		a, err := ParseAuth(c.Value)
		if err != nil {
			return nil
		}
		return a.Append(nil)
	case ChunkAsconf, ChunkAsconfAck:
		a, err := ParseAsconf(c.Value)
		if err != nil {
			return nil
		}
		walkTLVs(t, a.Params)
		return a.Append(nil, c.Type)
	case ChunkForwardTSN:
		f, err := ParseForwardTSN(c.Type, c.Value)
		if err != nil {
			return nil
		}
		var s []Skipped
		for i := range f.Streams() {
			s = append(s, f.Stream(i))
		}
		return AppendForwardTSN(nil, f.Interleaved, f.CumTSN, s)
	case ChunkIForwardTSN:
		f, err := ParseForwardTSN(c.Type, c.Value)
		for i := 0; err == nil && i < f.Streams(); i++ {
			f.Stream(i)
		}
	case ChunkError, ChunkAbort, ChunkReConfig, ChunkHeartbeat, ChunkHeartbeatAck:
		walkTLVs(t, c.Value)
	}
	return nil
}

// walkTLVs reads all parameters, and those inside them.
func walkTLVs(t *testing.T, b []byte) {
	for len(b) > 0 {
		p, rest, err := ParseTLV(b)
		if err != nil {
			return
		}
		whole := b[:TLVHeaderLen+len(p.Value)]
		if again := p.Append(nil); !bytes.Equal(again[:len(whole)], whole) || Pad4(len(again)) != p.Len() {
			t.Fatalf("parameter %x, put again: %x", whole, again)
		}
		if a, err := ParseAddr(p.Type, p.Value); err == nil && !a.Is4In6() {
			if again := AppendAddr(nil, a); a.Is4() == (p.Type == ParamIPv4) && !bytes.Equal(again, whole) {
				t.Fatalf("address %x, put again: %x", whole, again)
			}
		}
		if a, err := ParseAsconfParam(p.Value); err == nil {
			if again := a.Append(nil, p.Type); !bytes.Equal(again[:len(whole)], whole) {
				t.Fatalf("parameter %x, put again: %x", whole, again)
			}
		}
		if r, err := ParseReConf(p); err == nil {
			var s []uint16
			for i := range r.Streams() {
				s = append(s, r.Stream(i))
			}
			adds := p.Type == ParamAddOutgoing || p.Type == ParamAddIncoming // their last two bytes are reserved
			if again := r.Append(nil, s); !adds && !bytes.Equal(again[:len(whole)], whole) {
				t.Fatalf("parameter %x, put again: %x", whole, again)
			}
		}
		b = rest
	}
}
