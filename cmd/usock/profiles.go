package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"usock/link"
	"usock/shape"
)

func profilesCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "profiles",
		Short: "List the networks that --profile knows",
		Long: `Profiles lists the networks that usock run --profile NAME and usock demo --profile
NAME know, with their figures and where these come from. Rates are bits a second, down
to the program and up from it; delay is that of one way, half of the latency that others
give. Profiles whose source is usock have figures of our own choice.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return writeProfilesJSON(os.Stdout)
			}
			return writeProfiles(os.Stdout)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "an object of JSON for each")
	return c
}

// writeProfiles writes a line for each profile.
func writeProfiles(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDOWN\tUP\tDELAY\tLOSS\tFROM")
	for _, p := range shape.Profiles() {
		up, down := &p.Shape.Up, &p.Shape.Down
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, rateText(down.Rate), rateText(up.Rate),
			bothWays(delayText(down), delayText(up)), bothWays(lossText(down), lossText(up)), p.From)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range shape.Profiles() {
		if p.About != "" {
			if _, err := fmt.Fprintf(out, "\n%s: %s\n", p.Name, p.About); err != nil {
				return err
			}
		}
	}
	return nil
}

// bothWays is what is said of both directions where they differ.
func bothWays(down, up string) string {
	if down == up {
		return down
	}
	return down + ", " + up
}

func rateText(rate uint64) string {
	switch {
	case rate == 0:
		return "-"
	case rate%1_000_000 == 0:
		return fmt.Sprintf("%dmbit", rate/1_000_000)
	case rate >= 1_000_000:
		return fmt.Sprintf("%gmbit", float64(rate)/1e6)
	}
	return fmt.Sprintf("%gkbit", float64(rate)/1e3)
}

func delayText(m *link.Impairment) string {
	if m.Jitter == 0 {
		return shortTime(m.Delay)
	}
	return shortTime(m.Delay) + "±" + shortTime(m.Jitter)
}

// shortTime is a delay, in ms.
func shortTime(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%gms", float64(d)/float64(time.Millisecond))
}

func lossText(m *link.Impairment) string {
	switch b := m.Burst; {
	case b.Enter != 0:
		bad := b.Enter / (b.Enter + b.Leave) // the share of time that the channel is bad
		return fmt.Sprintf("%.2g%% in bursts", 100*(bad*b.LossBad+(1-bad)*b.LossGood))
	case m.Loss == 0:
		return "-"
	}
	return fmt.Sprintf("%g%%", 100*m.Loss)
}

// writeProfilesJSON writes an object for each profile.
func writeProfilesJSON(out io.Writer) error {
	type way struct {
		Rate     uint64  `json:"rate,omitempty"`      // bits a second
		DelayMS  float64 `json:"delay_ms,omitempty"`  // one way
		JitterMS float64 `json:"jitter_ms,omitempty"` // to either side
		Loss     string  `json:"loss,omitempty"`
	}
	of := func(m *link.Impairment) way {
		w := way{Rate: m.Rate, DelayMS: float64(m.Delay) / 1e6, JitterMS: float64(m.Jitter) / 1e6}
		w.Loss = strings.TrimPrefix(lossText(m), "-")
		return w
	}
	e := json.NewEncoder(out)
	for _, p := range shape.Profiles() {
		err := e.Encode(struct {
			Name  string `json:"name"`
			Down  way    `json:"down"`
			Up    way    `json:"up"`
			From  string `json:"from"`
			About string `json:"about,omitempty"`
		}{p.Name, of(&p.Shape.Down), of(&p.Shape.Up), p.From, p.About})
		if err != nil {
			return err
		}
	}
	return nil
}
