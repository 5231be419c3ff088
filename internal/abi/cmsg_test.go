package abi

import (
	"bytes"
	"net/netip"
	"syscall"
	"testing"
)

func TestCmsgs(t *testing.T) {
	b := AppendCmsg(nil, 41, 67, []byte{1, 0, 0, 0})
	b = AppendCmsg(b, 0, 8, []byte("twelve bytes"))
	list, err := ParseCmsgs(b)
	if err != nil || len(list) != 2 || list[0].Type != 67 || string(list[1].Data) != "twelve bytes" {
		t.Fatalf("%v, %v", list, err)
	}
	for _, bad := range [][]byte{
		{15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := ParseCmsgs(bad); err != syscall.EINVAL {
			t.Errorf("%v: %v, want EINVAL", bad, err)
		}
	}
}

// TestCutCmsgs goes through every room for two messages of 20 and 20 bytes, each
// padded to 24.
func TestCutCmsgs(t *testing.T) {
	one := AppendCmsg(nil, 41, 67, []byte{1, 2, 3, 4})
	both := AppendCmsg(bytes.Clone(one), 41, 52, []byte{5, 6, 7, 8})
	for n := 0; n <= len(both)+1; n++ {
		out, cut := CutCmsgs(bytes.Clone(both), n)
		if cut != (n < 44) {
			t.Errorf("room %d: cut %v", n, cut)
		}
		list, err := ParseCmsgs(out)
		if err != nil {
			t.Fatalf("room %d: %v of %v", n, err, out)
		}
		want := 0
		switch {
		case n >= 24+16:
			want = 2
		case n >= 16:
			want = 1
		}
		if len(list) != want {
			t.Errorf("room %d: %d messages, want %d", n, len(list), want)
		}
		if want > 0 && len(list[0].Data) != min(n-16, 4) {
			t.Errorf("room %d: %d bytes in the first message", n, len(list[0].Data))
		}
		if len(out) > n {
			t.Errorf("room %d: %d bytes", n, len(out))
		}
	}
}

func mustAddr(s string) Addr { return AddrFrom(netip.MustParseAddrPort(s)) }
