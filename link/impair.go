package link

import (
	"errors"
	"sync"

	"usock/clock"
)

// ImpairConfig is how Impair begins.
type ImpairConfig struct {
	Out Impairment // what the host sends
	In  Impairment // what it receives

	// Seed makes the random choices: two links with the same seed, impairments
	// and packets make the same ones.
	Seed uint64

	// MTU, if not zero and less than the link's, is the MTU that the link shows:
	// a share of packets lost means something else where packets have 64 KiB.
	MTU int

	// Clock is where the delays' time comes from; nil: that of the host that takes the
	// link, and the machine's until one does.
	Clock clock.Clock
}

// ImpairStats counts packets of one direction since the beginning.
type ImpairStats struct {
	Packets    uint64 // that came, large segments cut up
	Lost       uint64 // at random
	Dropped    uint64 // by the queue: for want of room, or early
	Early      uint64 // of those, by CoDel or PIE, while there was room
	Marked     uint64 // with Congestion Experienced
	Corrupted  uint64
	Duplicated uint64
	Reordered  uint64
	Carried    uint64 // that left, copies included
	Waiting    int    // in the queue and under way
}

// Impair returns a link that carries packets as l does, but worse. It closes l
// when it is closed. l must carry IP.
//
// A loopback link carries every packet out and in: to impair it once, impair one
// direction.
//
// The link takes no segments larger than its MTU, so that chance treats each
// packet by itself; larger ones that l receives are cut up.
//
// A Queued link becomes one without queues: the impairments of a direction are of all its packets,
// in one order.
//
// Packets leave at their exact times, as far as the clock goes: each time
// follows from those before it and not from when a timer went off. With nothing
// but loss, corruption and duplication, packets are carried on the goroutine that
// brings them.
func Impair(l Link, c ImpairConfig) (*Impaired, error) {
	if err := c.Out.Check(); err != nil {
		return nil, err
	}
	if err := c.In.Check(); err != nil {
		return nil, err
	}
	if l.Info().Medium != IP {
		return nil, errors.New("link: only a link that carries IP can be impaired")
	}
	i := &Impaired{inner: l, info: l.Info(), inbox: newInbox()}
	i.info.Segments = false
	if c.MTU > 0 {
		i.info.MTU = min(i.info.MTU, c.MTU)
	}
	i.out = newNetem(c.Clock, c.Out, c.Seed, 0, func(batch []*Packet) { l.Send(batch) })
	i.in = newNetem(c.Clock, c.In, c.Seed, 1, func(batch []*Packet) { i.inbox.put(batch) })

	// A link in memory brings packets on the goroutine that sends them, which no other need
	// wait for.
	if d, ok := l.(Direct); ok {
		d.Deliver(i.in.push)
	} else {
		i.reader.Go(i.receive)
	}
	return i, nil
}

// Impaired is a link made by Impair.
type Impaired struct {
	*inbox  // what came through in
	inner   Link
	info    Info
	out, in *netem
	reader  sync.WaitGroup
}

// Info implements Link.
func (i *Impaired) Info() Info { return i.info }

// Send implements Link. It accepts all packets; what becomes of them is counted in
// Stats.
func (i *Impaired) Send(batch []*Packet) int {
	i.out.push(batch)
	return len(batch)
}

// UseClock implements Timed.
func (i *Impaired) UseClock(c clock.Clock) {
	i.out.useClock(c)
	i.in.useClock(c)
	UseClock(i.inner, c)
}

// Set changes the impairments while packets travel. Those that are under way keep
// their times; those that wait for the rate leave at the new one, but for the
// first.
func (i *Impaired) Set(out, in Impairment) error {
	if err := out.Check(); err != nil {
		return err
	}
	if err := in.Check(); err != nil {
		return err
	}
	i.out.set(out)
	i.in.set(in)
	return nil
}

// Get returns the impairments.
func (i *Impaired) Get() (out, in Impairment) { return i.out.get(), i.in.get() }

// Stats returns the counters of both directions.
func (i *Impaired) Stats() (out, in ImpairStats) { return i.out.statistics(), i.in.statistics() }

// Close implements Link. What is under way is lost.
func (i *Impaired) Close() error {
	i.out.close()
	i.in.close()
	i.inbox.close()
	err := i.inner.Close()
	i.reader.Wait()
	return err
}

// receive brings packets in from a link that does not deliver them itself.
func (i *Impaired) receive() {
	var batch [64]*Packet
	for {
		n, err := i.inner.Recv(batch[:])
		if err != nil {
			i.inbox.close()
			return
		}
		i.in.push(batch[:n])
	}
}
