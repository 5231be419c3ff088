//go:build linux

// Command confine executes a command as an older kernel or a container would run it:
// some system calls are denied, and some resources are few.
//
//	confine [-deny CALL=ERRNO]... [-nproc N] [-nofile SOFT:HARD] COMMAND [ARGS]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule is a call that can be denied, perhaps only with a certain argument.
type rule struct {
	nr  uint32
	arg int // which argument is looked at, from 1; 0: none
	is  bpf.JumpTest
	val uint32
}

var rules = map[string]rule{
	"seccomp":           {nr: unix.SYS_SECCOMP},
	"new_listener":      {unix.SYS_SECCOMP, 2, bpf.JumpBitsSet, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER},
	"notif_recv":        {unix.SYS_IOCTL, 2, bpf.JumpEqual, unix.SECCOMP_IOCTL_NOTIF_RECV},
	"notif_send":        {unix.SYS_IOCTL, 2, bpf.JumpEqual, unix.SECCOMP_IOCTL_NOTIF_SEND},
	"notif_id_valid":    {unix.SYS_IOCTL, 2, bpf.JumpEqual, unix.SECCOMP_IOCTL_NOTIF_ID_VALID},
	"notif_addfd":       {unix.SYS_IOCTL, 2, bpf.JumpEqual, unix.SECCOMP_IOCTL_NOTIF_ADDFD},
	"no_new_privs":      {unix.SYS_PRCTL, 1, bpf.JumpEqual, unix.PR_SET_NO_NEW_PRIVS},
	"landlock":          {nr: unix.SYS_LANDLOCK_CREATE_RULESET},
	"prlimit":           {nr: unix.SYS_PRLIMIT64},
	"pidfd_send_signal": {nr: unix.SYS_PIDFD_SEND_SIGNAL},
	"pidfd_open":        {nr: unix.SYS_PIDFD_OPEN},
	"pidfd_getfd":       {nr: unix.SYS_PIDFD_GETFD},
	"process_vm_readv":  {nr: unix.SYS_PROCESS_VM_READV},
	"process_vm_writev": {nr: unix.SYS_PROCESS_VM_WRITEV},
	"ptrace":            {nr: unix.SYS_PTRACE},
	"sched_setaffinity": {nr: unix.SYS_SCHED_SETAFFINITY},
	"personality":       {nr: unix.SYS_PERSONALITY},
	"subreaper":         {unix.SYS_PRCTL, 1, bpf.JumpEqual, unix.PR_SET_CHILD_SUBREAPER},
	"dumpable":          {unix.SYS_PRCTL, 1, bpf.JumpEqual, unix.PR_SET_DUMPABLE},
	"unix":              {unix.SYS_SOCKET, 1, bpf.JumpEqual, unix.AF_UNIX},
	"unix_pair":         {unix.SYS_SOCKETPAIR, 1, bpf.JumpEqual, unix.AF_UNIX},
	// What came after Linux 5.14: 5.19, 6.9 and 6.6.
	"wait_killable": {unix.SYS_SECCOMP, 2, bpf.JumpBitsSet, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
	"pidfd_thread":  {unix.SYS_PIDFD_OPEN, 2, bpf.JumpBitsSet, unix.O_EXCL},
	"sync_wake_up":  {unix.SYS_IOCTL, 2, bpf.JumpEqual, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS},
}

var errnos = map[string]syscall.Errno{"EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS, "EINVAL": unix.EINVAL, "EACCES": unix.EACCES}

func main() {
	runtime.LockOSThread() // the filter is this thread's
	var code []bpf.Instruction
	flag.Func("deny", "`CALL=ERRNO`", func(s string) error {
		name, e, _ := strings.Cut(s, "=")
		r, ok := rules[name]
		if _, known := errnos[e]; !ok || !known {
			return fmt.Errorf("no such call or errno: %s", s)
		}
		code = append(code, r.deny(errnos[e])...)
		return nil
	})
	nproc := flag.Uint64("nproc", 0, "RLIMIT_NPROC")
	nofile := flag.String("nofile", "", "RLIMIT_NOFILE, `SOFT:HARD`")
	flag.Parse()
	path, err := exec.LookPath(flag.Arg(0))
	check(err)
	if *nofile != "" {
		var l unix.Rlimit
		_, err := fmt.Sscanf(*nofile, "%d:%d", &l.Cur, &l.Max)
		check(err)
		check(unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
	}
	if *nproc != 0 {
		check(unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: *nproc, Max: *nproc}))
	}
	if len(code) > 0 {
		check(install(append(code, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})))
	}
	check(syscall.Exec(path, flag.Args(), os.Environ()))
}

// deny returns the instructions that give e for the call, and else go on.
func (r rule) deny(e syscall.Errno) []bpf.Instruction {
	ret := bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)}
	load := func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} }
	if r.arg == 0 {
		return []bpf.Instruction{load(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.nr, SkipFalse: 1}, ret}
	}
	return []bpf.Instruction{
		load(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.nr, SkipFalse: 3},
		load(16 + 8*uint32(r.arg-1)), bpf.JumpIf{Cond: r.is, Val: r.val, SkipFalse: 1}, ret,
	}
}

func install(code []bpf.Instruction) error {
	raw, err := bpf.Assemble(code)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return e
	}
	return nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "confine:", err)
		os.Exit(1)
	}
}
