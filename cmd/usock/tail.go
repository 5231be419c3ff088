package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"usock/internal/control"
	"usock/trace"
)

func tailCmd() *cobra.Command {
	var t tail
	c := &cobra.Command{
		Use:   "tail [flags] [RUN] [FILTER]",
		Short: "Follow what happens on usock's sockets",
		Long: `Tail prints what happens from now on in a run, or in all of this user's runs: a line for
each event, until Ctrl-C or the end of the runs; of one that is killed it says so, and fails. Without --kind it tells of calls that
programs make on their sockets, with results, of connections that change state, wait, or
lose data, of what is refused or dropped, and of faults that --fault has strike; --all adds each segment, acknowledgment,
timer and window, and calls that have found nothing to do. A stream's bytes are pumped: the sends and receives that are told of are
usock's, on the program's behalf.

A filter is that of usock ss, without states. What has no addresses yet passes none that
names any. Where tail cannot keep up, it says how many events are missing.`,
		Example: tailExamples,
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if t.run, t.filter, err = runAndFilter(args); err != nil {
				return err
			}
			return t.follow(os.Stdout, os.Stderr)
		},
	}
	f := c.Flags()
	f.StringSliceVarP(&t.kinds, "kind", "k", nil, "only these `KINDS` of events: "+strings.Join(eventKinds(), ", "))
	f.BoolVarP(&t.all, "all", "a", false, "all kinds of events")
	f.Int32Var(&t.process, "pid", 0, "only what is done for the process `PID`")
	f.BoolVar(&t.asJSON, "json", false, "a line of JSON for each event, as package trace has it, with the run and the program")
	completeTail(c)
	return c
}

// eventKinds are the kinds of events, as package trace calls them.
func eventKinds() (list []string) {
	for k := trace.Kind(1); !strings.HasPrefix(k.String(), "Kind("); k++ {
		list = append(list, k.String())
	}
	return list
}

// tailKinds are told of without --kind and --all.
var tailKinds = []string{
	trace.Called.String(), trace.State.String(), trace.Stalled.String(), trace.Lost.String(), trace.Refused.String(), trace.Struck.String(), trace.Dropped.String(),
}

// tail follows events.
type tail struct {
	kinds       []string
	all, asJSON bool
	process     int32
	run, filter string
}

// follow prints until all runs have ended.
func (t *tail) follow(out, say io.Writer) error {
	for _, k := range t.kinds {
		if !slices.Contains(eventKinds(), k) {
			return fmt.Errorf("--kind %s: there are %s", k, strings.Join(eventKinds(), ", "))
		}
	}
	clients, err := runs(t.run, say)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	if len(clients) == 0 {
		return errNoRuns
	}
	q := control.Request{Do: control.DoEvents, Filter: t.filter, Kinds: t.kinds, Process: t.process, Text: !t.asJSON}
	switch {
	case t.all:
		q.Kinds, q.Looks = nil, true
	case len(t.kinds) == 0:
		q.Kinds = tailKinds
	}
	var mu sync.Mutex // of what follows
	w := bufio.NewWriter(out)
	errs := make(chan error, len(clients))
	title := titles(clients)
	if len(clients) == 1 {
		title[0] = "" // it need not be said
	}
	for i, c := range clients {
		go func() {
			err := c.Do(q, func(r *control.Reply) error {
				mu.Lock()
				defer mu.Unlock()
				for k := range r.Events {
					t.print(w, &c.Run, title[i], &r.Events[k])
				}
				return w.Flush()
			})
			switch {
			case errors.Is(err, control.ErrKilled):
				tellKilled(say, c)
				err = errTold
			case control.Ended(err):
				err = nil
			}
			errs <- err
		}()
	}
	for range clients {
		switch e := <-errs; {
		case e == nil || err != nil && err != errTold:
		case e == errTold:
			err = e
		default:
			err = e
			closeAll(clients)
		}
	}
	return err
}

// print writes an event of a run, behind a title.
func (t *tail) print(w *bufio.Writer, run *control.Run, title string, e *control.Event) {
	if t.asJSON {
		// The event's own object, with two fields in front. An id needs no quoting.
		program, _ := json.Marshal(e.Program)
		fmt.Fprintf(w, `{"run":"%s","program":%s,%s`+"\n", run.ID, program, strings.TrimPrefix(string(e.Data), "{"))
		return
	}
	if title != "" {
		w.WriteString(title + " ")
	}
	text := e.Text
	if e.Program != "" {
		text = strings.Replace(text, "] ", " "+e.Program+"] ", 1)
	}
	w.WriteString(text + "\n")
}
