package inspect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"usock/internal/control"
)

// client is a connection.
type client struct {
	s     *Server
	conn  *wire
	r     *bufio.Reader
	line  []byte     // for replies that are long
	mu    sync.Mutex // held while something is written
	busy  bool       // s.mu
	since time.Time  // s.mu

	pieces []byte // of traces, of the next set
}

const (
	maxRequest = 64 << 10 // bytes of a request's line

	// requestTime is how long a request may take from its first byte to its last, and the
	// first one from the greeting on.
	requestTime = 10 * time.Second

	// writeTime is how long a client may take for a line. Who listens to events may take any
	// time: what he misses is counted.
	writeTime = 10 * time.Second
)

// serve carries out requests, one after the other, until the client goes, or is told that the run ends.
func (c *client) serve() {
	c.r = bufio.NewReaderSize(c.conn, maxRequest)
	c.conn.SetReadDeadline(time.Now().Add(requestTime))
	for {
		q, err := c.request()
		if err != nil {
			c.takeLeave()
			return
		}
		if q == nil {
			continue
		}
		c.s.mark(c, true)
		err = c.do(q)
		c.s.mark(c, false)
		if err == errCaptured {
			return
		}
		if err != nil {
			c.takeLeave()
			return
		}
	}
}

// takeLeave says that the run ends, if it does.
func (c *client) takeLeave() {
	if c.s.ends() {
		c.write(&control.Reply{Error: errOver, Done: true})
	}
}

// giveWay ends the connection for another one.
func (c *client) giveWay() {
	if b, err := json.Marshal(&control.Reply{Error: errIdle, Done: true}); err == nil {
		c.writeLine(append(b, '\n'), endTime)
	}
	c.conn.Close()
}

// await waits for the first byte of the next request.
func (c *client) await() error {
	_, err := c.r.Peek(1)
	return err
}

// request reads a request; nil for one that it has answered itself: it is none.
func (c *client) request() (*control.Request, error) {
	if err := c.await(); err != nil {
		return nil, err
	}
	c.conn.SetReadDeadline(time.Now().Add(requestTime))
	line, err := c.r.ReadSlice('\n')
	c.conn.SetReadDeadline(time.Time{})
	if errors.Is(err, bufio.ErrBufferFull) {
		c.fail(0, control.Malformed, fmt.Sprintf("a request is longer than %d bytes", maxRequest))
	}
	if err != nil {
		return nil, err
	}
	q := new(control.Request)
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields() // a wish that is not known is not granted by silence
	if err := d.Decode(q); err != nil {
		return nil, c.fail(q.ID, control.Malformed, "a request is a line of JSON, as docs/CONTROL.md has it: "+err.Error())
	}
	return q, nil
}

// do carries out a request.
func (c *client) do(q *control.Request) error {
	switch q.Do {
	case control.DoTraffic:
		return c.write(&control.Reply{ID: q.ID, Traffic: c.s.traffic(), Done: true})
	case control.DoStats:
		if c.s.config.Ends != nil {
			c.s.config.Ends()
		}
		b, err := json.Marshal(c.s.config.Host.Stats())
		if err != nil {
			return err
		}
		return c.write(&control.Reply{ID: q.ID, Stats: b, Done: true})
	case control.DoSockets:
		return c.sockets(q)
	case control.DoEvents:
		return c.events(q)
	case control.DoCapture:
		return c.capture(q)
	case control.DoTrace:
		return c.piece(q)
	case control.DoSet:
		return c.set(q)
	}
	return c.fail(q.ID, control.Unknown, fmt.Sprintf("there is no request %q in version %d", q.Do, control.Version))
}

func (c *client) fail(id int64, code, text string) error {
	return c.write(&control.Reply{ID: id, Error: &control.Error{Code: code, Text: text}, Done: true})
}

// write writes a line.
func (c *client) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.writeLine(append(b, '\n'), writeTime)
}

// reply writes a reply.
func (c *client) reply(r *control.Reply, within time.Duration) error {
	b, err := r.Append(c.line[:0])
	if err != nil {
		return err
	}
	c.line = b
	return c.writeLine(b, within)
}

// writeLine writes a line, for which the client may take a time; 0: any.
func (c *client) writeLine(b []byte, within time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := time.Time{}
	if within > 0 {
		limit = time.Now().Add(within)
	}
	c.conn.SetWriteDeadline(limit)
	_, err := c.conn.Write(b)
	return err
}

// traffic is what the host's interfaces have carried.
func (s *Server) traffic() *control.Traffic {
	list := s.config.Host.Interfaces()
	t := &control.Traffic{At: time.Since(started).Microseconds()}
	for i := range list {
		st := &list[i].Stats
		t.Interfaces = append(t.Interfaces, control.InterfaceTraffic{
			Name: list[i].Name, RxPackets: st.RxPackets, RxBytes: st.RxBytes, TxPackets: st.TxPackets, TxBytes: st.TxBytes,
		})
	}
	return t
}

// started is what time is counted from.
var started = time.Now()
