package inspect

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"usock"
	"usock/internal/control"
	"usock/internal/ss"
	"usock/link"
)

// Config says what is served.
type Config struct {
	Host    *usock.Host
	Name    string   // by which users can call it, beside its id; "": none
	Program []string // with its arguments; nil: this process's
	Shape   string   // what is done to its links, in words

	// Change, if not nil, has something else be done to the host's links, or faults strike at its calls, all of it or, with an error,
	// nothing, and returns that in words. It is called for one client at a time.
	Change func(Change) (shape string, err error)

	// Ends, if not nil, begins a look at a list of sockets, or their number, of which those are gone that programs have closed
	// before. What it returns is called with the parts of the list, to add what waits elsewhere to the queues of each socket, and to
	// say which inode of the kernel's belongs to it, 0 for none ([usock/run.Ends]).
	Ends func() func(list []usock.SocketInfo, inodes []uint32)

	// Outside, if not nil, is called with parts of the list of sockets, to say in words what each waits for beyond the host; ""
	// for nothing ([usock/gateway.Gateway.Waits]).
	Outside func(list []usock.SocketInfo, words []string)

	// Names, if not nil, are the addresses that names were given for so far, for captures that begin; later ones are told by
	// Resolved.
	Names func() iter.Seq2[netip.Addr, string]
}

// Server serves a host's control socket.
type Server struct {
	config Config
	run    control.Run
	dir    *control.Dir
	l      *net.UnixListener
	gate   gate
	done   sync.WaitGroup

	mu      sync.Mutex
	clients map[*client]struct{} // mu
	closed  bool                 // mu

	changing sync.Mutex                    // held while Change is called
	shape    string                        // mu: as Change has returned it last, else Config.Shape
	streams  map[*stream]struct{}          // mu: who listens to events
	writers  map[*link.PcapWriter]struct{} // mu: captures
}

const (
	// maxClients are served at a time. One that has asked for nothing for a while gives way.
	maxClients = 16
	idleTime   = time.Second

	// endTime is what clients may take for what is left to be told when the server ends.
	endTime = time.Second

	// acceptPause is how long a server without descriptors waits until it looks again.
	acceptPause = 100 * time.Millisecond
)

// maxName bounds a name.
const maxName = 64

// CheckName says what is wrong with a run's name; nil: nothing.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a name has at most %d characters", maxName)
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return errors.New("a name has letters, digits, '.', '_' and '-', and begins with a letter or digit")
		}
	}
	if name == "" || ss.Begins(name) {
		return fmt.Errorf("%q begins a filter of usock ss; take another name", name)
	}
	return nil
}

// Serve begins to serve.
func Serve(c Config) (*Server, error) {
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			return nil, err
		}
	}
	if c.Program == nil {
		c.Program = os.Args
	}
	dir, err := control.MakeDir()
	if err != nil {
		return nil, err
	}
	l, id, err := dir.Listen()
	if err != nil {
		dir.Close()
		return nil, err
	}
	s := &Server{
		config: c, dir: dir, l: l, gate: make(gate, inCalls), clients: make(map[*client]struct{}),
		shape: c.Shape, streams: make(map[*stream]struct{}), writers: make(map[*link.PcapWriter]struct{}),
		run: control.Run{
			ID: id, Name: c.Name, Program: c.Program, PID: os.Getpid(), Start: time.Now().UnixMilli(),
			Epoch: c.Host.Epoch().UnixMilli(),
		},
	}
	s.done.Go(s.accept)
	return s, nil
}

// ID returns the id by which users can call the run.
func (s *Server) ID() string { return s.run.ID }

// Close ends all connections, and removes the socket. Events, captures and that the run ends are told before, for which clients may
// take a second.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	was := s.closed
	s.closed = true
	for c := range s.clients {
		c.conn.CloseRead() // as if the client had ended it
	}
	s.mu.Unlock()
	if was {
		return nil
	}
	s.dir.Remove(s.run.ID)
	err := s.l.Close()
	late := time.AfterFunc(endTime, s.drop)
	s.done.Wait()
	late.Stop()
	s.dir.Close()
	return err
}

// drop ends the connections that there are.
func (s *Server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.conn.Close()
	}
}

// ends reports whether the server is being closed.
func (s *Server) ends() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// errIdle is what is said to who has to go for another one.
var errIdle = &control.Error{Code: control.Busy, Text: "others look at this run, and this one has asked for nothing for a while"}

// errOver is what is said when the server ends.
var errOver = &control.Error{Code: control.Over, Text: "the run has ended"}

// accept takes connections until the server is closed.
func (s *Server) accept() {
	for {
		conn, err := s.l.AcceptUnix()
		switch {
		case err == nil:
			s.serve(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(acceptPause) // no descriptor: those who wait are served when there is one
		}
	}
}

// serve greets who has connected and, if he may ask, serves him.
func (s *Server) serve(conn *net.UnixConn) {
	w, err := newWire(conn, s.gate)
	if err != nil {
		conn.Close()
		return
	}
	c := &client{s: s, conn: w, since: time.Now()}
	refusal := control.Judge(conn)
	if refusal == nil {
		refusal = s.admit(c)
	}
	run := s.run
	run.Shape = s.shaped()
	g := control.Greeting{Version: control.Version, Run: &run, Error: refusal}
	if refusal != nil {
		g.Run = nil
	}
	if refusal != nil {
		c.write(&g) // the first line of a connection has room in its buffer
		s.forget(c)
		return
	}
	s.done.Go(func() {
		defer s.forget(c)
		if c.write(&g) == nil { // there may be no room for all of a program's arguments
			c.serve()
		}
	})
}

// admit adds a client. Where there are too many, one that has asked for nothing for a while has to go.
func (s *Server) admit(c *client) *control.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errOver
	}
	if len(s.clients) >= mostClients() {
		var oldest *client
		for o := range s.clients {
			if !o.busy && c.since.Sub(o.since) > idleTime && (oldest == nil || o.since.Before(oldest.since)) {
				oldest = o
			}
		}
		if oldest == nil {
			return &control.Error{Code: control.Busy, Text: fmt.Sprintf("%d others look at this run already", len(s.clients))}
		}
		delete(s.clients, oldest)
		s.done.Go(oldest.giveWay)
	}
	s.clients[c] = struct{}{}
	return nil
}

func (s *Server) forget(c *client) {
	c.conn.Close()
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
}

// mark says whether a client is being served, or since when it asks for nothing.
func (s *Server) mark(c *client, busy bool) {
	s.mu.Lock()
	c.busy, c.since = busy, time.Now()
	s.mu.Unlock()
}
