// Command usock runs programs on sockets in user space, and shows what usock does.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// commands are the constructors of the subcommands, in the order of the help.
var commands = []func() *cobra.Command{
	runCmd, demoCmd, guardCmd,
}

// exitOwn is the status where usock run itself has failed: the program was not started.
// It is that of env, timeout and others that run a program, which so leave 1 to 124
// to it.
const exitOwn = 125

func main() {
	root := &cobra.Command{
		Use:           "usock",
		Short:         "The Berkeley socket system in user space",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, c := range commands {
		root.AddCommand(c())
	}
	if c, err := root.ExecuteC(); err != nil {
		fmt.Fprintln(os.Stderr, "usock:", err)
		if c.Name() == runName {
			os.Exit(exitOwn)
		}
		os.Exit(1)
	}
}
