package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"usock/internal/control"
	"usock/internal/ss"
)

func ssCmd() *cobra.Command {
	var s ssFlags
	c := &cobra.Command{
		Use:   "ss [flags] [RUN] [FILTER]",
		Short: "List the sockets of programs that run on usock's sockets",
		Long: `Ss lists sockets as ss of iproute2 does: those of one run, called by its id, the
beginning of it or its name (usock ps lists them), or of all this user's runs. Without
-l and -a those that are connected. With --watch it ends with the runs, and says which were
killed. A socket's queues have what waits between the program
and usock, too. Pipes get all columns in full; on a terminal the middles of long
addresses give way.

A filter is one of ss: states, and then conditions on addresses and ports.
  [state STATE | exclude STATE]... [CONDITION]
  STATE      established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed,
             close-wait, last-ack, listening, closing; all, connected, synchronized,
             bucket, big
  CONDITION  src HOST, dst HOST, sport = PORT, dport = PORT (also !=, <, >, <=, >=), joined
             by and, or (from the left, as in ss) and not, with parentheses
  HOST       an address, a prefix, or either with a port: 10.0.0.0/8, [2001:db8::/32]:443
Shells want quotes for parentheses and some signs.`,
		Example: ssExamples,
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if s.run, s.filter, err = runAndFilter(args); err != nil {
				return err
			}
			return watch(s.every, os.Stdout, func(out io.Writer) error { return s.show(out, width(os.Stdout), os.Stderr) })
		},
	}
	f := c.Flags()
	f.BoolVarP(&s.tcp, "tcp", "t", false, "TCP")
	f.BoolVarP(&s.udp, "udp", "u", false, "UDP")
	f.BoolVarP(&s.raw, "raw", "w", false, "raw sockets, and those of ping")
	f.BoolVarP(&s.sctp, "sctp", "S", false, "SCTP")
	f.BoolVarP(&s.unix, "unix", "x", false, "AF_UNIX of hosts in Go programs (that of a run is the kernel's)")
	f.BoolVarP(&s.v4, "ipv4", "4", false, "of domain AF_INET")
	f.BoolVarP(&s.v6, "ipv6", "6", false, "of domain AF_INET6")
	f.BoolVarP(&s.listening, "listening", "l", false, "those that listen, or are bound and have no peer")
	f.BoolVarP(&s.all, "all", "a", false, "in all states")
	f.BoolVarP(&s.numeric, "numeric", "n", false, "ports as numbers")
	f.BoolVarP(&s.info, "info", "i", false, "what TCP knows of its connections")
	f.BoolVarP(&s.processes, "processes", "p", false, "the processes that have a socket")
	f.BoolVar(&s.asJSON, "json", false, "print an array of JSON in place of the table")
	watchFlag(c, &s.every)
	completeSS(c)
	return c
}

// ssFlags are what usock ss is asked for.
type ssFlags struct {
	tcp, udp, raw, sctp, unix, v4, v6                bool
	listening, all, numeric, info, processes, asJSON bool

	every       everyValue
	seen        followed // with every
	run, filter string
}

// gcPercent lets the heap grow to five times of what is kept.
const gcPercent = 400

// protocols are those that were chosen; none: all.
func (s *ssFlags) protocols() (list []string) {
	for _, x := range []struct {
		on    bool
		names []string
	}{{s.tcp, []string{"tcp"}}, {s.udp, []string{"udp"}}, {s.raw, []string{"raw", "icmp"}}, {s.sctp, []string{"sctp"}}, {s.unix, []string{"unix"}}} {
		if x.on {
			list = append(list, x.names...)
		}
	}
	return list
}

// states are those that the flags choose.
func (s *ssFlags) states() ss.States {
	switch {
	case s.all:
		return ss.All
	case s.listening:
		return ss.Listening
	case (s.udp || s.raw) && !s.tcp && !s.sctp && !s.unix:
		return ss.Established // the one that is connected
	}
	return ss.Connected
}

// show lists once.
func (s *ssFlags) show(out io.Writer, width int, say io.Writer) error {
	// What is read is kept until it is printed: to collect while it comes finds nothing, and takes a processor from who tells.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	clients, err := runs(s.run, say)
	if s.every == 0 {
		defer closeAll(clients)
	} else if over := s.seen.next(clients, say); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	if len(clients) == 0 && !s.asJSON {
		return errNoRuns
	}
	filter, err := ss.Parse(s.filter, ss.ServiceNumber)
	if err != nil {
		return err
	}
	states := s.states()
	if filter.Stated {
		states = filter.States
	}
	q := control.Request{
		Do: control.DoSockets, Filter: s.filter, Protocols: s.protocols(), States: states.Names(),
		Detail: s.info || s.asJSON, Inodes: true,
	}
	t := ss.Table{
		Run: len(clients) > 1, Netid: len(q.Protocols) != 1, State: len(q.States) != 1, Process: s.processes, Detail: s.info, Width: width,
	}
	if !s.numeric {
		t.Service = ss.ServiceName
	}
	var kept []ss.Row // what all sockets must be known for
	title := titles(clients)
	for i, c := range clients {
		err := c.Do(q, func(r *control.Reply) error {
			list := slices.DeleteFunc(r.Sockets, func(x control.Socket) bool { return s.v4 != s.v6 && s.v6 != x.V6 })
			if s.asJSON || s.processes {
				list = slices.Clone(list)
			}
			for k := range list {
				if row := (ss.Row{Run: title[i], Socket: &list[k]}); s.asJSON || s.processes {
					kept = append(kept, row)
				} else {
					t.Add(&row)
				}
			}
			return nil
		})
		if err != nil && (s.run != "" && s.every == 0 || !control.Ended(err)) {
			return fmt.Errorf("run %s: %w", c.Run.ID, err)
		}
	}
	if s.asJSON {
		return printJSON(out, kept)
	}
	if s.processes {
		users(kept)
	}
	for i := range kept {
		t.Add(&kept[i])
	}
	return t.Write(out)
}

// printJSON prints an array, a socket a line.
func printJSON(out io.Writer, rows []ss.Row) error {
	w := bufio.NewWriter(out)
	sep := "["
	for i := range rows {
		b, err := json.Marshal(struct {
			Run string `json:"run"`
			*control.Socket
		}{rows[i].Run, rows[i].Socket})
		if err != nil {
			return err
		}
		w.WriteString(sep)
		w.Write(b)
		sep = ",\n"
	}
	if len(rows) == 0 {
		w.WriteString("[")
	}
	w.WriteString("]\n")
	return w.Flush()
}

// users fills in who has the sockets: by their descriptors and, where those cannot be
// seen or there are none, as in Go programs with a host, by what the run knows. Of a run's
// connection that waits to be accepted nobody has a descriptor yet.
func users(rows []ss.Row) {
	wanted := make(map[uint32]bool)
	kernels := make(map[string]bool) // runs whose sockets have inodes
	for i := range rows {
		if n := rows[i].Socket.Inode; n != 0 {
			wanted[n] = true
			kernels[rows[i].Run] = true
		}
	}
	found := ss.Holders(wanted)
	for i := range rows {
		s := rows[i].Socket
		list := found[s.Inode]
		if len(list) == 0 && s.Program != "" && (s.Inode != 0 || !kernels[rows[i].Run]) {
			list = []ss.Holder{{PID: int(s.Process), Name: s.Program, FD: -1}}
		}
		rows[i].Users = ss.Users(list)
	}
}
