package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"usock/internal/control"
	"usock/shape"
)

func setCmd() *cobra.Command {
	var q control.Request
	c := &cobra.Command{
		Use:   "set [flags] [RUN] [OPTION VALUE]...",
		Short: "Change what is done to a run's packets while it goes on",
		Long: `Set changes what is done to the packets of a run: options as usock run has them, without
their dashes (delay 300ms, up-rate 1mbit, profile slow-3g, down-trace FILE), rules, and faults.
What is not named stays as it is; the value none takes an option, the profile or a trace
away. What is under way keeps its time, and faults are for connections that begin later. A run that was started with nothing of the kind can be changed, too: its
links carry packets of 1500 bytes from then on. --on of usock run still says where it acts.

It prints what holds then, and without a change what holds now, as usock ps does. A
change is an event of usock tail, and a comment in recordings, at the next packet.

RUN may be left out where there is one run.`,
		Example: setExamples,
		RunE: func(c *cobra.Command, args []string) error {
			name, args, err := setWords(c.Flags(), args)
			if err != nil {
				return err
			}
			var traces [][]byte
			for i := 0; i < len(args); i += 2 {
				switch option, value := args[i], args[i+1]; {
				case option == profileFlag:
					q.Profile = value
				case strings.HasSuffix(option, traceFlag) && value != none:
					text, err := os.ReadFile(value)
					if err != nil {
						return fmt.Errorf("%s %s: %w", option, value, withoutName(err))
					}
					traces = append(traces, text)
					q.Traces = append(q.Traces, control.Trace{Name: option, File: value, Size: len(text)})
				default:
					q.Options = append(q.Options, control.Setting{Name: option, Value: value})
				}
			}
			return change(name, q, traces...)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&q.Rules, "rule", nil, "add the `RULE`, as usock run --rule has it, such as 'udp: delay 200ms'; once for each")
	f.StringArrayVar(&q.NoRules, "no-rule", nil, "take the `RULE` of this text away; once for each")
	f.StringArrayVar(&q.Faults, "fault", nil, "add the fault of this `TEXT`, as usock run --fault has it, such as 'connect refused at 10%'; once for each")
	f.StringArrayVar(&q.NoFaults, "no-fault", nil, "take the fault of this `TEXT` away; once for each")
	f.BoolVar(&q.Reset, "reset", false, "first of all, go back to what was done at the start of the run")
	completeSet(c)
	return c
}

// setWords takes apart what usock set is given: a run, which may be left out, and options, each with its value.
func setWords(flags *pflag.FlagSet, args []string) (run string, options []string, err error) {
	options = args
	if len(args)%2 == 1 {
		run, options = args[0], args[1:]
	}
	for i := 0; i < len(options); i += 2 {
		if settable(options[i]) {
			continue
		}
		// Where a value is missing, a run is named that seems not to be, or the other way round.
		for j := (len(args) + 1) % 2; j < len(args) && settable(args[j]); j += 2 {
			if j+1 == len(args) || settable(args[j+1]) {
				return "", nil, missingValue(args[j])
			}
		}
		name := options[i]
		switch err := noSuchOption(name); {
		case flags.Lookup(name) != nil:
			return "", nil, fmt.Errorf("%s is a flag: give --%[1]s", name)
		case run == "" && i == 0:
			return "", nil, fmt.Errorf("%w; a run's name is followed by an option and its value", err)
		default:
			return "", nil, err
		}
	}
	if settable(run) {
		f, err := control.Pick(control.Find(), run)
		if err != nil {
			return "", nil, missingValue(run)
		}
		f.Client.Close()
	}
	return run, options, nil
}

func missingValue(option string) error { return fmt.Errorf("%s: the value is missing", option) }

func cutCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "cut [RUN] [CONDITION]",
		Short: "Let nothing through on a run's links, or nothing that a condition names",
		Long: `Cut has all packets of a run be lost from now on, or those that a condition of a rule
names, as 'to db:5432', until usock heal. It is short for usock set --rule 'CONDITION: cut'.

RUN may be left out where there is one run.`,
		Example: cutExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return fmt.Errorf("usock cut takes a run and a condition, and %q is one more: quote a condition of several words, as 'to db:5432'", args[2])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name, condition := "", "any"
			if n := len(args); n > 0 {
				// One word is a condition if it can be one.
				if _, err := shape.ParseRule(args[n-1] + ": " + cut); err == nil || n == 2 {
					condition, args = args[n-1], args[:n-1]
				}
			}
			if len(args) > 0 {
				name = args[0]
			}
			return change(name, control.Request{Rules: []string{condition + ": " + cut}})
		},
	}
	c.ValidArgsFunction = completeOneRun
	return c
}

func healCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "heal [RUN]",
		Short: "Take back what usock cut has done to a run",
		Long: `Heal takes away the rules that usock cut, or usock set --rule, has given a run and that do
nothing but cut. Rules that it was started with stay.

RUN may be left out where there is one run.`,
		Example: healExamples,
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			return change(strings.Join(args, ""), control.Request{Heal: true})
		},
	}
	c.ValidArgsFunction = completeOneRun
	return c
}

// change asks a run for a change, which has those traces, and prints what holds then.
func change(name string, q control.Request, traces ...[]byte) error {
	c, err := only(name, os.Stderr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, text := range traces {
		if err := c.SendTrace(text); err != nil {
			return err
		}
	}
	q.Do = control.DoSet
	return c.Do(q, func(r *control.Reply) error {
		if r.Shape == nil {
			return nil
		}
		fmt.Println(dash(r.Shape.Text))
		return nil
	})
}
