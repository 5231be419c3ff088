//go:build linux

package main

import (
	"net"

	"usock/link"
	"usock/packet"
)

// udpLink is a link whose packets are datagrams of a connected UDP socket.
type udpLink struct {
	c   *net.UDPConn
	out []byte // of the Send that runs
	in  []byte // of the Recv that runs
}

// udpMTU is the size of the largest packet: an Ethernet's, which the others' packets keep to as well.
const udpMTU = 1500

// udpLinks returns the two ends of a wire.
func udpLinks() (a, b link.Link, err error) {
	x, y, err := udpPair()
	if err != nil {
		return nil, nil, err
	}
	return newUDPLink(x), newUDPLink(y), nil
}

func newUDPLink(c *net.UDPConn) link.Link {
	return &udpLink{c: c, out: make([]byte, 0, packet.MaxBlock), in: make([]byte, packet.MaxBlock)}
}

func (l *udpLink) Info() link.Info { return link.Info{Name: "udp0", MTU: udpMTU} }

func (l *udpLink) Send(batch []*link.Packet) (n int) {
	for _, p := range batch {
		if _, err := l.c.Write(p.AppendTo(l.out)); err == nil {
			n++
		}
		p.Free()
	}
	return n
}

func (l *udpLink) Recv(batch []*link.Packet) (int, error) {
	for {
		n, err := l.c.Read(l.in)
		if err == nil {
			batch[0] = link.NewPacket(l.in[:n])
			return 1, nil
		}
		if closed(err) {
			return 0, link.ErrClosed
		}
		// An ICMP error of the time before the other end was there.
	}
}

func (l *udpLink) Close() error { return l.c.Close() }
