//go:build amd64 || arm64

package run

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestQuestion asks the kernel what is told with -v if it has it.
func TestQuestion(t *testing.T) {
	tcp := question{domain: unix.AF_INET, typ: unix.SOCK_STREAM}
	option := func(call string, level, name int) question {
		q := tcp
		q.call, q.level, q.name = call, level, name
		return q
	}
	for _, c := range []struct {
		what string
		q    question
		want bool
	}{
		{"an option that no kernel has", option("setsockopt", unix.SOL_SOCKET, 9999), true},
		{"and is asked for", option("getsockopt", unix.SOL_SOCKET, 9999), true},
		{"an option of other sockets", option("setsockopt", unix.SOL_UDP, unix.UDP_CORK), true},
		{"one that every kernel has", option("setsockopt", unix.SOL_SOCKET, unix.SO_KEEPALIVE), false},
		{"and is asked for", option("getsockopt", unix.SOL_SOCKET, unix.SO_KEEPALIVE), false},
		{"one whose value is no number", option("setsockopt", unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP), false},
		{"a socket that it has", question{call: "socket", domain: unix.AF_INET, typ: unix.SOCK_STREAM}, false},
		{"a protocol that it does not have", question{call: "socket", domain: unix.AF_INET, typ: unix.SOCK_STREAM, protocol: 250}, true},
		{"a family that it does not have", question{call: "socket", domain: unix.AF_MAX - 1, typ: unix.SOCK_STREAM}, true},
		{"a pair that it does not have", question{call: "socketpair", domain: unix.AF_INET, typ: unix.SOCK_STREAM}, true},
		{"a pair that it has", question{call: "socketpair", domain: unix.AF_UNIX, typ: unix.SOCK_STREAM}, false},
	} {
		if got := c.q.refused(); got != c.want {
			t.Errorf("%s: refused: %v (%v), want %v", c.what, got, c.q.ask(), c.want)
		}
	}
}

// TestLoggerTellsOnce has what is told once, and what is not told in the end.
func TestLoggerTellsOnce(t *testing.T) {
	var log, warns bytes.Buffer
	g := newLogger(&log, &warns)
	me := &task{tid: unix.Gettid(), owner: 7}
	name := command(me.tid)
	for range 2 {
		g.warnFirst("kind", me, "needs something")
		g.warnFirst("kind", me, "needs something else")
		g.note(me, "asks for this", nil)
		g.note(me, "asks for that", func() bool { return true })
		g.note(me, "asks for more", func() bool { return false })
	}
	g.close()
	if want := "usock: " + name + " (7): needs something\n"; warns.String() != want {
		t.Errorf("%s\nwant %s", &warns, want)
	}
	if want := "usock: " + name + " (7): asks for this\nusock: " + name + " (7): asks for more\n"; log.String() != want {
		t.Errorf("%s\nwant %s", &log, want)
	}
	g = newLogger(nil, nil) // nobody wants to know
	g.warnFirst("kind", me, "needs something")
	g.note(me, "asks for this", nil)
	g.close()
}

// TestForeignCall has a call of a 32-bit program, of which the user is told once.
func TestForeignCall(t *testing.T) {
	var log, warns bytes.Buffer
	l := &loop{log: newLogger(&log, &warns), calls: callTable()}
	me := &task{l: l, tid: unix.Gettid(), owner: 7}
	for range 2 {
		c := call{l: l, t: me, dup: -1}
		c.n.data.nr, c.n.data.arch = 359, native.foreignArch // socket, on i386
		if r := c.carryOut(); r.err != unix.ENOSYS || r.how != answered {
			t.Errorf("%+v", r)
		}
	}
	l.log.close()
	want := "usock: " + command(me.tid) + " (7): this is a 32-bit program, for which usock has no Internet sockets: its calls give ENOSYS; run its 64-bit build\n"
	if warns.String() != want || log.Len() > 0 {
		t.Errorf("%s%s\nwant %s", &warns, &log, want)
	}
}

func TestUnrouted(t *testing.T) {
	if unrouted([4]byte{127, 0, 0, 1}) {
		t.Error("there is no route to the machine itself")
	}
}

func TestDescendants(t *testing.T) {
	c := exec.Command("sh", "-c", "cat; true")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); len(descendants(c.Process.Pid)) != 1; {
		if time.Now().After(end) {
			t.Fatalf("%v are below %d", descendants(c.Process.Pid), c.Process.Pid)
		}
	}
	child := descendants(c.Process.Pid)[0]
	got := descendants(os.Getpid(), c.Process.Pid)
	slices.Sort(got)
	if n := slices.Compact(slices.Clone(got)); len(n) != len(got) || !slices.Contains(got, child) || !slices.Contains(got, c.Process.Pid) {
		t.Errorf("%v, want %d and %d once each", got, child, c.Process.Pid)
	}
	in.Close()
	c.Wait()
	if got := descendants(os.Getpid()); slices.Contains(got, c.Process.Pid) {
		t.Errorf("%v, with %d", got, c.Process.Pid)
	}
}
