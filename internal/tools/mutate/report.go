package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// equivalentList has a mutant a line, without line and column, and the reason after " -- ".
//
//go:embed equivalent.txt
var equivalentList string

// equivalents returns the reasons by the mutants' keys.
func equivalents() (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(equivalentList))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndex(line, " -- ")
		if i < 0 || strings.TrimSpace(line[i+4:]) == "" {
			return nil, fmt.Errorf("equivalent.txt:%d: a reason is missing: KEY -- REASON", n)
		}
		out[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+4:])
	}
	return out, lines.Err()
}

// sampleError is the standard error of a sample, " ± PERCENT", whose part part is killed: drawn without
// putting back, so that a sample of all has none. "" without one.
func (s *session) sampleError(part float64) string {
	n, all := float64(len(s.pkg.chosen)), float64(len(s.pkg.mutants))
	if s.o.sample == 0 || n >= all {
		return ""
	}
	return fmt.Sprintf(" ± %.1f", 100*math.Sqrt(part*(1-part)/n*(all-n)/(all-1)))
}

// report lists the survivors and the figures, and reports whether enough are killed.
func (s *session) report(w io.Writer) bool {
	var n [equivalent + 1]int
	for _, m := range s.pkg.chosen {
		n[m.verdict]++
		switch m.verdict {
		case survived:
			fmt.Fprintf(w, "survived: %v\n", m)
		case unreached:
			fmt.Fprintf(w, "unreached: %v\n", m)
		}
	}
	count := len(s.pkg.chosen) - n[equivalent]
	if count == 0 {
		return true
	}
	percent := 100 * float64(n[killed]) / float64(count)
	fmt.Fprintf(w, "%s: %.1f %%%s of %d mutants killed: %d; survived %d, reached by no test %d; %d more are equivalent; %d tests, %v\n",
		s.pkg.dir, percent, s.sampleError(percent/100), count, n[killed], n[survived], n[unreached], n[equivalent], len(s.tests), time.Since(s.began).Round(time.Second))
	return percent >= s.o.min
}
