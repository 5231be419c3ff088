package usock_test

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// cutLink is a link whose cable may be cut: what is sent into it then is lost.
type cutLink struct {
	link.Link
	cut  *atomic.Bool
	name string
}

// Info implements link.Link.
func (c cutLink) Info() link.Info {
	info := c.Link.Info()
	info.Name = c.name
	return info
}

// Send implements link.Link.
func (c cutLink) Send(batch []*link.Packet) int {
	if !c.cut.Load() {
		return c.Link.Send(batch)
	}
	for _, p := range batch {
		p.Free()
	}
	return len(batch)
}

// Two hosts are joined by two cables, and the first one is cut while messages pass, then the second in its
// place. None is lost or doubled, and none comes later than it takes to see that a path may be dead: after
// one timeout of RTO.Min all goes by the other one (RFC 7829, with Linux's threshold of 0).
func TestSCTPFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cuts [2]atomic.Bool
		var ifaces [2][]usock.Interface
		for n, net := range []string{"10.0.0.", "10.1.0."} {
			x, y := link.Pipe(link.PipeConfig{MTU: 1500})
			for i, l := range []link.Link{x, y} {
				ifaces[i] = append(ifaces[i], usock.Interface{
					Link:  cutLink{l, &cuts[n], "eth" + string(rune('0'+n))},
					Addrs: []netip.Prefix{netip.MustParsePrefix(net + string(rune('1'+i)) + "/24")},
				})
			}
		}
		a, b := newHost(t, usock.Config{Interfaces: ifaces[0]}), newHost(t, usock.Config{Interfaces: ifaces[1]})
		client, server := sctpConns(t, a, b, "10.0.0.2:7000", netip.MustParseAddr("10.1.0.2"))
		for _, c := range []*usock.SCTPConn{client, server} {
			c.SetDeadline(time.Time{})
		}
		time.Sleep(10 * time.Second) // both paths are confirmed by then

		const messages, every = 2800, 100 * time.Millisecond
		began := time.Now()
		go func() {
			for i := range messages {
				time.Sleep(time.Until(began.Add(time.Duration(i) * every)))
				client.WriteMsg(binary.BigEndian.AppendUint32(nil, uint32(i)), usock.SCTPInfo{})
			}
		}()
		time.AfterFunc(20*time.Second, func() { cuts[0].Store(true) })
		time.AfterFunc(60*time.Second, func() { cuts[0].Store(false) })
		time.AfterFunc(250*time.Second, func() { cuts[1].Store(true) }) // a heartbeat has passed the first one again

		var latest time.Duration
		p := make([]byte, 100)
		for i := range messages {
			n, _, err := server.ReadMsg(p)
			if err != nil || n != 4 || binary.BigEndian.Uint32(p) != uint32(i) {
				t.Fatalf("message %d: % x, %v", i, p[:n], err)
			}
			latest = max(latest, time.Since(began.Add(time.Duration(i)*every)))
		}
		t.Logf("the latest message came after %v", latest)
		if latest < time.Second-every || latest > 1500*time.Millisecond {
			t.Errorf("the latest message came after %v", latest)
		}
	})
}
