package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"usock"
	"usock/run"
)

// Exit statuses of a program that could not be started, as in every shell.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

const runName = "run"

func runCmd() *cobra.Command {
	var w wanted
	var summarize bool
	var out outside
	var s conditions
	var name nameValue
	stdout := fileValue{hint: "give one, such as /dev/stderr"}
	c := &cobra.Command{
		Use:   runName + " [flags] -- PROGRAM [ARGS]",
		Short: "Run a program with its IPv4 and IPv6 sockets served by usock",
		Long: `Run starts an unmodified program. Its AF_INET and AF_INET6 sockets, and those of
all its children, are sockets of one usock host; its files and AF_UNIX sockets stay
the kernel's. So do sockets that it inherits, which -v names, and those
in network namespaces of its own. No privilege is needed; raw sockets and ports below
1024 are for programs that have the capabilities, as root's have.

The host has a loopback interface and eth0, which leads to the networks that this
machine reaches: usock carries on each connection and datagram by a socket of its own,
as the user who runs it. A port of 127.0.0.1 or ::1 that nobody in the run has is this
machine's own; the machine is reached by its other addresses, too, and by its name.
Nothing comes in but by -p. SCTP leaves in UDP, by --sctp-encap or a program's own
SCTP_REMOTE_UDP_ENCAPS_PORT, where it is UDP to rules and --log-flows; as it is where the user has CAP_NET_RAW
and the kernel has no SCTP. With --isolated nothing leaves, either. The link's flags
(--profile, --delay, --loss, --rate and their like) act on both interfaces, each way, or
on one with --on; a recording has both. With up- or down- before its name a flag is of one
direction, as --up-rate: up is what the program sends, on the loopback interface what the
side of a connection sends that has connected. This is no sandbox: a run reaches what its user's
programs reach, but for what rules deny. What netlink and ioctl tell of interfaces,
routes and sockets is the run's: ip, ss, getifaddrs.
` + rulesHelp + policyHelp + faultHelp + `
Names are looked up by the program itself, at the servers of /etc/resolv.conf. A name
that --host gives, and the machine's own, are answered by usock in their place, with
each suffix, too, that resolv.conf has programs append (a dot at the name's end: only
as it is), and backwards. They have addresses and nothing else. Names in /etc/hosts are
the program's own. With --isolated all other names are refused; that takes a server on
the loopback interface in resolv.conf, as there is no way to others: with none, no name
is found that is not in /etc/hosts, those of --host included. Daemons of the machine that
look names up (nscd, systemd-resolved) are hidden from programs.

Of a setting that is given twice the last one counts; a second file, script or filter,
where there can be one, is refused.

The exit status is the program's, 126 or 127 if it cannot be executed or is not
there, and 125 if usock itself fails: before it starts, or, where the program has
succeeded, because the recording lacks packets. Processes that it leaves behind are
ended. usock itself writes nothing but what must be known, a line each, on stderr, and
with --summary what was on the run's sockets, also where a signal has ended the program.

` + runLimits,
		Example: runExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no program is named: usock run [flags] -- PROGRAM [ARGS]")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			w.stdout, w.name = stdout.name, string(name)
			if summarize {
				w.summary = new(summary)
			}
			return runProgram(args, &w, &s, &out)
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVarP(&w.verbose, "verbose", "v", false, "say on stderr what the run is, and name calls that usock does not have and the kernel has")
	s.flags(c.Flags())
	s.runFlags(c.Flags())
	c.Flags().Var(&stdout, "stdout", "the program's stdout goes to this `FILE`; it must be elsewhere than what --pcap writes")
	out.flags(c.Flags(), &s)
	c.Flags().BoolVar(&w.everyCall, "every-call", false, "see every read, write and close of the program's, of files, too: an SCTP socket may be any descriptor then (as inetd makes it stdin), and close waits for SO_LINGER; each costs some 15 µs")
	c.Flags().Var(&name, "name", "call the run `NAME` in usock ps, ss, top and tail, beside its id")
	c.Flags().BoolVar(&summarize, "summary", false, "say on stderr at the end what was on the run's sockets: connections, bytes, losses, who waited for whom, and the connections that lasted longest")
	completeRun(c)
	return c
}

const guardName = "run-guard"

// guardCmd is for usock run itself.
func guardCmd() *cobra.Command {
	return &cobra.Command{
		Use: guardName, Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { run.Guard(os.Stdin, os.Stdout) },
	}
}

// findProgram returns the program's path. It does not return if there is none.
func findProgram(name string) string {
	path, err := exec.LookPath(name)
	switch {
	case err == nil || errors.Is(err, exec.ErrDot): // PATH names the current directory
		return path
	case errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EISDIR):
		notExecuted(exitNotExecutable, err)
	}
	notExecuted(exitNotFound, err)
	return ""
}

// notExecuted ends this process with the status that a shell gives.
func notExecuted(status int, err error) {
	tell(os.Stderr, err)
	os.Exit(status)
}

// execFailed ends this process if err says that the kernel did not execute the
// program at path: its interpreter is missing, or it is no program. The fork's own
// errors are usock's.
func execFailed(path string, err error) {
	var e *os.PathError
	if !errors.As(err, &e) || e.Path != path || errors.Is(e, syscall.EAGAIN) || errors.Is(e, syscall.ENOMEM) {
		return
	}
	switch {
	case errors.Is(e, os.ErrNotExist):
		notExecuted(exitNotFound, fmt.Errorf("%w (the program, or the interpreter that it names)", e))
	case errors.Is(e, syscall.ENOEXEC):
		notExecuted(exitNotExecutable, fmt.Errorf("%w (a script names its interpreter in a first line with #!)", e))
	}
	notExecuted(exitNotExecutable, e)
}

// programStdout opens the program's stdout: the file of that name, or this process's. A
// recording must not go there.
func programStdout(name string, s *conditions) (*os.File, error) {
	f := os.Stdout
	if name != "" {
		var err error
		if f, err = openOutput(stdoutFlag, name, anyMode, os.Stderr); err != nil {
			return nil, err
		}
	}
	if s.file == nil {
		return f, nil
	}
	return f, apart(s.file, f, os.Stderr, s)
}

// wanted is what the flags of usock run say beside what is done to packets and beside the outside.
type wanted struct {
	verbose   bool
	everyCall bool
	stdout    string // the file that the program's goes to; "": this process's
	name      string
	summary   *summary // nil: none
	views     views
}

// apply has the host's configuration, and the outside, be as wanted.
func (w *wanted) apply(c *usock.Config, s *conditions, out *outside) {
	c.Faults = s.strike(os.Stderr, w.views.note)
	w.summary.watch(c)
	s.seen = w.views.resolved
	out.verbose = w.verbose
}

// runProgram runs a program. It returns only if usock itself has failed before.
func runProgram(args []string, w *wanted, s *conditions, out *outside) error {
	path := findProgram(args[0])
	if err := out.check(s); err != nil {
		return err
	}
	if err := enoughDescriptors(); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	defer func() { s.keys.close() }()
	prepared, err := run.Prepare([]string{"/proc/self/exe", guardName})
	if err != nil {
		return err
	}
	defer prepared.Stop()
	programOut, err := programStdout(w.stdout, s)
	if err != nil {
		return err
	}
	surviveWriting()
	if err := s.record(); err != nil {
		return err
	}
	if s.impaired() {
		s.exact()
	}
	who := new(run.Caller)
	config := usock.Config{
		Name:     "run",
		Loopback: s.loopback(),
		Capable:  who.Capable, // what a program may do on the machine, it may do on the host
	}
	w.apply(&config, s, out)
	defer s.calls.close()
	if err := out.open(&config, s); err != nil {
		return err
	}
	host, err := usock.NewHost(config)
	if err != nil {
		return err
	}
	if err := out.start(host); err != nil {
		return err
	}
	o := run.Options{
		Host: host, Caller: who, Path: path, Argv: args, Env: s.environ(os.Environ()),
		Packets: s.loopback() != nil, EveryCall: w.everyCall,
		Stdin: os.Stdin, Stdout: programOut, Stderr: os.Stderr,
		Prepared: prepared, Warn: os.Stderr,
		Absent: append(controlDirs(), nameDaemons...), Reaches: !out.isolated,
		Ends: new(run.Ends),
	}
	if w.verbose {
		o.Title, o.Log = title(args[0], s, out), os.Stderr
	}
	tellNames(&o, s, out, w.summary)
	if out.gateway != nil {
		o.Outside = out.gateway
	}
	w.views.serve(&o, w.name, s, out)
	st, err := run.Run(o)
	if err == nil {
		w.summary.print(os.Stderr, host, out.gateway)
		s.calls.end()
	}
	out.close()
	host.Close()
	w.views.Close() // after what the host sends at its end
	if err != nil {
		s.keys.close()
		execFailed(path, err)
		return err
	}
	if err := s.close(); err != nil {
		tell(os.Stderr, err)
		if st == (run.Status{}) {
			st.Code = exitOwn
		}
	}
	run.Exit(st)
	return nil
}

// tellNames has the names of programs and of addresses told to a recording, to rules and to a summary.
func tellNames(o *run.Options, s *conditions, out *outside, sum *summary) {
	o.Named = s.runs
	s.know(out.isolated)
	for _, h := range out.hosts.list {
		s.resolved(h.Addr, h.Name)
	}
	sum.name(o)
}
