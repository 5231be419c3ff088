package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"usock/gateway"
)

// rules are the values of --allow and --deny together, in the order of the command line.
type rules struct{ list []gateway.Rule }

// ruleFlag is one of the two flags.
type ruleFlag struct {
	rules *rules
	allow bool
}

// String implements pflag.Value.
func (f *ruleFlag) String() string {
	var all []string
	if f.rules != nil {
		for i := range f.rules.list {
			if r := &f.rules.list[i]; r.Allow == f.allow {
				all = append(all, r.String())
			}
		}
	}
	return strings.Join(all, " ")
}

// Type implements pflag.Value.
func (f *ruleFlag) Type() string { return "RULE" }

// Set implements pflag.Value: it adds a rule.
func (f *ruleFlag) Set(text string) error {
	r, err := gateway.ParseRule(f.allow, text)
	if err != nil {
		return err
	}
	f.rules.list = append(f.rules.list, r)
	return nil
}

// refusals are the values of --deny-with.
var refusals = map[string]gateway.Refusal{"prohibit": gateway.Prohibit, "reset": gateway.Reset, "drop": gateway.Drop}

// denyWith is the value of --deny-with.
type denyWith struct {
	text string // "": not given
	how  gateway.Refusal
}

// String implements pflag.Value.
func (d *denyWith) String() string { return d.text }

// Type implements pflag.Value.
func (d *denyWith) Type() string { return "HOW" }

// Set implements pflag.Value.
func (d *denyWith) Set(text string) error {
	how, ok := refusals[text]
	if !ok {
		return errors.New("give prohibit, reset or drop")
	}
	d.text, d.how = text, how
	return nil
}

// flowLog is the value of --log-flows, and its file.
type flowLog struct {
	path string
	log  *gateway.FlowLog
}

// String implements pflag.Value.
func (l *flowLog) String() string { return l.path }

// Type implements pflag.Value.
func (l *flowLog) Type() string { return "file" }

// Set implements pflag.Value.
func (l *flowLog) Set(text string) error {
	if text == "" {
		return errors.New("name a file, such as flows.json")
	}
	l.path = text
	return nil
}

// open opens the file, which nobody else may read if it is new. A FIFO waits for its reader.
func (l *flowLog) open() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("--log-flows: %w; name a file that you can write", err)
	}
	l.log = gateway.NewFlowLog(f)
	return nil
}

// close writes what is left. Its error says what was left out.
func (l *flowLog) close() error {
	if l.log == nil {
		return nil
	}
	if err := l.log.Close(); err != nil {
		return fmt.Errorf("--log-flows %s: %w", l.path, err)
	}
	return nil
}
