//go:build amd64 || arm64

package run

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Run runs a program with its sockets on the host, and waits for it. Processes that
// the program leaves behind are ended with it: SIGTERM first, then SIGKILL.
//
// It turns this process into the reaper of all its descendants and forwards the
// signals that are sent to it, so a process should do little else and run one
// program.
func Run(o Options) (Status, error) {
	p := o.Prepared
	if p == nil {
		var err error
		if p, err = Prepare(o.Guard); err != nil {
			return Status{}, err
		}
	}
	children := newReaper()
	defer children.stop()
	sigs := newForwarder()
	defer sigs.stop()
	defer p.Stop()
	if err := shield(); err != nil {
		return Status{}, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return Status{}, denied("PR_SET_CHILD_SUBREAPER", err, "3.4")
	}
	l, err := newLoop(o.Host, o.caller(), newLogger(o.Log, o.Warn))
	if err != nil {
		return Status{}, err
	}
	defer l.stop()
	l.packets, l.every, l.named, l.reaches = o.Packets, o.EveryCall, o.Named, o.Reaches
	if f := o.Host.Faults(); f != nil {
		l.faults, l.traps = f, f.Traps()
	}
	l.absent = absentPaths(o.Absent)
	if o.Outside != nil {
		l.outside = o.Outside
		if err := o.Outside.Attach(l.epoll); err != nil {
			return Status{}, fmt.Errorf("epoll: %w", err)
		}
	}
	if err := p.guard.await(); err != nil {
		return Status{}, fmt.Errorf("guard: %w", err)
	}
	l.guard = p.guard
	l.prepare()

	if o.Title != "" {
		l.log.put(l.log.w, o.Title, nil)
	}
	l.log.tellInherited()
	pid, err := l.launch(&o, p.can)
	if err != nil {
		return Status{}, err
	}
	raiseDescriptors()
	l.do(l.space.measure)
	o.Ends.open(l)
	defer o.Ends.close()
	go sigs.forward(pid)
	st := children.wait(pid)
	endDescendants(children, p.guard.pid())
	return st, nil
}

// Prepared is what a run has from Prepare.
type Prepared struct {
	can   abilities
	guard *guard
}

// Prepare tries what a run needs of the kernel, and says what to do where it is denied. It
// fixes how many threads Go code runs on (GOMAXPROCS), and begins to start the guard, whose command it is given (Options.Guard), so that it has started
// by the time the caller has made a host.
func Prepare(guard []string) (*Prepared, error) {
	can, err := preflight()
	if err != nil {
		return nil, err
	}
	if err := keepThreads(loopThreads + 2); err != nil {
		return nil, err
	}
	g, err := startGuard(guard)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Prepared{can, g}, nil
}

// Stop ends what has been prepared. Run calls it; it is for who does not come to that.
func (p *Prepared) Stop() {
	p.guard.stop()
	p.guard = nil
}

// launch starts the program under the filter, which stays on a thread that ends
// when the program has started.
func (l *loop) launch(o *Options, can abilities) (pid int, err error) {
	started := make(chan struct{})
	go func() {
		defer close(started)
		runtime.LockOSThread() // the thread ends with this goroutine
		var notify listener
		if notify, l.killable, err = install(can.trace, filterFor{seen: o.Packets, every: o.EveryCall, Traps: l.traps}); err != nil {
			return
		}
		if err = l.begin(notify); err != nil {
			return
		}
		var p *os.Process
		p, err = os.StartProcess(o.Path, o.Argv, &os.ProcAttr{
			Dir: o.Dir, Env: o.Env, Files: []*os.File{o.Stdin, o.Stdout, o.Stderr},
		})
		if err == nil {
			pid = p.Pid
			p.Release()
		}
	}()
	<-started
	if err != nil {
		return 0, err
	}
	l.guard.name(int32(pid))
	return pid, nil
}

// reaper waits for children: the program and the orphans that it leaves.
type reaper struct {
	sigs  chan os.Signal
	ended map[int]unix.WaitStatus
}

func newReaper() *reaper {
	r := &reaper{sigs: make(chan os.Signal, 1), ended: make(map[int]unix.WaitStatus)}
	signal.Notify(r.sigs, unix.SIGCHLD)
	return r
}

func (r *reaper) stop() { signal.Stop(r.sigs) }

// collect takes the status of all children that have ended, and reports whether
// there are others.
func (r *reaper) collect() (more bool) {
	tracing.Lock() // a traced thread's stop must not be taken for a child's end
	defer tracing.Unlock()
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false
		case pid == 0:
			return true
		default:
			r.ended[pid] = st
		}
	}
}

// wait waits for the program.
func (r *reaper) wait(pid int) Status {
	for {
		r.collect()
		if st, ok := r.ended[pid]; ok {
			if st.Signaled() {
				return Status{Signal: st.Signal()}
			}
			return Status{Code: st.ExitStatus()}
		}
		clear(r.ended)
		<-r.sigs
	}
}

const grace = time.Second // between SIGTERM and SIGKILL

// left reports whether children other than the guard have not ended.
func (r *reaper) left(guard int) bool {
	if !r.collect() {
		return false
	}
	for _, pid := range descendants(os.Getpid()) {
		if pid != guard {
			return true
		}
	}
	return false
}

// endDescendants ends what the program has left behind.
func endDescendants(r *reaper, guard int) {
	signalAll := func(sig syscall.Signal) {
		for _, pid := range descendants(os.Getpid()) {
			if pid != guard {
				unix.Kill(pid, sig)
			}
		}
	}
	if !r.left(guard) {
		return
	}
	signalAll(unix.SIGTERM)
	signalAll(unix.SIGCONT)
	limit := newAlarm()
	limit.Set(grace)
	defer limit.Stop()
	kill := false
	for r.left(guard) {
		if kill {
			signalAll(unix.SIGKILL)
			limit.Set(10 * time.Millisecond) // for one that forked meanwhile
		}
		select {
		case <-r.sigs:
		case <-limit.C:
			kill = true
		}
	}
}

// forwarder passes signals on to the program.
type forwarder struct{ sigs chan os.Signal }

func newForwarder() *forwarder {
	f := &forwarder{make(chan os.Signal, 16)}
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2} {
		if !signal.Ignored(s) { // nohup: the program is to ignore it as well
			signal.Notify(f.sigs, s)
		}
	}
	return f
}

func (f *forwarder) stop() { signal.Stop(f.sigs) }

// forward passes signals on. The terminal sends SIGINT and SIGQUIT to the whole
// foreground group, so the program has those already.
func (f *forwarder) forward(pid int) {
	for s := range f.sigs {
		if (s == unix.SIGINT || s == unix.SIGQUIT) && inForeground() {
			continue
		}
		unix.Kill(pid, s.(syscall.Signal))
	}
}

// inForeground reports whether this process is in the foreground group of its
// terminal.
func inForeground() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	pgrp, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// Exit ends this process as the program ended: with its exit status, or by the same
// signal.
func Exit(st Status) {
	if st.Signal == 0 {
		os.Exit(st.Code)
	}
	// No core file: it would show this process and not the program.
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	runtime.LockOSThread()
	var action [4]uint64 // struct sigaction: SIG_DFL, no flags
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(st.Signal), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
	unix.Tgkill(os.Getpid(), unix.Gettid(), st.Signal)
	os.Exit(128 + int(st.Signal))
}
