package link

import "usock/clock"

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
// "pid 4711 (curl) socket 3" (PcapWriter.Name tells the program's name), and as the process
// that Wireshark 4.2 and later show and filter by (frame.darwin.process_info). Those that are received are
// the process's that has last sent the other way, with the same addresses and ports; where nobody has, those for whom
// the link's host takes them: whoever listens, or is bound there. What is lost before the host sees it is nobody's then. Of SCTP in UDP
// (RFC 6951) the ports are SCTP's, echoes of ICMP are of who has asked, and its errors of who has sent what they are about.
//
// On an Impaired link those that it loses are in the capture as well, with a comment such as
// "dropped: loss", "dropped: queue full" or, by the queue's discipline, "dropped: codel". What is sent and then
// dropped after it has waited is there twice: without the comment when it was sent, and with "dropped later: codel" when it was dropped. A
// filter that leaves those out (not frame.comment contains "dropped later") has each packet once.
func Pcap(l Link, w *PcapWriter, which Directions) Link {
	p := &pcap{Link: l, which: which, to: w.Interface(l.Info())}
	if which == BothWays || l.Info().Loopback {
		p.to.learn()
	}
	if m := impairedOf(l); m != nil {
		p.to.watch(m, which)
		p.watches = true
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
	to      *PcapInterface
	which   Directions
	watches bool // what is sent is recorded where the link decides what becomes of it
}

// UseClock implements Timed.
func (p *pcap) UseClock(c clock.Clock) {
	p.to.w.UseClock(c)
	UseClock(p.Link, c)
}

// Send implements Link.
func (p *pcap) Send(batch []*Packet) int { return p.send(p.Link, batch) }

// Recv implements Link.
func (p *pcap) Recv(batch []*Packet) (int, error) { return p.recv(p.Link, batch) }

// send records what is sent by q, which is the link or a queue of it.
func (p *pcap) send(q Queue, batch []*Packet) int {
	if p.which&Sent != 0 && !p.watches {
		p.to.Record(Sent, batch)
	}
	return q.Send(batch)
}

// recv records what comes by q.
func (p *pcap) recv(q Queue, batch []*Packet) (int, error) {
	n, err := q.Recv(batch)
	if p.which&Received != 0 && n > 0 {
		p.to.Record(Received, batch[:n])
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
		p.to.Record(Received, batch)
		f(batch)
	})
}

// recorded returns the link that is recorded.
func (p *pcap) recorded() Link { return p.Link }
