package sctp

import (
	"net/netip"
	"testing"

	"usock/internal/wire"
)

// A peer is believed no address that does not reach as far as the one that it speaks from: a loopback
// address is this host's own, a private one somebody else's.
func TestAddressesOutOfScope(t *testing.T) {
	far, other := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("9.9.9.9")
	near := []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("169.254.1.1"), netip.MustParseAddr("::1"),
		netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0"),
	}
	i := wire.Init{Tag: 7, ARwnd: 65536, OutStreams: 1, InStreams: 1, TSN: 1}
	for _, a := range append(near, other) {
		i.Params = wire.AppendAddr(i.Params, a)
	}
	p := newPair(t, 1500, 1)
	var o Out
	p.end[1].e.Answer(p.now, jumboIn(far, pairAddr(1, 0), 1000, 1001, i.Append(nil, wire.ChunkInit)), &o)
	c, _, _ := wire.ParseChunk(o.Body.AppendTo(nil))
	o.Body.Release()
	x, ok := parseInit(c.Type, c.Value)
	if !ok {
		t.Fatal("no INIT ACK")
	}
	k, _ := p.end[1].e.Config.openCookie(p.now, x.cookie)
	if len(k.peers) != 2 || k.peers[0] != far || k.peers[1] != other {
		t.Errorf("the server believes %v", k.peers)
	}

	p.connect()
	client := new(Assoc)
	client.Connect(p.now, &p.end[0].e, &Params{Port: 1, PeerPort: 2, Peers: []netip.Addr{far}, Options: p.end[0].e.Options})
	i.Params = (&wire.TLV{Type: wire.ParamStateCookie, Value: []byte{1}}).Append(i.Params)
	in := jumboIn(far, pairAddr(0, 0), 2, 1, i.Append(nil, wire.ChunkInitAck))
	in.VTag = client.tag
	client.Packet(p.now, in)
	if got := client.Peers(nil); len(got) != 2 || got[1] != other {
		t.Errorf("the client believes %v", got)
	}
	client.Release()
}
