package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// Chunks as RFC 9260 draws them, by hand.
func TestSCTPChunks(t *testing.T) {
	i := Init{Tag: 0x01020304, ARwnd: 0x10000, OutStreams: 10, InStreams: 20, TSN: 0xfffffff0}
	i.Params = AppendAddr(nil, netip.MustParseAddr("10.0.0.1"))
	i.Params = AppendAddr(i.Params, netip.MustParseAddr("fd00::1"))
	i.Params = (&TLV{ParamSupportedAddrTypes, []byte{0, 5}}).Append(i.Params)
	f := []Skipped{{Stream: 3, MID: 9}, {Stream: 4, MID: 0x12345, Unordered: true}}
	reset := ReConf{Type: ParamOutgoingReset, Seq: 1, RespSeq: 2, LastTSN: 3}
	data := make([]byte, DataLen)
	(&Data{DataB | DataE, 5, 6, 7, 8}).Put(data, 3)
	idata, idata2 := make([]byte, IDataLen), make([]byte, IDataLen)
	(&IData{Flags: DataB, TSN: 5, Stream: 6, MID: 7, PPID: 8}).Put(idata, 4)
	(&IData{Flags: DataE, TSN: 5, Stream: 6, MID: 7, FSN: 9}).Put(idata2, 4)
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"INIT", i.Append(nil, ChunkInit), "01000036 01020304 00010000 000a0014 fffffff0" +
			"00050008 0a000001 00060014 fd000000000000000000000000000001 000c0006 00050000"},
		{"SACK", AppendSack(nil, 1, 2, []GapBlock{{2, 3}, {5, 5}}, []uint32{7}),
			"0300001c 00000001 00000002 00020001 00020003 00050005 00000007"},
		{"SHUTDOWN", AppendTSN(nil, ChunkShutdown, 9), "07000008 00000009"},
		{"ERROR", (&Chunk{ChunkError, 0, []byte{0, 3, 0, 5, 1}}).Append(nil), "09000009 00030005 01000000"},
		{"cause", AppendParam32(nil, CauseStaleCookie, 77), "00030008 0000004d"},
		{"AUTH", (&Auth{1, 3, []byte{1, 2, 3, 4}}).Append(nil), "0f00000c 00010003 01020304"},
		{"ASCONF", (&Asconf{5, (&AsconfParam{6, []byte{1}}).Append(nil, ParamAddIP)}).Append(nil, ChunkAsconf),
			"c1000011 00000005 c0010009 00000006 01000000"},
		{"FORWARD-TSN", AppendForwardTSN(nil, false, 1, f[:1]), "c000000c 00000001 00030009"},
		{"I-FORWARD-TSN", AppendForwardTSN(nil, true, 1, f),
			"c2000018 00000001 00030000 00000009 00040001 00012345"},
		{"reset", reset.Append(nil, []uint16{4}), "000d0012 00000001 00000002 00000003 0004"},
		{"DATA", data, "00030013 00000005 00060007 00000008"},
		{"I-DATA, first", idata, "40020018 00000005 00060000 00000007 00000008"},
		{"I-DATA, last", idata2, "40010018 00000005 00060000 00000007 00000009"},
	} {
		if want := unhex(c.want); !bytes.Equal(c.b, want) {
			t.Errorf("%s: %x, want %x", c.name, c.b, want)
		}
	}
}

func TestChunkName(t *testing.T) {
	for c, want := range map[ChunkType]string{ChunkData: "DATA", ChunkReConfig: "RE-CONFIG", 0x9f: "chunk 0x9f"} {
		if c.String() != want {
			t.Errorf("%q, want %q", c, want)
		}
	}
}

// What is too short or of a wrong length is malformed, in each chunk and parameter.
func TestSCTPMalformed(t *testing.T) {
	for _, c := range []struct {
		name  string
		parse func(b []byte) error
		b     string
	}{
		{"common header", func(b []byte) error { _, err := ParseSCTP(b); return err }, "0001000200000003000000"},
		{"chunk shorter than its header", parseChunk, "00000003"},
		{"chunk longer than the packet", parseChunk, "0000000800000000"[:14]},
		{"chunk cut in its header", parseChunk, "000000"},
		{"parameter shorter than its header", parseTLV, "00010003"},
		{"parameter longer than the chunk", parseTLV, "0001000500"[:8]},
		{"SACK with fewer blocks than it says", parseSack, "00000001 00000001 00010000"},
		{"SACK with more", parseSack, "00000001 00000001 00000000 00000000"},
		{"SHUTDOWN", func(b []byte) error { _, err := ParseTSN(b); return err }, "000000"},
		{"FORWARD-TSN with half a stream", func(b []byte) error { _, err := ParseForwardTSN(ChunkForwardTSN, b); return err },
			"000000010001"},
		{"I-FORWARD-TSN with half a stream", func(b []byte) error { _, err := ParseForwardTSN(ChunkIForwardTSN, b); return err },
			"0000000100010000"},
		{"INIT", func(b []byte) error { _, err := ParseInit(b); return err }, "000000010000000100010001000000"},
		{"AUTH", func(b []byte) error { _, err := ParseAuth(b); return err }, "000000"},
		{"ASCONF", func(b []byte) error { _, err := ParseAsconf(b); return err }, "000000"},
		{"Add IP", func(b []byte) error { _, err := ParseAsconfParam(b); return err }, "000000"},
		{"address", func(b []byte) error { _, err := ParseAddr(ParamIPv4, b); return err }, "0a0000"},
		{"reset of half a stream", parseReConf(ParamIncomingReset), "0000000100"},
		{"outgoing reset", parseReConf(ParamOutgoingReset), "0000000100000002000000"},
		{"TSN reset", parseReConf(ParamTSNReset), "0000000100"},
		{"response", parseReConf(ParamReConfResp), "000000010000000100000002"},
		{"add streams", parseReConf(ParamAddOutgoing), "00000001"},
		{"unknown request", parseReConf(99), "0000000100000000"},
		{"no request", parseReConf(ParamTSNReset), "000000"},
	} {
		if err := c.parse(unhex(c.b)); err != ErrMalformed {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if (&Data{}).Parse(0, make([]byte, 11)) == nil || (&IData{}).Parse(0, make([]byte, 15)) == nil {
		t.Error("DATA and I-DATA: a short header is taken")
	}
}

func parseChunk(b []byte) error { _, _, err := ParseChunk(b); return err }
func parseTLV(b []byte) error   { _, _, err := ParseTLV(b); return err }
func parseSack(b []byte) error  { _, err := ParseSack(b); return err }

func parseReConf(typ uint16) func(b []byte) error {
	return func(b []byte) error { _, err := ParseReConf(TLV{typ, b}); return err }
}
