package usock

import (
	"context"
	"net"

	"golang.org/x/net/ipv4"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Batches have the form of golang.org/x/net/ipv4 and ipv6, whose Message is one type, as
// programs take it that send and receive many datagrams: quic-go, WireGuard.

// ReadBatch waits for a datagram and receives what is there, up to len(ms) datagrams
// (recvmmsg(2)). Of each message Buffers and OOB are room, and N, NN, Flags and Addr are set.
// It returns how many came. Of flags, MSG_DONTWAIT does without waiting.
func (c *UDPConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for i := range ms {
		if err := c.readMessage(&ms[i], flags); err != nil {
			if i > 0 {
				return i, nil // an error is the next call's to find
			}
			return 0, c.opError("read", "recvmmsg", err)
		}
		flags |= abi.MSG_DONTWAIT
	}
	return len(ms), nil
}

func (c *UDPConn) readMessage(m *ipv4.Message, flags int) (err error) {
	var from Addr
	if len(m.Buffers) == 1 {
		m.N, m.NN, m.Flags, from, err = c.s.recvMsg(m.Buffers[0], m.OOB, flags)
	} else {
		x := Msg{Bufs: m.Buffers, Control: m.OOB}
		m.N, err = c.s.RecvMsg(context.Background(), &x, flags)
		m.NN, m.Flags, from = len(x.Control), x.Flags, x.Name
	}
	if err == nil {
		m.Addr = net.UDPAddrFromAddrPort(unmapped(from))
	}
	return err
}

// WriteBatch sends each message's Buffers as one datagram, with the control messages of OOB,
// to Addr, a *net.UDPAddr; nil on a connected socket (sendmmsg(2)). N and NN are set. It
// returns how many were sent: if that is more than none, an error is the next call's.
func (c *UDPConn) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	for i := range ms {
		if err := c.writeMessage(&ms[i], flags); err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, c.writeError(ms[i].Addr, err)
		}
	}
	return len(ms), nil
}

func (c *UDPConn) writeMessage(m *ipv4.Message, flags int) (err error) {
	in := msgPool.Get().(*socket.Msg)
	defer msgPool.Put(in)
	in.Flags, in.HasAddr, in.Control = flags, false, m.OOB
	if a, _ := m.Addr.(*net.UDPAddr); a != nil {
		in.HasAddr = true
		to, err := c.sockAddr(addrPortOf(a))
		if err != nil {
			return err
		}
		in.Addr = abi.Addr(to)
	}
	m.N, err = c.s.sendDatagram(context.Background(), gather(m.Buffers), in)
	in.Control = nil
	m.NN = len(m.OOB)
	return sysError("sendmmsg", err)
}
