package oracle

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"usock/packet"
)

// A scenario is a sequence in which calls wait. After every line the calls that have
// begun and not returned are compared, what the others have returned, and each
// socket's readiness. Besides those of a script, which do not wait as sockets are
// non-blocking when they are made, its lines are
//
//	> CALL     begins a call (see prepare) that may wait, on its own thread
//	>> CALL    begins a call that returns by itself, for its timeout
//	wait       goes on for as long as every timeout in the table
//	a stuff    sends until nothing more fits, also after a while
//	a empty    receives until nothing more comes; how much is a matter of the buffers
//	a pump N   receives N bytes, as they come; what waits is looked at after that
//
// Calls of the same words are alike: which of them returns first is not compared.
//
// usock's side lives in a bubble of virtual time: when the bubble is idle, a call that
// has not returned waits. The kernel tells what each thread does in /proc.
type player struct {
	u, k     *script
	bubble   *bubble
	patience time.Duration
	name     string
	calls    []*begun
	last     map[string]string
	found    []difference
}

// begun is a call that has begun on both systems.
type begun struct {
	text   string
	u, k   *pending
	us, ks string // what it has returned; "": nothing yet
}

const waits = "waits"

// bubble carries out functions in a bubble of virtual time, in which time passes
// only when one of them sleeps.
type bubble struct {
	in   chan func()
	done chan struct{}
}

func newBubble(t *testing.T) *bubble {
	b := &bubble{in: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		synctest.Test(t, func(*testing.T) {
			for f := range b.in {
				f()
				synctest.Wait()
				b.done <- struct{}{}
			}
		})
	}()
	return b
}

// run has f carried out, and returns when nothing in the bubble can go on.
func (b *bubble) run(f func()) {
	b.in <- f
	<-b.done
}

// end waits until nothing is left in the bubble.
func (b *bubble) end() {
	close(b.in)
	<-b.done
}

// line carries out a line on both systems.
func (p *player) line(line string) {
	f := strings.Fields(line)
	patience := p.patience
	var got, want string
	switch {
	case f[0] == ">":
		p.begin(strings.Join(f[1:], " "))
	case f[0] == ">>":
		p.begin(strings.Join(f[1:], " "))
		fallthrough
	case f[0] == "wait":
		d := timesUp
		if f[0] == "wait" && len(f) == 2 {
			d = time.Duration(number(f[1])) * time.Millisecond
		}
		p.bubble.run(func() { time.Sleep(d) })
		patience += d
	case f[1] == "pump":
		p.bubble.run(func() { got = p.u.pump(f[0], number(f[2]), nap) })
		want = p.k.pump(f[0], number(f[2]), pause)
		if got != want {
			p.found = append(p.found, difference{p.name, line, "result", got, want})
		}
		return
	case f[1] == "stuff":
		p.bubble.run(func() { got = p.u.stuff(f[0], nap) })
		want = p.k.stuff(f[0], nap)
	case f[1] == "empty":
		p.bubble.run(func() { got = p.u.empty(f[0], nap) })
		want = p.k.empty(f[0], nap)
	case len(f) == 5 && f[2] == "pair":
		p.bubble.run(func() { got = p.u.pair(f[0], f[4], f[3]) })
		want = p.k.pair(f[0], f[4], f[3])
	default:
		p.bubble.run(func() { got = p.u.run(line) })
		want = p.k.run(line)
	}
	if got != want {
		p.found = append(p.found, difference{p.name, line, "result", got, want})
	}
	p.agree(line, patience)
}

// timesUp is longer than every timeout in the table.
const timesUp = 2 * time.Second

// begin starts a call on both systems.
func (p *player) begin(text string) {
	b := &begun{text: text}
	if k := p.u.prepare(text); k != nil {
		p.bubble.run(func() { b.u = p.u.sys.(waiter).start(k) })
	} else {
		b.us = "no socket"
	}
	if k := p.k.prepare(text); k != nil {
		b.k = p.k.sys.(waiter).start(k)
	} else {
		b.ks = "no socket"
	}
	p.calls = append(p.calls, b)
}

// pause lets the kernel work for a moment.
func pause() {
	t := unix.NsecToTimespec(100_000)
	unix.Nanosleep(&t, nil)
}

// view is what there is to compare, in order: keys and values.
type view struct{ keys, us, ks []string }

// see looks at both systems, and reports whether every call of the kernel's has
// returned or sleeps.
func (p *player) see() (v view, still bool) {
	still = true
	for _, b := range p.calls {
		if b.us == "" {
			if o := b.u.out.Load(); o != nil {
				p.bubble.run(func() { b.us = p.u.told(b.u.call, o) })
			}
		}
		if b.ks == "" {
			if o := b.k.out.Load(); o != nil {
				b.ks = p.k.told(b.k.call, o)
			} else if !b.k.blocked() {
				still = false
			}
		}
	}
	groups := make(map[string]int)
	var us, ks [][]string
	for _, b := range p.calls {
		i, ok := groups[b.text]
		if !ok {
			i = len(v.keys)
			groups[b.text] = i
			v.keys, us, ks = append(v.keys, "> "+b.text), append(us, nil), append(ks, nil)
		}
		us[i], ks[i] = append(us[i], state(b.us)), append(ks[i], state(b.ks))
	}
	for i := range us {
		slices.Sort(us[i])
		slices.Sort(ks[i])
		v.us, v.ks = append(v.us, strings.Join(us[i], " & ")), append(v.ks, strings.Join(ks[i], " & "))
	}
	for _, s := range p.u.names() {
		fd, ok := p.k.fds[s]
		if !ok {
			continue // a difference in what was accepted, told before
		}
		v.keys = append(v.keys, s+" poll")
		v.ks = append(v.ks, eventString(p.k.sys.poll(fd)))
		var now string
		p.bubble.run(func() { now = eventString(p.u.sys.poll(p.u.fds[s])) })
		v.us = append(v.us, now)
	}
	return v, still
}

func state(s string) string {
	if s == "" {
		return waits
	}
	return s
}

// stuck is after how long a thread of the kernel's that neither sleeps in its call
// nor returns is an error.
const stuck = 10 * time.Second

// agree looks at both systems until they agree, are as different as after the last
// line, or the time is up, and notes the new differences.
func (p *player) agree(line string, patience time.Duration) {
	begin := time.Now()
	for {
		v, still := p.see()
		known := true
		for i, key := range v.keys {
			known = known && (v.us[i] == v.ks[i] || p.last[key] == v.us[i]+" / "+v.ks[i])
		}
		passed := time.Since(begin)
		if !still && passed > stuck {
			panic("a thread neither sleeps nor returns: " + line)
		}
		if !still || !known && passed < patience {
			pause()
			continue
		}
		for i, key := range v.keys {
			now := v.us[i] + " / " + v.ks[i]
			if v.us[i] == v.ks[i] {
				delete(p.last, key)
			} else if p.last[key] != now {
				p.last[key] = now
				p.found = append(p.found, difference{p.name, line, key, v.us[i], v.ks[i]})
			}
		}
		return
	}
}

// pump receives n bytes on a socket as they come, up to 5 s of the kernel's time.
func (c *script) pump(name string, n int, idle func()) string {
	s, ok := c.fds[name]
	if !ok {
		return "no socket"
	}
	all := make([]byte, 0, n)
	for tries := 0; len(all) < n && tries < 50_000; {
		m, _, err := c.sys.recv(s, n-len(all), 0, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			tries++
			idle()
		case err != nil || len(m.data) == 0:
			return fmt.Sprintf("%d bytes, then %s", len(all), errname(err))
		}
		all = append(all, m.data...)
	}
	return c.received(message{data: all}, len(all))
}

// stuff sends until nothing has fitted for as long as an acknowledgment can be delayed.
func (c *script) stuff(name string, idle func()) string {
	s, ok := c.fds[name]
	if !ok {
		return "no socket"
	}
	for _, size := range []int{1 << 10, 1 << 6, 1} {
		block := pattern(size)
		for refused := 0; refused < quiet; {
			switch _, err := c.sys.send(s, message{data: block}); err {
			case nil:
				refused = 0
			case unix.EAGAIN:
				refused++
				idle()
			default:
				return errname(err)
			}
		}
	}
	return "full"
}

// empty receives until nothing has come for a while, and tells how that ended.
func (c *script) empty(name string, idle func()) string {
	s, ok := c.fds[name]
	if !ok {
		return "no socket"
	}
	for nothing := 0; ; {
		m, _, err := c.sys.recv(s, 1<<16, 0, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN && nothing < quiet:
			nothing++
			idle()
		case err != nil || len(m.data) == 0:
			for range quiet {
				idle() // until the end of the stream is acknowledged
			}
			return errname(err)
		default:
			nothing = 0
		}
	}
}

// quiet is for how many milliseconds nothing has happened when it is taken that
// nothing will: longer than an acknowledgment is delayed.
const quiet = 60

// nap lets a millisecond pass, in a bubble without waiting for it.
func nap() { time.Sleep(time.Millisecond) }

func (c *script) pair(a, b, kind string) string {
	x, y, err := c.sys.(waiter).pair(kinds[kind][0], kinds[kind][1])
	if err == nil {
		c.fds[a], c.fds[b] = x, y
	}
	return errname(err)
}

// finish ends the calls that still wait, and fails if one does not.
func (p *player) finish() {
	k := p.k.sys.(*kernel)
	for fd := range k.open {
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}

	// Closed when the calls have ended, or are not ended by that: a call that has been interrupted, or has not begun, would else be made
	// with a number that another scenario has by then.
	closed := false
	end := func() {
		if !closed {
			for fd := range k.open {
				unix.Close(fd)
			}
			clear(k.open)
			closed = true
		}
	}
	defer end()
	p.bubble.run(func() {
		p.u.sys.end()
		for _, b := range p.calls {
			for b.u != nil && b.u.out.Load() == nil {
				time.Sleep(time.Second)
			}
		}
	})
	for begin := time.Now(); ; pause() {
		left := ""
		for _, b := range p.calls {
			if b.k != nil && b.k.out.Load() == nil {
				left = b.text
			}
		}
		if left == "" {
			return
		}
		if time.Since(begin) > time.Second {
			end()
		}
		if time.Since(begin) > stuck {
			panic(p.name + ": nothing ends the kernel's call: " + left)
		}
	}
}

// playWaiting carries out a scenario. A difference that lasts for less than patience is
// the kernel's delay.
func playWaiting(t *testing.T, k *kernel, c sequence, patience time.Duration) []difference {
	b := newBubble(t)
	defer b.end()
	var u *user
	b.run(func() { u = newUser(t, true) })
	p := &player{u: newScript(u), k: newScript(k), bubble: b, patience: patience, name: c.name, last: make(map[string]string)}
	lines := split(c.lines)
	p.u.ports.asks(lines)
	p.k.ports.asks(lines)
	defer p.finish()
	for _, l := range lines {
		p.line(l)
	}
	return p.found
}

// How long the two systems may take to agree on a call, at first and when the
// scenario is played again.
const (
	brief  = 30 * time.Millisecond
	longer = time.Second
)

// manyRaces is how often a race is played before it is taken that the two systems never end it alike.
const manyRaces = 100

// playWaitingAll carries out scenarios, several at a time: they wait most of theirs.
// Those with TCP, which outlives its sockets, have a network of their own. A race is played until the
// systems agree: what usock does is one of the things that the kernel does.
func playWaitingAll(t *testing.T, cases []sequence, patience time.Duration) []difference {
	found := make([][]difference, len(cases))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			var k *kernel
			for i := range next {
				for tries := 1; ; tries++ {
					if k == nil {
						k = newKernel(t)
					}
					found[i] = playWaiting(t, k, cases[i], patience)
					if strings.Contains(cases[i].lines, "tcp") {
						k.end()
						k = nil
					}
					if !cases[i].races || tries == manyRaces || len(found[i]) == 0 {
						break
					}
				}
			}
			if k != nil {
				k.end()
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	wg.Wait()
	return slices.Concat(found...)
}

var onlyScenario = flag.String("scenario", "", "play only the scenarios that match this `pattern`")

func TestWaiting(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	// Sixteen players look at their threads all the time; one that returns needs a
	// processor of Go's to say so.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0))))
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	cases := waitingCases()
	if testing.Short() {
		cases = few(cases)
	}
	if *onlyScenario != "" {
		cases = slices.DeleteFunc(cases, func(c sequence) bool { return !match(*onlyScenario, c.name) })
	}
	used := make([]int, len(declaredWaiting))
	seen := make(map[string]bool)
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("two scenarios are called %q", c.name)
		}
		seen[c.name] = true
	}
	undeclared := func(found []difference) []difference {
		return slices.DeleteFunc(found, func(d difference) bool {
			if *findAll {
				t.Logf("%s: %v", d.name, d)
			}
			return excused(declaredWaiting, d, used)
		})
	}
	found := undeclared(playWaitingAll(t, cases, brief))
	for range 2 {
		if len(found) == 0 || *findAll {
			break
		}
		// Once more, with more patience: what does not come again was the kernel's delay.
		again := undeclared(playWaitingAll(t, slices.DeleteFunc(slices.Clone(cases), func(c sequence) bool {
			return !slices.ContainsFunc(found, func(d difference) bool { return d.name == c.name })
		}), longer))
		found = slices.DeleteFunc(found, func(d difference) bool { return !slices.Contains(again, d) })
	}
	for _, d := range found {
		t.Errorf("%s: %v", d.name, d)
	}
	if *onlyScenario == "" && !testing.Short() {
		for i, n := range used {
			if n == 0 && !declaredWaiting[i].sometimes {
				t.Errorf("declared, but there is no such difference: %+v", declaredWaiting[i])
			}
		}
	}
	if n := packet.Live(); n != before {
		t.Errorf("%d blocks are left", n-before)
	}
	t.Logf("%d scenarios", len(cases))
}
