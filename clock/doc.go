// Package clock is where hosts, links and networks take their time from: the time of
// the machine, or one that stands still until it is moved.
//
// A [Clock] tells the time since its epoch and sets alarms. Whoever needs another one
// than [System] and [Manual] implements it: two methods, and two of the [Alarm].
//
// # Manual time
//
// With a [Manual] clock nothing happens by itself. [Manual.Advance] has the alarms go off
// that come due, on the goroutine that calls it, one after another, and with them all that
// hosts and links in memory do at these times. Where that goroutine is the only one that
// uses them, and hosts and links have a seed, what happens is a function of the seeds and
// the calls alone.
//
// # Precise time
//
// A [Precise] clock's alarms are as exact as the kernel's timers, where package time's come up to a millisecond late.
//
// # The time of day
//
// Captures and time stamps need a date. A clock that knows it has a method more,
// Wall() time.Time; of one that has not, the epoch counts as 2000-01-01 00:00 UTC, as
// it does in testing/synctest ([Wall]).
//
// clock imports the standard library and, on Linux, golang.org/x/sys/unix.
package clock
