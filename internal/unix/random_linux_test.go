package unix

import (
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"usock/internal/buf"
)

// line draws a line of a script on the sockets a to e.
func line(t *rapid.T) string {
	sock := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	addr := rapid.SampledFrom([]string{"p:x", "p:y", "a:x", "a:y"})
	typ := rapid.SampledFrom([]string{"stream", "dgram", "seqpacket"})
	flag := rapid.SampledFrom([]string{"", "", "", "peek", "trunc", "peek trunc"})
	s := sock.Draw(t, "socket")
	switch rapid.IntRange(0, 27).Draw(t, "verb") {
	case 0:
		return fmt.Sprintf("%s = socket %s", s, typ.Draw(t, "type"))
	case 1:
		return fmt.Sprintf("%s %s = pair %s", s, sock.Draw(t, "other"), typ.Draw(t, "type"))
	case 2, 3, 4:
		return fmt.Sprintf("%s = accept %s", s, sock.Draw(t, "listener"))
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

// TestRandom runs random sequences on usock and on the kernel. After every call
// the readiness of all sockets must be the same, too.
func TestRandom(t *testing.T) {
	buf.Track(true)
	defer buf.Track(false)
	rapid.Check(t, func(t *rapid.T) {
		before := buf.Live()
		u, k := newUser(self(), os.Getuid() == 0), newKernel(t)
		defer k.end()
		us, ks := newScript(u, self()), newScript(k, self())
		var done []string
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			l := line(t)
			done = append(done, l)
			if got, want := us.run(l), ks.run(l); got != want {
				t.Fatalf("after %q: usock says %q, the kernel %q", done, got, want)
			}
			for _, s := range []string{"a", "b", "c", "d", "e"} {
				if got, want := us.run(s+" poll"), ks.run(s+" poll"); got != want {
					t.Fatalf("after %q: %s is %q on usock, %q on the kernel", done, s, got, want)
				}
			}
		}
		u.end()
		if n := buf.Live(); n != before {
			t.Fatalf("after %q: %d blocks are left", done, n-before)
		}
	})
}
