package top

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"usock"
	"usock/inspect"
	"usock/internal/control"
)

// watched are runs of the test's own, and a watcher of theirs.
type watched struct {
	t *testing.T
	*Watcher
	told chan tea.Msg
}

// within bounds what is waited for.
const within = 20 * time.Second

func watch(t *testing.T, wanted func(*control.Run) bool) *watched {
	t.Helper()
	x := &watched{t, NewWatcher(Query{}), make(chan tea.Msg)}
	ctx, cancel := context.WithCancel(context.Background())
	x.Every, x.Wanted = 5*time.Millisecond, wanted
	x.Tell = func(msg tea.Msg) {
		select {
		case x.told <- msg:
		case <-ctx.Done():
		}
	}
	var done sync.WaitGroup
	done.Go(func() { x.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return x
}

// until reads messages until one is as it should be.
func (x *watched) until(what string, ok func(tea.Msg) bool) {
	x.t.Helper()
	end := time.After(within)
	for {
		select {
		case msg := <-x.told:
			if ok(msg) {
				return
			}
		case <-end:
			x.t.Fatalf("%s: not within %v", what, within)
		}
	}
}

// folder is where the test's runs have their control sockets.
func folder(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
}

// start starts a run with a listener, and a connection to it.
func start(t *testing.T, name string) (*inspect.Server, *usock.Host) {
	t.Helper()
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	l, err := h.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	s, err := inspect.Serve(inspect.Config{Host: h, Name: name, Program: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, h
}

// pretend starts a run that says what it is, and answers nothing, until it is killed when somebody asks it.
func pretend(t *testing.T, greeting string) (id string, kill func()) {
	t.Helper()
	d, err := control.MakeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	l, id, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan *net.UnixConn)
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			io.WriteString(c, greeting+"\n")
			go func() {
				c.Read(make([]byte, 1))
				select {
				case asked <- c:
				case <-t.Context().Done():
				}
			}()
		}
	}()
	return id, func() {
		c := <-asked
		l.Close()
		c.Close()
	}
}

func isLook(id string, sockets int) func(tea.Msg) bool {
	return func(msg tea.Msg) bool {
		l, ok := msg.(Look)
		return ok && l.Run.ID == id && len(l.Sockets) == sockets && len(l.Traffic.Interfaces) > 0 && !l.At.IsZero()
	}
}

// TestWatcher follows runs that begin, end, and do not answer.
func TestWatcher(t *testing.T) {
	folder(t)
	// Another one's id is none of its own.
	a, _ := start(t, "a")
	silent, _ := pretend(t, `{"usock":1,"run":{"id":"`+a.ID()+`"}}`)
	mad, _ := pretend(t, `{"usock":7}`)
	x := watch(t, nil)
	x.until("a's connection", isLook(a.ID(), 2))
	x.until("one of another version", func(msg tea.Msg) bool {
		f, ok := msg.(Failed)
		return ok && f.ID == mad && strings.Contains(f.Err.Error(), "another version")
	})
	b, _ := start(t, "b")
	x.until("b's connection", isLook(b.ID(), 2))
	x.until("all of them", func(msg tea.Msg) bool {
		f, ok := msg.(Found)
		return ok && slices.Contains(f.IDs, a.ID()) && slices.Contains(f.IDs, b.ID()) && slices.Contains(f.IDs, silent)
	})
	b.Close()
	x.until("b's end", func(msg tea.Msg) bool { return msg == tea.Msg(Gone{ID: b.ID()}) })
	x.until("b's absence", func(msg tea.Msg) bool {
		f, ok := msg.(Found)
		return ok && !slices.Contains(f.IDs, b.ID())
	})
	x.Ask(Query{All: true})
	x.until("a's listener", isLook(a.ID(), 3))
	x.Ask(Query{Filter: "sport = :8000"})
	x.until("an end of a's connection", func(msg tea.Msg) bool {
		l, ok := msg.(Look)
		return isLook(a.ID(), 1)(msg) && ok && l.Query.Filter != "" && strings.HasSuffix(l.Sockets[0].Local, ":8000") && l.Sockets[0].TCP != nil
	})
}

// TestWatcherKilled tells of a run that is gone without a word that it was killed.
func TestWatcherKilled(t *testing.T) {
	folder(t)
	x := watch(t, nil)
	id, kill := pretend(t, `{"usock":1,"run":{"id":"x","name":"web"}}`)
	x.until("the run", func(msg tea.Msg) bool {
		f, ok := msg.(Found)
		return ok && slices.Contains(f.IDs, id)
	})
	kill()
	x.until("its end", func(msg tea.Msg) bool { return msg == tea.Msg(Gone{id, "web"}) })
}

// TestWatcherWanted follows what is wanted, and tells no more of others than that.
func TestWatcherWanted(t *testing.T) {
	folder(t)
	a, _ := start(t, "a")
	b, _ := start(t, "b")
	x := watch(t, func(r *control.Run) bool { return r.Name == "a" })
	gone := false
	n := 0
	x.until("three looks at a", func(msg tea.Msg) bool {
		switch msg := msg.(type) {
		case Look:
			if msg.Run.ID != a.ID() {
				t.Errorf("a look at %s", msg.Run.Name)
			}
			n++
		case Gone:
			if msg.ID == b.ID() && gone {
				t.Error("b is gone twice")
			}
			gone = gone || msg.ID == b.ID() // there may be runs of others
		}
		return n >= 3 && gone
	})
	x.until("a without b", func(msg tea.Msg) bool {
		f, ok := msg.(Found)
		return ok && slices.Contains(f.IDs, a.ID()) && !slices.Contains(f.IDs, b.ID())
	})
}

// TestWatcherEnds has nothing go on when nobody looks any more.
func TestWatcherEnds(t *testing.T) {
	folder(t)
	start(t, "a")
	w := NewWatcher(Query{})
	ctx, cancel := context.WithCancel(context.Background())
	w.Every = time.Hour
	looked := make(chan struct{}, 1)
	w.Tell = func(msg tea.Msg) {
		if _, ok := msg.(Look); ok {
			looked <- struct{}{}
		}
	}
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	<-looked
	cancel()
	select {
	case <-done:
	case <-time.After(within):
		t.Fatal("it goes on")
	}
}
