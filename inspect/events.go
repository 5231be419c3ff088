package inspect

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"usock/internal/control"
	"usock/internal/ss"
	"usock/trace"
)

const (
	maxEvents = 1 << 14 // that wait for a client
	batch     = 256     // events of a reply at most
)

// events sends what happens, until the client asks for something else or goes, or the run ends.
//
//	host ──► stream.put ──► queue ──► stream.send ──► client
//
// Whoever brings the events about puts them into the queue, and does not wait.
func (c *client) events(q *control.Request) error {
	st := &stream{c: c, q: q, names: make(map[int32]string), more: make(chan struct{}, 1)}
	var kinds []trace.Kind
	var err error
	if st.filter, err = ss.Parse(q.Filter, ss.ServiceNumber); err == nil {
		kinds, err = kindsOf(q.Kinds)
	}
	if err == nil && st.filter.Stated {
		err = fmt.Errorf("%w: events have no state", ss.ErrFilter)
	}
	if err != nil {
		return c.fail(q.ID, control.Invalid, err.Error())
	}
	st.kinds = trace.KindsOf(kinds...)
	stop := c.s.config.Host.Trace(st.put, kinds...)
	defer c.s.tells(st)()
	end := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() { st.send(end) })
	if err = c.write(&control.Reply{ID: q.ID}); err == nil { // from here on nothing is missed untold
		err = c.await()
	}
	stop()
	close(end)
	if err != nil && !c.s.ends() {
		c.conn.Close() // the sender may wait for who does not read
	}
	sender.Wait()
	if err != nil {
		return err
	}
	return c.write(&control.Reply{ID: q.ID, Done: true})
}

// stream is a client's events.
type stream struct {
	c      *client
	q      *control.Request
	filter *ss.Filter
	kinds  trace.Kinds
	names  map[int32]string // of processes; the sender's
	more   chan struct{}    // the queue has something

	mu     sync.Mutex
	queue  []trace.Event // mu
	missed int           // mu: behind the queue's last one
}

// errAgain is how an event tells of EAGAIN.
var errAgain = syscall.EAGAIN.Error()

// kindsOf returns the kinds that are called so.
func kindsOf(names []string) (list []trace.Kind, err error) {
	for _, name := range names {
		k := trace.Kind(1)
		for ; k.String() != name; k++ {
			if strings.HasPrefix(k.String(), "Kind(") {
				return nil, fmt.Errorf("there are no events of kind %q", name)
			}
		}
		list = append(list, k)
	}
	return list, nil
}

// wants reports whether the client has asked for such an event.
func (st *stream) wants(e *trace.Event) bool {
	switch {
	case e.Kind == trace.Missed:
		return true
	case e.Kind == trace.Shaped: // of no socket
		return st.kinds.Has(e.Kind)
	case e.Kind == trace.Called && e.Err == errAgain && !st.q.Looks:
		return false
	}
	return st.kinds.Has(e.Kind) && (st.q.Process == 0 || st.q.Process == e.Owner) &&
		st.filter.Match(&ss.Ends{Local: e.Local, Peer: e.Peer})
}

// put puts events into the queue. What there is no room for is counted.
func (st *stream) put(events []trace.Event) {
	st.mu.Lock()
	some := false
	for i := range events {
		if !st.wants(&events[i]) {
			continue
		}
		some = true
		switch {
		case st.missed == 0 && len(st.queue) < maxEvents:
			st.queue = append(st.queue, events[i])
		case events[i].Kind == trace.Missed:
			st.missed += events[i].Result
		default:
			st.missed++
		}
	}
	st.mu.Unlock()
	if some {
		select {
		case st.more <- struct{}{}:
		default:
		}
	}
}

// take empties the queue, which goes on in another array.
func (st *stream) take(into []trace.Event) []trace.Event {
	st.mu.Lock()
	defer st.mu.Unlock()
	list := st.queue
	if st.missed > 0 {
		list = append(list, trace.Event{Time: list[len(list)-1].Time, Kind: trace.Missed, Result: st.missed})
	}
	st.queue, st.missed = into[:0], 0
	return list
}

// send writes what is in the queue, until the end and all of it, and ends the connection where that fails.
func (st *stream) send(end <-chan struct{}) {
	var list []trace.Event
	for last := false; !last; {
		select {
		case <-end:
			last = true
		case <-st.more:
		}
		list = st.take(list)
		for at := 0; at < len(list); at += batch {
			if err := st.write(list[at:min(at+batch, len(list))]); err != nil {
				st.c.conn.Close()
				return
			}
		}
	}
}

func (st *stream) write(list []trace.Event) error {
	r := control.Reply{ID: st.q.ID, Events: make([]control.Event, len(list))}
	clear(st.names) // a process may come to run another program
	for i := range list {
		e := &list[i]
		b, err := e.MarshalJSON()
		if err != nil {
			return err
		}
		out := &r.Events[i]
		out.Data, out.Program = b, programName(st.c.s.gate, st.names, e.Owner)
		if st.q.Text {
			out.Text = e.String()
		}
	}
	b, err := json.Marshal(&r)
	if err != nil {
		return err
	}
	return st.c.writeLine(append(b, '\n'), 0)
}
