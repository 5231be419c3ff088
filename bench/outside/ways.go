//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// way is how a client reaches the servers.
type way struct {
	name string
	mtu  int
	open func(b *bench, w *way) (*path, error)
}

// path is a way that is open: what comes before a client's command, and the address at which
// it finds the servers.
type path struct {
	prefix []string
	host   string
	server []string // what comes before a server's command that others reach at the machine's inPort; nil: none
	close  func()
}

const wide = 65520 // the MTU that the tools take at most

var ways = []way{
	{"direct", 0, direct},
	{"usock", 0, usock},
	{"pasta", wide, pasta},
	{"slirp4netns", wide, slirp},
	{"gvisor-tap-vsock", wide, tapVsock},
	{"usock-1500", 1500, usock},
	{"pasta-1500", 1500, pasta},
	{"slirp4netns-1500", 1500, slirp},
	{"gvisor-tap-vsock-1500", 1500, tapVsock},
}

func direct(*bench, *way) (*path, error) {
	return &path{host: machine, server: []string{}, close: func() {}}, nil
}

func usock(b *bench, w *way) (*path, error) {
	prefix := []string{b.path("usock"), "run"}
	if w.mtu != 0 {
		prefix = append(prefix, "--mtu", fmt.Sprint(w.mtu))
	}
	server := append(slices.Clone(prefix), "-p", machine+":"+inPort, "--")
	return &path{prefix: append(prefix, "--"), host: machine, server: server, close: func() {}}, nil
}

const inner = "inner" // the clients' namespace

// namespace makes the clients' namespace, with its loopback interface up, and returns the
// words that run a command in it, and what removes it.
func namespace() ([]string, func(), error) {
	if err := command("ip netns add " + inner); err != nil {
		return nil, nil, err
	}
	remove := func() { command("ip netns del " + inner) }
	in := []string{"ip", "netns", "exec", inner}
	if err := command(strings.Join(in, " ") + " ip link set lo up"); err != nil {
		remove()
		return nil, nil, err
	}
	return in, remove, nil
}

// served starts a tool that serves the namespace, and waits until the servers are reached
// through it at host.
func served(b *bench, host string, start func(in []string) (stop func(), err error)) (*path, error) {
	in, remove, err := namespace()
	if err != nil {
		return nil, err
	}
	stop, err := start(in)
	if err != nil {
		remove()
		return nil, err
	}
	p := &path{prefix: in, host: host, close: func() { stop(); remove() }}
	err = until("the servers are reached", func() bool {
		return command(strings.Join(in, " ")+" "+b.path("client")+" rr "+host+" "+echoPort+" 0.01") == nil
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// process starts a program, and returns what ends it.
func process(args ...string) (func(), error) {
	c := exec.Command(args[0], args[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() {
		c.Process.Kill()
		c.Wait()
	}, nil
}

// pasta reaches the machine at the address of its default router.
func pasta(b *bench, w *way) (*path, error) {
	p, err := served(b, router, func([]string) (func(), error) {
		return process("pasta", "--runas", "0", "--config-net", "-q", "-f", "-m", fmt.Sprint(w.mtu), "-t", machine+"/"+inPort, "--netns", "/run/netns/"+inner)
	})
	if err == nil {
		p.server = p.prefix
	}
	return p, err
}

// slirp reaches the machine at 10.0.2.2.
func slirp(b *bench, w *way) (*path, error) {
	return served(b, "10.0.2.2", func([]string) (func(), error) {
		return process("slirp4netns", "--configure", fmt.Sprintf("--mtu=%d", w.mtu), "--netns-type=path", "/run/netns/"+inner, "tap0")
	})
}

// tapVsock reaches the machine at 192.168.127.254. Its stack runs in a process of its own,
// which is this program once more.
func tapVsock(b *bench, w *way) (*path, error) {
	return served(b, tapVsockHost, func(in []string) (func(), error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		stop, err := process(self, tapVsockCommand, fmt.Sprint(w.mtu))
		if err != nil {
			return nil, err
		}
		for _, line := range []string{
			fmt.Sprintf("ip link set %s mtu %d up", tapName, w.mtu),
			"ip addr add " + tapVsockClient + "/24 dev " + tapName,
			"ip route add default via " + tapVsockGateway,
		} {
			line := strings.Join(in, " ") + " " + line
			if err := until(line, func() bool { return command(line) == nil }); err != nil {
				stop()
				return nil, err
			}
		}
		return stop, nil
	})
}
