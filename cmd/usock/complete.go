package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"usock/internal/control"
	"usock/internal/ss"
	"usock/internal/top"
	"usock/link"
	"usock/shape"
)

// completeShape has a shell complete the values of the link's flags.
func completeShape(c *cobra.Command) {
	for name, list := range shapeExamples() {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
	}
}

// shapeExamples are values of the link's flags.
func shapeExamples() map[string][]string {
	examples := map[string][]string{
		"delay": {"20ms", "150ms"}, "jitter": {"5ms"}, "loss": {"1%", "gemodel,1%,30%"}, "rate": {"1mbit", "20mbit"},
		"queue": {"drop-tail", "pfifo", "bfifo", "codel", "codel,ecn", "fq_codel", "pie", "pie,ecn"},
		"limit": {"100", "64kb"}, "mark": {"20", "30kb"}, "reorder": {"1%", "1%,3ms"}, "duplicate": {"0.1%"}, "corrupt": {"0.01%"},
		"rule":  {"any: delay 200ms", "udp: loss 10%", "to api.test:443 from 10s until 20s: loss 30%", "process curl connection 2: cut"},
		"fault": faultExamples,
		"mtu":   {"1280", "1500", "9000"}, "seed": nil,
	}
	for _, p := range shape.Profiles() {
		examples[profileFlag] = append(examples[profileFlag], p.Name)
	}
	for _, o := range link.ImpairmentOptions() {
		examples[upward+o.Name], examples[downward+o.Name] = examples[o.Name], examples[o.Name]
	}
	return examples
}

// completeRun has a shell complete what usock run takes: the values of its flags, and
// behind them the program.
func completeRun(c *cobra.Command) {
	completeShape(c)
	for name, list := range map[string][]string{
		"on":         {onBoth, onLoopback, onOutside},
		"publish":    {"auto", "auto/tcp", "auto/udp"},
		"addr":       {"10.1.2.0/24"},
		"host":       nil,
		"sctp-encap": {"9899"},
		filterFlag:   filterExamples,
		forFlag:      {":443"}, snapFlag: {"128"}, sizeFlag: {"100mb"}, everyFlag: {"10m", "1h"}, filesFlag: {"10"},
	} {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
	}
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || strings.ContainsRune(begun, '/') {
			return nil, cobra.ShellCompDirectiveDefault // files
		}
		return programs(os.Getenv("PATH"), begun), cobra.ShellCompDirectiveDefault
	}
}

// maxPrograms bounds what is offered: nobody reads more.
const maxPrograms = 1000

// programs are the names in path's folders that begin so and can be executed.
func programs(path, begun string) (list []string) {
	for _, dir := range filepath.SplitList(path) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), begun) || len(list) >= maxPrograms {
				continue
			}
			if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				list = append(list, e.Name())
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// completeRuns offers the names and ids of runs, and what begins a filter.
func completeRuns(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return completeFilter(args), cobra.ShellCompDirectiveNoFileComp
	}
	return append(runNames(), filterWords...), cobra.ShellCompDirectiveNoFileComp
}

// completeOneRun offers the names and ids of runs as the only argument.
func completeOneRun(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return runNames(), cobra.ShellCompDirectiveNoFileComp
}

// completeSet offers runs, options and their values.
func completeSet(c *cobra.Command) {
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		names := []string{profileFlag, traceFlag, upward + traceFlag, downward + traceFlag}
		for _, o := range link.ImpairmentOptions() {
			names = append(names, o.Name, upward+o.Name, downward+o.Name)
		}
		switch n := len(args); {
		case n > 0 && strings.HasSuffix(args[n-1], traceFlag):
			return []string{none}, cobra.ShellCompDirectiveDefault // or a file
		case n > 0 && slices.Contains(names, args[n-1]):
			return append(slices.Clone(shapeExamples()[args[n-1]]), none), directive
		case n == 0:
			return append(names, runNames()...), directive
		}
		return names, directive
	}
	for name, list := range map[string][]string{"rule": ruleExamples, "no-rule": nil, "fault": faultExamples, "no-fault": nil} {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
	}
}

// faultExamples are faults.
var faultExamples = []string{
	"connect refused", "connect timed out after 3s", "connect late by 500ms", "reset after 1000 bytes", "reset at accept",
	"read in pieces of 1,7,100 bytes", "stop reading for 5s after 64kb", "peer stops reading for 5s after 64kb", "socket fails with EMFILE",
	"accept fails with ENFILE", "send fails with ENOBUFS", "interrupt recv", "interrupt send", "dns NXDOMAIN", "dns SERVFAIL", "dns late by 2s", "dns wrong first", "dns AAAA only",
}

// ruleExamples are rules.
var ruleExamples = []string{"udp: delay 200ms", "to *:443 from 10s until 20s: loss 30%", "process curl: rate 1mbit", "any: cut at 5s for 2s"}

func runNames() (list []string) {
	for _, f := range control.Find() {
		if f.Client == nil {
			continue
		}
		if r := &f.Client.Run; r.Name != "" {
			list = append(list, r.Name+"\t"+programText(r.Program))
		} else {
			list = append(list, r.ID+"\t"+programText(r.Program))
		}
		f.Client.Close()
	}
	return list
}

var filterWords = []string{"state", "exclude", "src", "dst", "sport", "dport"}

// completeFilter offers what may follow the words of a filter.
func completeFilter(args []string) []string {
	switch args[len(args)-1] {
	case "state", "exclude":
		return ss.StateWords()
	case "sport", "dport":
		return []string{"="}
	}
	return filterWords
}

func completeSS(c *cobra.Command) {
	c.ValidArgsFunction = completeRuns
}

func completeTop(c *cobra.Command) {
	c.ValidArgsFunction = completeRuns
	for name, list := range map[string][]string{"sort": top.Orders(), "every": {"500ms", "2s", "10s"}, "width": {"80", "132"}} {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
	}
}

func completeTail(c *cobra.Command) {
	c.ValidArgsFunction = completeRuns
	c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(eventKinds(), cobra.ShellCompDirectiveNoFileComp))
}

func completeCapture(c *cobra.Command) {
	c.ValidArgsFunction = completeRuns
	for name, list := range map[string][]string{"filter": filterExamples, "for": {":443"}, "snaplen": {"128"}} {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
	}
}

func completeProfileFrom(c *cobra.Command) {
	for name, list := range map[string][]string{
		"filter": filterExamples, "format": {formatCSV, formatMahimahi}, "direction": {onlyDown, onlyUp}, "window": {"20ms", "1s"},
	} {
		c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
	}
}

// filterExamples are filters of packets.
var filterExamples = []string{"tcp port 443", "udp port 53", "not icmp", "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0"}
