package inet

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
)

// upTo returns the bytes 0, 1, 2 and so on.
func upTo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// The vectors of SipHash's authors, whose key is 0 to 15 and whose messages are 0, 1, 2 and so on.
func TestSipHash(t *testing.T) {
	key := [16]byte(upTo(16))
	for n, want := range map[int]string{0: "310e0edd47db6f72", 8: "6224939a79f5f593"} {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], sipHash(&key, upTo(n)))
		if got := hex.EncodeToString(b[:]); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

// A cookie is the one that Linux 6.18 was seen to give with the same key.
func TestFastOpenCookie(t *testing.T) {
	keys, err := parseFastOpenKeys(upTo(16))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ server, client, want string }{
		{"10.9.0.1", "10.9.0.2", "e00ddb511b7141cb"},
		{"fd00::1", "fd00::2", "8544fa46ea042e3f"},
	} {
		k := &tuple{laddr: netip.MustParseAddr(c.server), raddr: netip.MustParseAddr(c.client), lport: 7000, rport: 4000}
		b := keys.cookie(0, k)
		if got := hex.EncodeToString(b[:]); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.server, c.client, got, c.want)
		}
		if i := keys.find(b[:], k); i != 0 {
			t.Errorf("found at %d", i)
		}
		if i := keys.find(b[:7], k); i != -1 {
			t.Errorf("a part of it is found at %d", i)
		}
	}
}
