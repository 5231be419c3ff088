//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor that is killed takes its far ends with it, so its programs' sockets
// fail. But one that only waits for a connection would wait for ever: nothing happens
// to a listening socket. The guard is a process that outlives the supervisor just
// long enough to end such programs, and their descendants. It is told of the first
// process and of every process that makes a trapped call, and reads until the
// supervisor's end of the pipe is gone.
type guard struct {
	cmd   *exec.Cmd
	told  map[int32]bool
	names chan int32 // to who writes them to the pipe: it may be full
	pipe  *os.File
	ready *os.File // what it tells
}

// guardNames is how many names can wait while the guard does not read. More than that
// are left out: their processes are found as descendants of others.
const guardNames = 1 << 16

// guardGrace is how long programs have to end by themselves, after their sockets
// have failed.
const guardGrace = 2 * time.Second

// startGuard starts the guard: argv is a command that calls Guard. It guards once await has
// returned.
func startGuard(argv []string) (*guard, error) {
	if len(argv) == 0 {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	ready, told, err := os.Pipe()
	if err != nil {
		w.Close()
		return nil, err
	}
	c := exec.Command(argv[0], argv[1:]...)
	c.Stdin, c.Stdout = r, told
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the terminal's signals are not for it
	err = c.Start()
	told.Close()
	if err != nil {
		w.Close()
		ready.Close()
		return nil, err
	}
	ready.SetReadDeadline(wall().Add(guardStart))
	g := &guard{cmd: c, told: make(map[int32]bool), names: make(chan int32, guardNames), pipe: w, ready: ready}
	g.name(int32(os.Getpid()))
	return g, nil
}

// await waits until the guard needs nothing more of the kernel than it has.
func (g *guard) await() error {
	if g == nil {
		return nil
	}
	_, err := g.ready.Read(make([]byte, 1))
	g.ready.Close()
	if err != nil {
		return errGuard
	}
	go g.write()
	return nil
}

// guardStart is how long the guard may take to start on a machine that is overloaded.
const guardStart = 30 * time.Second

var errGuard = errors.New("the guard process did not start: this user may have too many processes (ulimit -u), or too little memory")

// tell names a thread's process to the guard.
func (g *guard) tell(t *task) {
	if g == nil {
		return
	}
	if pid := t.process(); !g.told[pid] {
		g.told[pid] = true
		g.name(pid)
	}
}

// name sends the guard the number of a process.
func (g *guard) name(pid int32) {
	if g == nil {
		return
	}
	select {
	case g.names <- pid:
	default:
	}
}

// write hands the names to the guard until it is stopped.
func (g *guard) write() {
	for pid := range g.names {
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], uint32(pid))
		if _, err := g.pipe.Write(b[:]); err != nil {
			return
		}
	}
}

// forget says that the number may come to stand for another process.
func (g *guard) forget(pid int32) {
	if g != nil {
		delete(g.told, pid)
	}
}

// pid returns the guard's process; 0 if there is none.
func (g *guard) pid() int {
	if g == nil {
		return 0
	}
	return g.cmd.Process.Pid
}

// stop ends the guard, which has nothing to do any more.
func (g *guard) stop() {
	if g == nil {
		return
	}
	g.cmd.Process.Kill()
	g.cmd.Wait()
	g.ready.Close()
	g.pipe.Close() // ends a write that waits
	close(g.names)
}

// Guard is the body of the guard process, whose parent is the supervisor. It writes a byte to
// ready when it guards, and returns when the supervisor at the other end of the pipe has gone
// and the programs named by it, and all that come of them, have ended. The first name in the
// pipe is the supervisor's own.
func Guard(pipe io.Reader, ready io.Writer) {
	if shield() != nil {
		return // the supervisor says that there is no guard
	}
	runtime.GOMAXPROCS(1)
	makeThreads(guardThreads)
	named := make(chan int, guardThreads)
	go readNames(pipe, named)
	ready.Write([]byte{0})
	supervisor, open := <-named
	if !open {
		return // it has started nothing
	}
	w := wards{fds: make(map[int]int), supervisor: supervisor}
	look := newAlarm()
	look.Set(guardLook)
	defer look.Stop()
	for open {
		var pid int
		select {
		case pid, open = <-named:
			if open {
				w.add(pid)
			}
		case <-look.C:
			cost := wall()
			w.look()
			look.Set(max(guardLook, guardShare*since(cost)))
		}
	}
	w.look() // at one that is still on its way out
	w.addDescendants()
	w.waitEnded(guardGrace)
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL} {
		w.addDescendants()
		for fd := range w.fds {
			unix.PidfdSendSignal(fd, sig, nil, 0)
			unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0)
		}
		w.waitEnded(guardGrace / 2)
	}
}

// The guard looks for processes every guardLook, and less often where there are so many
// processes that it would take more than one part in guardShare of a processor.
const (
	guardLook  = time.Second
	guardShare = 200
)

// readNames sends on the names of processes until the pipe's other end is gone.
func readNames(pipe io.Reader, named chan<- int) {
	defer close(named)
	var b [4]byte
	for {
		if _, err := io.ReadFull(pipe, b[:]); err != nil {
			return
		}
		named <- int(binary.NativeEndian.Uint32(b[:]))
	}
}

// wards are the processes that a guard would end.
type wards struct {
	fds        map[int]int // descriptors of processes, and their numbers
	supervisor int
}

// add adds a process. Now and then it forgets those that have ended.
func (w *wards) add(pid int) {
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		w.fds[fd] = pid
	}
	if len(w.fds)&255 == 0 {
		w.waitEnded(0)
	}
}

// look adds the supervisor's descendants, without the guard, and forgets what has ended.
func (w *wards) look() {
	w.waitEnded(0)
	if os.Getppid() == w.supervisor { // else it has ended, and its number may be another's
		w.addBelow(w.supervisor)
	}
}

// addDescendants adds what the processes have started.
func (w *wards) addDescendants() {
	roots := make([]int, 0, len(w.fds))
	for _, pid := range w.fds {
		roots = append(roots, pid)
	}
	w.addBelow(roots...)
}

// addBelow adds the descendants of processes.
func (w *wards) addBelow(roots ...int) {
	known := w.numbers()
	known[os.Getpid()] = true
	for _, pid := range descendants(roots...) {
		if !known[pid] {
			known[pid] = true
			w.add(pid)
		}
	}
}

func (w *wards) numbers() map[int]bool {
	m := make(map[int]bool, len(w.fds))
	for _, pid := range w.fds {
		m[pid] = true
	}
	return m
}

// waitEnded removes the processes that have ended, and waits up to d for all.
func (w *wards) waitEnded(d time.Duration) {
	for end := wall().Add(d); len(w.fds) > 0; {
		polls := make([]unix.PollFd, 0, len(w.fds))
		for fd := range w.fds {
			polls = append(polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		left := max(0, end.Sub(wall()))
		n, err := unix.Poll(polls, int(left/time.Millisecond))
		if err != nil && err != unix.EINTR || n == 0 {
			return
		}
		for _, p := range polls {
			if p.Revents != 0 {
				delete(w.fds, int(p.Fd))
				unix.Close(int(p.Fd))
			}
		}
	}
}
