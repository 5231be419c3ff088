// Command usock runs programs on sockets in user space, and shows what usock does.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"usock/internal/control"
)

// commands are the constructors of the subcommands, in the order of the help.
var commands = []func() *cobra.Command{
	runCmd, psCmd, ssCmd, topCmd, tailCmd, captureCmd, setCmd, cutCmd, healCmd, extcapCmd, demoCmd, profilesCmd, profileCmd, checkCmd, versionCmd, guardCmd,
}

// exitOwn is the status where usock run itself has failed: the program was not started,
// or it succeeded and its recording did not. It is that of env, timeout and others that run
// a program, which so leave 1 to 124 to it.
const exitOwn = 125

func main() {
	if isExtcap(os.Args[1:]) {
		os.Exit(extcap(os.Args[1:], os.Stdout, os.Stderr))
	}
	root := rootCmd()
	if c, err := root.ExecuteC(); err != nil {
		if err != errTold {
			tell(os.Stderr, err)
		}
		os.Exit(failure(c))
	}
}

// errTold is a failure that the user was told of.
var errTold = errors.New("it was told before")

// tell says something to the user, a line or several, in which whatever would change the terminal is written out.
func tell(w io.Writer, what any) {
	fmt.Fprintln(w, "usock:", control.Visible(fmt.Sprint(what)))
}

// failure is the exit status where a command has failed.
func failure(c *cobra.Command) int {
	if c.Name() == runName {
		return exitOwn
	}
	return 1
}

func rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "usock",
		Short:         "The Berkeley socket system in user space",
		Version:       versionText(debug.ReadBuildInfo()),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("there is no command %q (usock --help shows those that there are; a program is run by usock run -- %s)", args[0], args[0])
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Version}}")
	root.SetFlagErrorFunc(flagError)
	for _, c := range commands {
		root.AddCommand(c())
	}
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, args []string) error {
			if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q (usock --help shows those that there are)", strings.Join(args, " "))
			}
			return nil
		}
	}
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args = oneShell
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		for _, shell := range c.Commands() {
			shell.Args = noArguments
		}
	}
	return root
}

// oneShell is the check of usock completion, where its argument is no shell's name.
func oneShell(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var shells []string
	for _, shell := range c.Commands() {
		shells = append(shells, shell.Name())
	}
	return fmt.Errorf("there is no completion for %q, but for %s", args[0], strings.Join(shells, ", "))
}

// noArguments is the check of commands that take flags alone.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, and %q is one (%s --help)", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// oneRun is the check of commands that take the name of a run, or nothing.
func oneRun(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%s takes one run, and %q is one more (%s --help)", c.CommandPath(), args[1], c.CommandPath())
	}
	return nil
}

// flagError says what is wrong with a flag, in one line.
func flagError(c *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		cause := value.Unwrap()
		if errors.As(cause, new(*strconv.NumError)) {
			cause = errors.New("a whole number is wanted")
			if value.GetFlag().Value.Type() == "bool" {
				cause = errors.New("give true or false, or nothing")
			}
		}
		text := value.GetValue()
		if text == "" {
			text = `""`
		}
		err = fmt.Errorf("--%s %s: %w", value.GetFlag().Name, text, cause)
	}
	return fmt.Errorf("%w (%s --help shows the flags)", err, c.CommandPath())
}
