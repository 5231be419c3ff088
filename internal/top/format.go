package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// bits writes bytes a second as bits a second, in at most five characters.
func bits(bytes float64) string { return short(bytes*8, 1000, 3, " kMGTP") }

// size writes a number of bytes in at most four characters: all of it below 10,000, then in units of 1024.
func size(n int) string {
	if n < 10_000 {
		return strconv.Itoa(n)
	}
	return short(float64(n), 1024, 2, " KMGTP")
}

// number writes a count in at most four characters.
func number(n uint64) string { return short(float64(n), 1000, 2, " kMGTP") }

// short writes a number with a unit behind it and with at least so many digits.
func short(v, step float64, digits int, units string) string {
	unit := 0
	for ; v >= 999.5 && unit < len(units)-1; unit++ {
		v /= step
	}
	if unit == 0 || v >= 99.5 {
		return strings.TrimSpace(fmt.Sprintf("%.0f%c", v, units[unit]))
	}
	decimals := digits - 1
	if v >= 10-0.5/math.Pow10(decimals) { // it is 10 when it is rounded
		decimals--
	}
	return fmt.Sprintf("%.*f%c", decimals, v, units[unit])
}

// roundTrip writes microseconds in at most five characters.
func roundTrip(us uint32) string {
	switch d := time.Duration(us) * time.Microsecond; {
	case us < 1000:
		return fmt.Sprintf("%dµs", us)
	case us < 9950:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	case us < 999_500:
		return fmt.Sprintf("%.0fms", d.Seconds()*1000)
	default:
		return fmt.Sprintf("%.4gs", float64(int(d.Seconds()*10))/10)
	}
}

// Age is a time in at most two units.
func Age(d time.Duration) string {
	switch s := int64(max(d, 0).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
	}
}

// count is a number with what it counts.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cut stands for what has no room.
const cut = "…"

// clip leaves as much of s as fits, by the cells of a terminal.
func clip(s string, width int) string { return ansi.Truncate(s, max(width, 0), cut) }

// address leaves what fits of an address with its port: the port goes last.
func address(s string, width int) string {
	if s == "" {
		s = "*"
	}
	i := strings.LastIndexByte(s, ':')
	if ansi.StringWidth(s) <= width || i < 0 {
		return clip(s, width)
	}
	host, port := []rune(s[:i]), s[i:]
	room := width - len(port) - 1
	if room < 4 {
		return clip(port, width)
	}
	head := (room + 1) / 2
	return string(host[:head]) + cut + string(host[len(host)-(room-head):]) + port
}

// fill makes s as wide as a column.
func fill(s string, width int, right bool) string {
	s = clip(s, width)
	blanks := strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
	if right {
		return blanks + s
	}
	return s + blanks
}

// fold cuts words into lines, of which there may be so many.
func fold(s string, width, lines int) (out []string) {
	for _, w := range strings.Fields(s) {
		if n := len(out); n > 0 && (n == lines || ansi.StringWidth(out[n-1])+1+ansi.StringWidth(w) <= width) {
			out[n-1] += " " + w
		} else {
			out = append(out, w)
		}
	}
	return out
}
