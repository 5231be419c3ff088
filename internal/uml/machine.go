//go:build linux

package uml

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"usock/clock"
)

// Machine is a kernel that runs, with the calling program as its init. Its methods may be called by
// any goroutine.
type Machine struct {
	// Dir is a folder that the user may write who runs the kernel: where sockets can be
	// that its network card connects to.
	Dir string

	command *exec.Cmd
	cancel  context.CancelFunc
	line    *os.File
	console bytes.Buffer // to be read when the kernel has ended

	mu    sync.Mutex
	last  uint64
	calls map[uint64]chan response // mu: those without an answer
	ended bool                     // mu
	alarm clock.Alarm              // mu: when to tell the machine that somebody is there

	over chan struct{} // closed when the kernel has ended
	err  error         // what Wait said, after over
}

// Boot starts a kernel with further arguments, as those that name network cards, and waits until
// it does what it is asked for, with IPv6 and its loopback interface up. The program calls Init
// first of all. dir is from Dir, and removed by Close. When ctx ends, the kernel does.
// ErrMissing if there is none; other errors say what the console did.
func Boot(ctx context.Context, dir string, args ...string) (*Machine, error) {
	init := filepath.Join(dir, "init")
	if err := copyProgram(init); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	unix.SetNonblock(pair[0], true)
	line, far := os.NewFile(uintptr(pair[0]), "line"), os.NewFile(uintptr(pair[1]), "far")
	defer far.Close()

	ctx, cancel := context.WithCancel(ctx)
	m := &Machine{Dir: dir, cancel: cancel, line: line, calls: make(map[uint64]chan response), over: make(chan struct{})}
	// The first file that is handed on is descriptor 3. The runtime sends its threads no signals: a connect
	// of SCTP's that Linux begins again after one fails with EISCONN where the association is up by then.
	m.command, err = Command(ctx, dir, init, append([]string{"ssl0=fd:3", environment + "=1", "GODEBUG=asyncpreemptoff=1"}, args...)...)
	if err == nil {
		m.command.ExtraFiles = []*os.File{far}
		m.command.Stdout, m.command.Stderr = &m.console, &m.console
		err = m.command.Start()
	}
	if err != nil {
		cancel()
		line.Close()
		return nil, err
	}
	m.alarm = clock.System().NewAlarm(m.live)
	ready := make(chan response, 1)
	m.calls[0] = ready
	go m.receive()
	go func() {
		m.err = m.command.Wait()
		line.Close() // ends receive
		close(m.over)
	}()
	if r, ok := <-ready; !ok || r.err() != nil {
		return nil, m.fail("it did not come up")
	}
	m.live()
	err = m.Load(modules...)
	if err == nil {
		err = m.up("lo")
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// copyProgram puts the program that runs at a path where the kernel's user may read it.
func copyProgram(to string) error {
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// receive hands answers to those who wait for them, until the line ends.
func (m *Machine) receive() {
	in := bufio.NewReader(m.line)
	for {
		line, err := in.ReadBytes('\n')
		var r response
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		m.mu.Lock()
		if err != nil {
			m.ended = true
			m.alarm.Stop()
			for id, c := range m.calls {
				delete(m.calls, id)
				close(c)
			}
			m.mu.Unlock()
			return
		}
		c := m.calls[r.ID]
		delete(m.calls, r.ID)
		m.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
}

// errEnded is what calls of a machine that has ended fail with.
var errEnded = errors.New("uml: the kernel has ended")

// call has the machine do something, and waits until it is done.
func (m *Machine) call(r request) (response, error) {
	c := make(chan response, 1)
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return response{}, errEnded
	}
	m.last++
	r.ID = m.last
	shelf := filepath.Join(m.Dir, fmt.Sprintf("data%d", r.ID))
	r.Shelf = shelf + "back"
	var err error
	if r.Data, r.File, err = shelve(r.Data, shelf); err == nil {
		err = m.say(&r)
	}
	if err == nil {
		m.calls[r.ID] = c
	}
	m.mu.Unlock()
	if err != nil {
		return response{}, err
	}
	out, ok := <-c
	if !ok {
		return response{}, errEnded
	}
	if err := out.err(); err != nil {
		return out, err
	}
	out.Data, err = unshelve(out.Data, out.File)
	return out, err
}

// say sends a request. The caller holds mu.
func (m *Machine) say(r *request) error {
	b, err := json.Marshal(r)
	if err == nil {
		_, err = m.line.Write(append(b, '\n'))
	}
	return err
}

// live tells the machine that somebody is there, from now on.
func (m *Machine) live() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ended && m.say(&request{Op: "alive"}) == nil {
		m.alarm.Set(alive)
	}
}

// fail ends the kernel and returns an error with the end of what its console said.
func (m *Machine) fail(what string) error {
	m.cancel()
	<-m.over
	said := m.console.Bytes()
	if lines := bytes.Split(bytes.TrimSpace(said), []byte("\n")); len(lines) > 64 {
		said = bytes.Join(lines[len(lines)-64:], []byte("\n"))
	}
	return fmt.Errorf("%s: %s: %v\n%s", Kernel, what, m.err, said)
}

// Close switches the machine off and removes its folder. An error says that it had ended before, or
// how it did.
func (m *Machine) Close() error {
	defer os.RemoveAll(m.Dir)
	_, err := m.call(request{Op: "off"})
	if errors.Is(err, errEnded) {
		err = nil // there is no answer
	}
	<-m.over
	m.cancel()
	if m.err != nil {
		err = m.fail("it ended")
	}
	return err
}

// Load loads modules of the kernel in this order, by their paths below its folder of modules, as net/sctp/sctp.
func (m *Machine) Load(names ...string) error {
	for _, name := range names {
		if _, err := m.call(request{Op: "module", Path: name}); err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

// SCTP are the modules that SCTP takes, in order.
var SCTP = []string{"net/ipv4/udp_tunnel", "net/ipv6/ip6_udp_tunnel", "net/sctp/sctp"}

// Ask has the machine carry out what Answer has been given for the name, and returns its answer.
func (m *Machine) Ask(name string, data []byte) ([]byte, error) {
	r, err := m.call(request{Op: name, Data: data})
	return r.Data, err
}

// ReadFile returns the content of a file as the machine sees it, such as one of /proc.
func (m *Machine) ReadFile(path string) ([]byte, error) {
	r, err := m.call(request{Op: "read", Path: path})
	return r.Data, err
}

// Sysctl sets a variable; the path is relative to /proc/sys.
func (m *Machine) Sysctl(path, value string) error {
	if _, err := m.call(request{Op: "write", Path: "/proc/sys/" + path, Data: []byte(value)}); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", path, value, err)
	}
	return nil
}
