// Command mutate asks whether the tests notice wrong code. It makes small changes to a package,
// one at a time (a comparison the other way round, a statement left out), and runs the tests that
// reach the changed place: a mutant that makes one fail or hang is killed, one that does not has
// survived, and shows what no test looks at.
//
// All mutants of a package are compiled into one test binary, and a variable of the environment
// chooses one ("mutant schemata", Untch, Offutt and Harrold 1993). A first run with none chosen notes
// which test reaches which place, so that a mutant costs the tests that can notice it and no build.
//
//	go run ./internal/tools/mutate [flags] PACKAGE...
//
// A survivor that no test could kill, since the program does the same, is listed in equivalent.txt
// with the reason, and does not count.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// judges are the packages whose tests are asked besides a package's own.
var judges = map[string][]string{
	"internal/tcp":        nil,
	"internal/congestion": nil,
	"internal/buf":        nil,
	"internal/ip":         nil,
	"internal/inet":       {"."},
	"internal/socket":     {".", "internal/unix"},
}

type options struct {
	changed string  // only files changed since this revision
	sample  int     // at most so many mutants of each package; 0: all
	seed    uint64  // of the sample
	min     float64 // percent that must be killed
	only    string  // FILE or FILE:LINE
	own     bool    // only the package's own tests judge
	list    bool
	verbose bool
	workers int
}

func main() {
	var o options
	flag.StringVar(&o.changed, "changed", "", "only files that changed since this `revision` of git")
	flag.IntVar(&o.sample, "sample", 0, "at most `n` mutants of each package, drawn at random; 0: all")
	flag.Uint64Var(&o.seed, "seed", 1, "what -sample is drawn by")
	flag.Float64Var(&o.min, "min", 0, "fail if less than this `percent` of a package's mutants are killed")
	flag.StringVar(&o.only, "only", "", "only mutants of this `file` of the package, or of this FILE:LINE")
	flag.BoolVar(&o.own, "own", false, "have a package judged by its own tests alone")
	flag.BoolVar(&o.list, "list", false, "list the mutants and run nothing")
	flag.BoolVar(&o.verbose, "v", false, "tell of each mutant, and which tests reach it")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "mutants that run at a time")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/tools/mutate [flags] PACKAGE...   (for example internal/tcp)")
		flag.PrintDefaults()
		os.Exit(2)
	}

	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		os.RemoveAll(dir)
		os.Exit(1)
	}()

	few, err := runAll(dir, flag.Args(), &o)
	os.RemoveAll(dir)
	if err != nil {
		fatal(err)
	}
	if len(few) > 0 {
		fatal(fmt.Errorf("fewer than %v %% are killed in %s: write tests that the survivors above fail", o.min, strings.Join(few, ", ")))
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "mutate:", err)
	os.Exit(1)
}

// runAll mutates one package after another and returns those with too few killed.
func runAll(dir string, packages []string, o *options) (few []string, err error) {
	for i, name := range packages {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
		p, err := load(name)
		if err != nil {
			return nil, err
		}
		if err := p.choose(o); err != nil {
			return nil, err
		}
		if o.list || len(p.chosen) == 0 {
			for _, m := range p.chosen {
				fmt.Println(m)
			}
			fmt.Printf("%s: %d mutants of %d\n", name, len(p.chosen), len(p.mutants))
			continue
		}

		run := &session{pkg: p, dir: fmt.Sprintf("%s/%d", dir, i), o: o}
		if err := run.run(); err != nil {
			return nil, err
		}
		if !run.report(os.Stdout) {
			few = append(few, name)
		}
	}
	return few, nil
}
