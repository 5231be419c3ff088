package link

import (
	"encoding/binary"
	"net/netip"
)

// ARP for IPv4 over Ethernet (RFC 826).
const (
	arpLen     = 28
	arpRequest = 1
	arpReply   = 2
)

// arpHead is what each message begins with: hardware type 1, protocol IPv4, and the
// lengths of their addresses.
var arpHead = [6]byte{0, 1, 8, 0, 6, 4}

// sendARP queues one message. The caller holds mu.
func (f *Framed) sendARP(op uint16, src netip.Addr, to hardware, target hardware, dst netip.Addr) {
	p, b := newFrame(arpLen)
	copy(b, arpHead[:])
	binary.BigEndian.PutUint16(b[6:], op)
	copy(b[8:], f.address[:])
	s, d := src.As4(), dst.As4()
	copy(b[14:], s[:])
	copy(b[18:], target[:])
	copy(b[24:], d[:])
	frame(p, to, f.address, etherARP)
	f.out.Push(p)
}

func (f *Framed) askARP(src, a netip.Addr, n *neighbour) {
	// A neighbour that is known is asked itself whether it is still there: that disturbs nobody
	// else (RFC 1122, section 2.3.2.1).
	to := everyone
	if n.known {
		to = n.address
	}
	f.sendARP(arpRequest, src, to, hardware{}, a)
}

// announce tells the neighbours an address of the host, which may have been
// elsewhere (RFC 5227 section 2.3, RFC 4861 section 7.2.6). The caller holds mu.
func (f *Framed) announce(a netip.Addr) {
	if a.Is4() {
		f.sendARP(arpRequest, a, everyone, hardware{}, a)
		return
	}
	f.advertise(a, allNodes, false)
}

// inputARP answers requests for the host's addresses, and learns from messages to
// it, and from others about neighbours that are known already. direct says that the frame was sent to
// the host alone.
func (f *Framed) inputARP(b []byte, direct bool) {
	// Other hardware, other protocols and other lengths are nothing that this link has.
	if len(b) < arpLen || [6]byte(b) != arpHead {
		return
	}
	op := binary.BigEndian.Uint16(b[6:])
	from, src := hardware(b[8:]), netip.AddrFrom4([4]byte(b[14:18]))
	dst := netip.AddrFrom4([4]byte(b[24:28]))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return
	}

	// Who asks for this host is about to talk to it, and is remembered; of others only what was
	// known is brought up to date. So nobody fills the table with what he says to others (RFC
	// 826, "Packet Reception").
	mine := f.own(dst)
	f.learn(src, from, news{add: mine, confirmed: op == arpReply && mine && direct})

	// A question from an address of our own is an announcement, or another host with our
	// address: no answer is due to either.
	if op == arpRequest && mine && !f.own(src) {
		f.sendARP(arpReply, dst, from, from, src)
	}
}
