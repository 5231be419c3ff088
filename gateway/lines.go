package gateway

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"usock/clock"
)

// lines writes lines from a goroutine of its own, so that nobody waits for who does not read:
// what is too much meanwhile is left out, and counted.
type lines struct {
	w     io.Writer
	queue chan []byte
	ended chan struct{}
	lost  atomic.Int64
	err   error // of the writer; once ended is closed
}

const (
	// maxLines is more than the flows that a gateway ends at one time: those of maxStreams and
	// maxAccounts, at most. Of a usual length they are 16 MiB.
	maxLines = 40960
	// linesGrace is how long the last lines may take.
	linesGrace = time.Second
	// linesChunk is how many bytes are written at once, where more wait.
	linesChunk = 64 << 10
)

func newLines(w io.Writer) *lines {
	l := &lines{w: w, queue: make(chan []byte, maxLines), ended: make(chan struct{})}
	go l.run()
	return l
}

// put has a line written. It does not wait. It must not be called once close is.
func (l *lines) put(line []byte) {
	select {
	case l.queue <- line:
	default:
		l.lost.Add(1)
	}
}

func (l *lines) run() {
	defer close(l.ended)
	for line := range l.queue {
		n := int64(1)
		for more := true; more && len(line) < linesChunk; {
			select {
			case next, ok := <-l.queue:
				if more = ok; ok {
					line = append(line, next...)
					n++
				}
			default:
				more = false
			}
		}
		written := 0
		if l.err == nil {
			written, l.err = l.w.Write(line)
		}
		if l.err != nil {
			l.lost.Add(n - int64(bytes.Count(line[:written], []byte("\n"))))
		}
	}
}

// close writes the last lines, if somebody reads them: after a while it calls stop, which is
// to end a Write that waits. It returns how many lines were left out, and why.
func (l *lines) close(stop func()) (lost int64, err error) {
	close(l.queue)
	late := make(chan struct{}, 2)
	grace := clock.System().NewAlarm(func() { late <- struct{}{} }) // a goroutine writes, whatever the gateway's clock
	grace.Set(linesGrace)
	defer grace.Stop()
	select {
	case <-l.ended:
	case <-late:
		stop()
		grace.Set(linesGrace)
		select {
		case <-l.ended:
		case <-late:
			return l.lost.Load() + int64(len(l.queue)) + 1, nil // nothing ends that Write
		}
	}
	return l.lost.Load(), l.err
}
