//go:build amd64 || arm64

package run

import (
	"testing"

	"golang.org/x/sys/unix"

	"usock"
)

// without takes capabilities off the calling thread's effective set until the test ends.
// It skips the test where they are not there.
func without(t *testing.T, capabilities ...int) (restore func()) {
	t.Helper()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all, few [2]unix.CapUserData
	if err := unix.Capget(&h, &all[0]); err != nil {
		t.Fatal(err)
	}
	few = all
	for _, c := range capabilities {
		if all[0].Effective>>c&1 == 0 {
			t.Skip("needs root's capabilities")
		}
		few[0].Effective &^= 1 << c
	}
	set := func(d *[2]unix.CapUserData) {
		if err := unix.Capset(&h, &d[0]); err != nil {
			t.Fatal(err)
		}
	}
	set(&few)
	restore = func() { set(&all) }
	t.Cleanup(restore)
	return restore
}

// What takes a capability takes the calling thread's, at the time of the call.
func TestCallerCapabilities(t *testing.T) {
	p := newPlayer(t)
	other, end := p.thread() // which keeps them all
	defer end()
	restore := without(t, usock.CAP_NET_RAW, usock.CAP_NET_BIND_SERVICE, usock.CAP_NET_ADMIN)
	force := func(fd int) error {
		return errnoOrNil(p.setOption(fd, usock.SOL_SOCKET, usock.SO_RCVBUFFORCE, []byte{0, 0, 1, 0}))
	}
	raw := func() error {
		c := p.call("socket", usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_ICMP)
		if c.err == 0 {
			p.close(int(c.val))
		}
		return errnoOrNil(c.err)
	}
	bind := func() error {
		fd := p.stream(0)
		defer p.close(fd)
		return errnoOrNil(p.bind(fd, 80))
	}
	fd := p.stream(0)
	for _, x := range []struct {
		what string
		ask  func() error
		want error
	}{
		{"a raw socket", raw, unix.EPERM},
		{"port 80", bind, unix.EACCES},
		{"SO_RCVBUFFORCE", func() error { return force(fd) }, unix.EPERM},
	} {
		if err := x.ask(); err != x.want {
			t.Errorf("%s without capabilities: %v, want %v", x.what, err, x.want)
		}
		p.as(other, func() {
			if err := x.ask(); err != nil {
				t.Errorf("%s by a thread that has them: %v", x.what, err)
			}
		})
		if err := x.ask(); err != x.want {
			t.Errorf("%s after another thread: %v, want %v", x.what, err, x.want)
		}
	}
	restore()
	if err := raw(); err != nil {
		t.Errorf("a raw socket with the capability back: %v", err)
	}
}

// A call that is tried while another is carried out is its own thread's, and the other's
// is the other's again after that.
func TestCallerOfNestedCalls(t *testing.T) {
	p := newPlayer(t)
	restore := without(t, usock.CAP_NET_RAW)
	defer restore()
	other, end := p.thread()
	defer end()
	inner := &call{l: p.l, t: &task{l: p.l, tid: other}}
	outer := &call{l: p.l, t: &task{l: p.l, tid: p.tid}}
	who := p.l.caller
	ask := func() bool { return capable(who.now.t.tid, usock.CAP_NET_RAW) }
	(&parked{c: *outer}).during(func(*call) result {
		if ask() {
			t.Error("the thread has the capability that it gave up")
		}
		(&parked{c: *inner}).during(func(*call) result {
			if !ask() {
				t.Error("the other thread has not")
			}
			return result{}
		})
		if ask() {
			t.Error("the capability is the other thread's after that")
		}
		return result{}
	})
	if who.now != nil || who.Capable(usock.CAP_NET_RAW) {
		t.Error("nobody's call has a capability")
	}
}

func errnoOrNil(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
