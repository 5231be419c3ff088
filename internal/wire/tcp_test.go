package wire

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// tcpWith returns a header with the options given in hexadecimal, a multiple of four bytes.
func tcpWith(flags TCPFlags, options string) []byte {
	b := unhex("0050c0000000000100000002" + "0000ffff00000000" + options)
	b[12], b[13] = byte(len(b)/4)<<4, byte(flags)
	return b
}

// What options say, what is passed over, and what ends them (RFC 9293, section 3.2). No
// option is at a word's start unless it happens to be (RFC 9293 MUST-64).
func TestTCPOptions(t *testing.T) {
	stamp := TCPOptions{HasTimestamp: true, TSVal: 1, TSEcr: 2}
	withCookie := func(n int) TCPOptions {
		o := TCPOptions{HasFastOpen: true, NCookie: uint8(n)}
		copy(o.Cookie[:], bytes.Repeat([]byte{0xcc}, n))
		return o
	}

	exp := func(n int) TCPOptions {
		o := withCookie(n)
		o.ExpFastOpen = true
		return o
	}

	for _, c := range []struct {
		name, options string
		flags         TCPFlags
		want          TCPOptions
	}{
		{"MSS", "020405b4", SYN, TCPOptions{MSS: 1460}},
		{"behind one byte", "01020405b4000000", SYN, TCPOptions{MSS: 1460}},
		{"end of list", "00020405b4000000", SYN, TCPOptions{}},
		{"unknown, passed over", "fd040000020405b4", SYN, TCPOptions{MSS: 1460}},
		{"unknown, without content", "fd02020405b40000", SYN, TCPOptions{MSS: 1460}},
		{"length of 0", "fd000000020405b4", SYN, TCPOptions{}},
		{"length of 1", "fd010000020405b4", SYN, TCPOptions{}},
		{"longer than the header", "fd090000020405b4", SYN, TCPOptions{}},
		{"kind at the end", "010101fd", SYN, TCPOptions{}},
		{"MSS of three bytes", "0203050101010101", SYN, TCPOptions{}},
		{"timestamps, aligned", "0101080a0000000100000002", ACK, stamp},
		{"timestamps, elsewhere", "080a00000001000000020101", ACK, stamp},
		{"of SYNs, elsewhere", "020405b4030307010402010122020101", ACK, TCPOptions{}},
		{"scale and SACK", "0303070104020101", SYN, TCPOptions{HasWScale: true, WScale: 7, SACKPermitted: true}},
		{"cookie asked for", "22020101", SYN, withCookie(0)},
		{"cookie of 2", "2204cccc", SYN, TCPOptions{}},
		{"cookie of 4", "2206cccccccc0101", SYN, withCookie(4)},
		{"cookie of 5", "2207cccccccccc01", SYN, TCPOptions{}},
		{"cookie of 16", "2212" + hex.EncodeToString(bytes.Repeat([]byte{0xcc}, 16)) + "0101", SYN, withCookie(16)},
		{"experimental, cookie asked for", "fe04f989", SYN, exp(0)},
		{"experimental, cookie of 4", "fe08f989cccccccc", SYN, exp(4)},
		{"experimental, cookie of 16", "fe14f989" + hex.EncodeToString(bytes.Repeat([]byte{0xcc}, 16)), SYN, exp(16)},
		{"experimental, cookie of 18", "fe16f989" + hex.EncodeToString(bytes.Repeat([]byte{0xcc}, 18)) + "0101", SYN, TCPOptions{}},
		{"experimental, cookie of 5", "fe09f989cccccccccc010101", SYN, TCPOptions{}},
		{"experimental, elsewhere", "fe04f989", ACK, TCPOptions{}},
		{"another experiment", "fe04f988020405b4", SYN, TCPOptions{MSS: 1460}},
		{"an experiment without number", "fe03f901020405b4", SYN, TCPOptions{MSS: 1460}},
		{"both forms", "22020101fe08f989cccccccc", SYN, exp(4)},
		{"both forms, the other way", "fe08f989cccccccc22020101", SYN, withCookie(0)},
		{"both forms, the last one void", "22020101fe06f989cccc0101", SYN, TCPOptions{}},
		{"both forms, the last one odd", "22020101fe07f989cccccc01", SYN, withCookie(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _, err := ParseTCP(tcpWith(c.flags, c.options))
			if err != nil || h.Options != c.want {
				t.Errorf("%+v, %v, want %+v", h.Options, err, c.want)
			}
		})
	}
}

// What is written has lengths, and no-operations fill each option's words (RFC 9293
// MUST-68, RFC 9293 MUST-69).
func TestPutTCPOptions(t *testing.T) {
	h := TCP{Flags: SYN, Options: TCPOptions{MSS: 1460, SACKPermitted: true, HasWScale: true, WScale: 7, HasFastOpen: true, NCookie: 4}}
	b := bytes.Repeat([]byte{0xff}, h.Len())
	h.Put(b)

	if got, want := hex.EncodeToString(b[TCPMinLen:]), "020405b4"+"01010402"+"01030307"+"2206000000000101"; got != want {
		t.Errorf("options %s, want %s", got, want)
	}
}
