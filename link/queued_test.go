package link

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"

	"usock/packet"
)

// newQueuedPipes makes a link whose queues are the near ends of pipes, and returns the far ones, which
// are closed at the end.
func newQueuedPipes(t *testing.T, n int) (*queuedLink, []Link) {
	var near, far []Link
	for range n {
		a, b := Pipe(PipeConfig{MTU: 1500})
		near, far = append(near, a), append(far, b)
	}
	t.Cleanup(func() { closeAll(far) })
	return newQueued(near[0].Info(), near), far
}

// recvAll takes what has come by l until there is n of it.
func recvAll(t *testing.T, l Link, n int) (out []*Packet) {
	t.Helper()
	var batch [10]*Packet
	for len(out) < n {
		k, err := l.Recv(batch[:])
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", len(out), n, err)
		}
		out = append(out, batch[:k]...)
	}
	return out
}

func free(batch []*Packet) {
	for _, p := range batch {
		p.Free()
	}
}

// The one Recv of a link with queues brings all that comes by any of them, more than it holds too,
// in each queue's order.
func TestQueuedRecv(t *testing.T) {
	const queues, each = 3, 4 * queuedBound
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		q, far := newQueuedPipes(t, queues)
		defer q.Close()
		for i, l := range far {
			if n := l.Send(numbered(i*each, each)); n != each {
				t.Fatalf("pipe %d took %d packets", i, n)
			}
		}
		var next [queues]int
		for _, p := range recvAll(t, q, queues*each) {
			n := number(p)
			p.Free()
			if k := n % each; k != next[n/each] {
				t.Fatalf("queue %d: packet %d, want %d", n/each, k, next[n/each])
			}
			next[n/each]++
		}
	})
}

// A closed link ends its goroutines, those that wait for packets and those that wait for room, and
// frees what it has.
func TestQueuedClose(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		q, far := newQueuedPipes(t, 3)
		for _, l := range far[:2] {
			l.Send(numbered(0, 3*queuedBound))
		}
		free(recvAll(t, q, 1))
		synctest.Wait()
		if n := q.came.Len(); n < queuedBound || n >= queuedBound+64 {
			t.Errorf("%d packets wait: the readers are not at the bound", n)
		}
		for range 2 {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, err := q.Recv(make([]*Packet, 1)); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("Recv of a closed link: %d, %v", n, err)
		}
	})
}

// A Recv that waits ends with Close, and none begins that would start goroutines.
func TestQueuedCloseRecv(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueuedPipes(t, 2)
		done := make(chan error)
		go func() {
			_, err := q.Recv(make([]*Packet, 1))
			done <- err
		}()
		synctest.Wait()
		q.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		q, _ = newQueuedPipes(t, 2)
		q.Close()
		if _, err := q.Recv(make([]*Packet, 1)); !errors.Is(err, ErrClosed) || q.reading {
			t.Errorf("Recv after Close: %v, reads: %v", err, q.reading)
		}
	})
}

// sluggish is a link whose Recv takes its time to end.
type sluggish struct {
	Link
	end chan struct{}
}

func (s sluggish) Recv([]*Packet) (int, error) {
	<-s.end
	return 0, ErrClosed
}

// Close waits for the goroutines, and who receives need not.
func TestQueuedCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe(PipeConfig{})
		slow := sluggish{a, make(chan struct{})}
		q := newQueued(a.Info(), []Link{slow, slow})
		received, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := q.Recv(make([]*Packet, 1))
			received <- err
		}()
		synctest.Wait()
		go func() { closed <- q.Close() }()
		synctest.Wait()
		if len(received) != 1 || len(closed) != 0 {
			t.Errorf("while a queue ends, %d Recv are back, want 1, and %d Close, want none", len(received), len(closed))
		}
		close(slow.end)
		if err := <-received; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// failing is a link whose Recv brings a packet with an error, and nothing afterwards.
type failing struct {
	Link
	err error
}

func (f failing) Recv(batch []*Packet) (int, error) {
	batch[0] = numbered(7, 1)[0]
	return 1, f.err
}

// The error of a queue comes behind the packets.
func TestQueuedError(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe(PipeConfig{})
		b, _ := Pipe(PipeConfig{})
		gone := errors.New("gone")
		q := newQueued(a.Info(), []Link{failing{a, gone}, b})
		defer q.Close()
		free(recvAll(t, q, 1))
		if n, err := q.Recv(make([]*Packet, 1)); n != 0 || err != gone {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// flows are packets of n connections, in turn, each with a number at its end.
func flowsOf(n, each int) (out []*Packet) {
	a, b := endsOf(false)
	for i := range n * each {
		p := flowPacket(netip.AddrPortFrom(a.Addr(), uint16(30000+i%n)), b, 17)
		p.Payload.Append(packet.Copy([]byte{byte(i / n)}))
		out = append(out, p)
	}
	return out
}

// What the link is sent goes out by the queue of its flow, in order, and what a queue does not take is
// not counted.
func TestQueuedSend(t *testing.T) {
	const flows, each = 16, 20
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		q, far := newQueuedPipes(t, 3)
		defer q.Close()
		sent := flowsOf(flows, each)
		share := make([]int, len(far))
		for _, p := range sent {
			share[q.QueueOf(p)]++
		}
		if n := q.Send(sent); n != flows*each {
			t.Errorf("%d of %d sent", n, flows*each)
		}
		var next [flows]byte
		for i, l := range far {
			if share[i] == 0 {
				t.Fatalf("the flows leave by some of the queues only: %v", share)
			}
			for _, p := range recvAll(t, l, share[i]) {
				b := p.AppendTo(nil)
				p.Free()
				flow := int(b[20])<<8 + int(b[21]) - 30000
				if at := b[len(b)-1]; at != next[flow] {
					t.Fatalf("flow %d: packet %d, want %d", flow, at, next[flow])
				}
				next[flow]++
			}
		}
		for _, k := range next {
			if k != each {
				t.Errorf("of %d packets of each flow came %v", each, next)
			}
		}
		far[0].Close()
		if n := q.Send(flowsOf(flows, 1)); n == 0 || n == flows {
			t.Errorf("%d of %d taken where a queue takes none", n, flows)
		}
	})
}

// passed returns how many packets of the first link w has seen.
func passed(w *PcapWriter) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ifaces[0].counts.passed
}

// A recording of a link with queues has queues, too, and is of all of them.
func TestPcapQueued(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w := NewPcapWriter(&file, 0)
		inner, far := newQueuedPipes(t, 2)
		l, ok := Pcap(inner, w, BothWays).(Queued)
		if !ok {
			t.Fatal("the recording has no queues")
		}
		a, b := endsOf(false)
		for i, q := range l.Queues() {
			p := flowPacket(a, b, 17)
			if l.QueueOf(p) != inner.QueueOf(p) {
				t.Error("the recording chooses another queue")
			}
			q.Send([]*Packet{p})
			far[i].Send(recvAll(t, far[i], 1))
			batch := make([]*Packet, 1)
			if n, err := q.Recv(batch); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			batch[0].Free()
		}
		if passed(w) != 4 {
			t.Errorf("%d packets recorded, want 4", passed(w))
		}

		// Who knows nothing of queues is recorded as well.
		l.Send([]*Packet{flowPacket(a, b, 17)})
		far[1].Send(numbered(1, 1))
		free(recvAll(t, l, 1))
		if passed(w) != 6 {
			t.Errorf("%d packets recorded, want 6", passed(w))
		}
		l.Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// An impaired link has no queues, and brings and takes what those of the one inside do.
func TestImpairQueued(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		inner, far := newQueuedPipes(t, 2)
		l, err := Impair(inner, ImpairConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, ok := Link(l).(Queued); ok {
			t.Error("an impaired link has queues")
		}
		for i, k := range far {
			k.Send(flowsOf(1, i+1))
		}
		free(recvAll(t, l, 3))
		l.Send(flowsOf(16, 1))
		synctest.Wait()
		for _, k := range far {
			free(recvAll(t, k, 1))
		}
	})
}
