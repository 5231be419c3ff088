//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
	"usock/internal/uml"
	"usock/link"
)

func TestMain(m *testing.M) {
	uml.Answer("disciplines", playTraces)
	uml.Init()
	code := m.Run()
	for _, b := range []*machine{&booted, &second} {
		if err := b.close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// The machine's network cards.
const card, card2 = "vec0", "vec1"

// machine is one that starts when it is wanted.
type machine struct {
	once, sctp sync.Once // sctp: its modules are loaded
	err        error

	mu      sync.Mutex // held by the test that uses it
	machine *uml.Machine
	cards   [2]*link.FrameListener // what the network cards connect to
}

// booted is the machine that all tests share: its start takes the longest of them. second is one that
// some have in usock's place.
var booted, second machine

func (b *machine) boot() error {
	dir, err := uml.Dir()
	if err != nil {
		return err
	}
	var args []string
	for i, name := range []string{card, card2} {
		path := filepath.Join(dir, name)
		if b.cards[i], err = link.ListenFrames(path, link.FrameSocketConfig{Name: fmt.Sprintf("frames%d", i)}); err == nil {
			err = os.Chmod(path, 0o777)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
		args = append(args, name+":transport=bess,dst="+path)
	}
	if b.machine, err = uml.Boot(context.Background(), dir, args...); err != nil {
		return errors.Join(err, b.cards[0].Close(), b.cards[1].Close(), os.RemoveAll(dir))
	}
	return nil
}

func (b *machine) close() error {
	if b.machine == nil {
		return nil
	}
	return errors.Join(b.cards[0].Close(), b.cards[1].Close(), b.machine.Close())
}

// umlKernel is User-mode Linux as a neighbour.
type umlKernel struct {
	*uml.Machine
	cards *[2]*link.FrameListener
}

// newMachine returns the machine, which is the test's alone until it ends. Where it does not start
// the test is skipped, but not in CI.
func newMachine(t *testing.T) *umlKernel {
	t.Helper()
	return booted.take(t)
}

func (b *machine) take(t *testing.T) *umlKernel {
	t.Helper()
	b.once.Do(func() { b.err = b.boot() })
	if b.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(b.err)
		}
		t.Skip(b.err)
	}
	b.mu.Lock()
	t.Cleanup(b.mu.Unlock)
	return &umlKernel{b.machine, &b.cards}
}

// eachKernel runs the test with each kernel that can be had as the neighbour: this machine's, in a
// namespace, which takes root, and User-mode Linux.
func eachKernel(t *testing.T, f func(t *testing.T, kernel neighbour)) {
	t.Run("namespace", func(t *testing.T) { f(t, newNamespace(t)) })
	t.Run("uml", func(t *testing.T) { f(t, newMachine(t)) })
}

// attach implements neighbour.
func (k *umlKernel) attach(t *testing.T, s *setup) link.Link {
	t.Helper()
	for path, value := range s.sysctl {
		k.set(t, "net/"+path, value)
	}
	return framed(t, k.plug(t, card, 1500, kernel4, kernel6), usock4, usock6)
}

// framed returns the link that carries IP over frames, for a host with the addresses.
func framed(t *testing.T, frames link.Link, addrs ...netip.Prefix) *link.Framed {
	t.Helper()
	f, err := link.Frames(frames, link.FramesConfig{Addresses: addrs})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// set sets a variable for the time of the test.
func (k *umlKernel) set(t *testing.T, path, value string) {
	t.Helper()
	old, err := k.ReadFile("/proc/sys/" + path)
	if err == nil {
		err = k.Sysctl(path, value)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Sysctl(path, string(old)); err != nil {
			t.Error(err)
		}
	})
}

// plug switches a network card of the machine on, for the time of the test, and returns our end of its cable.
func (k *umlKernel) plug(t *testing.T, name string, mtu int, addrs ...netip.Prefix) link.Link {
	t.Helper()
	if err := k.Up(name, mtu, addrs...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Down(name); err != nil {
			t.Error(err)
		}
	})
	l, err := k.cards[map[string]int{card: 0, card2: 1}[name]].Accept()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// prepared has a socket of the machine set up.
func prepared(prepare func(options) error) func(*uml.Socket) error {
	if prepare == nil {
		return nil
	}
	return func(s *uml.Socket) error { return prepare(s) }
}

// listen implements neighbour.
func (k *umlKernel) listen(_ string, a netip.AddrPort, prepare func(options) error) (net.Listener, error) {
	return k.ListenTCP(a, prepared(prepare))
}

// dial implements neighbour.
func (k *umlKernel) dial(_ string, a netip.AddrPort, prepare func(options) error) (net.Conn, error) {
	return k.Dial(a, prepared(prepare))
}

// fastOpen implements neighbour.
func (k *umlKernel) fastOpen(to netip.AddrPort, data string) (func() error, error) {
	s, err := k.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	_, err = s.SendTo([]byte(data), unix.MSG_FASTOPEN, abi.AddrFrom(to))
	return s.Close, err
}

// of implements neighbour.
func (k *umlKernel) of(c net.Conn) options { return c.(*uml.Conn) }

// netstat implements neighbour.
func (k *umlKernel) netstat() ([]byte, error) { return k.ReadFile("/proc/net/netstat") }
