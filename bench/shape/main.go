//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// request is what the ways are asked for.
type request struct {
	title string
	delay time.Duration // each way
	rate  int           // Mbit/s; 0: none
}

var requests = []request{
	{"20 ms each way", 20 * time.Millisecond, 0},
	{"1 ms each way", time.Millisecond, 0},
	{"20 ms each way, 50 Mbit/s", 20 * time.Millisecond, 50},
	{"5 ms each way, 400 Mbit/s", 5 * time.Millisecond, 400},
}

// figures is what the program has measured.
type figures struct {
	P50, P99 float64 // ms of a request
	Came     []int   // bytes of the stream in each slot
}

// mbit is how many Mbit a second came from one slot until before another one.
func (f *figures) mbit(from, until int) float64 {
	bytes := 0
	for _, n := range f.Came[from:until] {
		bytes += n
	}
	return float64(bytes) * 8 / 1e6 / (time.Duration(until-from) * slot).Seconds()
}

// first is the beginning: the first second. late is what comes in the second half of the time.
func (f *figures) first() float64 { return f.mbit(0, min(10, len(f.Came))) }
func (f *figures) late() float64  { return f.mbit(len(f.Came)/2, len(f.Came)) }

var ways = []string{"usock", "toxiproxy", "plain"}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childName {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "shape:", err)
			os.Exit(1)
		}
		return
	}
	runs := flag.Int("runs", 5, "how often each is measured")
	each := flag.Duration("time", 3*time.Second, "how long each measurement takes")
	only := flag.String("only", "", "measure the rows that match this `pattern` only, as '50 Mbit' or library")
	md := flag.String("md", "", "write the table to this `file` as well")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		err = run(*runs, *each, pattern, *md)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

func run(runs int, each time.Duration, only *regexp.Regexp, md string) error {
	dir, err := os.MkdirTemp("", "shape")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	usock, toxi := filepath.Join(dir, "usock"), filepath.Join(dir, "toxiproxy")
	for _, args := range [][]string{{"-C", "../..", "-o", usock, "./cmd/usock"}, {"-o", toxi, "github.com/Shopify/toxiproxy/v2/cmd/server"}} {
		if out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var b strings.Builder
	const head = "| asked for | way | request, p50, ms | p99, ms | received, Mbit/s, in the first second | in the second half |\n|---|---|---|---|---|---|\n"
	for _, q := range requests {
		if !only.MatchString(q.title) {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(head)
		}
		got := make(map[string][]figures)
		for turn := range runs {
			for i := range ways {
				way := ways[(turn+i)%len(ways)]
				f, err := measure(way, q, each, self, usock, toxi)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", way, q.title, err)
				}
				got[way] = append(got[way], f)
			}
		}
		for _, way := range ways {
			m := func(of func(figures) float64) float64 { return median(got[way], of) }
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.1f | %.1f |\n", q.title, way,
				m(func(f figures) float64 { return f.P50 }), m(func(f figures) float64 { return f.P99 }),
				m(func(f figures) float64 { return f.first() }), m(func(f figures) float64 { return f.late() }))
		}
	}
	if only.MatchString("library") {
		late, err := library(runs)
		if err != nil {
			return err
		}
		b.WriteString("\n" + late)
	}
	fmt.Print(b.String())
	if md != "" {
		return os.WriteFile(md, []byte(b.String()), 0o644)
	}
	return nil
}

func median[T any](list []T, of func(T) float64) float64 {
	var v []float64
	for _, x := range list {
		v = append(v, of(x))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// measure runs the program once.
func measure(way string, q request, each time.Duration, self, usock, toxi string) (f figures, err error) {
	args := []string{self, childName, "-time", each.String()}
	switch way {
	case "usock":
		flags := []string{usock, "run", "--isolated", "--delay", q.delay.String()}
		if q.rate > 0 {
			rate := fmt.Sprintf("%dkbit", q.rate*1000*1500/1448)
			flags = append(flags, "--up-rate", rate, "--down-rate", rate)
		}
		args = append(append(flags, "--"), args...)
	case "toxiproxy":
		stop, err := startToxiproxy(toxi, q)
		if err != nil {
			return f, err
		}
		defer stop()
		args = append(args, "-server", toxiUpstream, "-connect", toxiListen)
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	return f, err
}

// Where toxiproxy is, and what it connects to.
const (
	toxiAPI      = "127.0.0.1:18474"
	toxiListen   = "127.0.0.1:18475"
	toxiUpstream = "127.0.0.1:18476"
)

// startToxiproxy starts a proxy with the toxics of q.
func startToxiproxy(path string, q request) (stop func(), err error) {
	host, port, _ := strings.Cut(toxiAPI, ":")
	c := exec.Command(path, "-host", host, "-port", port)
	c.Env = append(os.Environ(), "LOG_LEVEL=fatal")
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop = func() { c.Process.Kill(); c.Wait() }
	post := func(at string, body map[string]any) error {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r, err := http.Post("http://"+toxiAPI+at, "application/json", bytes.NewReader(b))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode >= 300 {
			return errors.New(r.Status)
		}
		return nil
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err = post("/proxies", map[string]any{"name": "x", "listen": toxiListen, "upstream": toxiUpstream, "enabled": true})
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	for _, stream := range []string{"upstream", "downstream"} {
		if err == nil {
			err = post("/proxies/x/toxics", map[string]any{"type": "latency", "stream": stream, "attributes": map[string]any{"latency": q.delay.Milliseconds()}})
		}
		if err == nil && q.rate > 0 {
			err = post("/proxies/x/toxics", map[string]any{"type": "bandwidth", "stream": stream, "attributes": map[string]any{"rate": q.rate * 1000 / 8}})
		}
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
