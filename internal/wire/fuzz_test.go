package wire

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzIPv4(f *testing.F) {
	f.Add(unhex("45000054a6f2400040017fb40a0000010a000002"))
	f.Add(unhex("47000054a6f2200540017fb40a0000010a0000029404000001000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseIPv4(b)
		if err != nil {
			return
		}
		if n < IPv4MinLen || n > len(b) || n != h.Len() || int(h.TotalLen) < n {
			t.Fatalf("length %d of %d", n, len(b))
		}
		out := make([]byte, n)
		h.Put(out)
		if ChecksumOf(out) != 0 {
			t.Fatal("checksum")
		}
		g, _, err := ParseIPv4(out)
		g.Checksum = h.Checksum
		if err != nil || !reflect.DeepEqual(g, h) {
			t.Fatalf("%+v, put and parsed again: %+v", h, g)
		}
		if CheckIPv4Options(h.Options) < 0 {
			o := IPv4FragmentOptions(h.Options)
			if len(o) > len(h.Options) || CheckIPv4Options(o) >= 0 {
				t.Fatalf("options %x, of a fragment %x", h.Options, o)
			}
		}
	})
}

func FuzzIPv6(f *testing.F) {
	f.Add(unhex("6a5abcde0010114020010db8000000000000000000000001fe800000000000000000000000000002"))
	f.Add(append(unhex("600000000018004020010db8000000000000000000000001fe800000000000000000000000000002"),
		unhex("2b000104000000003c0000000000ffff1100010400000000")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseIPv6(b)
		if err != nil {
			return
		}
		out := make([]byte, IPv6Len)
		h.Put(out)
		if !bytes.Equal(out, b[:IPv6Len]) {
			t.Fatalf("%x, put again: %x", b[:IPv6Len], out)
		}
		rest := b[IPv6Len:]
		c := WalkIPv6(h.Next, rest, true)
		if c.Len > len(rest) || c.NextAt >= c.Len || c.NextAt < -1 || c.Pointer < -1 || c.Pointer > len(rest) {
			t.Fatalf("%+v of %d bytes", c, len(rest))
		}
		CheckHopByHop(rest)
		if fh, err := ParseFragmentHeader(rest); err == nil {
			out := make([]byte, IPv6FragmentLen)
			fh.Put(out)
			if g, _ := ParseFragmentHeader(out); g != fh {
				t.Fatalf("%+v, put and parsed again: %+v", fh, g)
			}
		}
	})
}

func FuzzUDP(f *testing.F) {
	f.Add(unhex("0fa00fa1000d1234"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseUDP(b)
		if err != nil {
			return
		}
		out := make([]byte, UDPLen)
		h.Put(out)
		if !bytes.Equal(out, b[:UDPLen]) {
			t.Fatalf("%x, put again: %x", b[:UDPLen], out)
		}
	})
}

func fuzzICMP(t *testing.T, b []byte) {
	h, err := ParseICMP(b)
	if err != nil {
		return
	}
	out := make([]byte, ICMPLen)
	h.Put(out)
	if !bytes.Equal(out, b[:ICMPLen]) {
		t.Fatalf("%x, put again: %x", b[:ICMPLen], out)
	}
	if uint32(h.ID())<<16|uint32(h.Seq()) != h.Info {
		t.Fatal("identifier and sequence number")
	}
}

func FuzzICMPv4(f *testing.F) {
	f.Add(unhex("0800f7f512340001"))
	f.Add(unhex("0304000000000500" + "45000054a6f2400040017fb40a0000010a000002" + "0800f7f512340001"))
	f.Fuzz(fuzzICMP)
}

func FuzzICMPv6(f *testing.F) {
	f.Add(unhex("8000f7f512340001"))
	f.Add(unhex("0200000000000500" + "6a5abcde0010114020010db8000000000000000000000001fe800000000000000000000000000002"))
	f.Fuzz(fuzzICMP)
}

func FuzzTCP(f *testing.F) {
	f.Add(unhex("0050c00000000001000000025012ffff00000000"))
	f.Add(unhex("0050c0000000000100000002a012ffff00000000" + "020405b40402080a0000000100000000" + "01030307"))
	f.Add(unhex("0050c0000000000100000002b010ffff00000000" + "0101080a0000000100000002" + "0101050a" + "0000000100000005"))
	f.Add(unhex("0050c00000000001000000028002ffff00000000" + "220a" + "0102030405060708" + "0101"))
	f.Add(unhex("0050c00000000001000000028002ffff00000000" + "fe0cf989" + "0102030405060708"))
	f.Add(unhex("0050c00000000001000000027002ffff00000000" + "fe04f989" + "fe04e2d4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseTCP(b)
		if err != nil {
			return
		}
		if n < TCPMinLen || n > TCPMaxLen || n > len(b) {
			t.Fatalf("length %d of %d", n, len(b))
		}
		if h.Len() > TCPMaxLen {
			return // options packed tighter than usock aligns them
		}
		out := make([]byte, h.Len())
		h.Put(out)
		g, _, err := ParseTCP(out)
		g.Checksum = h.Checksum
		if err != nil || g != h {
			t.Fatalf("%+v, put and parsed again: %+v", h, g)
		}
	})
}
