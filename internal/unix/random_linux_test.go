package unix

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"usock/packet"
)

// line draws a line, or some in a row, of a script on the sockets a to e.
func line(t *rapid.T) string {
	sock := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	addr := rapid.SampledFrom([]string{"p:x", "p:y", "a:x", "a:y"})
	typ := rapid.SampledFrom([]string{"stream", "dgram", "seqpacket"})
	flag := rapid.SampledFrom([]string{"", "", "", "peek", "trunc", "peek trunc"})
	s := sock.Draw(t, "socket")
	switch rapid.IntRange(1, 27).Draw(t, "verb") {
	case 1:
		if rapid.Bool().Draw(t, "single") {
			return fmt.Sprintf("%s = socket %s", s, typ.Draw(t, "type"))
		}
		return fmt.Sprintf("%s %s = pair %s", s, sock.Draw(t, "other"), typ.Draw(t, "type"))
	case 2:
		return fmt.Sprintf("%s = accept %s", s, sock.Draw(t, "listener"))
	case 3, 4:
		a := addr.Draw(t, "address")
		c, n := sock.Draw(t, "client"), sock.Draw(t, "accepted")
		typ := rapid.SampledFrom([]string{"stream", "seqpacket"}).Draw(t, "type")
		return fmt.Sprintf("unlink %s;%s = socket %s;%s bind %s;%s listen 1;%s = socket %s;%s connect %s;%s = accept %s",
			a, s, typ, s, a, s, c, typ, c, a, n, s)
	case 5, 6:
		return s + " bind " + addr.Draw(t, "address")
	case 7, 8:
		return fmt.Sprintf("%s listen %d", s, rapid.IntRange(0, 1).Draw(t, "backlog"))
	case 9, 10, 11:
		return s + " connect " + addr.Draw(t, "address")
	case 12, 13, 14, 15:
		return s + " send " + rapid.SampledFrom([]string{`""`, "1", "abc", "hello"}).Draw(t, "text")
	case 16:
		return s + " send abc to " + addr.Draw(t, "address")
	case 17, 18, 19, 20:
		return fmt.Sprintf("%s recv %d %s", s, rapid.IntRange(0, 9).Draw(t, "size"), flag.Draw(t, "flag"))
	case 21:
		return s + " shutdown " + rapid.SampledFrom([]string{"rd", "wr", "rdwr"}).Draw(t, "how")
	case 22:
		return s + " close"
	case 23:
		return s + " name"
	case 24:
		return s + " peer"
	case 25:
		return s + " get " + rapid.SampledFrom([]string{"error", "acceptconn", "passcred", "peekoff"}).Draw(t, "option")
	case 26:
		return rapid.SampledFrom([]string{
			s + " set passcred 1", s + " set passcred 0", s + " set peekoff 2", s + " set peekoff -1",
			s + " connect unspec", "unlink p:x",
		}).Draw(t, "rest")
	default:
		return s + " poll"
	}
}

// begin draws the line i: the first ones make the sockets.
func begin(t *rapid.T, i int) string {
	typ := rapid.SampledFrom([]string{"stream", "dgram", "seqpacket"})
	switch i {
	case 0:
		return "a = socket " + typ.Draw(t, "type")
	case 1:
		return "b = socket " + typ.Draw(t, "type")
	case 2:
		return "c = socket " + typ.Draw(t, "type")
	case 3:
		return "d e = pair " + typ.Draw(t, "type")
	}
	return line(t)
}

// TestRandom runs random sequences on usock and on the kernel. After every call
// the readiness of all sockets must be the same, too.
func TestRandom(t *testing.T) {
	recent(t)
	packet.Track(true)
	defer packet.Track(false)
	rapid.Check(t, func(t *rapid.T) {
		before := packet.Live()
		u, k := newUser(self(), os.Getuid() == 0), newKernel(t)
		defer k.end()
		us, ks := newScript(u, self()), newScript(k, self())
		var done []string
		n := rapid.IntRange(1, 80).Draw(t, "calls")
		for i := range n {
			for l := range strings.SplitSeq(begin(t, i), ";") {
				done = append(done, l)
				if got, want := us.run(l), ks.run(l); got != want {
					t.Fatalf("after %q: usock says %q, the kernel %q", done, got, want)
				}
			}
			for _, s := range []string{"a", "b", "c", "d", "e"} {
				if got, want := us.run(s+" poll"), ks.run(s+" poll"); got != want {
					t.Fatalf("after %q: %s is %q on usock, %q on the kernel", done, s, got, want)
				}
			}
		}
		u.end()
		if n := packet.Live(); n != before {
			t.Fatalf("after %q: %d blocks are left", done, n-before)
		}
	})
}
