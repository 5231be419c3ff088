package link

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"usock/clock"
)

// Bounds of what is recorded and not yet written.
const (
	pcapHold = 500 * time.Millisecond // how long packets wait for secrets
	pcapHeld = 4 << 20                // bytes that do

	pcapPending = 16 << 20 // bytes in all
	pcapChunk   = 256 << 10
	pcapMuch    = 64 << 10 // what is written to a regular file at once, at least
	pcapBehind  = 1 << 20  // what may wait for one
	pcapExtra   = 384      // of a packet's block beside the packet, and of its process's
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
	first   bool          // buf begins a file that is still to be opened
	bytes   int           // in full and under way; not those of buf
	under   int           // packets under way
	taken   uint64        // Writes that have returned
	running bool          // the goroutine is
	idle    chan struct{} // closed when it ends; nil: nobody waits for that
	awake   chan struct{} // closed when what is held is to be written; nil: the goroutine does not hold
	dropped uint64        // packets left out
}

// chunk is some blocks, with so many packets.
type chunk struct {
	b       []byte
	packets int
	last    time.Duration // when its last packet came, of the machine's clock
	preface []byte        // how its file begins, if it is the file's first
	first   bool          // the file is still to be opened
}

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
		p.fill()
	}
	if p.c.Secrets != nil {
		p.ages()
	}
	p.begun()
	return true
}

// ages has a packet wait for its secrets from now on. Those before it need not wait for it longer than for theirs.
func (p *PcapWriter) ages() {
	now := p.machine.Now()
	if p.buf != nil && now-p.born >= p.c.Hold {
		p.fill()
	}
	if p.buf == nil {
		p.born = now
	}
	p.last = now
}

// fill has what is in buf wait to be written.
func (p *PcapWriter) fill() {
	if c := p.take(); c.some() {
		p.queue.full = append(p.queue.full, c)
	}
}

// some reports whether there is something to write.
func (c *chunk) some() bool { return len(c.b) > 0 || len(c.preface) > 0 }

// take makes a chunk of what is in buf.
func (p *PcapWriter) take() chunk {
	c := chunk{p.buf, p.count, p.last, p.preface, p.queue.first}
	p.file.size += int64(len(p.buf))
	p.queue.bytes += len(c.b) + len(c.preface)
	p.buf, p.count, p.preface, p.queue.first = nil, 0, nil, false
	return c
}

// begun has a buf.
func (p *PcapWriter) begun() {
	if p.buf != nil {
		return
	}
	q := &p.queue
	if k := len(q.spares); k > 0 {
		p.buf, q.spares = q.spares[k-1], q.spares[:k-1]
	} else {
		p.buf = make([]byte, 0, pcapChunk)
	}
}

// begins has a file begin with what comes next.
func (p *PcapWriter) begins() {
	p.queue.first = true
	p.names.anew()
	p.preface = appendSection(nil)
	for i := range p.ifaces {
		p.ifaces[i].counts = pcapCounts{}
		p.preface = p.appendInterface(p.preface, p.ifaces[i].info)
	}
	p.preface = appendNames(p.preface, p.hosts.last(p.c.Size/4))
	p.file = pcapFile{size: int64(len(p.preface))}
}

// nextFile ends the file and begins another.
func (p *PcapWriter) nextFile() {
	p.begun()
	p.statistics()
	p.fill()
	p.begins()
}

// write has the goroutine write what there is. Where a write makes nobody late, whoever records writes: always (direct), while it
// is in the processor's cache, or what the goroutine leaves (helps).
func (p *PcapWriter) write() {
	pending := p.queue.bytes + len(p.buf) + len(p.preface)
	switch {
	case p.direct:
		p.writeDownTo(pcapMuch)
	case p.helps:
		if pending >= pcapMuch {
			p.start()
		}
		p.writeDownTo(pcapBehind)
	case pending > 0:
		if pending >= pcapHeld {
			p.wake()
		}
		p.start()
	}
}

// writeDownTo writes, in turns with the goroutine, until less than so many bytes wait.
func (p *PcapWriter) writeDownTo(bytes int) {
	for p.err == nil && p.queue.bytes+len(p.buf) >= bytes {
		p.mu.Unlock()
		p.writeNext()
		p.mu.Lock()
	}
}

// start has the goroutine run.
func (p *PcapWriter) start() {
	if !p.queue.running {
		p.queue.running = true
		go p.run()
	}
}

// wake has the goroutine hold nothing back.
func (p *PcapWriter) wake() {
	if p.queue.awake != nil {
		close(p.queue.awake)
		p.queue.awake = nil
	}
}

// next takes the blocks that are to be written next.
func (p *PcapWriter) next() (c chunk, ok bool) {
	q := &p.queue
	if p.err != nil {
		return chunk{}, false
	}
	if len(q.full) > 0 {
		c = q.full[0]
		q.full[0] = chunk{}
		if q.full = q.full[1:]; len(q.full) == 0 {
			q.full = nil
		}
		return c, true
	}
	if p.helps && !p.closed && len(p.buf) < pcapMuch {
		return chunk{}, false
	}
	c = p.take()
	return c, c.some()
}

// run is the goroutine that writes.
func (p *PcapWriter) run() {
	for {
		p.hold()
		if !p.writeNext() {
			return
		}
	}
}

// hold waits until all that is to be written next is old enough for its secrets to be known.
func (p *PcapWriter) hold() {
	if p.c.Secrets == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for left := p.young(); left > 0; left = p.young() {
		awake := make(chan struct{})
		p.queue.awake = awake
		p.mu.Unlock()
		due := make(chan struct{})
		alarm := p.machine.NewAlarm(func() { close(due) })
		alarm.Set(left)
		select {
		case <-awake:
		case <-due:
		}
		alarm.Stop()
		p.mu.Lock()
		p.queue.awake = nil
	}
}

// young returns for how long what is to be written next is held yet. The caller holds mu.
func (p *PcapWriter) young() time.Duration {
	q := &p.queue
	last := p.last
	switch {
	case len(q.full) > 0:
		last = q.full[0].last
	case p.buf == nil:
		return 0
	}
	if p.closed || p.err != nil || q.bytes+len(p.buf) >= pcapHeld {
		return 0
	}
	return last + p.c.Hold - p.machine.Now()
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
	err := p.put(&c)
	p.mu.Lock()
	q.taken++
	q.bytes -= len(c.b) + len(c.preface)
	if err != nil && p.err == nil {
		p.give(err) // c is left out, too
	}
	q.under = 0
	if len(q.spares) < pcapSpares && cap(c.b) == pcapChunk {
		q.spares = append(q.spares, c.b[:0])
	}
	return true
}

// maxSecrets is how many bytes of secrets a further file has: the last ones.
const maxSecrets = 1 << 20

// put writes a chunk to its file, behind what must be before it. The caller holds writing.
func (p *PcapWriter) put(c *chunk) error {
	if c.first {
		w, err := p.c.Next()
		if err != nil {
			return err
		}
		p.w = w
	}
	before, behind := c.preface, c.b
	if p.c.Secrets != nil {
		news := p.c.Secrets()
		p.secrets = append(p.secrets, news...)
		if drop := len(p.secrets) - maxSecrets; drop > 0 {
			if n := bytes.IndexByte(p.secrets[drop:], '\n'); n >= 0 {
				drop += n + 1
			}
			p.secrets = slices.Clone(p.secrets[drop:])
		}
		if c.first {
			news = p.secrets
		}
		if len(news) > 0 {
			n := interfacesLen(behind)
			before = appendSecrets(append(slices.Clip(before), behind[:n]...), news)
			behind = behind[n:]
		}
	}
	for _, b := range [][]byte{before, behind} {
		if len(b) == 0 {
			continue
		}
		if _, err := p.w.Write(b); err != nil {
			return err
		}
	}
	return nil
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
		q.bytes -= len(c.b) + len(c.preface)
		q.dropped += uint64(c.packets)
	}
	q.dropped += uint64(p.count + q.under)
	q.full, q.spares, p.buf, p.count, p.preface = nil, nil, nil, 0, nil
	p.wake()
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
		p.begun()
		p.statistics()
		p.start()
	}
	p.closed = true
	p.wake()
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
