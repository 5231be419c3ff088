package link

import "usock/internal/relay"

// PipeConfig describes a pipe. Its zero value is a pipe like a host's loopback:
// packets of 64 KiB, segments as large as they come.
type PipeConfig struct {
	Names [2]string // of the two ends; "": pipe0 and pipe1
	MTU   int       // 0: 65536

	// SmallSegments refuses TCP segments larger than the MTU: every segment is a
	// packet of its own, as on a wire.
	SmallSegments bool
}

// Pipe returns the two ends of a wire in memory. What is sent into one comes out of
// the other, in order and without loss as long as it is received; checksums are
// neither computed nor checked. An end whose other end is closed drops what it is
// sent. Both ends are Parallel.
func Pipe(c PipeConfig) (Direct, Direct) {
	if c.MTU == 0 {
		c.MTU = memoryMTU
	}
	ends := [2]*memory{}
	for i := range ends {
		name := c.Names[i]
		if name == "" {
			name = [...]string{"pipe0", "pipe1"}[i]
		}
		ends[i] = &memory{
			inbox: newInbox(),
			info:  Info{Name: name, MTU: c.MTU, Checksum: true, CRC32c: true, Segments: !c.SmallSegments},
		}
	}
	ends[0].to, ends[1].to = ends[1].inbox, ends[0].inbox
	for _, e := range ends {
		e.merge = relay.Relay{To: (*portInbox)(e.to), Bound: queueBound, Later: func(f func()) { go f() }}
	}
	return ends[0], ends[1]
}

// memoryMTU is the MTU of links in memory: that of Linux's loopback interface.
const memoryMTU = 65536

// memory is an end of a link in memory. Send carries the packets into the receiver
// on the goroutine that sends.
type memory struct {
	*inbox
	to    *inbox
	info  Info
	merge relay.Relay // to the other end, for flows that it is delivered one after another
}

// Info implements Link.
func (m *memory) Info() Info { return m.info }

// Send implements Link.
func (m *memory) Send(batch []*Packet) int { return m.to.put(batch) }

// Flow implements Parallel.
func (m *memory) Flow(p *Packet) uint64 { return flowHash(p) }

// SendFlow implements Parallel.
func (m *memory) SendFlow(batch []*Packet) int {
	if f := m.to.flows.Load(); f != nil {
		(*f)(batch)
		return len(batch)
	}
	n, deliver := m.to.store(batch)
	if deliver == nil {
		return n
	}
	n = 0
	for _, p := range batch {
		if m.merge.Push(p) {
			n++
		}
	}
	m.merge.Flush()
	return n
}

// DeliverFlows implements Parallel.
func (m *memory) DeliverFlows(f func([]*Packet)) {
	m.Deliver(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.flows.Store(&f)
	}
}

// Close implements Link.
func (m *memory) Close() error {
	m.merge.Close()
	m.inbox.close()
	return nil
}
