package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"usock"
	"usock/run"
)

// Exit statuses of a program that could not be started, as in every shell.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

func runCmd() *cobra.Command {
	var verbose bool
	var s shape
	c := &cobra.Command{
		Use:   "run [flags] -- PROGRAM [ARGS]",
		Short: "Run a program with its IPv4 and IPv6 sockets served by usock",
		Long: `Run starts an unmodified program. Its AF_INET and AF_INET6 sockets, and those of
all its children, are sockets of one usock host with a loopback interface; its
files, AF_UNIX and AF_NETLINK sockets stay the kernel's. No privilege is needed;
run by root, raw sockets and ports below 1024 are allowed.

The exit status is the program's. Processes that it leaves behind are ended.`,
		Example: `  usock run --pcap trace.pcapng -- curl http://localhost:8080/
  usock run --delay 40ms --jitter 5ms --loss 1% --rate 20mbit -- sh -c './server & ./client'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no program is named: usock run [flags] -- PROGRAM [ARGS]")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return runProgram(args, verbose, &s)
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "name calls that usock does not have on stderr")
	s.flags(c.Flags())
	return c
}

const guardName = "run-guard"

// guardCmd is for usock run itself.
func guardCmd() *cobra.Command {
	return &cobra.Command{
		Use: guardName, Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { run.Guard(os.Stdin) },
	}
}

func runProgram(args []string, verbose bool, s *shape) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usock:", err)
		if errors.Is(err, os.ErrPermission) {
			os.Exit(exitNotExecutable)
		}
		os.Exit(exitNotFound)
	}
	if err := s.open(); err != nil {
		return err
	}
	host, err := usock.NewHost(usock.Config{
		Name:     "run",
		Loopback: s.loopback(),
		// What root may do on the machine, root's programs may do on the host.
		Privileged: os.Geteuid() == 0,
	})
	if err != nil {
		return err
	}
	o := run.Options{
		Host: host, Path: path, Argv: args, Env: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Guard: []string{"/proc/self/exe", guardName}, Warn: os.Stderr,
	}
	if verbose {
		o.Log = os.Stderr
	}
	st, err := run.Run(o)
	host.Close()
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		fmt.Fprintln(os.Stderr, "usock:", err)
	}
	run.Exit(st)
	return nil
}
