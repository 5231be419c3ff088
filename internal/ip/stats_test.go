package ip

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"usock/internal/wire"
)

// nonzero lists the counters that have counted, NAME N, but for those of octets.
func nonzero(counters any) string {
	var out []string
	v := reflect.ValueOf(counters)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if n := v.Field(i).Uint(); n != 0 && !strings.HasSuffix(name, "Octets") {
			out = append(out, fmt.Sprint(name, " ", n))
		}
	}
	return strings.Join(out, " ")
}

// What arrives at a router, and what the layer counts of it.
func TestCounters(t *testing.T) {
	udp := append(udpHeader(8), pattern(8)...)
	edit4 := func(f func(*wire.IPv4)) func(*wire.IPv4, *wire.IPv6) {
		return func(h *wire.IPv4, _ *wire.IPv6) { f(h) }
	}
	flip := func(b []byte, at int) []byte { b[at] ^= 1; return b }
	echo := func(typ uint8) []byte {
		b := icmp6(peerB, hostB, typ, 0, 1, pattern(8))
		return packetBytes(peerB, hostB, ProtoICMPv6, b, nil)
	}
	for _, c := range []struct {
		name     string
		in       [][]byte
		ip, icmp string
	}{
		{"delivered", [][]byte{packetBytes(peerA, hostA, ProtoUDP, udp, nil)}, "InReceives 1 InDelivers 1", ""},
		{"header checksum", [][]byte{flip(packetBytes(peerA, hostA, ProtoUDP, udp, nil), 8)}, "InReceives 1 InHdrErrors 1 InCsumErrors 1", ""},
		{"cut off", [][]byte{packetBytes(peerA, hostA, ProtoUDP, udp, nil)[:30]}, "InReceives 1 InTruncatedPkts 1", ""},
		{"from ourselves", [][]byte{packetBytes(hostA, hostA, ProtoUDP, udp, nil)}, "InReceives 1 InMartians 1", ""},
		{"for a group that is not joined", [][]byte{packetBytes(peerA, "224.1.2.3", ProtoUDP, udp, nil)}, "InReceives 1 InAddrErrors 1", ""},
		{"of no protocol", [][]byte{packetBytes(peerA, hostA, 99, udp, nil)}, "InReceives 1 InUnknownProtos 1 OutRequests 1 OutTransmits 1", "OutMsgs 1 OutDestUnreachs 1"},
		{"passed on", [][]byte{packetBytes(peerA, "10.1.0.2", ProtoUDP, udp, nil)}, "InReceives 1 ForwDatagrams 1 OutTransmits 1", ""},
		{"passed on where no route leads", [][]byte{packetBytes(peerA, "192.0.2.1", ProtoUDP, udp, nil)}, "InReceives 1 InNoRoutes 1 OutRequests 1 OutTransmits 1", "OutMsgs 1 OutDestUnreachs 1"},
		{"at the end of its hops", [][]byte{packetBytes(peerA, "10.1.0.2", ProtoUDP, udp, edit4(func(h *wire.IPv4) { h.TTL = 1 }))}, "InReceives 1 InHdrErrors 1 OutRequests 1 OutTransmits 1", "OutMsgs 1 OutTimeExcds 1"},
		{"cut on its way", [][]byte{packetBytes(peerA, "10.1.0.2", ProtoUDP, append(udpHeader(1400), pattern(1400)...), nil)}, "InReceives 1 ForwDatagrams 1 OutTransmits 2 FragOKs 1 FragCreates 2", ""},
		{"not to be cut", [][]byte{packetBytes(peerA, "10.1.0.2", ProtoUDP, append(udpHeader(1400), pattern(1400)...), edit4(func(h *wire.IPv4) { h.DontFragment = true }))}, "InReceives 1 OutRequests 1 OutTransmits 1 FragFails 1", "OutMsgs 1 OutDestUnreachs 1"},
		{"IPv6 too large", [][]byte{packetBytes(peerB, "2001:db8:1::2", ProtoUDP, append(udpHeader(1400), pattern(1400)...), nil)}, "InReceives 1 OutRequests 1 OutTransmits 1 FragFails 1", "OutMsgs 1 OutPktTooBigs 1"},
		{"fragments", [][]byte{frag4(1, 0, true, udp), frag4(1, 16, false, udp)}, "InReceives 2 InDelivers 1 ReasmReqds 2 ReasmOKs 1", ""},
		{"fragments that overlap", [][]byte{frag4(1, 0, true, udp), frag4(1, 8, false, udp)}, "InReceives 2 ReasmReqds 2 ReasmFails 1 ReasmOverlaps 1", ""},
		{"bad options", [][]byte{packetBytes(peerA, hostA, ProtoUDP, udp, edit4(func(h *wire.IPv4) { h.Options = []byte{7, 1, 0, 0} }))}, "InReceives 1 InHdrErrors 1 OutRequests 1 OutTransmits 1", "OutMsgs 1 OutParmProbs 1"},
		{"echo", [][]byte{echo(wire.ICMPv6Echo)}, "InReceives 1 InDelivers 1 OutRequests 1 OutTransmits 1", "InMsgs 1 InEchos 1 OutMsgs 1 OutEchoReps 1"},
		{"echo of IPv4", [][]byte{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 1, nil), nil)}, "InReceives 1 InDelivers 1 OutRequests 1 OutTransmits 1", "InMsgs 1 InEchos 1 OutMsgs 1 OutEchoReps 1"},
		{"echo reply of IPv4", [][]byte{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4EchoReply, 0, 1, nil), nil)}, "InReceives 1 InDelivers 1", "InMsgs 1 InEchoReps 1"},
		{"redirect and unknown types of IPv4", [][]byte{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Redirect, 0, 1, packetBytes(hostA, peerA, 99, pattern(8), nil)), nil), packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Timestamp, 0, 1, nil), nil)}, "InReceives 2 InDelivers 2", "InMsgs 2 InRedirects 1"},
		{"errors that quote too little", [][]byte{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 1, 0, nil), nil), packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4TimeExceeded, 1, 0, packetBytes(hostA, peerA, 99, pattern(7), nil)), nil), packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4ParameterProblem, 1, 0, packetBytes(hostA, peerA, 99, pattern(7), nil)), nil)},
			"InReceives 3 InDelivers 3", "InMsgs 3 InErrors 3 InDestUnreachs 1 InTimeExcds 1 InParmProbs 1"},
		{"of the other version's number", [][]byte{packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv4Echo, 0, 0, nil), nil), packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv4EchoReply, 0, 0, nil), nil), packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv6EchoReply, 0, 0, nil), nil)},
			"InReceives 3 InDelivers 3", "InMsgs 3 InErrors 2"},
		{"echo reply", [][]byte{echo(wire.ICMPv6EchoReply)}, "InReceives 1 InDelivers 1", "InMsgs 1 InEchoReps 1"},
		{"ICMP checksum", [][]byte{flip(echo(wire.ICMPv6Echo), 50)}, "InReceives 1 InDelivers 1", "InMsgs 1 InErrors 1 InCsumErrors 1"},
		{"errors that quote nothing", [][]byte{echo(wire.ICMPv6Unreachable), echo(wire.ICMPv6PacketTooBig), echo(wire.ICMPv6TimeExceeded), echo(wire.ICMPv6ParameterProblem), echo(wire.ICMPv6Redirect)},
			"InReceives 5 InDelivers 5", "InMsgs 5 InErrors 4 InDestUnreachs 1 InPktTooBigs 1 InTimeExcds 1 InParmProbs 1 InRedirects 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter(t, IfaceConfig{})
			for _, p := range c.in {
				r.arrive(p)
			}
			r.udp.take()
			r.icmp.take()
			if got := nonzero(r.l.Counters()); got != c.ip {
				t.Errorf("IP: %q, want %q", got, c.ip)
			}
			if got := nonzero(r.l.Whole().ICMP); got != c.icmp {
				t.Errorf("ICMP: %q, want %q", got, c.icmp)
			}
		})
	}
}

// Fragments that come too late, errors that the rate limit keeps back, and an interface that is
// gone, whose packets have been all the same.
func TestCountersLater(t *testing.T) {
	b := newBench(t, Config{})
	b.arrive(frag4(2, 8, true, pattern(8)))
	b.clock.Advance(reasmTime4)
	if got, want := nonzero(b.l.Counters()), "InReceives 1 ReasmReqds 1 ReasmFails 1 ReasmTimeout 1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for range errorBurst + 1 {
		b.arrive(packetBytes(peerA, hostA, 99, nil, nil))
	}
	if got, want := nonzero(b.l.Whole().ICMP), fmt.Sprintf("OutMsgs %d OutDestUnreachs %d OutRateLimitHost 1", errorBurst, errorBurst); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	before := b.l.Counters()
	b.do(func() { b.l.RemoveIface(b.eth) })
	if after := b.l.Counters(); after != before || after.InOctets != 28+uint64(errorBurst+1)*20 || after.OutOctets != errorBurst*48 {
		t.Errorf("%+v, want %+v", after, before)
	}
	if _, err := b.l.Route(addr(peerA), netip.Addr{}, 0); err == nil {
		t.Error("there is a route still")
	}
}
