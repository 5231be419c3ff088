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

	// Standby says that the impairments may come later: until then what l can do for large segments is the link's, too, and
	// they are carried whole. Those that come to a rate, a delay or chance are cut up first.
	Standby bool

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

// add adds what t has counted.
func (s *ImpairStats) add(t ImpairStats) {
	s.Packets += t.Packets
	s.Lost += t.Lost
	s.Dropped += t.Dropped
	s.Early += t.Early
	s.Marked += t.Marked
	s.Corrupted += t.Corrupted
	s.Duplicated += t.Duplicated
	s.Reordered += t.Reordered
	s.Carried += t.Carried
	s.Waiting += t.Waiting
}

// Impair returns a link that carries packets as l does, but worse. It closes l
// when it is closed. l must carry IP.
//
// A loopback link carries every packet out and in: to impair it once, impair one
// direction.
//
// The link takes no segments larger than its MTU (but see ImpairConfig.Standby), so that chance treats each
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
	i.info.Segments = i.info.Segments && c.Standby
	if c.MTU > 0 {
		i.info.MTU = min(i.info.MTU, c.MTU)
	}
	i.out = newWay(c.Clock, c.Out, c.Seed, 0, func(batch []*Packet) { l.Send(batch) })
	i.in = newWay(c.Clock, c.In, c.Seed, 1, func(batch []*Packet) { i.inbox.put(batch) })

	i.out.base.whole, i.in.base.whole = c.Standby, c.Standby

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
	out, in *way
	reader  sync.WaitGroup
}

// impaired returns the link: of what embeds one, that.
func (i *Impaired) impaired() *Impaired { return i }

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
	i.out.base.set(out)
	i.in.base.set(in)
	return nil
}

// SetStages changes the stages of both directions, while packets travel. What is in stages that are no more comes out of them
// at its time.
func (i *Impaired) SetStages(out, in Stages) error {
	if err := out.check(); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	i.out.set(out)
	i.in.set(in)
	return nil
}

// Get returns the impairments.
func (i *Impaired) Get() (out, in Impairment) { return i.out.base.get(), i.in.base.get() }

// Stats returns the counters of both directions, with their stages.
func (i *Impaired) Stats() (out, in ImpairStats) { return i.out.statistics(), i.in.statistics() }

// StageStats returns the counters of the stage of that name in both directions: nothing of a direction that has none.
func (i *Impaired) StageStats(name string) (out, in ImpairStats) {
	return i.out.stage(name), i.in.stage(name)
}

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
