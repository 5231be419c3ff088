package top

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"usock/clock"
	"usock/internal/control"
	"usock/internal/ss"
)

// Query is which sockets are asked for.
type Query struct {
	Filter string // as usock ss has it
	All    bool   // listeners and TIME-WAIT, too, where the filter names no states
}

// request is the query as runs understand it.
func (q Query) request() (control.Request, error) {
	f, err := ss.Parse(q.Filter, ss.ServiceNumber)
	if err != nil {
		return control.Request{}, err
	}
	states := f.States
	if !f.Stated && !q.All {
		states = ss.Going
	}
	return control.Request{Do: control.DoSockets, Filter: q.Filter, States: states.Names(), Detail: true, Inodes: true}, nil
}

// What a Watcher tells.
type (
	// Found comes in each interval.
	Found struct {
		Now time.Time
		IDs []string // of the runs that there are
	}

	// Look is what a run has answered.
	Look struct {
		Run     control.Run
		At      time.Time
		Query   Query // that was asked
		Traffic *control.Traffic
		Sockets []control.Socket
	}

	// Failed is a run that does not let itself be asked.
	Failed struct {
		ID  string
		Err error
	}

	// Gone is a run that has ended, or is none of those that are wanted.
	Gone struct {
		ID     string
		Killed string // what it is called, if it was killed
	}
)

// Watcher asks runs again and again.
type Watcher struct {
	Every  time.Duration
	Wanted func(*control.Run) bool // nil: all
	Tell   func(tea.Msg)           // is called by several goroutines
	Clock  clock.Clock

	mu    sync.Mutex
	query Query           // mu
	asked chan struct{}   // mu: closed when the query changes
	known map[string]bool // mu: the ids that are followed, or unwanted for good

	hidden map[string]bool // mu: the ids that are not wanted, as far as is known
}

// NewWatcher returns a watcher that begins with a query.
func NewWatcher(q Query) *Watcher {
	return &Watcher{query: q, asked: make(chan struct{}), known: make(map[string]bool), hidden: make(map[string]bool), Clock: clock.System()}
}

// Ask changes the query, and has all runs asked at once.
func (w *Watcher) Ask(q Query) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.query = q
	close(w.asked)
	w.asked = make(chan struct{})
}

// Run looks for runs, and follows them, until ctx is done.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		ids := control.IDs()
		w.mu.Lock()
		for _, id := range ids {
			if !w.known[id] {
				w.known[id] = true
				go w.follow(ctx, id)
			}
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return w.hidden[id] })
		w.mu.Unlock()
		w.Tell(Found{Now: clock.Wall(w.Clock), IDs: ids})
		w.wait(ctx, w.Every, nil)
	}
}

// follow asks a run until it has ended. One that cannot be asked is tried again when Run meets it next.
func (w *Watcher) follow(ctx context.Context, id string) {
	killed := ""
	for ctx.Err() == nil {
		c, err := control.Dial(id)
		r := control.Run{ID: id}
		if err == nil {
			c.Run.ID = id // whatever it says itself
			r = c.Run
		}
		wanted := w.Wanted == nil || w.Wanted(&r)
		w.mu.Lock()
		w.hidden[id] = !wanted
		w.mu.Unlock()
		switch {
		case err == nil && wanted:
		case err == nil:
			c.Close()
			w.Tell(Gone{ID: id})
			return // its id is known for good
		case wanted && !control.Ended(err):
			w.Tell(Failed{id, err})
			w.forget(id)
			return
		default:
			w.Tell(Gone{id, killed})
			w.forget(id)
			return
		}
		// The run may have let a client go that it had too many of: whether it has ended, Dial says.
		err = w.ask(ctx, c)
		killed = ""
		if errors.Is(err, control.ErrKilled) {
			killed = cmp.Or(c.Run.Name, id)
		}
		if !control.Ended(err) && ctx.Err() == nil {
			w.Tell(Failed{id, err})
			w.wait(ctx, w.Every, nil)
		}
	}
}

func (w *Watcher) forget(id string) {
	w.mu.Lock()
	delete(w.known, id)
	w.mu.Unlock()
}

// ask asks a run again and again.
func (w *Watcher) ask(ctx context.Context, c *control.Client) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	for {
		w.mu.Lock()
		q, asked := w.query, w.asked
		w.mu.Unlock()
		begun := w.Clock.Now()
		l, err := look(c, q)
		if err != nil {
			return err
		}
		l.At = clock.Wall(w.Clock)
		w.Tell(*l)
		// Where a look takes long, half of the time is the run's own.
		took := w.Clock.Now() - begun
		w.wait(ctx, max(w.Every-took, min(took, w.Every)), asked)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// look asks a run once.
func look(c *control.Client, q Query) (*Look, error) {
	r, err := q.request()
	if err != nil {
		return nil, err
	}
	l := &Look{Run: c.Run, Query: q}
	take := func(r *control.Reply) error {
		if r.Traffic != nil {
			l.Traffic = r.Traffic
		}
		l.Sockets = append(l.Sockets, r.Sockets...)
		return nil
	}
	if err := c.Do(control.Request{Do: control.DoTraffic}, take); err != nil {
		return nil, err
	}
	if l.Traffic == nil {
		l.Traffic = new(control.Traffic)
	}
	return l, c.Do(r, take)
}

// wait waits for a time, or until wake is closed.
func (w *Watcher) wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	over := make(chan struct{})
	a := w.Clock.NewAlarm(func() { close(over) })
	a.Set(d)
	defer a.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-over:
	}
}
