//go:build linux

package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed testdata/client.c
var clientSource []byte

// The network of the servers, and their ports.
const (
	machine     = "198.51.100.1"
	router      = "198.51.100.254"
	iperfPort   = "5201"
	echoPort    = "5202"
	inPort      = "5301" // of servers inside
	inNamespace = "USOCK_BENCH_OUTSIDE"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == tapVsockCommand {
		fmt.Fprintln(os.Stderr, "outside:", serveTapVsock(os.Args[2]))
		os.Exit(1)
	}
	var (
		o    options
		way  = flag.String("way", ".", "`regexp` of the ways to measure")
		work = flag.String("work", ".", "`regexp` of the work to measure")
	)
	flag.IntVar(&o.runs, "runs", 5, "how often each is measured")
	flag.DurationVar(&o.time, "time", time.Second, "how long each measurement takes")
	flag.StringVar(&o.md, "md", "", "write the table to this `file` as well")
	flag.Parse()
	var err error
	if o.way, err = regexp.Compile(*way); err == nil {
		o.work, err = regexp.Compile(*work)
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "outside:", err)
		os.Exit(1)
	}
}

type options struct {
	way, work *regexp.Regexp
	runs      int
	time      time.Duration
	md        string
}

func run(o options) error {
	if os.Getenv(inNamespace) == "" {
		return enter()
	}
	dir, err := os.MkdirTemp("", "usock-outside")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, figures: make(map[string]map[string][]float64)}
	if err := b.prepare(); err != nil {
		return err
	}
	defer b.stop()
	for round := range o.runs {
		for k := range ways {
			w := &ways[(round+k)%len(ways)]
			if o.way.MatchString(w.name) {
				b.measure(w)
			}
		}
	}
	text := b.table()
	fmt.Print(text)
	if o.md != "" {
		return os.WriteFile(o.md, []byte(text), 0o644)
	}
	return nil
}

// enter runs this program in a network and mount namespace of its own.
func enter() error {
	if os.Getuid() != 0 {
		return errors.New("root is needed, for the network namespaces of the tools that are compared")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command("unshare", append([]string{"--net", "--mount", "--propagation", "private", self}, os.Args[1:]...)...)
	c.Env = append(os.Environ(), inNamespace+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return c.Run()
}

// bench is a run: its servers, and what was measured.
type bench struct {
	options
	dir     string
	servers []*exec.Cmd
	figures map[string]map[string][]float64 // by work and way
	notes   []string
}

// prepare makes the network, builds the programs and starts the servers.
func (b *bench) prepare() error {
	for _, line := range []string{
		"ip link set lo up",
		"ip link add ext0 type veth peer name ext1",
		"ip addr add " + machine + "/24 dev ext0",
		"ip link set ext1 up",
		"ip link set ext0 up",
		"ip route add default via " + router,
		// Thousands of connections in TIME-WAIT to one server make the search for a free port
		// take milliseconds, and who comes last would pay for the others' connections.
		"sysctl -q -w net.ipv4.tcp_max_tw_buckets=64",
		// The outer connections of the tools have what the machine has by default, and the same
		// for all is to be measured.
		"sysctl -q -w net.ipv4.tcp_congestion_control=reno",
		"mount -t tmpfs tmpfs /run", // for the names of namespaces
		"mkdir /run/netns",
	} {
		if err := command(line); err != nil {
			return err
		}
	}
	client, usock := b.path("client"), b.path("usock")
	if err := os.WriteFile(client+".c", clientSource, 0o644); err != nil {
		return err
	}
	if err := command("cc -O2 -o " + client + " " + client + ".c"); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", usock, "./cmd/usock")
	build.Dir, build.Stderr = "../..", os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building usock: %w", err)
	}
	for _, s := range [][]string{{"iperf3", "-s", "-p", iperfPort}, {client, "serve", echoPort}} {
		c := exec.Command(s[0], s[1:]...)
		if err := c.Start(); err != nil {
			return err
		}
		b.servers = append(b.servers, c)
	}
	return until("the servers answer", func() bool {
		return command(client+" rr "+machine+" "+echoPort+" 0.01") == nil &&
			command("iperf3 -c "+machine+" -p "+iperfPort+" -n 1") == nil
	})
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) stop() {
	for _, s := range b.servers {
		s.Process.Kill()
		s.Wait()
	}
}

// command runs a line of words.
func command(line string) error {
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

// until waits for a condition.
func until(what string, ok func() bool) error {
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("not within 10 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// work is one line of the table.
type work struct {
	name, title, unit string
	less              bool
	args              func(b *bench, host string) []string
	figure            func(out string) (float64, error)
	inward            bool // the server is inside
}

var works = []work{
	{name: "up", title: "iperf3, to the server", unit: "Gbit/s", args: iperf("-C", "reno"), figure: iperfRate},
	{name: "down", title: "iperf3 -R, from the server", unit: "Gbit/s", args: iperf("-C", "reno", "-R"), figure: iperfRate},
	{name: "udp", title: "iperf3 -u -b 0 -l 1400, received", unit: "1/s", args: iperf("-u", "-b", "0", "-l", "1400"), figure: iperfPackets},
	{name: "in", title: "iperf3 from outside to a published port", unit: "Gbit/s", inward: true, args: inwards, figure: iperfRate},
	{name: "rr", title: "1 byte there and back, p50", unit: "µs", less: true, args: exchange("rr"), figure: field(1)},
	{name: "crr", title: "connect, 1 byte there and back, close", unit: "1/s", args: exchange("crr"), figure: field(0)},
	{name: "urr", title: "a datagram there and back, p50", unit: "µs", less: true, args: exchange("urr"), figure: field(1)},
}

func iperf(flags ...string) func(*bench, string) []string {
	return func(b *bench, host string) []string {
		return append([]string{"iperf3", "-c", host, "-p", iperfPort, "-J", "-t", b.seconds()}, flags...)
	}
}

func inwards(b *bench, _ string) []string {
	return []string{"iperf3", "-c", machine, "-p", inPort, "-J", "-t", b.seconds(), "-C", "reno"}
}

// serveInside starts a server inside, and waits until it answers outside.
func (b *bench) serveInside(p *path) (stop func(), err error) {
	args := append(slices.Clone(p.server), "iperf3", "-s", "-p", inPort)
	c := exec.Command(args[0], args[1:]...)
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	}
	err = until("the server inside is reached", func() bool {
		return command("iperf3 -c "+machine+" -p "+inPort+" -n 1") == nil
	})
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func exchange(what string) func(*bench, string) []string {
	return func(b *bench, host string) []string {
		return []string{b.path("client"), what, host, echoPort, b.seconds()}
	}
}

func (b *bench) seconds() string { return strconv.Itoa(max(1, int(b.time.Seconds()))) }

// iperfEnd is what iperf3 -J says of a test.
type iperfEnd struct {
	End struct {
		Received struct {
			Bits float64 `json:"bits_per_second"`
		} `json:"sum_received"`
		Sum struct {
			Packets, Seconds float64
			Lost             float64 `json:"lost_packets"`
		}
	}
	Error string
}

func parseIperf(out string) (r iperfEnd, err error) {
	if err = json.Unmarshal([]byte(out), &r); err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

func iperfRate(out string) (float64, error) {
	r, err := parseIperf(out)
	return r.End.Received.Bits / 1e9, err
}

func iperfPackets(out string) (float64, error) {
	r, err := parseIperf(out)
	if err == nil && r.End.Sum.Seconds == 0 {
		err = errors.New("nothing was received")
	}
	return (r.End.Sum.Packets - r.End.Sum.Lost) / r.End.Sum.Seconds, err
}

func field(i int) func(string) (float64, error) {
	return func(out string) (float64, error) {
		f := strings.Fields(out)
		if len(f) != 2 {
			return 0, fmt.Errorf("the client said %q", out)
		}
		return strconv.ParseFloat(f[i], 64)
	}
}

// measure does all the work over one way.
func (b *bench) measure(w *way) {
	p, err := w.open(b, w)
	if err != nil {
		b.note("%s: %v", w.name, err)
		return
	}
	defer p.close()
	for i := range works {
		k := &works[i]
		if !b.work.MatchString(k.name) {
			continue
		}
		if k.inward && p.server == nil {
			continue
		}
		v, err := b.figure(k, p)
		if err != nil {
			b.note("%s, %s: %v", w.name, k.title, err)
			continue
		}
		if b.figures[k.name] == nil {
			b.figures[k.name] = make(map[string][]float64)
		}
		b.figures[k.name][w.name] = append(b.figures[k.name][w.name], v)
	}
}

// figure does a work once over a path.
func (b *bench) figure(k *work, p *path) (float64, error) {
	args := append(slices.Clone(p.prefix), k.args(b, p.host)...)
	if k.inward {
		stop, err := b.serveInside(p)
		if err != nil {
			return 0, err
		}
		defer stop()
		args = k.args(b, "")
	}
	out, err := exec.Command(args[0], args[1:]...).Output()
	if err != nil {
		return 0, err
	}
	return k.figure(string(out))
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	fmt.Fprintln(os.Stderr, b.notes[len(b.notes)-1])
}

// table returns what was measured, in Markdown.
func (b *bench) table() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %d processors, Linux %s, %s; %d runs of %v, medians (least–most).\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.NumCPU(), kernel(), runtime.Version(), b.runs, b.time)
	for _, v := range versions() {
		fmt.Fprintf(&s, "%s. ", v)
	}
	s.WriteString("\n\n| way |")
	for _, k := range works {
		fmt.Fprintf(&s, " %s, %s |", k.title, k.unit)
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(works)) + "\n")
	for _, w := range ways {
		if !b.way.MatchString(w.name) {
			continue
		}
		fmt.Fprintf(&s, "| %s |", w.name)
		for _, k := range works {
			v := slices.Sorted(slices.Values(b.figures[k.name][w.name]))
			if len(v) == 0 {
				s.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&s, " %s (%s–%s) |", number(v[len(v)/2]), number(v[0]), number(v[len(v)-1]))
		}
		s.WriteString("\n")
	}
	for _, n := range b.notes {
		fmt.Fprintf(&s, "\nFailed: %s", n)
	}
	return s.String()
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown release"
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-")
	return release
}

// versions names the tools that are compared.
func versions() []string {
	var out []string
	for _, p := range []string{"passt", "slirp4netns", "iperf3"} {
		v, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Version}", p).Output()
		if err == nil {
			out = append(out, string(v))
		}
	}
	return append(out, "gvisor-tap-vsock "+tapVsockVersion)
}
