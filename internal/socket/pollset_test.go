package socket

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/wait"
)

// watched is a set and some sockets of one host, each of a protocol of its own.
type watched struct {
	t   *testing.T
	set *PollSet
	s   []*Socket
	f   []*fake
}

func newWatched(t *testing.T, n int) *watched {
	h := host.New(clock.System())
	r := NewRegistry(h)
	w := &watched{t: t, set: NewPollSet(h)}
	for range n {
		f := stream()
		w.f = append(w.f, f)
		w.s = append(w.s, r.NewSocket(f, abi.AF_INET, abi.SOCK_STREAM, 6))
	}
	return w
}

// poll returns the events that are there, NUMBER:EVENTS each.
func (w *watched) poll(most int) []string {
	w.t.Helper()
	out := make([]Event, most)
	n, err := w.set.Wait(noContext, out)
	if err != nil {
		w.t.Error(err)
	}
	var got []string
	for _, e := range out[:n] {
		got = append(got, fmt.Sprintf("%v:%x", e.Data, uint32(e.Events)))
	}
	return got
}

func (w *watched) want(most int, want ...string) {
	w.t.Helper()
	if got := w.poll(most); !slices.Equal(got, want) {
		w.t.Errorf("got %v, want %v", got, want)
	}
}

func (w *watched) add(i int, mask wait.Events) {
	w.t.Helper()
	if err := w.set.Add(w.s[i], mask, i); err != nil {
		w.t.Error(err)
	}
}

func (w *watched) change(i int, ev wait.Events, f func(f *fake)) {
	w.s[i].change(ev, func() { f(w.f[i]) })
}

// A socket is reported as long as it is ready, once for each change or once until it is watched anew,
// as it was asked for (epoll_ctl(2)).
func TestPollSetTriggers(t *testing.T) {
	w := newWatched(t, 3)
	w.add(0, wait.In)
	w.add(1, wait.In|EdgeTriggered)
	w.add(2, wait.In|OneShot)
	w.want(8)
	all := func(ev wait.Events, f func(*fake)) {
		for i := range w.s {
			w.change(i, ev, f)
		}
	}
	all(wait.In, func(f *fake) { f.in = []string{"a"} })
	w.want(8, "0:1", "1:1", "2:1")
	w.want(8, "0:1")
	all(wait.In, func(f *fake) { f.in = []string{"a", "b"} })
	w.want(8, "0:1", "1:1")
	all(wait.Out, func(f *fake) { f.room = 1 })
	w.want(8, "0:1")
	all(wait.In, func(f *fake) { f.in = nil })
	w.want(8)
	w.want(8)

	// Errors and the end of both directions are reported to all, but to one that has had its shot.
	all(wait.Err, func(f *fake) { f.more = wait.Err | wait.Hup })
	w.want(8, "0:18", "1:18")
	w.want(8, "0:18")
	if err := w.set.Modify(w.s[2], wait.Out|OneShot, "two"); err != nil {
		t.Error(err)
	}
	if err := w.set.Modify(w.s[1], wait.Out|EdgeTriggered, "one"); err != nil {
		t.Error(err)
	}
	w.want(8, "0:18", "two:1c", "one:1c")
	w.want(8, "0:18")
	all(wait.Out, func(f *fake) { f.more = 0 })
	w.want(8, "one:4")
}

// A socket that is ready when it comes into the set is reported, and none that has gone.
func TestPollSetMembers(t *testing.T) {
	w := newWatched(t, 4)
	for i := range w.s {
		w.f[i].room = 1
		w.add(i, wait.Out)
	}
	w.want(8, "0:4", "1:4", "2:4", "3:4")
	if err := w.set.Add(w.s[0], wait.In, 0); err != syscall.EEXIST {
		t.Error(err)
	}
	if err := w.set.Remove(w.s[0]); err != nil {
		t.Error(err)
	}
	w.want(8, "1:4", "2:4", "3:4")
	for what, err := range map[string]error{"remove": w.set.Remove(w.s[0]), "modify": w.set.Modify(w.s[0], wait.In, 0)} {
		if err != syscall.ENOENT {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.change(0, wait.Out, func(*fake) {})
	w.want(8, "1:4", "2:4", "3:4")
	w.add(0, wait.Out)
	w.want(8, "1:4", "2:4", "3:4", "0:4")
	if err := w.set.Modify(w.s[1], wait.In, "one"); err != nil {
		t.Error(err)
	}
	w.want(8, "2:4", "3:4", "0:4")
	w.s[2].Close()
	w.want(8, "3:4", "0:4")
	if err := w.set.Remove(w.s[2]); err != syscall.ENOENT {
		t.Error(err)
	}
	if err := w.set.Add(w.s[2], wait.In, 0); err != syscall.EBADF {
		t.Error(err)
	}
	if err := w.set.Add(newFake(t, stream()), wait.In, 0); err != syscall.EINVAL {
		t.Error("of another host:", err)
	}

	// Others have their turn where there is not room for all.
	w.change(1, wait.In, func(f *fake) { f.in = []string{"a"} })
	for _, want := range [][]string{{"3:4"}, {"0:4"}, {"one:1"}, {"3:4"}} {
		w.want(1, want...)
	}
	w.want(2, "0:4", "one:1")
	w.want(8, "3:4", "0:4", "one:1")

	for _, s := range w.s {
		if s.Closed() {
			continue
		}
		s.Host.Enter()
		if !s.Waited() {
			t.Error("not watched")
		}
		s.Host.Leave()
	}
	if err := w.set.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range w.s {
		s.Host.Enter()
		if s.Waited() {
			t.Error("a closed set watches still")
		}
		s.Host.Leave()
	}
	if _, err := w.set.Wait(noContext, make([]Event, 1)); err != syscall.EBADF {
		t.Error(err)
	}
	if err := w.set.Add(w.s[0], wait.In, 0); err != syscall.EBADF {
		t.Error(err)
	}
	if err := w.set.Close(); err != syscall.EBADF {
		t.Error(err)
	}
	if _, err := w.set.Wait(noContext, nil); err != syscall.EINVAL {
		t.Error(err)
	}
}

// Waiting on a set ends by an event, by the context, and as the set or the host closes.
func TestPollSetWaits(t *testing.T) {
	wants := func(t *testing.T, w *watched, ctx context.Context) chan done {
		return begin(func() (int, error) { return w.set.Wait(ctx, make([]Event, 4)) })
	}
	for _, c := range []struct {
		name string
		end  func(w *watched, cancel func())
		n    int
		err  error
	}{
		{"an event", func(w *watched, _ func()) { w.change(1, wait.In, func(f *fake) { f.in = []string{"a"} }) }, 1, nil},
		{"one that comes into the set", func(w *watched, _ func()) { w.f[2].room = 1; w.add(2, wait.Out) }, 1, nil},
		{"another mask", func(w *watched, _ func()) { w.f[0].room = 1; w.set.Modify(w.s[0], wait.Out, 0) }, 1, nil},
		{"the context", func(_ *watched, cancel func()) { cancel() }, 0, context.Canceled},
		{"the set is closed", func(w *watched, _ func()) { w.set.Close() }, 0, syscall.EBADF},
		{"the host is closed", func(w *watched, _ func()) {
			w.set.host.Enter()
			w.set.host.Close()
			w.s[0].CloseLocked()
			w.set.host.Leave()
		}, 0, syscall.EBADF},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWatched(t, 3)
			w.add(0, wait.In)
			w.add(1, wait.In)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			call := wants(t, w, ctx)
			w.change(0, wait.Out, func(f *fake) { f.room = 1 })
			if w.change(0, wait.In, func(*fake) {}); !still(call) {
				t.Fatalf("%s: over without reason", c.name)
			}
			c.end(w, cancel)
			if d := <-call; d.n != c.n || !errors.Is(d.err, c.err) {
				t.Errorf("%s: %+v", c.name, d)
			}
		})
	}
	// A set whose context has ended tells of what is ready all the same, and else of that.
	w := newWatched(t, 1)
	w.add(0, wait.In)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(syscall.EINTR)
	if _, err := w.set.Wait(ctx, make([]Event, 1)); err != syscall.EINTR {
		t.Error(err)
	}
	w.change(0, wait.In, func(f *fake) { f.in = []string{"a"} })
	if n, err := w.set.Wait(ctx, make([]Event, 1)); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// Who waits by other means is called once something may have become ready: with the lock each time,
// without it once for each time that the host is left.
func TestPollSetOnReady(t *testing.T) {
	w := newWatched(t, 2)
	locked, after := 0, 0
	w.set.OnReady(func() { locked++ })
	w.add(0, wait.In)
	w.add(1, wait.In)
	if locked != 0 {
		t.Error("called though nothing is ready")
	}
	w.change(0, wait.In, func(f *fake) { f.in = []string{"a"} })
	w.change(0, wait.Out, func(f *fake) {})
	w.set.Modify(w.s[1], wait.Out, 1)
	if locked != 1 {
		t.Errorf("called %d times, want 1", locked)
	}
	w.f[1].room = 1
	w.set.Modify(w.s[1], wait.Out, 1)
	if locked != 2 {
		t.Errorf("called %d times, want 2", locked)
	}
	w.set.AfterReady(func() {
		w.set.host.Enter() // may enter the host
		after++
		w.set.host.Leave()
	})
	for range 2 {
		w.set.host.Enter()
		w.s[0].Notify(wait.In)
		w.s[0].Notify(wait.In)
		w.s[1].Notify(wait.Out)
		w.set.host.Leave()
	}
	if after != 2 || locked != 2 {
		t.Errorf("called %d times, want 2; and %d", after, locked)
	}
}

// Who looks at a set while another goroutine has the only socket that is ready in its hands is told of it all
// the same, as it goes on to be ready.
func TestPollSetInHands(t *testing.T) {
	h := host.NewWithLanes(clock.System(), 2)
	f := stream()
	f.kind.Own = true
	r := NewRegistry(h)
	d := h.NewDomain()
	d.Enter()
	s := r.NewSocketIn(d, f, abi.AF_INET, abi.SOCK_STREAM, 6)
	d.Leave()
	set := NewPollSet(h)
	if err := set.Add(s, wait.In, 0); err != nil {
		t.Fatal(err)
	}
	s.change(wait.In, func() { f.in = []string{"a"} })

	d.Enter() // nobody can look whether it is ready
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told := make(chan error)
	for _, until := range []func() bool{
		func() bool { return set.ready.n == 0 },
		func() bool { return !set.queue.Empty() },
	} {
		go func() {
			_, err := set.Wait(ctx, make([]Event, 1))
			told <- err
		}()
		for ok := false; !ok; runtime.Gosched() {
			set.mu.Lock()
			ok = until()
			set.mu.Unlock()
		}
	}
	d.Leave()
	for range 2 {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
}

// The end of the host ends a Wait also where no socket is in the set, or none any more.
func TestPollSetHostClosed(t *testing.T) {
	for _, had := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWatched(t, 1)
			if had {
				w.add(0, wait.In)
			}
			told := make(chan error, 1)
			go func() {
				_, err := w.set.Wait(t.Context(), make([]Event, 1))
				told <- err
			}()
			synctest.Wait()
			if had {
				w.set.Remove(w.s[0])
				synctest.Wait()
			}
			h := w.s[0].Host.Host()
			h.Enter()
			h.Close()
			h.Leave()
			synctest.Wait()
			select {
			case err := <-told:
				if err != syscall.EBADF {
					t.Error(err)
				}
			default:
				t.Error("it waits still")
				w.set.Close()
			}
		})
	}
}
