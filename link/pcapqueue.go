package link

import (
	"errors"
	"io"
	"os"
	"time"

	"usock/clock"
)

// Bounds of what is recorded and not yet written.
const (
	pcapPending = 16 << 20 // bytes in all
	pcapChunk   = 256 << 10
	pcapMuch    = 64 << 10 // what is written to a regular file at once
	pcapExtra   = 256      // of a packet's block beside the packet
	pcapSpares  = 4

	// closePatience is how long Close waits for a writer that takes nothing.
	closePatience = 3 * time.Second
)

// ErrPcapStuck says that the writer of a capture took nothing for 3 seconds when the
// capture was closed: its end is missing.
var ErrPcapStuck = errors.New("the writer takes nothing")

// pcapQueue is what a PcapWriter has recorded and not written yet.
//
//	record ──► buf ──► full ──► the goroutine's Write
//	            └──────────────────────┘ when nothing is full
//
// The goroutine begins with the first block that there is to write and ends with the
// last: nothing need end it, and it lives in the bubble of testing/synctest whose packets
// it writes.
type pcapQueue struct {
	full    []chunk // behind each other, before buf
	spares  [][]byte
	bytes   int           // in full and under way; not those of buf
	under   int           // packets under way
	taken   uint64        // Writes that have returned
	running bool          // the goroutine is
	idle    chan struct{} // closed when it ends; nil: nobody waits for that
	dropped uint64        // packets left out
}

// chunk is some blocks, with so many packets.
type chunk struct {
	b       []byte
	packets int
}

// pcapCounts are a link's packets.
type pcapCounts struct{ passed, dropped uint64 }

// room makes room in buf for the block of a packet of n bytes, or reports that the
// writer is too far behind. The caller holds mu, as for all below.
func (p *PcapWriter) room(n int) bool {
	n += pcapExtra
	q := &p.queue

	// Left out and counted, rather than that a slow disk holds up the network it records.
	if q.bytes+len(p.buf)+n > pcapPending {
		return false
	}
	if len(p.buf) > 0 && len(p.buf)+n > pcapChunk {
		q.full = append(q.full, chunk{p.buf, p.count})
		q.bytes += len(p.buf)
		p.buf, p.count = nil, 0
	}
	if p.buf == nil {
		if k := len(q.spares); k > 0 {
			p.buf, q.spares = q.spares[k-1], q.spares[:k-1]
		} else {
			p.buf = make([]byte, 0, pcapChunk)
		}
	}
	return true
}

// write has the goroutine write what there is. Where a write makes nobody late (direct),
// whoever records writes, once there is much, while it is in the processor's cache.
func (p *PcapWriter) write() {
	switch {
	case p.direct:
		for p.err == nil && p.queue.bytes+len(p.buf) >= pcapMuch {
			p.mu.Unlock()
			p.writeNext()
			p.mu.Lock()
		}
	case len(p.buf) > 0:
		p.start()
	}
}

// start has the goroutine run.
func (p *PcapWriter) start() {
	if !p.queue.running {
		p.queue.running = true
		go p.run()
	}
}

// next takes the blocks that are to be written next.
func (p *PcapWriter) next() (c chunk, ok bool) {
	q := &p.queue
	switch {
	case p.err != nil:
		return chunk{}, false
	case len(q.full) > 0:
		c = q.full[0]
		q.full[0] = chunk{}
		if q.full = q.full[1:]; len(q.full) == 0 {
			q.full = nil
		}
		return c, true
	case len(p.buf) > 0:
		c = chunk{p.buf, p.count}
		q.bytes += len(p.buf)
		p.buf, p.count = nil, 0
		return c, true
	}
	return chunk{}, false
}

// run is the goroutine that writes.
func (p *PcapWriter) run() {
	for p.writeNext() {
	}
}

// writeNext writes the next blocks, and reports whether there may be more for the
// goroutine. The caller does not hold mu.
func (p *PcapWriter) writeNext() bool {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	q := &p.queue
	c, ok := p.next()
	if !ok {
		q.running = false
		if q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
		return false
	}
	q.under = c.packets
	p.mu.Unlock()
	_, err := p.w.Write(c.b)
	p.mu.Lock()
	q.taken++
	q.bytes -= len(c.b)
	if err != nil && p.err == nil {
		p.give(err) // c is left out, too
	}
	q.under = 0
	if len(q.spares) < pcapSpares && cap(c.b) == pcapChunk {
		q.spares = append(q.spares, c.b[:0])
	}
	return true
}

// isRegular reports whether w is a regular file.
func isRegular(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	i, err := f.Stat()
	return err == nil && i.Mode().IsRegular()
}

// give ends the recording for err; what is not written yet never will be.
func (p *PcapWriter) give(err error) {
	q := &p.queue
	p.err = err
	for _, c := range q.full {
		q.bytes -= len(c.b)
		q.dropped += uint64(c.packets)
	}
	q.dropped += uint64(p.count + q.under)
	q.full, q.spares, p.buf, p.count = nil, nil, nil, 0
}

// Dropped returns how many packets were left out so far because the writer was too far
// behind, and, once it has failed, those that had not been written by then.
func (p *PcapWriter) Dropped() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.dropped
}

// Err returns the first error of the underlying writer so far, which ended the
// recording.
func (p *PcapWriter) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close ends the recording, waits until what was recorded is written, and returns what
// Err does. The links go on. A writer that takes nothing for 3 seconds is given up with
// ErrPcapStuck: the call of its Write that is under way ends as the writer's owner
// ends it, by closing it.
func (p *PcapWriter) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := &p.queue
	if !p.closed && p.err == nil {
		p.statistics()
		p.start()
	}
	p.closed = true
	real := clock.System() // a goroutine writes, whatever the clock of the packets
	for q.running && p.err == nil {
		if q.idle == nil {
			q.idle = make(chan struct{})
		}

		// Patience is for the next Write to return, not for all: a slow writer that gets on is
		// waited for.
		idle, taken := q.idle, q.taken
		p.mu.Unlock()
		tired := make(chan struct{})
		patience := real.NewAlarm(func() { close(tired) })
		patience.Set(closePatience)
		select {
		case <-idle:
		case <-tired:
		}
		patience.Stop()
		p.mu.Lock()
		if q.running && q.taken == taken && p.err == nil {
			p.give(ErrPcapStuck)
		}
	}
	return p.err
}
