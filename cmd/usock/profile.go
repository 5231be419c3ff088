package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"usock/internal/measure"
	"usock/link"
)

func profileCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "Make a trace of a network, for --trace",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(profileFromCmd())
	return c
}

// profileFrom is what usock profile from is told.
type profileFrom struct {
	filter    filterValue
	out       fileValue
	format    string
	direction string
	window    time.Duration
}

// The values of --format and of --direction.
const (
	formatCSV       = "csv"
	formatMahimahi  = "mahimahi"
	onlyUp          = "up"
	onlyDown        = "down"
	outputFlag      = "--output"
	shortestWindow  = time.Millisecond
	defaultInterval = 100 * time.Millisecond
)

func profileFromCmd() *cobra.Command {
	x := profileFrom{out: fileValue{name: "-", hint: "give one, or - for stdout"}}
	c := &cobra.Command{
		Use:   "from [flags] CAPTURE",
		Short: "Make a trace from a capture",
		Long: `From reads a capture, pcapng or pcap, and writes how the network was that its packets
came through, as usock run --trace takes it.

What it can tell is what was delivered, which is no more than the network could have
carried: capture a transfer that fills the way, and take only its direction, as what is
sent the other way meanwhile is little. A packet counts when and where it was captured:
capture at the receiver, as what a machine sends is seen before its way. Of captures by
usock run --pcap, that is what the run receives from the outside.

mahimahi: each 1,500 bytes that were delivered are an opportunity, in the millisecond
in which the last of them came. With both directions there are two files, of which the
names end in .up and .down.

csv: rate, delay and loss of each --window. Loss is what usock's recording says, or the
share of retransmissions, those after a full queue included; leave out the column where
the queue is to lose them again. Delay is half of the shortest round trip that a TCP
handshake shows.

Up is from the machine that has captured, where the capture tells directions of a
connection; else from the side that connects.`,
		Example: profileFromExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("a capture is wanted, and only one: usock profile from [flags] CAPTURE")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return x.run(args[0], os.Stderr) },
	}
	f := c.Flags()
	f.Var(&x.filter, "filter", "only packets that this `EXPRESSION` in tcpdump's language matches, such as 'tcp port 443'")
	f.VarP(&x.out, "output", "o", "write to this `FILE`; - is stdout")
	f.StringVar(&x.format, "format", formatCSV, "write `FORMAT`: csv or mahimahi")
	f.StringVar(&x.direction, "direction", "", "only this `DIRECTION`: up or down")
	f.DurationVar(&x.window, "window", defaultInterval, "of csv: the `TIME` over which a rate is taken")
	completeProfileFrom(c)
	return c
}

// directions are those that are asked for.
func (x *profileFrom) directions() (link.Directions, error) {
	switch x.direction {
	case "":
		return link.BothWays, nil
	case onlyUp:
		return link.Sent, nil
	case onlyDown:
		return link.Received, nil
	}
	return 0, fmt.Errorf("--direction %q: give up or down", x.direction)
}

func (x *profileFrom) run(name string, say io.Writer) error {
	which, err := x.directions()
	switch {
	case err != nil:
		return err
	case x.format != formatCSV && x.format != formatMahimahi:
		return fmt.Errorf("--format %q: give csv or mahimahi", x.format)
	case x.window < shortestWindow:
		return fmt.Errorf("--window %v: give %v or more", x.window, shortestWindow)
	case x.format == formatMahimahi && which == link.BothWays && isStdout(x.out.name):
		return errors.New("two directions are two files of mahimahi's: name them by -o, or choose one by --direction")
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, withoutName(err))
	}
	defer f.Close()
	n, err := measure.Read(f, x.filter.String())
	if err != nil {
		return fmt.Errorf("%s: %w", name, withoutName(err))
	}
	if n.Cut {
		tell(say, name+" ends within a packet; what is before it was taken")
	}
	if x.format == formatCSV {
		return x.write(x.out.name, say, func(w io.Writer) error { return n.WriteCSV(w, x.window, which) })
	}
	switch which {
	case link.Sent:
		return x.write(x.out.name, say, n.Up.WriteMahimahi)
	case link.Received:
		return x.write(x.out.name, say, n.Down.WriteMahimahi)
	}
	if err := x.write(x.out.name+".up", say, n.Up.WriteMahimahi); err != nil {
		return err
	}
	return x.write(x.out.name+".down", say, n.Down.WriteMahimahi)
}

// write has what makes writes go to the file of that name.
func (x *profileFrom) write(name string, say io.Writer, makes func(io.Writer) error) error {
	f, err := openOutput(outputFlag, name, anyMode, say)
	if err != nil {
		return err
	}
	err = makes(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil && !isStdout(name) {
		return fmt.Errorf("%s: %w", name, withoutName(err))
	}
	return withoutName(err)
}
