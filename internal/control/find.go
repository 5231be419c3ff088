package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Found is a run that has answered, or why it has not.
type Found struct {
	ID     string
	Client *Client // nil: Err says why
	Err    error
}

// Find connects to all runs of this user's, in the order of their ids. Those that have ended
// are left out, and what they have left behind is removed.
func Find() (list []Found) {
	for _, d := range Dirs() {
		ids, _ := d.IDs()
		part := make([]Found, len(ids))
		var wait sync.WaitGroup
		for i, id := range ids {
			wait.Go(func() {
				c, err := d.dial(id)
				part[i] = Found{id, c, err}
			})
		}
		wait.Wait()
		d.Close()
		for _, f := range part {
			if f.Err == nil || !Ended(f.Err) {
				list = append(list, f)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Found) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// IDs lists the ids of this user's runs without a question to them: some may have ended.
func IDs() (list []string) {
	for _, d := range Dirs() {
		ids, _ := d.IDs()
		list = append(list, ids...)
		d.Close()
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Dial connects to the run that has an id. Of one that has ended, which Ended tells by the error, what is left is removed.
func Dial(id string) (*Client, error) {
	err := errEnded
	for _, d := range Dirs() {
		var c *Client
		c, err = d.dial(id)
		d.Close()
		if err == nil || !Ended(err) {
			return c, err
		}
	}
	return nil, err
}

// errPretends is a control socket of somebody who has no business to have one.
var errPretends = errors.New("a program that runs under usock listens there, and is no run")

// dial connects to a run.
func (d *Dir) dial(id string) (*Client, error) {
	c, err := d.connect(id)
	if err != nil {
		return nil, err
	}
	// Who listens is judged as who connects: a program of a run could pretend to be another one.
	switch e := Judge(c); e {
	case nil:
		return newClient(c)
	case errEndedPeer:
		err = errEnded
	case errInRun:
		err = errPretends
	default:
		err = fmt.Errorf("who listens there: %w", e)
	}
	c.Close()
	return nil, err
}

// Pick returns the run that is called so: by its id, by its name, or by the beginning of its id
// that no other one's has. The others are closed.
func Pick(list []Found, name string) (*Found, error) {
	ids := func(wanted func(*Found) bool) (some []int) {
		for i := range list {
			if wanted(&list[i]) {
				some = append(some, i)
			}
		}
		return some
	}
	some := ids(func(f *Found) bool { return f.ID == name })
	if len(some) == 0 {
		some = ids(func(f *Found) bool { return f.Client != nil && f.Client.Run.Name == name })
	}
	if len(some) == 0 && name != "" {
		some = ids(func(f *Found) bool { return strings.HasPrefix(f.ID, name) })
	}
	for i := range list {
		if f := &list[i]; f.Client != nil && (len(some) != 1 || i != some[0]) {
			f.Client.Close()
		}
	}
	switch len(some) {
	case 0:
		return nil, fmt.Errorf("there is no run %q (usock ps lists those that there are)", name)
	case 1:
		return &list[some[0]], list[some[0]].Err
	}
	var which []string
	for _, i := range some {
		which = append(which, list[i].ID)
	}
	return nil, fmt.Errorf("%d runs are called %q: give the id of one, %s", len(some), name, strings.Join(which, " or "))
}
