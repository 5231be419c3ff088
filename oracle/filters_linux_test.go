package oracle

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// program writes instructions "CODE JT JF K", separated by commas, as SO_ATTACH_FILTER has
// them in usock.
func program(text string) string {
	var b []byte
	for _, line := range strings.Split(text, ",") {
		f := strings.Fields(line)
		var v [4]uint64
		for i := range v {
			n, err := strconv.ParseUint(f[i], 0, 32)
			if err != nil {
				panic(err)
			}
			v[i] = n
		}
		b = binary.NativeEndian.AppendUint16(b, uint16(v[0]))
		b = append(b, byte(v[1]), byte(v[2]))
		b = binary.NativeEndian.AppendUint32(b, uint32(v[3]))
	}
	return hex.EncodeToString(b)
}

func attach(socket, text string) string {
	return "; " + socket + " setx so:attach_filter " + program(text)
}

// Filters: all of a packet, none, and one whose byte at a place is what is wanted.
const (
	keepAll  = "6 0 0 0xffffffff"
	keepNone = "6 0 0 0"
)

func byteIs(at, is string) string {
	return "0x30 0 0 " + at + ", 0x15 0 1 " + is + ", 6 0 0 0xffffffff, 6 0 0 0"
}

// filterCases attach filters and send what they are about.
func filterCases() []sequence {
	udp := "b = udp; b bind lo:7000; a = udp; a bind lo:7001; a connect lo:7000"
	hello := "; a send hello; b recv 9"
	keep := ""
	for _, n := range []string{"0", "1", "7", "8", "9", "12", "13", "14", "0xffffffff"} {
		keep += attach("b", "6 0 0 "+n) + hello
	}
	loads := ""
	for _, c := range [][2]string{{"8", "'h'"}, {"8", "'j'"}, {"100", "0"}, {"12", "'o'"}, {"13", "0"}, {"0xfff00000", "0x45"}, {"0xfff00008", "64"}, {"0xfff00009", "17"}, {"0xfff00014", "0x1b"}, {"0xfff0001c", "'h'"}, {"0xffe00000", "0"}, {"0xffe0000c", "8"}, {"0xffe0000e", "0x45"}} {
		is := c[1]
		if is[0] == '\'' {
			is = strconv.Itoa(int(is[1]))
		}
		loads += attach("b", byteIs(c[0], is)) + hello
	}
	ancillary := ""
	for _, c := range [][2]string{{"0xfffff000", "0x800"}, {"0xfffff004", "0"}, {"0xfffff008", "1"}, {"0xfffff00c", "0"}, {"0xfffff014", "0"}, {"0xfffff01c", "772"}, {"0xfffff02c", "0"}, {"0xfffff030", "0"}, {"0xfffff034", "8"}, {"0xfffff03c", "0"}} {
		ancillary += attach("b", "0x20 0 0 "+c[0]+", 0x15 0 1 "+c[1]+", 6 0 0 99, 6 0 0 0") + hello
	}
	verifier := "a = udp"
	for _, p := range []string{"6 0 0 1", "0x80 0 0 0", "5 0 0 0, 6 0 0 1", "5 0 0 1, 6 0 0 1", "0x15 1 0 0, 6 0 0 1", "0x34 0 0 0, 6 0 0 1", "0x64 0 0 32, 6 0 0 1", "0x60 0 0 16, 6 0 0 1", "0x60 0 0 3, 6 0 0 1", "2 0 0 3, 0x60 0 0 3, 0x16 0 0 0", "2 0 0 16, 6 0 0 1", "0x15 0 1 5, 2 0 0 0, 0x60 0 0 0, 0x16 0 0 0", "0x27 0 0 0, 6 0 0 1", "0xffff 0 0 0, 6 0 0 1", "0x84 0 0 0, 6 0 0 1", "0x81 0 0 0, 6 0 0 1", "0x20 0 0 0xfffff0c8, 0x16 0 0 0", "0x20 0 0 0xfffff034, 0x16 0 0 0", "0xe 0 0 0, 6 0 0 1", "6 0 0 1, 0x80 0 0 0, 6 0 0 1"} {
		verifier += attach("a", p)
	}
	return []sequence{
		{name: "bytes that are kept", lines: udp + keep},
		{name: "loads", lines: udp + loads},
		{name: "ancillary data", lines: udp + ancillary},
		{name: "computed", lines: udp + attach("b", "0xb1 0 0 8, 0x50 0 0 0, 0x16 0 0 0") + hello + attach("b", "0x80 0 0 0, 0x14 0 0 2, 0x16 0 0 0") + hello + attach("b", "1 0 0 0xfffffffd, 0x50 0 0 11, 0x15 0 1 104, 6 0 0 99, 6 0 0 0") + hello + attach("b", "0 0 0 6, 0x84 0 0 0, 0x84 0 0 0, 4 0 0 5, 0x16 0 0 0") + hello + attach("b", "1 0 0 0, 0 0 0 6, 0x3c 0 0 0, 6 0 0 99") + hello + attach("b", "0 0 0 12, 7 0 0 0, 0 0 0 0, 0x87 0 0 0, 0x16 0 0 0") + hello},
		{name: "verified", lines: verifier},
		{name: "attached and taken away", lines: udp + "; b set so:detach_filter 0; b setx so:detach_filter; b get so:detach_filter; b get so:attach_filter 8; b get so:lock_filter; b set so:lock_filter 0" + attach("b", keepNone) + hello + "; b get so:attach_filter 8; b get so:attach_filter 64" + attach("b", byteIs("8", "104")) + "; b get so:attach_filter 32; b get so:attach_filter 24; b get so:attach_filter 64" + hello + "; b set so:detach_filter 0" + hello + "; b set so:detach_filter 1"},
		{name: "locked", lines: udp + "; b set so:lock_filter 1; b get so:lock_filter; b set so:lock_filter 0; b set so:lock_filter 5" + attach("b", keepNone) + "; b set so:detach_filter 0" + hello + "; c = udp; c bind lo:7002" + attach("c", keepNone) + "; c set so:lock_filter 1; c set so:detach_filter 0" + attach("c", keepAll) + "; c set so:attach_bpf -1; a send x to lo:7002; c recv 9; c get so:attach_filter 8"},
		{name: "of eBPF", lines: "a = udp; a set so:attach_bpf -1; a set so:attach_bpf 999; a get so:attach_bpf; t = tcp; t set so:attach_bpf -1"},
		{name: "counted as dropped", lines: udp + "; b set so:rxq_ovfl 1" + attach("b", keepNone) + "; a send x; a send y" + attach("b", keepAll) + hello + "; b get so:meminfo 36"},
		{name: "v6", lines: "b = udp6; b bind any6:7000; a = udp6; a bind lo6:7001; a connect lo6:7000" + attach("b", byteIs("8", "104")) + hello + attach("b", byteIs("0xfff00006", "17")) + hello + attach("b", "0x28 0 0 0xfffff000, 0x15 0 1 0x86dd, 6 0 0 11, 6 0 0 0") + hello + "; c = udp; c send hello to lo:7000; b recv 9" + attach("b", "0x28 0 0 0xfffff000, 0x15 0 1 0x800, 6 0 0 11, 6 0 0 0") + "; c send hello to lo:7000; b recv 9"},
		{name: "segments", lines: udp + attach("b", "0x80 0 0 0, 0x15 0 1 10, 6 0 0 99, 6 0 0 0") + "; a send abcdef cmsg udp:segment 0200; b recv 9; b recv 9; b recv 9; a send abcde cmsg udp:segment 0200; b recv 9; b recv 9; b recv 9; b set udp:gro 1; a send abcdef cmsg udp:segment 0200; b recv 9; a send xy; b recv 9" + attach("b", "0x80 0 0 0, 0x15 0 1 14, 6 0 0 11, 6 0 0 0") + "; a send abcdef cmsg udp:segment 0200; b recv 9"},
		{name: "raw", lines: "b = raw; b bind lo:0; a = raw; a connect lo:0; a shutdown rd" + attach("b", byteIs("0", "0x45")) + "; a send hello; b recvx 99" + attach("b", byteIs("20", "104")) + "; a send hello; b recvx 99; a send jello; b recvx 99" + attach("b", "6 0 0 3") + "; a send hello; b recv 99" + attach("b", "6 0 0 22") + "; a send hello; b recvx 99" + attach("b", byteIs("0xfff00009", "253")) + "; a send hello; b recvx 99; c = raw6; c bind lo6:0; d = raw6; d connect lo6:0" + attach("c", byteIs("0", "104")) + "; d send hello; c recv 9; d send jello; c recv 9" + attach("c", "6 0 0 2") + "; d send hello; c recv 9"},
		{name: "ping", lines: "p = ping; p bind any:77" + attach("p", byteIs("0", "0")) + "; p sendx 0800000000000001 to lo:0; p recv 99" + attach("p", byteIs("7", "2")) + "; p sendx 0800000000000001 to lo:0; p recv 99; p sendx 0800000000000002 to lo:0; p recv 99" + attach("p", "6 0 0 5") + "; p sendx 0800000000000002 to lo:0; p recv 99"},
		{name: "stream", lines: pair + attach("s", byteIs("0", "0x1b")) + "; c send q; s recv 9" + attach("s", keepAll) + "; c send r; s recv 9" + attach("s", byteIs("12", "0x80")) + "; c send hello; s recv 9; s get so:attach_filter 32; s set so:detach_filter 0"},
		{name: "stream, data", lines: pair + attach("s", "0x30 0 0 12, 0x74 0 0 2, 7 0 0 0, 0x50 0 0 0, 0x15 0 1 106, 6 0 0 0, 6 0 0 0xffffffff") + "; c send hello; s recv 9; c send jello; s recv 9; s recv 9"},
		{name: "stream, cut short", lines: pair + attach("s", "6 0 0 34") + "; c send hello; s recv 9"},
		{name: "stream refused", lines: "l = tcp; l bind lo:7000; l listen 5" + attach("l", keepNone) + "; c = tcp; c connect lo:7000; c get so:error; s = accept l"},
		{name: "inherited", lines: "l = tcp; l bind lo:7000; l listen 5" + attach("l", keepAll) + "; l set so:lock_filter 1; c = tcp; c connect lo:7000; s = accept l; s get so:attach_filter 8; s get so:lock_filter; s set so:detach_filter 0; c send x; s recv 9; c get so:attach_filter 8"},
	}
}
