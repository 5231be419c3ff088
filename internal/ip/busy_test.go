package ip

import (
	"net/netip"
	"testing"

	"usock/clock"
	"usock/internal/host"
	"usock/packet"
)

// busyOnce is a transport whose domain is busy, and which then needs the whole host.
type busyOnce struct {
	fake
	d   *host.Domain
	got int
}

func (b *busyOnce) Input(p *packet.Packet, m *Meta) bool {
	switch b.got++; b.got {
	case 1:
		m.Lane.Busy(b.d, p, m)
	case 2:
		m.Lane.InWhole(p, m)
	default:
		p.Free()
	}
	return true
}

// A packet is delivered once, however many have to look at it.
func TestDeliveredOnce(t *testing.T) {
	h := host.NewWithLanes(clock.System(), 4)
	b := &busyOnce{d: h.NewDomain()}
	var table Table
	table.Transport[ProtoUDP] = b
	h.Enter()
	l := New(h, Config{}, &table)
	i := l.AddIface(IfaceConfig{Name: "eth0"})
	if err := l.AddAddr(i, netip.MustParsePrefix(hostA+"/24")); err != nil {
		t.Fatal(err)
	}
	h.Leave()
	l.Input(i, []*packet.Packet{packet.FromBytes(packetBytes(peerA, hostA, ProtoUDP, make([]byte, 8), nil))})
	h.Enter()
	if n := l.Counters(); b.got != 3 || n.InReceives != 1 || n.InDelivers != 1 {
		t.Errorf("seen %d times, %d received, %d delivered", b.got, n.InReceives, n.InDelivers)
	}
	l.Close()
	h.Close()
	h.Leave()
}
