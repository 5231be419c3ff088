//go:build amd64 || arm64

package run

import (
	"errors"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime ends the process when the kernel refuses it a thread, which it does
// at the user's RLIMIT_NPROC and at a container's limit of processes. A program that
// forks until it is refused must not end its supervisor. So all the threads that the
// supervisor can come to need are made before the program starts, and kept: a thread
// whose goroutine is done waits in the runtime's list of idle ones, which it takes
// from before it makes another, and which never shrinks.
//
// How many it can need is bounded by what can be busy at one time:
//
//   - a thread for each processor that Go code runs on, which maxProcs bounds and
//     keepThreads fixes: the runtime would follow the CPUs that a container is given
//     later;
//   - one more for each processor: a thread gives its processor up before it is in the
//     list of idle ones (findRunnable, stopm), and where the kernel lets it wait in
//     between, who takes the processor finds the list one shorter;
//   - a thread for each goroutine that is locked to one, or in a system call that
//     takes long: spareThreads, and what the caller asks for.
const (
	// maxProcs bounds GOMAXPROCS. One host is one lock domain, which fills about one
	// core; more processors would only be more threads, for the collector to wake.
	maxProcs = 8

	// spareThreads are the supervisor's own: the loop, the one that stops threads,
	// that of os/signal, Run, the forwarder of signals (at the terminal), the wait for
	// the guard, the writer of a capture, one that waits in the network poller, one
	// that ends after it has started the program, a link's reader, a timer's and a
	// relay's goroutine in a system call, and three of a control socket (package inspect: one that
	// accepts, two in calls). Four more are for what was forgotten.
	spareThreads = 19

	// guardThreads are the guard's: it has one processor and reads from a pipe.
	guardThreads = 4

	// otherProcesses are the guard, with what its runtime has started by itself, and
	// the program.
	otherProcesses = 12
)

// errNoThreads is what the user is told where there is no room for the threads.
var errNoThreads = errors.New("no room for the supervisor's threads: raise the limit of processes " +
	"(ulimit -u, a container's --pids-limit), or end some of this user's processes")

// keepThreads makes threads for n goroutines that are locked to theirs, or that wait
// in system calls, and for all else that the supervisor does. It is called once,
// before the program starts; later no new thread is needed.
func keepThreads(n int) error {
	procs := min(runtime.GOMAXPROCS(0), maxProcs)
	runtime.GOMAXPROCS(procs) // also if it is the same: it is not changed by itself any more
	n += 2*procs + spareThreads
	if err := roomFor(n + otherProcesses); err != nil {
		return err
	}
	makeThreads(n)
	awaitThreads()
	return nil
}

// awaitThreads waits until each thread that the runtime has is one of the kernel's too:
// while another goroutine is locked to its thread, the runtime only asks for one (its
// template thread makes it a moment later).
func awaitThreads() {
	want := []metrics.Sample{{Name: "/sched/threads/total:threads"}}
	again := newAlarm()
	for end := wall().Add(time.Second); wall().Before(end); <-again.C {
		again.Set(100 * time.Microsecond)
		metrics.Read(want)
		v, ok := statusField(os.Getpid(), "Threads:")
		n, err := strconv.ParseUint(v, 10, 64)
		if !ok || err != nil || want[0].Value.Kind() != metrics.KindUint64 || n >= want[0].Value.Uint64() {
			return
		}
	}
}

// makeThreads has n goroutines meet on a thread each, which are idle afterwards.
func makeThreads(n int) {
	var met, left sync.WaitGroup
	met.Add(n)
	left.Add(n)
	for range n {
		go func() {
			defer left.Done()
			runtime.LockOSThread()
			met.Done()
			met.Wait() // until each has a thread
			runtime.UnlockOSThread()
		}()
	}
	left.Wait()
}

// maxProbed bounds how many threads roomFor asks for.
const maxProbed = 64

// roomFor reports whether the kernel would make n threads now, at most maxProbed. It makes as many
// processes, which count as threads do, and ends them again. Nothing else tells: the
// limits of the cgroups above a container cannot be seen in it, nor all the threads
// of its user.
//
// While they are there, the runtime may find no room for a thread of its own, and would end the
// process. So nothing runs meanwhile that could have it want one: there is one processor, which
// this goroutine has and does not give up (probe).
func roomFor(n int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	// They inherit the mask, and a handler would be the runtime's.
	old, err := blockSignals()
	if err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(ends[0])

	stack := new([256]byte)
	e := probe(min(n, maxProbed), unsafe.Pointer(&stack[len(stack)-16]), ends[0], ends[1])
	runtime.KeepAlive(stack)
	if e == unix.EAGAIN || e == unix.ENOMEM {
		return errNoThreads
	}
	return nil // any other error says nothing about threads
}

// probe makes n processes at a time, closes the pipe's writing end w, which ends them, and waits for
// them. It returns why there are not n. The scheduler has no say from its begin to its end: no
// function is called at whose entry a goroutine gives way, no system call is one of those during
// which another takes the processor, and signals are blocked.
//
//go:nosplit
func probe(n int, stack unsafe.Pointer, r, w int) (e syscall.Errno) {
	var pids [maxProbed]int32
	made := 0
	for made < n {
		pid := spawnWaiter(stack, r, w)
		if pid < 0 {
			e = syscall.Errno(-pid)
			break
		}
		pids[made] = int32(pid)
		made++
	}
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(w), 0, 0)
	for i := range made {
		for {
			_, _, e := syscall.RawSyscall6(unix.SYS_WAIT4, uintptr(pids[i]), 0, unix.WALL, 0, 0, 0)
			if e != unix.EINTR {
				break
			}
		}
	}
	return e
}

// spawnWaiter makes a process that shares this one's memory, closes its copy of the
// pipe's writing end w and reads from r: it ends when this process closes w, or is
// gone. No signal tells of that, and Wait4(-1) does not find it without WALL. All
// have the same stack, because none uses it. It returns the process, or the negative
// errno.
//
//go:noescape
func spawnWaiter(stack unsafe.Pointer, r, w int) (pid int)
