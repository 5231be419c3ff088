package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"usock/internal/control"
)

func captureCmd() *cobra.Command {
	var x capture
	c := &cobra.Command{
		Use:   "capture [flags] [RUN]",
		Short: "Record the packets of a run that is going",
		Long: `Capture records the packets of a run in pcapng from now on, until Ctrl-C or the run's
end: those of its loopback interface and of its way to the outside, each with the
process and socket that sent it. Several may record a run at once; a run that nobody
records pays nothing for it. What the run's link loses is in the recording, with the
reason. Where the reader cannot keep up, packets are left out; the recording's
statistics count them.

RUN may be left out where there is one run. usock run --pcap records from the start,
usock extcap shows runs as interfaces in Wireshark.`,
		Example: captureExamples,
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return x.run(name)
		},
	}
	x.to = fileValue{name: "-", hint: "give one, such as trace.pcapng, or - for stdout"}
	f := c.Flags()
	f.VarP(&x.to, "write", "w", "record to this `FILE`; - is stdout, a FIFO waits for its reader")
	f.Var(&x.filter, "filter", "record only what this `EXPRESSION` in tcpdump's language matches, such as 'tcp port 443'; 'process curl' is one, too")
	f.Var(&x.whose, "for", "record only the packets of `WHOM`: a program by its name, pid:NUMBER, or :PORT; once for each")
	f.Var(&x.snapLen, "snaplen", "record so many `BYTES` of each packet, 40 to 262144; without it all of them")
	completeCapture(c)
	return c
}

// capture records a run.
type capture struct {
	to      fileValue
	filter  filterValue
	whose   whoseValue
	snapLen snapValue
}

// request is what the run is asked.
func (x *capture) request() (control.Request, error) {
	q := control.Request{Do: control.DoCapture, SnapLen: int(x.snapLen)}
	if x.filter.f != nil {
		q.Packets = append(q.Packets, x.filter.String())
	}
	whose, err := x.whose.filter()
	if whose != nil {
		q.Packets = append(q.Packets, whose.String())
	}
	return q, err
}

// only returns the run that is called so, or the only one.
func only(name string, say io.Writer) (*control.Client, error) {
	clients, err := runs(name, say)
	switch {
	case err != nil:
		return nil, err
	case len(clients) == 0:
		return nil, errNoRuns
	case len(clients) == 1:
		return clients[0], nil
	}
	defer closeAll(clients)
	return nil, fmt.Errorf("there are %d runs: say which, %s", len(clients), strings.Join(titles(clients), ", "))
}

func (x *capture) run(name string) error {
	return captureError(x.to.name, x.record(name))
}

// record records a run until it ends, or this process is to end.
func (x *capture) record(name string) error {
	q, err := x.request()
	if err != nil {
		return err
	}
	c, err := only(name, os.Stderr)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := openOutput(writeFlag, x.to.name, anyMode, os.Stderr)
	if err != nil {
		return err
	}
	surviveWriting()
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-quit
		signal.Stop(quit) // again, it ends this process: the run may be stopped, and the file's reader stuck
		c.StopCapture()
	}()
	err = c.Capture(q, f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// captureError says what has become of a recording.
func captureError(name string, err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) && e.Op == "write" {
		return recordingError(name, err, 0)
	}
	return err
}
