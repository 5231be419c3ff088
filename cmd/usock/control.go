package main

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"usock/inspect"
	"usock/internal/control"
	"usock/run"
)

// nameValue is --name.
type nameValue string

// String implements pflag.Value.
func (v *nameValue) String() string { return string(*v) }

// Type implements pflag.Value.
func (v *nameValue) Type() string { return "NAME" }

// Set implements pflag.Value.
func (v *nameValue) Set(text string) error {
	if err := inspect.CheckName(text); err != nil {
		return err
	}
	*v = nameValue(text)
	return nil
}

// controlDirs are the paths of control sockets, in the form of run.Options.Absent: programs
// under usock find none there. Who goes another way is refused by the socket itself.
func controlDirs() (list []string) {
	for _, p := range control.Paths() {
		list = append(list, p+"/")
	}
	return list
}

// views is the run's control socket; without one it does nothing.
type views struct {
	s atomic.Pointer[inspect.Server]
}

// serve opens the run's control socket. A run goes on without one, and says so to who has given
// it a name or wants to know.
func (v *views) serve(o *run.Options, name string, s *conditions, out *outside) {
	c := inspect.Config{
		Host: o.Host, Name: name, Program: o.Argv, Shape: s.String(), Ends: o.Ends.List, Change: newLive(o.Host, s, out).change,
		Names: s.links.given,
	}
	if out.gateway != nil {
		c.Outside = out.gateway.Waits
	}
	server, err := inspect.Serve(c)
	if err != nil && (name != "" || out.verbose) {
		tell(os.Stderr, fmt.Sprintf("usock ps, ss and tail will not see this run: no control socket: %v", err))
	}
	v.s.Store(server)
}

// resolved tells the captures of who looks which name an address was given for.
func (v *views) resolved(addr netip.Addr, name string) {
	if s := v.s.Load(); s != nil {
		s.Resolved(addr, name)
	}
}

// note says something of this moment to the captures of who looks.
func (v *views) note(text string) {
	if s := v.s.Load(); s != nil {
		s.Note(text)
	}
}

// Close ends it.
func (v *views) Close() { v.s.Load().Close() }
