package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"usock"
	"usock/clock"
)

// FlowConfig describes a TCP connection that carries bytes that are checked.
type FlowConfig struct {
	// Bytes is how much the first host sends; Back how much the second one does,
	// at the same time.
	Bytes, Back int64

	// Duration, if not 0, is for how long the first host sends, in place of Bytes.
	Duration time.Duration

	// Limit is when the flow is given up as hanging; 0: an hour.
	Limit time.Duration

	IPv6       bool
	Congestion string // TCP_CONGESTION of both ends; "": the hosts'

	// Setup, if not nil, is called with both sockets: the first host's before it
	// connects, the second's, which listens, before it does so.
	Setup func(s *usock.Socket)

	// Chunk is how much is written and read at once; 0: 64 KiB.
	Chunk int
}

// Flow is a TCP connection under way.
type Flow struct {
	// Meter counts what the second host receives.
	Meter Meter

	n        *Net
	c        FlowConfig
	from, to *Host
	begin    time.Time
	done     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	res      FlowResult // mu
	listen   *usock.Socket
	accepted bool // in manual time
}

// FlowResult is what became of a flow.
type FlowResult struct {
	Bytes, Back int64         // received by the second and the first host
	Elapsed     time.Duration // from connecting until the second host had all
	Closed      time.Duration // until both ends had seen the other's end of stream
	Info        usock.TCPInfo // of the first host's end, when all was acknowledged
	InfoBack    usock.TCPInfo // of the second host's end, when it had received all

	// Err is nil if every byte came through as it was sent and the connection
	// ended in order.
	Err error
}

// Goodput returns the bits a second that reached the second host.
func (r *FlowResult) Goodput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Bytes) * 8 / r.Elapsed.Seconds()
}

// Flow begins a connection between two hosts.
func (n *Net) Flow(from, to *Host, c FlowConfig) *Flow {
	n.t.Helper()
	if c.Limit == 0 {
		c.Limit = time.Hour
	}
	if c.Chunk == 0 {
		c.Chunk = 64 << 10
	}
	f := &Flow{n: n, c: c, from: from, to: to, begin: clock.Wall(n.clock), done: make(chan struct{})}
	f.Meter.from(n.clock)
	if err := f.listenAt(n.port()); err != nil {
		n.t.Fatalf("sim: flow from %s to %s: listening: %v", from.name, to.name, err)
	}
	if n.manual != nil {
		f.listen.SetNonblock(true)
		f.startManual()
		return f
	}
	f.wg.Add(2)
	go f.client()
	go f.server()
	go func() {
		f.wg.Wait()
		f.listen.Close()
		close(f.done)
	}()
	return f
}

// Began returns when the flow began.
func (f *Flow) Began() time.Time { return f.begin }

// since is how long ago the flow began.
func (f *Flow) since() time.Duration { return clock.Wall(f.n.clock).Sub(f.begin) }

// ended reports whether it is over.
func (f *Flow) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end of the flow, in manual time by letting time pass, and returns what
// became of it.
func (f *Flow) Wait() FlowResult {
	if f.n.manual != nil && !f.n.Until(f.ended, f.c.Limit+settleEvery) {
		f.fail(errors.New("nothing happens any more"))
		return f.res
	}
	<-f.done
	return f.res
}

func (f *Flow) fail(err error) {
	f.mu.Lock()
	f.res.Err = errors.Join(f.res.Err, err)
	f.mu.Unlock()
}

func (f *Flow) socket(h *Host) (*usock.Socket, error) {
	domain := usock.AF_INET
	if f.c.IPv6 {
		domain = usock.AF_INET6
	}
	s, err := h.Socket(domain, usock.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if f.c.Congestion != "" {
		err = s.SetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, []byte(f.c.Congestion))
	}
	if f.c.Setup != nil {
		f.c.Setup(s)
	}
	return s, err
}

func (f *Flow) addr(h *Host, port uint16) usock.Addr {
	ip := h.Addr()
	if f.c.IPv6 {
		ip = h.Addr6()
	}
	return usock.Inet(netip.AddrPortFrom(ip, port))
}

func (f *Flow) listenAt(port uint16) error {
	s, err := f.socket(f.to)
	if err == nil {
		if err = s.Bind(f.addr(f.to, port)); err == nil {
			err = s.Listen(1)
		}
	}
	f.listen = s
	return err
}

func (f *Flow) client() {
	defer f.wg.Done()
	s, err := f.socket(f.from)
	if err != nil {
		f.fail(err)
		return
	}
	defer s.Close()
	s.SetDeadline(f.begin.Add(f.c.Limit))
	name, err := f.listen.GetSockName()
	if err == nil {
		err = s.Connect(name)
	}
	if err != nil {
		f.fail(fmt.Errorf("connect: %w", err))
		f.listen.Close()
		return
	}
	f.exchange(s, f.c.Bytes, f.c.Duration, &f.res.Back, f.c.Back, nil)
	f.settle(s, &f.res.Info)
}

func (f *Flow) server() {
	defer f.wg.Done()
	f.listen.SetDeadline(f.begin.Add(f.c.Limit))
	s, _, err := f.listen.Accept()
	if err != nil {
		f.fail(fmt.Errorf("accept: %w", err))
		return
	}
	defer s.Close()
	s.SetDeadline(f.begin.Add(f.c.Limit))
	want := f.c.Bytes
	if f.c.Duration != 0 {
		want = -1
	}
	f.exchange(s, f.c.Back, 0, &f.res.Bytes, want, &f.Meter)
	f.settle(s, &f.res.InfoBack)
}

// Info returns the counters of a connection (TCP_INFO); none if it has ended and
// left nothing.
func Info(s *usock.Socket) usock.TCPInfo {
	for _, k := range s.Host().Sockets() {
		if k.ID == s.ID() && k.TCP != nil {
			return *k.TCP
		}
	}
	return usock.TCPInfo{}
}

// note keeps the counters of s, if it still has any.
func (f *Flow) note(s *usock.Socket, to *usock.TCPInfo) {
	if in := Info(s); in.SegsOut > 0 {
		f.mu.Lock()
		*to = in
		f.mu.Unlock()
	}
}

// settle waits until the peer has acknowledged everything, so that closing leaves
// nothing to an orphan, whose patience is short, and keeps the counters.
func (f *Flow) settle(s *usock.Socket, info *usock.TCPInfo) {
	f.mu.Lock()
	f.res.Closed = max(f.res.Closed, f.since())
	f.mu.Unlock()
	f.note(s, info)
	defer f.note(s, info)
	for f.since() < f.c.Limit && unacknowledged(s) {
		f.n.Sleep(settleEvery)
	}
}

// settleEvery is how often it is looked whether a peer has acknowledged everything.
const settleEvery = 50 * time.Millisecond

// unacknowledged reports whether the peer has not acknowledged everything that was sent, the
// end of the stream included.
func unacknowledged(s *usock.Socket) bool {
	for _, k := range s.Host().Sockets() {
		if k.ID != s.ID() {
			continue
		}
		switch k.State {
		case "ESTAB", "FIN-WAIT-1", "CLOSE-WAIT", "CLOSING", "LAST-ACK":
			return true
		}
	}
	return false
}

// exchange sends n bytes, or for so long, and receives want bytes, or any number,
// both to the end of the stream.
func (f *Flow) exchange(s *usock.Socket, n int64, d time.Duration, got *int64, want int64, m *Meter) {
	var both sync.WaitGroup
	both.Go(func() {
		if err := f.send(s, n, d); err != nil {
			f.fail(fmt.Errorf("send: %w", err))
		}
	})
	both.Go(func() {
		k, err := f.receive(s, m)
		if err == nil && want >= 0 && k != want {
			err = fmt.Errorf("the stream ended after %d of %d bytes", k, want)
		}
		if err != nil {
			f.fail(fmt.Errorf("receive: %w", err))
		}
		f.mu.Lock()
		*got = k
		if m != nil {
			f.res.Elapsed = f.since()
		}
		f.mu.Unlock()
	})
	both.Wait()
}

func (f *Flow) send(s *usock.Socket, n int64, d time.Duration) error {
	for sent := int64(0); ; {
		k := int64(f.c.Chunk)
		if d == 0 {
			k = min(k, n-sent)
		} else if f.since() >= d {
			k = 0
		}
		if k == 0 {
			return s.Shutdown(usock.SHUT_WR)
		}
		w, err := s.Send(pattern(sent, int(k)), 0)
		sent += int64(w)
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
	}
}

func (f *Flow) receive(s *usock.Socket, m *Meter) (int64, error) {
	buf := make([]byte, f.c.Chunk)
	for got := int64(0); ; {
		k, err := s.Recv(buf, 0)
		if err != nil {
			return got, fmt.Errorf("after %d bytes: %w", got, err)
		}
		if k == 0 {
			return got, nil
		}
		if err := check(got, buf[:k]); err != nil {
			return got, err
		}
		got += int64(k)
		if m != nil {
			m.Add(int64(k))
		}
	}
}

// The stream is a block of random bytes, again and again, of a length that has
// nothing in common with those of segments and buffers.
const (
	period   = 65521
	maxChunk = 1 << 20
)

var block = sync.OnceValue(func() []byte {
	b := make([]byte, period+maxChunk)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b[:period] {
		b[i] = byte(r.Uint32())
	}
	for i := period; i < len(b); i++ {
		b[i] = b[i-period]
	}
	return b
})

// pattern returns n bytes of the stream from the offset on.
func pattern(from int64, n int) []byte {
	at := from % period
	return block()[at : at+int64(min(n, maxChunk))]
}

// check compares what was received with what was sent.
func check(from int64, got []byte) error {
	for len(got) > 0 {
		want := pattern(from, len(got))
		if string(want) != string(got[:len(want)]) {
			for i := range want {
				if want[i] != got[i] {
					return fmt.Errorf("byte %d differs from the one sent", from+int64(i))
				}
			}
		}
		from, got = from+int64(len(want)), got[len(want):]
	}
	return nil
}
