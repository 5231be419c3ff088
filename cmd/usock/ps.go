package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"usock"
	"usock/internal/control"
	"usock/internal/ss"
)

func psCmd() *cobra.Command {
	var asJSON bool
	var every everyValue
	c := &cobra.Command{
		Use:   "ps [flags]",
		Short: "List the programs that run on usock's sockets",
		Long: `Ps lists this user's runs, and other processes that have opened a control socket for
their host: the id and the name by which usock ss and usock tail call them, the program,
how long it has run, how many sockets it has, what its interfaces receive (RX) and send
(TX) at the moment, the loopback interface included, and what is done to its links.`,
		Example: psExamples,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			p := ps{asJSON: asJSON, width: width(os.Stdout), say: os.Stderr}
			return watch(every, os.Stdout, p.show)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print an array of JSON in place of the table")
	watchFlag(c, &every)
	return c
}

// ps prints a list of runs.
type ps struct {
	asJSON bool
	width  int
	say    io.Writer
}

// sampleTime is how long a rate is looked at.
const sampleTime = 250 * time.Millisecond

// psRun is what is told of a run.
type psRun struct {
	control.Run
	Age     float64 `json:"age"` // seconds
	Sockets int     `json:"sockets"`
	RxRate  uint64  `json:"rx_rate"` // bytes per second
	TxRate  uint64  `json:"tx_rate"`
}

func (p *ps) show(out io.Writer) error {
	clients, err := runs("", p.say)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	before := make([]*control.Traffic, len(clients))
	for i, c := range clients {
		before[i], _ = traffic(c)
	}
	if len(clients) > 0 {
		time.Sleep(sampleTime)
	}
	list := []psRun{} // no null in JSON
	for i, c := range clients {
		r := psRun{Run: c.Run, Age: c.Run.Age(time.Now()).Round(time.Millisecond).Seconds()}
		after, err := traffic(c)
		if err != nil || before[i] == nil {
			continue // it has ended
		}
		r.RxRate, r.TxRate = rates(before[i], after)
		if r.Sockets, err = sockets(c); err != nil {
			continue
		}
		list = append(list, r)
	}
	if p.asJSON {
		return json.NewEncoder(out).Encode(list)
	}
	return p.table(out, list)
}

// traffic asks a run what its interfaces have carried.
func traffic(c *control.Client) (t *control.Traffic, err error) {
	err = c.Do(control.Request{Do: control.DoTraffic}, func(r *control.Reply) error {
		t = r.Traffic
		return nil
	})
	if err == nil && t == nil {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// sockets asks a run how many sockets it has.
func sockets(c *control.Client) (n int, err error) {
	err = c.Do(control.Request{Do: control.DoStats}, func(r *control.Reply) error {
		var st usock.Stats
		if err := json.Unmarshal(r.Stats, &st); err != nil {
			return err
		}
		n = st.Sockets.Used
		return nil
	})
	return n, err
}

// rates are bytes per second, of all interfaces together.
func rates(before, after *control.Traffic) (rx, tx uint64) {
	seconds := max(float64(after.At-before.At)/1e6, 1e-3)
	sum := func(t *control.Traffic) (rx, tx uint64) {
		for _, i := range t.Interfaces {
			rx, tx = rx+i.RxBytes, tx+i.TxBytes
		}
		return rx, tx
	}
	rx0, tx0 := sum(before)
	rx1, tx1 := sum(after)
	return uint64(float64(rx1-rx0) / seconds), uint64(float64(tx1-tx0) / seconds)
}

// table prints columns. The program and the shape give way where the terminal is narrow.
func (p *ps) table(out io.Writer, list []psRun) error {
	rows := [][]string{{"ID", "NAME", "AGE", "SOCKETS", "RX", "TX", "PROGRAM", "SHAPE"}}
	for i := range list {
		r := &list[i]
		rows = append(rows, []string{
			r.ID, dash(r.Name), age(r.Age), strconv.Itoa(r.Sockets), ss.Rate(r.RxRate), ss.Rate(r.TxRate), programText(r.Program), dash(r.Shape),
		})
	}
	const program = 6
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for k, s := range row {
			width[k] = max(width[k], utf8.RuneCountInString(s))
		}
	}
	if p.width > 0 {
		over := -p.width
		for _, n := range width {
			over += n + 2
		}
		over -= 2
		narrow(&width[program], &over, 16)
		narrow(&width[program+1], &over, 8)
		narrow(&width[1], &over, 8)
		narrow(&width[program], &over, 8)
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for k, s := range row {
			if n := utf8.RuneCountInString(s); n > width[k] {
				s = string([]rune(s)[:width[k]-1]) + "…"
			}
			line.WriteString(s + strings.Repeat(" ", width[k]-utf8.RuneCountInString(s)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// narrow takes from a column what is over, but leaves least of it.
func narrow(width, over *int, least int) {
	if n := min(*over, *width-least); n > 0 {
		*width -= n
		*over -= n
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// programText is a program with its arguments in a line.
func programText(argv []string) string {
	if len(argv) == 0 {
		return "-"
	}
	words := append([]string{filepath.Base(argv[0])}, argv[1:]...)
	return control.Printable(strings.Join(words, " "))
}

// age is a time in seconds in at most two units.
func age(seconds float64) string {
	s := int64(seconds)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
