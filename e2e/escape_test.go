//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asMany calls f with an ordinary user and, where root runs the tests, with root.
func asMany(t *testing.T, f func(*testing.T, way)) {
	t.Helper()
	ways := []way{asUser}
	if os.Getuid() == 0 {
		ways = append(ways, asRoot)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// TestOtherFamilies asks for sockets of all families. Those that reach a network, and
// are not usock's, do not exist.
func TestOtherFamilies(t *testing.T) {
	need(t, "python3", "python3")
	asMany(t, func(t *testing.T, w way) {
		o := prints(t, w, "python3 "+script(t, "families.py"), "AF_INET: ENOTSUP", "AF_UNIX: 0 0", "io_uring: ENOSYS")
		// Those that the kernel has, and lets this user have, are named.
		native := natively(t, w, `python3 -c '
import socket
for family, type in (17, 3), (40, 1), (44, 3): # PACKET, VSOCK, XDP
    try: socket.socket(family, type, 0)
    except OSError: print(0)
    else: print(1)'`)
		has := strings.Fields(native.stdout)
		for i, call := range []string{"socket(17, 3, 0)", "socket(40, 1, 0)", "socket(44, 3, 0)"} {
			if n := strings.Count(o.stderr, ": "+call+": EAFNOSUPPORT\n"); fmt.Sprint(n) != has[i] {
				t.Errorf("%s is named %d times on stderr, want %s", call, n, has[i])
			}
		}
	})
}

// TestNetworkNamespaces makes sockets in network namespaces that the program has made or
// joined: they are the kernel's, and reach nothing outside. A socket that was made
// before, or by another thread, is that of its maker.
func TestNetworkNamespaces(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "namespaces.py")
	t.Run("user", func(t *testing.T) {
		needNamespaces(t)
		twin(t, asUser, "python3 "+py+" user")
	})
	t.Run("root", func(t *testing.T) {
		needRoot(t)
		if !hasCapability(t, capSysAdmin) {
			t.Skip("needs leave to make network namespaces")
		}
		twin(t, asRoot, "python3 "+py+" root")
	})
}

// needNamespaces skips the test unless an ordinary user may make namespaces.
func needNamespaces(t *testing.T) {
	t.Helper()
	need(t, "unshare", "util-linux")
	c := exec.Command("unshare", "-Urn", "true")
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("users may not make namespaces here: %s", out)
	}
}

// TestMachineIsOutOfReach looks for a server of the machine's, by its loopback address,
// from within the run and from namespaces made in it.
func TestMachineIsOutOfReach(t *testing.T) {
	need(t, "python3", "python3")
	needNamespaces(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	py := fmt.Sprintf(`import errno, socket
print(errno.errorcode[socket.socket().connect_ex(("127.0.0.1", %d))])`, l.Addr().(*net.TCPAddr).Port)
	asMany(t, func(t *testing.T, w way) {
		prints(t, w, fmt.Sprintf("for in in '' 'unshare -Urn'; do $in python3 -c '%s'; done", py), "ECONNREFUSED", "ENETUNREACH")
	})
	l.(*net.TCPListener).SetDeadline(time.Now()) // what has come is there
	if c, err := l.Accept(); err == nil {
		t.Errorf("a connection from %v", c.RemoteAddr())
	}
}

// TestLandlock is about a program that confines itself. Landlock's rules for the network
// would judge nothing, so there are none to be had; those for files hold.
func TestLandlock(t *testing.T) {
	need(t, "python3", "python3")
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		t.Skipf("this kernel has no Landlock: %v", e)
	}
	py := "python3 " + script(t, "sandbox.py")
	o := prints(t, asUser, py+" rules",
		fmt.Sprintf("ABI: %d", min(abi, 3)), "files: made and zeros: made", "connect: E2BIG", "bind: E2BIG", "scopes: E2BIG",
		"none: ENOMSG", "a right on files of later: EINVAL", "too short: EINVAL", "too long: E2BIG", "no memory: EFAULT")
	named := 0
	if abi > 3 { // else the kernel has none either
		named = 1
	}
	if want := "landlock_create_ruleset: rules for the network are not supported: E2BIG\n"; strings.Count(o.stderr, want) != named {
		t.Errorf("stderr: %s", o.stderr)
	}
	twin(t, asUser, py+" files")
}

// TestOwnFilter has a program deny itself calls by a filter of its own, which comes
// before usock's where it is the stricter one.
func TestOwnFilter(t *testing.T) {
	need(t, "python3", "python3")
	twin(t, asUser, "for action in errno trap kill; do python3 "+script(t, "sandbox.py")+" filter $action || echo status $?; done")
}

// TestInheritedStandardStreams hands the program a connection of the kernel's as its
// standard input and output, as inetd does: it works, and with -v it is named.
func TestInheritedStandardStreams(t *testing.T) {
	for _, user := range []uint32{nobody, 0} {
		if user == 0 && os.Getuid() != 0 {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		f, err := far.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		far.Close()
		c, marker := commandAs(t, context.Background(), user, "-v", "--", "cat")
		var stderr bytes.Buffer
		c.Stdin, c.Stdout, c.Stderr = f, f, &stderr
		want := named(0, "tcp", near) + named(1, "tcp", near)
		if user == 0 && hasCapability(t, capNetRaw) {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			packet := os.NewFile(uintptr(fd), "packet")
			defer packet.Close()
			c.ExtraFiles = []*os.File{packet}
			want += "usock: descriptor 3 is a socket of the kernel's network, packet: it stays the kernel's\n"
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		near.SetDeadline(time.Now().Add(limit))
		io.WriteString(near, "to and fro")
		near.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(near)
		if err != nil || string(b) != "to and fro" {
			t.Errorf("%q, %v", b, err)
		}
		if err := c.Wait(); err != nil || complaints(stderr.String()) != want {
			t.Errorf("%v\n%s\nwant %s", err, &stderr, want)
		}
		leavesNothing(t, marker, c.Dir)
	}
}

const capNetRaw = 13

// named is the line about a connection that is inherited; peer is its other end.
func named(fd int, what string, peer net.Conn) string {
	return fmt.Sprintf("usock: descriptor %d is a socket of the kernel's network, %s %v to %v: it stays the kernel's\n",
		fd, what, peer.RemoteAddr(), peer.LocalAddr())
}
