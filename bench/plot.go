//go:build linux

package main

import (
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// charts says which workloads share a plot: those with one unit and scale.
var charts = []struct {
	file, title string
	workloads   []string
}{
	{"bulk", "Bulk TCP, Gbit/s (more is better)", []string{"bulk-1", "bulk-8", "bulk-1500", "bulk-1500-8", "bulk-1500-tso", "bulk-1500-tso-8", "bulk-64k", "bulk-64k-8"}},
	{"round-trip", "1-byte round trip, p50, µs (less is better)", []string{"round-trip"}},
	{"connect", "Connect, 1 byte each way, close: connections a second (more is better)", []string{"connect-1", "connect-64"}},
	{"udp", "UDP datagrams received a second (more is better)", []string{"udp-flood-64", "udp-flood-64-2", "udp-64", "udp-64-2", "udp-1400"}},
	{"round-trips", "1-byte round trips a second, 64 connections (more is better)", []string{"round-trips-64"}},
	{"http", "net/http keep-alive requests a second (more is better)", []string{"http"}},
	{"lossy", "Bulk TCP, 1 % loss, 10 ms, Mbit/s (more is better)", []string{"bulk-lossy", "bulk-lossy-bbr"}},
	{"tun", "Bulk TCP over TUN and TAP to and from the kernel, Gbit/s (more is better)", []string{"tun-out", "tun-in", "tap-out", "tap-in"}},
	{"run-bulk", "Programs under usock run, Gbit/s (more is better)", []string{"run-iperf3"}},
	{"run", "Programs under usock run, requests a second (more is better)", []string{"run-redis", "run-nginx", "run-nginx-close"}},
	{"idle", "Idle connection, both ends, bytes (less is better)", []string{"idle-50k", "idle-200k", "idle-1m"}},
}

// plot writes one SVG for each chart that has measurements.
func (r *Report) plot(dir string) error {
	var err error
	for _, c := range charts {
		var rows []*Row
		for _, n := range c.workloads {
			if x := r.row(n); x != nil {
				rows = append(rows, x)
			}
		}
		if len(rows) > 0 {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, c.file+".svg"), []byte(chart(c.title, rows)), 0o644))
		}
	}
	if points := r.points(); points != nil {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "curves.svg"), []byte(curveChart(points)), 0o644))
	}
	return err
}

// points are the measured points of the curves.
func (r *Report) points() (all []*Row) {
	for _, x := range r.Rows {
		if x.w.curve != nil {
			all = append(all, x)
		}
	}
	return all
}

// Measures of a chart, in pixels.
const (
	chartWidth = 760
	labelWidth = 300
	valueWidth = 110
	barHeight  = 18
	barGap     = 4
	rowGap     = 18
	titleSpace = 44
)

var colours = []string{"#0b7285", "#c2842c", "#7a7f87"}

// chart draws horizontal bars, a group for each workload and a bar for each stack,
// with a whisker from the first to the third quartile.
func chart(title string, rows []*Row) string {
	most, bars := 0.0, 0
	for _, x := range rows {
		for _, s := range stacks {
			if v := x.Values[s.name]; len(v) > 0 {
				most = max(most, quantile(v, 0.75))
				bars++
			}
		}
	}
	height := titleSpace + bars*(barHeight+barGap) + len(rows)*rowGap + 30
	scale := (chartWidth - labelWidth - valueWidth) / most
	var b strings.Builder
	head(&b, title, height)
	y := titleSpace
	for _, x := range rows {
		fmt.Fprintf(&b, `<text x="12" y="%d" fill="#222">%s</text>`+"\n", y+13, html.EscapeString(short(x.Title)))
		for i, s := range stacks {
			v := x.Values[s.name]
			if len(v) == 0 {
				continue
			}
			m := median(v)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, m*scale, barHeight, colours[i])
			from, to := labelWidth+quantile(v, 0.25)*scale, labelWidth+quantile(v, 0.75)*scale
			fmt.Fprintf(&b, `<path d="M%.1f %dV%dM%.1f %dH%.1fM%.1f %dV%d" stroke="#222" fill="none"/>`+"\n",
				from, y+5, y+13, from, y+9, to, to, y+5, y+13)
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#222">%s</text>`+"\n", to+6, y+13, number(m))
			y += barHeight + barGap
		}
		y += rowGap
	}
	at := 12
	for i, s := range stacks {
		measured := func(x *Row) bool { return len(x.Values[s.name]) > 0 }
		if !slices.ContainsFunc(rows, measured) {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d" fill="#222">%s</text>`+"\n",
			at, y, colours[i], at+18, y+11, html.EscapeString(s.title))
		at += 150
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// head begins a plot.
func head(b *strings.Builder, title string, height int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13">`+"\n", chartWidth, height)
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	fmt.Fprintf(b, `<text x="12" y="26" font-size="15" font-weight="600" fill="#222">%s</text>`+"\n", html.EscapeString(title))
}

// short is a title's part that tells the workloads of one chart apart.
func short(title string) string {
	if rest, ok := strings.CutPrefix(title, "usock run: "); ok {
		return rest
	}
	if _, rest, ok := strings.Cut(title, ", "); ok {
		return rest
	}
	return title
}

// Measures of the curves' chart, in pixels.
const (
	curveHeight = 380
	curveLeft   = 60
	curveRight  = 480
	curveTop    = 60
	curveBottom = 330
)

// curveChart draws what a use costs over the number, both on logarithmic scales: a
// cost that does not depend on the number is a level line.
func curveChart(points []*Row) string {
	least, most := math.Inf(1), 0.0
	for _, x := range points {
		least, most = min(least, median(x.Values["usock"])), max(most, median(x.Values["usock"]))
	}
	low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	first, last := math.Log10(float64(curveSizes[0])), math.Log10(float64(curveSizes[len(curveSizes)-1]))
	atX := func(n int) float64 {
		return curveLeft + (math.Log10(float64(n))-first)/(last-first)*(curveRight-curveLeft)
	}
	atY := func(us float64) float64 {
		return curveBottom - (math.Log10(us)-low)/(high-low)*(curveBottom-curveTop)
	}
	var b strings.Builder
	head(&b, "usock: µs of processor time for one use, with as many", curveHeight)
	for _, n := range curveSizes {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" fill="#222" text-anchor="middle">%s</text>`+"\n",
			atX(n), curveTop, curveBottom, atX(n), curveBottom+20, thousands(n))
	}
	for e := low; e <= high; e++ {
		y := atY(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" fill="#222" text-anchor="end">%g</text>`+"\n",
			curveLeft, y, curveRight, curveLeft-8, y+4, math.Pow(10, e))
	}
	colours := []string{"#0b7285", "#c2842c", "#7a7f87", "#a61e4d"}
	for i, c := range curves {
		line, end := "", 0.0
		for _, x := range points {
			if x.w.curve != c {
				continue
			}
			end = atY(median(x.Values["usock"]))
			line += fmt.Sprintf("%c%.1f %.1f", "ML"[min(len(line), 1)], atX(x.w.n), end)
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", atX(x.w.n), end, colours[i])
		}
		fmt.Fprintf(&b, `<path d="%s" stroke="%s" stroke-width="2" fill="none"/>`+"\n", line, colours[i])
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" fill="%s">%s: %s</text>`+"\n", curveRight+14, end+4, colours[i], c.name, html.EscapeString(c.then))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
