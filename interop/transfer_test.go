//go:build linux

package interop

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usock/internal/uml"
	"usock/link"
)

var size = flag.String("size", "", "bytes of each transfer, as 64MiB; default: as much as takes a second or two")

// bytesOf reads a size.
func bytesOf(s string) (int64, error) {
	unit := int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if t, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = t, u
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n * unit, err
}

// source sends n random bytes and returns their digest.
func source(s stream, n int64, seed uint64) ([]byte, error) {
	if c, ok := s.(*uml.Conn); ok {
		return c.Source(n, seed) // in there: the way to its calls is slow
	}
	return uml.Source(s, n, seed)
}

// sink receives to the end and returns the digest.
func sink(s stream) ([]byte, int64, error) {
	if c, ok := s.(*uml.Conn); ok {
		return c.Sink()
	}
	return uml.Sink(s)
}

// exchange sends n bytes each way at once, ends both directions, and compares.
func exchange(t *testing.T, a, b stream, n int64) {
	t.Helper()
	var all sync.WaitGroup
	var sent, got [2]string
	errs := make(chan error, 4)
	for i, s := range []stream{a, b} {
		s.SetDeadline(time.Now().Add(10 * time.Minute))
		all.Go(func() {
			sum, err := source(s, n, uint64(i))
			sent[i] = string(sum)
			errs <- errors.Join(err, s.CloseWrite())
		})
		all.Go(func() {
			sum, k, err := sink(s)
			got[1-i] = string(sum)
			if err == nil && k != n {
				err = fmt.Errorf("%d of %d bytes", k, n)
			}
			errs <- err
		})
	}
	all.Wait()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if sent != got && !t.Failed() {
		t.Error("digests differ")
	}
}

// Bytes both ways at once, over paths of every kind, each stack as client and as
// server: they all arrive, and tshark finds nothing in the capture that the path
// does not explain.
func TestTransfer(t *testing.T) {
	for _, c := range paths {
		for i, v6 := range []bool{false, true} {
			// Each stack is client once.
			t.Run(fmt.Sprintf("%s,v6=%v", c.name, v6), func(t *testing.T) {
				testTransfer(t, newNamespace(t), &c, uint64(i+1), v6)
			})
		}
	}
}

// TestTransferUML is the same beside User-mode Linux, on paths that one slow processor can keep
// up with. Its cable drops what it has no room for, so that captures are judged by TestTransfer alone.
func TestTransferUML(t *testing.T) {
	kernel := newMachine(t)
	for _, c := range paths {
		if !c.uml {
			continue
		}
		for i, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,v6=%v", c.name, v6), func(t *testing.T) {
				testTransfer(t, kernel, &c, uint64(i+1), v6)
			})
		}
	}
}

// path is what lies between the stacks in a transfer.
type path struct {
	name              string
	toKernel, toUsock link.Impairment
	mib               float64
	clean             bool // nothing may be retransmitted
	offload           bool
	uml               bool
}

var paths = []path{
	{name: "clean", mib: 4, clean: true, uml: true},
	{name: "offload", mib: 8, clean: true, offload: true},
	{name: "delay", mib: 2, clean: true,
		toKernel: link.Impairment{Delay: 10 * time.Millisecond}, toUsock: link.Impairment{Delay: 10 * time.Millisecond}},
	{name: "loss out", mib: 1, toKernel: link.Impairment{Delay: 2 * time.Millisecond, Loss: 0.01}},
	{name: "loss in", mib: 1, toUsock: link.Impairment{Delay: 2 * time.Millisecond, Loss: 0.01}},
	{name: "loss", uml: true, mib: 0.5,
		toKernel: link.Impairment{Delay: time.Millisecond, Loss: 0.03}, toUsock: link.Impairment{Delay: time.Millisecond, Loss: 0.03}},
	{name: "bursts", mib: 0.5,
		toKernel: link.Impairment{Delay: time.Millisecond, Burst: link.Burst{Enter: 0.005, Leave: 0.3, LossBad: 1}},
		toUsock:  link.Impairment{Delay: time.Millisecond, Burst: link.Burst{Enter: 0.005, Leave: 0.3, LossBad: 1}}},
	{name: "reorder", uml: true, mib: 1,
		toKernel: link.Impairment{Delay: 4 * time.Millisecond, Reorder: 0.02}, toUsock: link.Impairment{Delay: 4 * time.Millisecond, Reorder: 0.02}},
	{name: "duplicate", uml: true, mib: 1,
		toKernel: link.Impairment{Delay: time.Millisecond, Duplicate: 0.02}, toUsock: link.Impairment{Delay: time.Millisecond, Duplicate: 0.02}},
	{name: "corrupt", uml: true, mib: 1, offload: true,
		toKernel: link.Impairment{Delay: time.Millisecond, Corrupt: 0.01}, toUsock: link.Impairment{Delay: time.Millisecond, Corrupt: 0.01}},
	{name: "rate", uml: true, mib: 2,
		toKernel: link.Impairment{Delay: 5 * time.Millisecond, Rate: 50e6}, toUsock: link.Impairment{Delay: 5 * time.Millisecond, Rate: 50e6}},
}

func testTransfer(t *testing.T, kernel neighbour, c *path, seed uint64, v6 bool) {
	l := newLab(t, setup{kernel: kernel, toKernel: c.toKernel, toUsock: c.toUsock, offload: c.offload, seed: seed})
	client, server := l.usock(), l.kernel()
	if v6 {
		client, server = server, client
	}
	n := int64(c.mib * (1 << 20))
	if *size != "" {
		var err error
		if n, err = bytesOf(*size); err != nil {
			t.Fatal(err)
		}
	}
	a, b := connect(t, client, server, v6)
	exchange(t, a, b, n)
	a.Close()
	b.Close()
	if _, ok := kernel.(*namespace); ok && *size == "" {
		judge(t, l, c.clean)
	}
}

// judge looks for what should not be in a capture: at usock's end, before what it
// sends is impaired and after what it receives was.
func judge(t *testing.T, l *lab, clean bool) {
	t.Helper()
	settle(t, "end of the connection", func() bool {
		for _, s := range l.host.Sockets() {
			if s.State != "TIME-WAIT" && s.State != "LISTEN" {
				return false
			}
		}
		return true
	})
	out, in := l.imp.Stats()
	f := l.analyse()
	lost := int(out.Lost + out.Dropped + out.Corrupted)
	if clean && f.odd > f.packets/500+10 {
		// A few may be: probes and what answers them, where a busy machine had a
		// stack wait for its turn.
		t.Errorf("%d packets of %d that a clean path does not explain", f.odd, f.packets)
		l.explain(&f)
	}
	if f.malformed > 0 {
		t.Errorf("%d malformed packets", f.malformed)
	}
	// What is lost is sent again once, or again where that is lost; lost
	// acknowledgments, reordering and a busy machine bring about some more.
	if most := 2*lost + int(in.Lost+in.Dropped+in.Corrupted)/4 + int(out.Reordered+in.Reordered)/2 + 20; f.resent > most {
		t.Errorf("usock sent %d packets again where %d of %d were lost (%d coming in)", f.resent, lost, out.Packets, in.Lost+in.Dropped)
		l.explain(&f)
	}
}
