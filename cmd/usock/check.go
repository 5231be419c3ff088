package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"usock/internal/control"
	"usock/shape"
)

func checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE...",
		Short: "Check scripts of --script",
		Long: `Check reads scripts as usock run --script FILE does, and says what is wrong: the file, the
line, the column and what may be meant, a line for each. The exit status is 1 if
something is. docs/SHAPES.md says what a script has.`,
		Example: checkExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no script is named: usock check FILE")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return check(args, os.Stdout) },
	}
}

// check checks scripts.
func check(files []string, out io.Writer) error {
	wrong := 0
	for _, name := range files {
		if _, err := readScript(name); err != nil {
			wrong++
			if _, err := fmt.Fprintln(out, control.Visible(err.Error())); err != nil {
				return err
			}
		}
	}
	switch {
	case wrong == 1 && len(files) == 1:
		return fmt.Errorf("%s cannot be run", files[0])
	case wrong > 0:
		return fmt.Errorf("%d of %d scripts cannot be run", wrong, len(files))
	}
	return nil
}

// readScript reads a script. The error has a line for each thing that is wrong, with the place as editors know it.
func readScript(name string) (shape.Script, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return shape.Script{}, fmt.Errorf("%s: %w", name, withoutName(err))
	}
	s, err := shape.ParseScript(string(text))
	if err == nil {
		return s, nil
	}
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	for i, err := range all {
		var e *shape.TextError
		if errors.As(err, &e) {
			all[i] = fmt.Errorf("%s:%d:%d: %s", name, e.Line, e.Column, e.What)
		}
	}
	return s, errors.Join(all...)
}

// scriptValue is --script.
type scriptValue struct {
	name string
	shape.Script
}

// String implements pflag.Value.
func (v *scriptValue) String() string { return v.name }

// Type implements pflag.Value.
func (v *scriptValue) Type() string { return "FILE" }

// Set implements pflag.Value. The script is read when the flags are checked.
func (v *scriptValue) Set(text string) error {
	if text == "" {
		return errors.New("no file is named; give a script, such as bad-day.usock")
	}
	if err := once(v.name, text, "one script is run"); err != nil {
		return err
	}
	v.name = text
	return nil
}

// read reads the script, if there is one.
func (v *scriptValue) read() (err error) {
	if v.name != "" {
		v.Script, err = readScript(v.name)
	}
	return err
}

// spares reports whether the script has faults, and does nothing to packets.
func (v *scriptValue) spares() bool {
	return len(v.Faults) > 0 && !v.changes() && len(v.Shape.Rules) == 0
}

// changes reports whether the script says what the link is, beside rules.
func (v *scriptValue) changes() bool {
	s := &v.Shape
	return s.Up != s.Down || s.Up != (shape.Shape{}).Up || s.Course.Steps != nil
}
