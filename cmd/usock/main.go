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
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "usock:", err)
		os.Exit(1)
	}
}
