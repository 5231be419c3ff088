package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"usock/clock"
)

// machine is the clock by which other processes are waited for.
var machine = clock.System()

// Client is a connection to a run's control socket. One goroutine uses it.
type Client struct {
	Run  Run
	conn *net.UnixConn
	r    *bufio.Reader
	last int64 // number of the last request
	over error // how the run, or the connection, has ended; nil: it has not

	sockets reader // of replies that list sockets
}

// maxReply bounds a line of a server's.
const maxReply = 16 << 20

// newClient reads a server's greeting.
func newClient(c *net.UnixConn) (*Client, error) {
	x := &Client{conn: c, sockets: reader{known: make(map[string]string)}, r: bufio.NewReaderSize(c, 256<<10)}
	c.SetReadDeadline(clock.Wall(machine).Add(connectTime))
	line, err := x.line()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("that run does not answer: its usock may be stopped")
	}
	var g Greeting
	if err == nil {
		err = json.Unmarshal(line, &g)
	}
	g.Error.tame()
	switch {
	case err != nil:
	case g.Error != nil:
		err = g.Error
	case g.Version != Version:
		err = fmt.Errorf("that run is of another version of usock: its control socket speaks %d, and this is %d", g.Version, Version)
	case g.Run == nil:
		err = errors.New("that run does not say what it is")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.SetReadDeadline(time.Time{})
	x.Run = *g.Run
	x.Run.tame()
	return x, nil
}

// Close ends the connection, and a call that is under way.
func (c *Client) Close() error { return c.conn.Close() }

// line reads a line, which is good until the next one.
func (c *Client) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	long := append([]byte(nil), line...)
	for err == bufio.ErrBufferFull && len(long) < maxReply {
		line, err = c.r.ReadSlice('\n')
		long = append(long, line...)
	}
	if err == bufio.ErrBufferFull {
		err = errors.New("a reply is too long")
	}
	return long, err
}

// Do sends a request and has f called with each reply, until the last one or an error of f's. The reply's sockets are good
// until f returns; what they are made of may be kept.
func (c *Client) Do(q Request, f func(*Reply) error) error {
	if err := c.send(&q); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return c.ended(err)
		}
		r, ok := c.sockets.read(line)
		if !ok {
			r = new(Reply)
			err = json.Unmarshal(line, r)
			r.tame()
		}
		if err != nil {
			return fmt.Errorf("a reply that is none: %w", err)
		}
		if done, err := c.take(r, f); done || err != nil {
			return err
		}
	}
}

// Capture has the run's packets recorded to w, until StopCapture is called or the run ends; ErrCut says that the end of the recording is
// missing. The client is of no use afterwards but to be closed.
func (c *Client) Capture(q Request, w io.Writer) error {
	if err := c.send(&q); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return c.ended(err)
	}
	var r Reply
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("a reply that is none: %w", err)
	}
	if r.Error != nil {
		r.Error.tame()
		return r.Error
	}
	b := &blocks{w: w}
	if _, err = c.r.WriteTo(b); err == nil && !b.complete() { // by plain writes, whose errors are those of files
		err = ErrCut
	}
	return err
}

// pieceSize is how much of a trace a request has: less than the longest line, as JSON has it.
const pieceSize = 32 << 10

// SendTrace sends the text of a trace, ahead of the set that has it.
func (c *Client) SendTrace(text []byte) error {
	for piece := range slices.Chunk(text, pieceSize) {
		if err := c.Do(Request{Do: DoTrace, Piece: piece}, func(*Reply) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// StopCapture ends a capture that another goroutine carries out.
func (c *Client) StopCapture() error { return c.conn.CloseWrite() }

// HowEnded says how the run has ended: ErrKilled, or another error that Ended knows; or that it has not. It is for a run that is not met any
// more, and a time is waited for its word.
func (c *Client) HowEnded() error {
	c.conn.SetReadDeadline(clock.Wall(machine).Add(connectTime))
	return c.Do(Request{Do: DoTraffic}, func(*Reply) error { return nil })
}

// send numbers a request and writes it. Where the run is gone, what it has said last can still be read.
func (c *Client) send(q *Request) error {
	if c.over != nil {
		return c.over
	}
	c.last++
	q.ID = c.last
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if _, err = c.conn.Write(append(b, '\n')); errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// take hands a reply on, and reports whether it was the request's last.
func (c *Client) take(r *Reply, f func(*Reply) error) (done bool, err error) {
	if r.Error != nil && r.ID == 0 { // of no request, but of the connection
		c.over = r.Error
		return true, c.over
	}
	if r.ID != c.last {
		return false, nil // of a request before
	}
	if r.Error != nil {
		return true, r.Error
	}
	return r.Done, f(r)
}

// ErrKilled is a connection that has ended without a word, as a run says that it ends.
var ErrKilled = errors.New("the run was killed, or has not waited for its reader")

// ended is what is said where nothing more can be read.
func (c *Client) ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		c.over = ErrKilled
		return c.over
	}
	return err
}

// Ended reports whether an error is that the run has ended, or was killed.
func Ended(err error) bool {
	var e *Error
	return errors.Is(err, ErrKilled) || errors.Is(err, errEnded) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.As(err, &e) && e.Code == Over
}
