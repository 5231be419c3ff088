package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"usock/internal/control"
	"usock/internal/ss"
)

// What the commands that look at runs have in common.

// errNoRuns is what is told where there is nothing to look at.
var errNoRuns = errors.New("nothing runs under usock, as far as this user can see (usock run starts it)")

// runs returns the runs of this user's that answer, and says which do not; with a name, the
// one that is called so.
func runs(name string, say io.Writer) ([]*control.Client, error) {
	list := control.Find()
	if name != "" {
		f, err := control.Pick(list, name)
		if err != nil {
			return nil, err
		}
		return []*control.Client{f.Client}, nil
	}
	var some []*control.Client
	for _, f := range list {
		if f.Err != nil {
			tell(say, fmt.Sprintf("run %s: %v", f.ID, f.Err))
			continue
		}
		some = append(some, f.Client)
	}
	return some, nil
}

// tellKilled says that a run was killed.
func tellKilled(say io.Writer, c *control.Client) {
	tell(say, fmt.Sprintf("run %s: %v", c.Run.ID, control.ErrKilled))
}

// followed are the runs of a look that goes on. Until the next look a connection to each is kept, by which a run says that it ends.
type followed struct {
	list   []*control.Client
	killed bool // one was
}

// next takes the runs that there are now. It says which of those before were killed, and returns io.EOF, or errTold where there
// were such, when all of some have ended: one may also not answer any more, or not be the only one of its name.
func (f *followed) next(list []*control.Client, say io.Writer) error {
	none := len(f.list) > 0 && len(list) == 0
	for _, c := range f.list {
		there := func(n *control.Client) bool { return n.Run.ID == c.Run.ID }
		if !slices.ContainsFunc(list, there) {
			how := c.HowEnded()
			none = none && control.Ended(how)
			if errors.Is(how, control.ErrKilled) {
				tellKilled(say, c)
				f.killed = true
			}
		}
		c.Close()
	}
	f.list = list
	switch {
	case none && f.killed:
		return errTold
	case none:
		return io.EOF
	}
	return nil
}

func closeAll(list []*control.Client) {
	for _, c := range list {
		c.Close()
	}
}

// titles returns what stands for each run in a column: its name, if it has one for itself, or its id.
func titles(list []*control.Client) []string {
	count := make(map[string]int)
	for _, c := range list {
		count[c.Run.Name]++
	}
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Run.ID
		if name := c.Run.Name; name != "" && count[name] == 1 {
			out[i] = name
		}
	}
	return out
}

// runAndFilter cuts the arguments into a run's name and a filter.
func runAndFilter(args []string) (name, filter string, err error) {
	if len(args) > 0 && !ss.Begins(args[0]) {
		name, args = args[0], args[1:]
	}
	filter = strings.Join(args, " ")
	_, err = ss.Parse(filter, ss.ServiceNumber)
	if err != nil && name != "" && len(args) > 0 && !ss.Begins(args[0]) {
		err = fmt.Errorf("after a run comes a filter: %w", err)
	}
	return name, filter, err
}

// width returns the width of the terminal; 0 if it is none.
func width(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// everyValue is --watch; 0: it was not given.
type everyValue time.Duration

// everyDefault is the value of --watch alone.
const everyDefault = "1s"

// String implements pflag.Value.
func (v *everyValue) String() string {
	if *v == 0 {
		return ""
	}
	return time.Duration(*v).String()
}

// Type implements pflag.Value.
func (v *everyValue) Type() string { return "TIME" }

// leastEvery is how often it is looked at most.
const leastEvery = 100 * time.Millisecond

// Set implements pflag.Value.
func (v *everyValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, bad := strconv.ParseFloat(text, 64); bad == nil {
		d, err = time.Duration(n*float64(time.Second)), nil // as watch(1) has it
	}
	if err != nil || d < leastEvery {
		return fmt.Errorf("give how often to look, %v or more, such as 2s", leastEvery)
	}
	*v = everyValue(d)
	return nil
}

// watchFlag adds --watch.
func watchFlag(c *cobra.Command, every *everyValue) {
	c.Flags().Var(every, "watch", "look again each `TIME`, until Ctrl-C; without a value each "+everyDefault)
	c.Flags().Lookup("watch").NoOptDefVal = everyDefault
}

// watch calls show once or, with --watch, again and again, until it returns io.EOF. On a terminal each screen takes the
// place of the one before.
func watch(every everyValue, out *os.File, show func(io.Writer) error) error {
	if every == 0 {
		return show(out)
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, os.Interrupt)
	again := time.NewTicker(time.Duration(every))
	defer again.Stop()
	for {
		var b strings.Builder
		if err := show(&b); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		text := b.String()
		if _, rows, err := term.GetSize(int(out.Fd())); err == nil {
			text = screen(text, rows)
		} else {
			text += "\n"
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		select {
		case <-quit:
			return nil
		case <-again.C:
		}
	}
}

// screen is a text as a terminal's whole screen, without what it has no room for.
func screen(text string, rows int) string {
	const home, clearLine, clearRest = "\x1b[H", "\x1b[K", "\x1b[J"
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if rows > 0 && len(lines) > rows-1 {
		kept := max(rows-2, 0)
		lines = append(lines[:kept], fmt.Sprintf("... and %d lines more", len(lines)-kept))
	}
	return home + strings.Join(lines, clearLine+"\r\n") + clearLine + "\r\n" + clearRest
}
