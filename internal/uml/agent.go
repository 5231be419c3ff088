//go:build linux

package uml

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/clock"
)

// request is what the machine is asked to do: one line of JSON.
type request struct {
	ID          uint64
	Op          string
	FD          int    `json:",omitempty"`
	A, B, C     int    `json:",omitempty"` // domain, type, protocol; level, name; flags; a length
	Millis      int    `json:",omitempty"` // how long to wait at most
	Addr, Data  []byte `json:",omitempty"`
	Control     []byte `json:",omitempty"`
	Path        string `json:",omitempty"`
	Bytes, Seed int64  `json:",omitempty"`
	File        string `json:",omitempty"` // where Data is, if it is long
	Shelf       string `json:",omitempty"` // where the answer's may be
}

// response is how that ended.
type response struct {
	ID         uint64
	N          int64         `json:",omitempty"`
	Errno      syscall.Errno `json:",omitempty"`
	Error      string        `json:",omitempty"` // where there is no errno
	Addr, Data []byte        `json:",omitempty"`
	Control    []byte        `json:",omitempty"`
	Flags      int           `json:",omitempty"`
	File       string        `json:",omitempty"` // where Data is, if it is long
}

// maxLine is how many bytes of data cross the line itself: more than the terminal's buffers hold, in
// either direction, now and then stays in them. What is longer goes by way of a file, which both see.
const maxLine = 1024

// shelve puts data that is too long for the line into a file, and returns what is left of it.
func shelve(data []byte, path string) (rest []byte, file string, err error) {
	if len(data) <= maxLine {
		return data, "", nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, "", err
	}
	_, err = f.Write(data)
	// Through the kernel's cache to the machine that it runs on.
	return nil, path, errors.Join(err, f.Sync(), f.Close())
}

// unshelve returns the data of a message that brings it itself or in a file.
func unshelve(data []byte, file string) ([]byte, error) {
	if file == "" {
		return data, nil
	}
	data, err := os.ReadFile(file)
	return data, errors.Join(err, os.Remove(file))
}

func (r *response) err() error {
	switch {
	case r.Errno != 0:
		return r.Errno
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}

// The caller says every now and then that it lives, or the machine switches itself off.
const (
	alive   = 5 * time.Second
	silence = 60 * time.Second
)

// serial is the machine's end of the line.
const serial = "/dev/ttyS0"

// environment says to Init that it is the init: the kernel hands what it does not know on.
const environment = "USOCK_UML"

// Init is the first thing that a program calls that boots itself: where it is the init of a machine
// it does what is asked for until the line ends, and switches the machine off. Elsewhere it returns.
func Init() {
	if os.Getpid() != 1 || os.Getenv(environment) == "" {
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func serve() error {
	unix.Mount("proc", "/proc", "proc", 0, "")
	f, err := os.OpenFile(serial, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// No echo, no lines, no characters that mean something.
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
		return err
	}
	var writing sync.Mutex
	answer := func(r response) {
		b, _ := json.Marshal(r)
		writing.Lock()
		defer writing.Unlock()
		f.Write(append(b, '\n'))
	}
	answer(response{})
	in := bufio.NewReader(f)
	// The line does not end when the program at its other end dies.
	alone := clock.System().NewAlarm(func() { unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) })
	for {
		alone.Set(silence)
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		switch r.Op {
		case "off":
			return nil
		case "alive":
			continue
		}
		// Some wait.
		go func() {
			out := carryOut(&r)
			out.ID = r.ID
			answer(out)
		}()
	}
}

// operations are what can be asked for.
var operations = map[string]func(r *request, out *response) error{
	"module": func(r *request, _ *response) error {
		path, err := modulePath(r.Path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != unix.EEXIST { // it is there already
			return err
		}
		return nil
	},
	"read": func(r *request, out *response) (err error) {
		out.Data, err = os.ReadFile(r.Path)
		return err
	},
	"write": func(r *request, _ *response) error { return os.WriteFile(r.Path, r.Data, 0o644) },
	"socket": func(r *request, out *response) error {
		fd, err := unix.Socket(r.A, r.B, r.C)
		out.N = int64(fd)
		return err
	},
	"bind":     withAddr(unix.SYS_BIND),
	"connect":  withAddr(unix.SYS_CONNECT),
	"listen":   func(r *request, _ *response) error { return unix.Listen(r.FD, r.A) },
	"shutdown": func(r *request, _ *response) error { return unix.Shutdown(r.FD, r.A) },
	"close":    func(r *request, _ *response) error { return unix.Close(r.FD) },
	"accept": func(r *request, out *response) error {
		if err := wait(r, unix.POLLIN); err != nil {
			return err
		}
		return address(unix.SYS_ACCEPT, r.FD, out)
	},
	"name":    func(r *request, out *response) error { return address(unix.SYS_GETSOCKNAME, r.FD, out) },
	"sendmsg": sendMessage,
	"recvmsg": receiveMessage,
	"send": func(r *request, out *response) (err error) {
		out.N, err = call(unix.SYS_SENDTO, r.FD, r.Data, len(r.Data), r.A, r.Addr, len(r.Addr))
		return err
	},
	"recv": func(r *request, out *response) (err error) {
		if err := wait(r, unix.POLLIN); err != nil {
			return err
		}
		b, a, n := make([]byte, r.B), make([]byte, 128), uint32(128)
		out.N, err = call(unix.SYS_RECVFROM, r.FD, b, len(b), r.A, a, &n)
		if err == nil {
			out.Data, out.Addr = b[:min(out.N, int64(len(b)))], a[:min(n, 128)]
		}
		return err
	},
	"set": func(r *request, _ *response) error {
		_, err := call(unix.SYS_SETSOCKOPT, r.FD, r.A, r.B, r.Data, len(r.Data))
		return err
	},
	"get": func(r *request, out *response) error {
		n := uint32(r.C)
		out.Data = make([]byte, max(r.C, len(r.Data)))
		copy(out.Data, r.Data)
		_, err := call(unix.SYS_GETSOCKOPT, r.FD, r.A, r.B, out.Data, &n)
		out.Data = out.Data[:n]
		return err
	},
	"ioctl": func(r *request, out *response) error {
		out.Data = r.Data
		_, err := call(unix.SYS_IOCTL, r.FD, r.A, out.Data)
		return err
	},
	"source": func(r *request, out *response) (err error) {
		out.Data, err = Source(descriptor(r.FD), r.Bytes, uint64(r.Seed))
		return err
	},
	"sink": func(r *request, out *response) (err error) {
		out.Data, out.N, err = Sink(descriptor(r.FD))
		return err
	},
}

// Answer has the machine carry out f for Ask with the name: a program that boots itself can do more in
// there than calls of sockets. It is called before Init.
func Answer(name string, f func(data []byte) ([]byte, error)) {
	operations[name] = func(r *request, out *response) (err error) {
		out.Data, err = f(r.Data)
		return err
	}
}

func carryOut(r *request) (out response) {
	f := operations[r.Op]
	if f == nil {
		return response{Error: "no operation " + r.Op}
	}
	var err error
	if r.Data, err = unshelve(r.Data, r.File); err == nil {
		err = f(r, &out)
	}
	if err == nil && r.Shelf != "" {
		out.Data, out.File, err = shelve(out.Data, r.Shelf)
	}
	if err != nil && !errors.As(err, &out.Errno) {
		out.Error = err.Error()
	}
	return out
}

// descriptor reads and writes a blocking socket.
type descriptor int

// Read implements io.Reader. A call with a time limit is not begun again by the kernel (signal(7)).
func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 && len(b) > 0 {
			err = io.EOF
		}
		return max(n, 0), err
	}
}

// Write implements io.Writer.
func (d descriptor) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		if k, err = unix.SendmsgN(int(d), b[n:], nil, nil, unix.MSG_NOSIGNAL); err == unix.EINTR {
			k, err = 0, nil
		}
		n += max(k, 0)
	}
	return n, err
}

func withAddr(nr uintptr) func(*request, *response) error {
	return func(r *request, _ *response) error {
		_, err := call(nr, r.FD, r.Addr, len(r.Addr))
		return err
	}
}

// address makes a call that returns an address.
func address(nr uintptr, fd int, out *response) (err error) {
	a, n := make([]byte, 128), uint32(128)
	out.N, err = call(nr, fd, a, &n)
	out.Addr = a[:min(n, 128)]
	return err
}

// wait waits until a call will not block, and fails with EAGAIN after the request's time.
func wait(r *request, events int16) error {
	p := []unix.PollFd{{Fd: int32(r.FD), Events: events}}
	for {
		n, err := unix.Poll(p, r.Millis)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.EAGAIN
		default:
			return nil
		}
	}
}

// call makes a system call. Its arguments are integers, byte slices, which are passed by where
// they begin, and pointers to lengths.
func call(nr uintptr, args ...any) (int64, error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	var v [6]uintptr
	for i, a := range args {
		switch a := a.(type) {
		case int:
			v[i] = uintptr(a)
		case []byte:
			if len(a) > 0 {
				pins.Pin(unsafe.SliceData(a))
				v[i] = uintptr(unsafe.Pointer(unsafe.SliceData(a)))
			}
		case *uint32:
			pins.Pin(a)
			v[i] = uintptr(unsafe.Pointer(a))
		}
	}
	for {
		n, _, err := unix.Syscall6(nr, v[0], v[1], v[2], v[3], v[4], v[5])
		switch err {
		case 0:
			return int64(n), nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}
