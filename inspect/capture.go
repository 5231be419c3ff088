package inspect

import (
	"errors"
	"time"

	"usock/internal/control"
	"usock/link"
)

// errCaptured ends a connection that has carried a capture.
var errCaptured = errors.New("the capture has ended")

// capture sends the host's packets until the client sends something or nothing more. The connection is of no use
// afterwards.
func (c *client) capture(q *control.Request) error {
	config := link.PcapConfig{SnapLen: q.SnapLen, Program: func(pid int32) string { return programName(c.s.gate, make(map[int32]string), pid) }}
	for _, text := range q.Packets {
		f, err := link.ParsePcapFilter(text)
		if err != nil {
			return c.fail(q.ID, control.Invalid, err.Error())
		}
		config.Filters = append(config.Filters, f)
	}
	if q.SnapLen < 0 {
		return c.fail(q.ID, control.Invalid, "a packet has no bytes before its first: snaplen is not negative")
	}
	if err := c.write(&control.Reply{ID: q.ID}); err != nil {
		return err
	}
	c.conn.SetWriteDeadline(time.Time{}) // what he does not read in time is left out, and counted
	w, err := config.NewWriter(c.conn)
	if err != nil {
		return err
	}
	stop, err := c.s.config.Host.Record(w)
	if err != nil {
		return err
	}
	defer c.s.notes(w)()
	if names := c.s.config.Names; names != nil {
		for addr, name := range names() {
			w.Resolved(addr, name)
		}
	}
	c.await() // its error is that he sends nothing more, or that the server ends
	stop()
	if err := w.Close(); err != nil {
		return err
	}
	return errCaptured
}
