package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"usock/internal/control"
	"usock/internal/top"
)

func topCmd() *cobra.Command {
	t := topFlags{every: everyValue(time.Second)}
	c := &cobra.Command{
		Use:   "top [flags] [RUN] [FILTER]",
		Short: "Watch the connections of programs that run on usock's sockets",
		Long: `Top is a screen of sockets, those of one run or of all this user's runs, sorted by rate,
retransmissions, queues, who waits for whom, round-trip time or name: with the processes
that have them, what each receives (RX) and sends (TX) in bits a second, and what the
links of the runs carry. Runs that begin and end meanwhile come and go; those that were
killed are told of at the end. The selected
socket is told of in full below; b, or -p, has a row for each process; ? shows the keys.

Listeners and TIME-WAIT are left out, unless -a or a filter asks for them. A filter is one
of usock ss; / changes it. The screen wants a terminal, of any size and over ssh, too;
--once prints all of it as text, after two looks.`,
		Example: topExamples,
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if t.run, t.query.Filter, err = runAndFilter(args); err != nil {
				return err
			}
			return t.show()
		},
	}
	f := c.Flags()
	f.Var(&t.every, "every", "look again each `TIME`")
	f.Var(&t.order, "sort", "sort by `WHAT`: "+strings.Join(top.Orders(), ", "))
	f.BoolVarP(&t.query.All, "all", "a", false, "in all states")
	f.BoolVarP(&t.grouped, "processes", "p", false, "a row for each process in place of each socket")
	f.BoolVar(&t.once, "once", false, "print one screen as text, with all sockets, and end")
	f.Var(&t.width, "width", "print lines of so many `COLUMNS`, with --once; without it those of the terminal, or 80")
	completeTop(c)
	return c
}

// topFlags are what usock top is asked for.
type topFlags struct {
	every   everyValue
	order   orderValue
	query   top.Query
	once    bool
	grouped bool
	width   widthValue
	run     string
}

// drawable says why no screen can be drawn on a terminal of a kind ($TERM); nil: one can.
func drawable(in, out bool, kind string) error {
	const instead = ": usock top --once prints a screen as text"
	switch {
	case !in && !out:
		return errors.New("usock top draws on a terminal, and stdin and stdout are none" + instead)
	case !in:
		return errors.New("usock top takes keys from a terminal, and stdin is none" + instead)
	case !out:
		return errors.New("usock top draws on a terminal, and stdout is none" + instead)
	case kind == "dumb":
		return errors.New("usock top cannot draw on a terminal of type dumb ($TERM)" + instead)
	}
	return nil
}

func (t *topFlags) show() error {
	if t.width != 0 && !t.once {
		return errors.New("--width is for --once: a terminal has its own")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := top.NewWatcher(t.query)
	w.Every = time.Duration(t.every)
	if !t.once {
		if err := drawable(term.IsTerminal(int(os.Stdin.Fd())), term.IsTerminal(int(os.Stdout.Fd())), os.Getenv("TERM")); err != nil {
			return err
		}
	}
	again := false
	if t.run != "" {
		f, err := control.Pick(control.Find(), t.run)
		if err != nil {
			return err
		}
		f.Client.Close()
		id, name := f.ID, f.Client.Run.Name
		again = name != ""
		w.Wanted = func(r *control.Run) bool { return r.ID == id || name != "" && r.Name == name }
	}
	m := top.New(top.Config{Name: t.run, Again: again, Every: w.Every, Query: t.query, Order: top.Order(t.order), Grouped: t.grouped, Ask: w.Ask})
	if t.once {
		return t.print(ctx, w, m, os.Stdout, os.Stderr)
	}
	p := tea.NewProgram(m)
	w.Tell = p.Send
	go w.Run(ctx)
	if _, err := p.Run(); err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return err
	}
	return tellAllKilled(os.Stderr, m)
}

// tellAllKilled says which runs were killed while they were looked at, and fails if there are such.
func tellAllKilled(say io.Writer, m *top.Model) error {
	for _, name := range m.Killed() {
		tell(say, "run "+name+" was killed")
	}
	if len(m.Killed()) > 0 {
		return errTold
	}
	return nil
}

// onceTime is how long --once waits for runs, beside its interval.
const onceTime = 5 * time.Second

// print prints what is known after two looks at each run, or when the time is over.
func (t *topFlags) print(ctx context.Context, w *top.Watcher, m *top.Model, out, say io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, onceTime+time.Duration(t.every))
	defer cancel()
	told := make(chan tea.Msg)
	w.Tell = func(msg tea.Msg) {
		select {
		case told <- msg:
		case <-ctx.Done():
		}
	}
	go w.Run(ctx)
	for !m.Settled() && ctx.Err() == nil {
		select {
		case msg := <-told:
			m.Update(msg)
		case <-ctx.Done():
		}
	}
	for _, text := range m.Unheard() {
		tell(say, text)
	}
	if m.Heard() == 0 {
		return errNoRuns
	}
	columns := int(t.width)
	if columns == 0 {
		if columns = width(os.Stdout); columns == 0 {
			columns = defaultWidth
		}
	}
	if _, err := io.WriteString(out, m.Text(columns)); err != nil {
		return err
	}
	return tellAllKilled(say, m)
}

// orderValue is --sort.
type orderValue top.Order

// String implements pflag.Value.
func (v *orderValue) String() string { return top.Order(*v).String() }

// Type implements pflag.Value.
func (v *orderValue) Type() string { return "WHAT" }

// Set implements pflag.Value.
func (v *orderValue) Set(text string) error {
	o, ok := top.ParseOrder(text)
	if !ok {
		list := slices.Clone(top.Orders())
		last := len(list) - 1
		return fmt.Errorf("give %s or %s", strings.Join(list[:last], ", "), list[last])
	}
	*v = orderValue(o)
	return nil
}

// Widths that --width takes, and the one that there is without it.
const (
	minWidth     = 20
	maxWidth     = 1000
	defaultWidth = 80
)

// widthValue is --width; 0: it was not given.
type widthValue int

// String implements pflag.Value.
func (v *widthValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// Type implements pflag.Value.
func (v *widthValue) Type() string { return "COLUMNS" }

// Set implements pflag.Value.
func (v *widthValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < minWidth || n > maxWidth {
		return fmt.Errorf("give a number of columns, %d to %d", minWidth, maxWidth)
	}
	*v = widthValue(n)
	return nil
}
