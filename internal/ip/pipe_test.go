package ip

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/host"
	"usock/internal/wire"
	"usock/link"
	"usock/packet"
)

// member is a host on a pipe. Its transport answers requests (odd ports) and
// counts answers.
type member struct {
	t       *testing.T
	h       *host.Host
	l       *Layer
	answers map[uint32]int // by number of the request
}

func newMember(t *testing.T, end link.Direct, addrs ...string) *member {
	m := &member{t: t, h: host.New(clock.System()), answers: make(map[uint32]int)}
	var table Table
	table.Transport[ProtoUDP] = m
	m.h.Enter()
	m.l = New(m.h, Config{}, &table)
	info := end.Info()
	i := m.l.AddIface(IfaceConfig{
		Name: info.Name, MTU: info.MTU, Checksum: info.Checksum, Segments: info.Segments, Out: m.h.NewPort(end),
	})
	for _, a := range addrs {
		if err := m.l.AddAddr(i, prefix(a)); err != nil {
			t.Error(err)
		}
	}
	m.h.Leave()
	end.Deliver(func(batch []*packet.Packet) {
		m.h.Enter()
		m.l.Whole().Input(i, batch)
		m.h.Leave()
	})
	t.Cleanup(func() {
		end.Close()
		m.h.Enter()
		m.l.Close()
		m.h.Close()
		m.h.Leave()
	})
	return m
}

// Input implements Transport.
func (m *member) Input(p *packet.Packet, meta *Meta) bool {
	b := p.AppendTo(nil)
	p.Free()
	h, err := wire.ParseUDP(b)
	if err != nil {
		m.t.Error(err)
		return true
	}
	id := binary.BigEndian.Uint32(b[8:])
	if !bytes.Equal(b[12:], pattern(len(b)-12)) {
		m.t.Errorf("datagram %d is spoilt", id)
	}
	if h.DstPort == 1 {
		m.send(meta.Src, 2, id, len(b)-12)
	} else {
		m.answers[id]++
	}
	return true
}

// Error implements Transport.
func (m *member) Error(e *Error) { m.t.Errorf("%+v", e) }

func (m *member) send(dst netip.Addr, port uint16, id uint32, n int) {
	path, err := m.l.Route(dst, netip.Addr{}, 0)
	if err != nil {
		m.t.Error(err)
		return
	}
	p := packet.New()
	p.Payload.Append(packet.Copy(pattern(n)))
	binary.BigEndian.PutUint32(p.Prepend(4), id)
	h := wire.UDP{SrcPort: 9, DstPort: port, Len: uint16(wire.UDPLen + 4 + n)}
	h.Put(p.Prepend(wire.UDPLen))
	if err := m.l.Whole().Output(p, &path, &Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
		m.t.Error(err)
	}
}

// Two hosts that talk over a pipe, each from several goroutines at once, lose
// nothing and keep nothing, whatever the sizes.
func TestPipeBetweenHosts(t *testing.T) {
	packet.Track(true)
	live := packet.Live()
	t.Cleanup(func() {
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
	const senders, each = 4, 300
	for _, mtu := range []int{1500, 0} {
		a, b := link.Pipe(link.PipeConfig{MTU: mtu, SmallSegments: mtu != 0})
		left := newMember(t, a, hostA+"/24", hostB+"/64")
		right := newMember(t, b, peerA+"/24", peerB+"/64")
		var wg sync.WaitGroup
		for s := range senders {
			for _, m := range []*member{left, right} {
				to := []string{peerA, peerB}
				if m == right {
					to = []string{hostA, hostB}
				}
				wg.Go(func() {
					for i := range each {
						m.h.Enter()
						m.send(addr(to[i%2]), 1, uint32(s*each+i), i*17%5000)
						m.h.Leave()
					}
				})
			}
		}
		wg.Wait()
		// The last goroutine to leave a host has flushed its port, or left that to
		// one that did: entering both once more waits for that.
		for _, m := range []*member{left, right} {
			waitFor(t, m, func() bool { return len(m.answers) == senders*each })
			for id, n := range m.answers {
				if n != 1 {
					t.Errorf("answer %d came %d times", id, n)
				}
			}
			m.h.Enter()
			if s := m.l.Whole().Stats; s.InHdrErrors+s.InCsumErrors+s.InMartians+s.ReasmFails != 0 || mtu != 0 && s.ReasmOKs == 0 {
				t.Errorf("%+v", s)
			}
			m.h.Leave()
		}
	}
}

func waitFor(t *testing.T, m *member, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); runtime.Gosched() {
		m.h.Enter()
		ok := cond()
		m.h.Leave()
		if ok {
			return
		}
	}
	m.h.Enter()
	defer m.h.Leave()
	t.Fatalf("%d answers", len(m.answers))
}

// The loopback interface may be a link that is recorded.
func TestLoopbackRecorded(t *testing.T) {
	var file bytes.Buffer
	w := link.NewPcapWriter(&file, 0)
	lo := link.Pcap(link.Loopback(), w, link.Sent).(link.Direct)
	m := &member{t: t, h: host.New(clock.System()), answers: make(map[uint32]int)}
	var table Table
	table.Transport[ProtoUDP] = m
	m.h.Enter()
	m.l = New(m.h, Config{}, &table)
	i := m.l.AddIface(IfaceConfig{Name: "lo", Loopback: true, Checksum: true, Segments: true, Out: m.h.NewPort(lo)})
	m.h.Leave()
	lo.Deliver(func(batch []*packet.Packet) {
		m.h.Enter()
		m.l.Whole().Input(i, batch)
		m.h.Leave()
	})
	for id, dst := range []string{"127.0.0.1", "::1", "127.1.2.3"} {
		m.h.Enter()
		m.send(addr(dst), 1, uint32(id), 70)
		m.h.Leave()
	}
	if len(m.answers) != 3 {
		t.Errorf("%d answers", len(m.answers))
	}
	if s := i.Stats(); s.TxPackets != 6 || s.RxPackets != 6 {
		t.Errorf("%+v", s)
	}
	if err := w.Close(); err != nil || file.Len() < 6*100 {
		t.Error(err, file.Len())
	}
	lo.Close()
}
