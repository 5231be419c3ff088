package inspect

import "usock/internal/control"

// ahead writes replies while later ones are made, as the host is looked at on one processor while the client reads on another.
type ahead struct {
	lines, free chan []byte   // each with room for all there are
	done        chan struct{} // closed when nothing is written any more
	err         error         // why, to be read after that
}

// linesAhead is how many replies there are at a time: the one that is made, the one that is written, and those between.
const linesAhead = 4

// writeAhead begins to write replies; end must be called.
func (c *client) writeAhead() *ahead {
	a := &ahead{lines: make(chan []byte, linesAhead), free: make(chan []byte, linesAhead), done: make(chan struct{})}
	for range linesAhead {
		a.free <- nil
	}
	go func() {
		defer close(a.done)
		for b := range a.lines {
			if a.err = c.writeLine(b, writeTime); a.err != nil {
				return
			}
			a.free <- b
		}
	}()
	return a
}

// reply has a reply written. Nothing of it is kept.
func (a *ahead) reply(r *control.Reply) error {
	select {
	case b := <-a.free:
		b, err := r.Append(b[:0])
		if err == nil {
			a.lines <- b
		}
		return err
	case <-a.done:
		return a.err
	}
}

// end waits until all is written.
func (a *ahead) end() error {
	close(a.lines)
	<-a.done
	return a.err
}
