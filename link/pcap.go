package link

import (
	"encoding/binary"
	"io"
	"strconv"
	"sync"

	"usock/clock"
	"usock/internal/offload"
)

// Directions says which packets of a link are recorded, as seen from its host.
type Directions uint8

// The directions.
const (
	Sent     Directions = 1 << iota // what the host sends
	Received                        // what it is delivered
	BothWays = Sent | Received
)

// Pcap returns a link that carries packets as l does and records them to w, each
// direction that which names. On a loopback link every packet is sent and
// received: one direction is enough. The link is Direct or Queued if l is.
//
// Packets are recorded with their checksums filled in, whoever was to do so, and
// with the process and the socket that sent them, if known, as a comment, such as
// "pid 4711 (curl) socket 3" (PcapWriter.Name tells the program's name).
func Pcap(l Link, w *PcapWriter, which Directions) Link {
	info := l.Info()
	p := &pcap{Link: l, w: w, which: which, iface: w.addInterface(info)}
	if info.Medium == Ethernet {
		p.network = ethernetLen
	}
	if d, ok := l.(Direct); ok {
		return &pcapDirect{p, d}
	}
	if q, ok := l.(Queued); ok {
		return newPcapQueued(p, q)
	}
	return p
}

type pcap struct {
	Link
	w     *PcapWriter
	which Directions

	iface   uint32
	network int // where packets have their network header
}

const ethernetLen = 14

// UseClock implements Timed.
func (p *pcap) UseClock(c clock.Clock) {
	p.w.useClock(c)
	UseClock(p.Link, c)
}

// Send implements Link.
func (p *pcap) Send(batch []*Packet) int { return p.send(p.Link, batch) }

// Recv implements Link.
func (p *pcap) Recv(batch []*Packet) (int, error) { return p.recv(p.Link, batch) }

// send records what is sent by q, which is the link or a queue of it.
func (p *pcap) send(q Queue, batch []*Packet) int {
	if p.which&Sent != 0 {
		p.w.record(p, Sent, batch)
	}
	return q.Send(batch)
}

// recv records what comes by q.
func (p *pcap) recv(q Queue, batch []*Packet) (int, error) {
	n, err := q.Recv(batch)
	if p.which&Received != 0 && n > 0 {
		p.w.record(p, Received, batch[:n])
	}
	return n, err
}

// pcapQueued records a link with several queues, all of them as one interface.
type pcapQueued struct {
	*pcap
	inner  Queued
	queues []Queue
}

func newPcapQueued(p *pcap, inner Queued) *pcapQueued {
	q := &pcapQueued{pcap: p, inner: inner}
	for _, one := range inner.Queues() {
		q.queues = append(q.queues, recordedQueue{p, one})
	}
	return q
}

// Queues implements Queued.
func (p *pcapQueued) Queues() []Queue { return p.queues }

// QueueOf implements Queued.
func (p *pcapQueued) QueueOf(k *Packet) int { return p.inner.QueueOf(k) }

// recordedQueue is a queue whose packets p records.
type recordedQueue struct {
	p *pcap
	q Queue
}

// Send implements Queue.
func (r recordedQueue) Send(batch []*Packet) int { return r.p.send(r.q, batch) }

// Recv implements Queue.
func (r recordedQueue) Recv(batch []*Packet) (int, error) { return r.p.recv(r.q, batch) }

type pcapDirect struct {
	*pcap
	direct Direct
}

// Deliver implements Direct.
func (p *pcapDirect) Deliver(f func([]*Packet)) {
	if p.which&Received == 0 {
		p.direct.Deliver(f)
		return
	}
	p.direct.Deliver(func(batch []*Packet) {
		p.w.record(p.pcap, Received, batch)
		f(batch)
	})
}

// PcapWriter writes a capture in pcapng (draft-ietf-opsawg-pcapng) to which any
// number of links may record. Packets are copied and stamped when they pass, and
// written by a goroutine that lives while there is something to write. What was
// recorded has reached the writer when Close returns.
//
// The traffic waits for no writer: where one falls behind by more than 16 MiB, the next
// packets are left out. Dropped counts them, and so do the statistics at the end of the
// capture. A regular file (an *os.File) blocks nobody: it is written to on the way,
// 64 KiB at a time, and nothing is left out; so is any writer on a clock other than the
// machine's, of which none can be late. A writer that fails stops the recording;
// Err and Close tell.
//
// The times are those of the first host's clock that takes a link which records
// (clock.Wall), and until then the machine's.
type PcapWriter struct {
	w    io.Writer
	snap int

	writing sync.Mutex // held by whoever calls w.Write; taken before mu

	mu     sync.Mutex
	clock  clock.Clock  // mu
	told   bool         // mu: clock is a host's
	direct bool         // mu: whoever records writes
	buf    []byte       // mu: the blocks being filled
	count  int          // mu: packets in buf
	queue  pcapQueue    // mu: blocks not yet written
	ifaces []pcapCounts // mu
	err    error        // mu
	closed bool         // mu
	names  names        // mu
}

// NewPcapWriter begins a capture on w, which it does not close. snapLen is how
// many bytes of each packet are kept, 0 for all.
func NewPcapWriter(w io.Writer, snapLen int) *PcapWriter {
	if snapLen <= 0 {
		snapLen = maxSnapLen
	}
	p := &PcapWriter{w: w, snap: snapLen, clock: clock.System(), direct: isRegular(w)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.section()
	p.write()
	return p
}

// useClock has the writer take its times from c, if it is the first to be named.
func (p *PcapWriter) useClock(c clock.Clock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told {
		p.clock, p.told = c, true
		p.direct = p.direct || !clock.IsSystem(c)
	}
}

// now is the time of day in ns. The caller holds mu.
func (p *PcapWriter) now() uint64 { return uint64(clock.Wall(p.clock).UnixNano()) }

// maxSnapLen is tcpdump's.
const maxSnapLen = 262144

// Block types, options and link types (draft-ietf-opsawg-pcapng, sections 4.1 to
// 4.3; IANA, link types).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockStats     = 5
	blockPacket    = 6

	byteOrderMagic = 0x1a2b3c4d

	optEnd         = 0
	optComment     = 1
	optApplication = 4 // of a section
	optName        = 2 // of an interface
	optResolution  = 9 // of an interface
	optFlags       = 2 // of a packet
	optReceived    = 4 // of statistics: packets that passed (isb_ifrecv)
	optDropped     = 5 // those left out (isb_ifdrop, which Wireshark shows)
	optDelivered   = 8 // those recorded (isb_usrdeliv)

	flagInbound  = 1
	flagOutbound = 2

	linkEthernet = 1
	linkRaw      = 101 // an IPv4 or IPv6 header, as its version says

	nanoseconds = 9 // 10^-9 s
)

var le = binary.LittleEndian

// begin starts a block and returns where it does. The caller holds mu, as for all
// that append to buf.
func (p *PcapWriter) begin(kind uint32) int {
	at := len(p.buf)
	p.buf = le.AppendUint32(p.buf, kind)
	p.buf = le.AppendUint32(p.buf, 0)
	return at
}

// end finishes the block that starts at at.
func (p *PcapWriter) end(at int) {
	n := uint32(len(p.buf) - at + 4)
	p.buf = le.AppendUint32(p.buf, n)
	le.PutUint32(p.buf[at+4:], n)
}

func (p *PcapWriter) pad() {
	for len(p.buf)&3 != 0 {
		p.buf = append(p.buf, 0)
	}
}

func (p *PcapWriter) option(code uint16, value string) {
	p.buf = le.AppendUint16(p.buf, code)
	p.buf = le.AppendUint16(p.buf, uint16(len(value)))
	p.buf = append(p.buf, value...)
	p.pad()
}

func (p *PcapWriter) option64(code uint16, value uint64) {
	p.buf = le.AppendUint16(p.buf, code)
	p.buf = le.AppendUint16(p.buf, 8)
	p.buf = le.AppendUint64(p.buf, value)
}

func (p *PcapWriter) section() {
	at := p.begin(blockSection)
	p.buf = le.AppendUint32(p.buf, byteOrderMagic)
	p.buf = le.AppendUint16(p.buf, 1)          // version 1.0
	p.buf = le.AppendUint16(p.buf, 0)          //
	p.buf = le.AppendUint64(p.buf, ^uint64(0)) // length of the section: not known
	p.option(optApplication, "usock")
	p.option(optEnd, "")
	p.end(at)
}

// addInterface describes a link and returns its number.
func (p *PcapWriter) addInterface(info Info) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := uint32(len(p.ifaces))
	p.ifaces = append(p.ifaces, pcapCounts{})
	if p.err != nil || p.closed {
		return n
	}
	kind := uint16(linkRaw)
	if info.Medium == Ethernet {
		kind = linkEthernet
	}
	at := p.begin(blockInterface)
	p.buf = le.AppendUint16(p.buf, kind)
	p.buf = le.AppendUint16(p.buf, 0)
	p.buf = le.AppendUint32(p.buf, uint32(p.snap))
	p.option(optName, info.Name)
	p.option(optResolution, string(rune(nanoseconds)))
	p.option(optEnd, "")
	p.end(at)
	p.write()
	return n
}

// statistics tells of each link how many packets passed and were left out.
func (p *PcapWriter) statistics() {
	now := p.now()
	for i, c := range p.ifaces {
		at := p.begin(blockStats)
		p.buf = le.AppendUint32(p.buf, uint32(i))
		p.buf = le.AppendUint32(p.buf, uint32(now>>32))
		p.buf = le.AppendUint32(p.buf, uint32(now))
		p.option64(optReceived, c.passed)
		p.option64(optDropped, c.dropped)
		p.option64(optDelivered, c.passed-c.dropped)
		p.option(optEnd, "")
		p.end(at)
	}
}

// record writes the packets, which stay the caller's.
func (p *PcapWriter) record(l *pcap, d Directions, batch []*Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.closed {
		return
	}
	now := p.now()
	c := &p.ifaces[l.iface]
	for _, k := range batch {
		c.passed++
		if !p.room(k.Len()) {
			c.dropped++
			p.queue.dropped++
			continue
		}
		p.packet(l, d, now, k)
		p.count++
	}
	p.write()
}

func (p *PcapWriter) packet(l *pcap, d Directions, now uint64, k *Packet) {
	n := k.Len()
	kept := min(n, p.snap)
	at := p.begin(blockPacket)
	p.buf = le.AppendUint32(p.buf, l.iface)
	p.buf = le.AppendUint32(p.buf, uint32(now>>32))
	p.buf = le.AppendUint32(p.buf, uint32(now))
	p.buf = le.AppendUint32(p.buf, uint32(kept))
	p.buf = le.AppendUint32(p.buf, uint32(n))
	start := len(p.buf)
	p.buf = k.AppendTo(p.buf)
	offload.CompleteCopy(p.buf[start+min(l.network, n):], k)
	p.buf = p.buf[:start+kept]
	p.pad()
	p.buf = le.AppendUint16(p.buf, optFlags)
	p.buf = le.AppendUint16(p.buf, 4)
	flags := uint32(flagOutbound)
	if d == Received {
		flags = flagInbound
	}
	p.buf = le.AppendUint32(p.buf, flags)
	p.comment(k)
	p.option(optEnd, "")
	p.end(at)
}

// comment names the process and the socket behind the packet.
func (p *PcapWriter) comment(k *Packet) {
	if k.Owner.PID == 0 && k.Owner.Socket == 0 {
		return
	}
	at := len(p.buf)
	p.buf = le.AppendUint16(p.buf, optComment)
	p.buf = le.AppendUint16(p.buf, 0)
	if k.Owner.PID != 0 {
		p.buf = append(p.buf, "pid "...)
		p.buf = strconv.AppendInt(p.buf, int64(k.Owner.PID), 10)
		if name := p.names[k.Owner.PID]; name != "" {
			p.buf = append(p.buf, " ("...)
			p.buf = append(p.buf, name...)
			p.buf = append(p.buf, ')')
		}
	}
	if k.Owner.Socket != 0 {
		if k.Owner.PID != 0 {
			p.buf = append(p.buf, ' ')
		}
		p.buf = append(p.buf, "socket "...)
		p.buf = strconv.AppendUint(p.buf, k.Owner.Socket, 10)
	}
	le.PutUint16(p.buf[at+2:], uint16(len(p.buf)-at-4))
	p.pad()
}
