//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"usock/link"
)

// path is what lies between sender and receiver.
type path struct {
	delay time.Duration
	loss  float64
	mtu   int
	seed  uint64
}

func (p *path) impair(l link.Link) (*link.Impaired, error) {
	m := link.Impairment{Delay: p.delay, Loss: p.loss}
	return link.Impair(l, link.ImpairConfig{Out: m, In: m, Seed: p.seed, MTU: p.mtu})
}

// ends is a connection whose ends are joined by a path.
type ends struct {
	send  io.Writer
	recv  io.Reader
	close func() error
}

// stack opens a connection over a path, with a congestion control.
type stack struct {
	name string
	open func(p *path, congestion string) (*ends, error)
}

var stacks = []stack{{"usock", openUsock}, {"kernel", openKernel}}

func main() {
	var (
		length   = flag.Duration("time", 5*time.Second, "how long each measurement takes")
		runs     = flag.Int("runs", 3, "how often each is measured; the median counts")
		delay    = flag.Duration("delay", 10*time.Millisecond, "delay each way")
		losses   = flag.String("loss", "0,0.1,1,3", "shares of packets lost each way, in percent")
		controls = flag.String("control", "cubic,bbr", "congestion controls")
	)
	flag.Parse()
	if err := run(*length, *runs, *delay, *losses, strings.Split(*controls, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "lossy:", err)
		os.Exit(1)
	}
}

func run(length time.Duration, runs int, delay time.Duration, losses string, controls []string) error {
	fmt.Printf("| control | loss | %s | %s | ratio |\n|---|---|---|---|---|\n", stacks[0].name, stacks[1].name)
	for _, congestion := range controls {
		for _, text := range strings.Split(losses, ",") {
			percent, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return err
			}
			var rates [2][]float64
			for i := range runs {
				for k, s := range stacks {
					p := path{delay: delay, loss: percent / 100, mtu: 1500, seed: uint64(i + 1)}
					r, err := measure(s, &p, congestion, length)
					if err != nil {
						return fmt.Errorf("%s, %s, %s %%: %w", s.name, congestion, text, err)
					}
					rates[k] = append(rates[k], r/1e6)
				}
			}
			u, k := median(rates[0]), median(rates[1])
			fmt.Printf("| %s | %s %% | %.1f | %.1f | %.2f |\n", congestion, text, u, k, u/k)
		}
	}
	return nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// measure returns the bits a second that arrived.
func measure(s stack, p *path, congestion string, length time.Duration) (float64, error) {
	e, err := s.open(p, congestion)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	sent := make(chan error, 1)
	go func() {
		buf := make([]byte, 256<<10)
		for time.Since(begin) < length {
			if _, err := e.send.Write(buf); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	n, buf := 0, make([]byte, 256<<10)
	for time.Since(begin) < length {
		k, err := e.recv.Read(buf)
		n += k
		if err != nil {
			return 0, errors.Join(err, e.close())
		}
	}
	took := time.Since(begin)
	// The sender's last write goes on while the receiver reads.
	go io.Copy(io.Discard, e.recv)
	err = <-sent
	return float64(n) * 8 / took.Seconds(), errors.Join(err, e.close())
}
