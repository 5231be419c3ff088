//go:build linux

package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/stat (USER_HZ).
const tick = 10 * time.Millisecond

// busy returns the time for which processors have run processes or were taken away by
// the hypervisor, from the text of /proc/stat; cpus nil: of all processors. The time of
// interrupts is left out: it is spent on the packets of whoever is measured, mostly, and
// is not part of what a process is said to have used.
func busy(stat string, cpus []int) time.Duration {
	const user, nice, system, steal = 1, 2, 3, 8 // columns, proc_stat(5)
	var sum time.Duration
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) <= steal || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		n, err := strconv.Atoi(f[0][len("cpu"):])
		if err != nil || cpus != nil && !slices.Contains(cpus, n) {
			continue // the line of all processors together has no number
		}
		for _, column := range []int{user, nice, system, steal} {
			ticks, _ := strconv.ParseInt(f[column], 10, 64)
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// busyNow is busy at this time.
func busyNow(cpus []int) time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return busy(string(b), cpus)
}

// foreign is the load, in processors, that others than the measured process were for
// the processors on which it ran.
func foreign(busy, own, wall time.Duration) float64 {
	return max(0, float64(busy-own)/float64(wall))
}
