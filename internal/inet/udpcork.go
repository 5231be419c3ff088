package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
)

// heldPacket is a datagram that is not complete yet.
type heldPacket struct {
	data []byte
	path *ip.Path
	port uint16
	c    sendControl

	zeroCopies int // sends with MSG_ZEROCOPY in it
}

// hold adds m to the datagram that is being put together, and sends it if this was
// the last part. Where it goes is settled by the first.
func (u *udpProto) hold(e *udpEndpoint, m *socket.Msg, h heldPacket) (int, error) {
	if e.held == nil {
		e.held = &h
	}
	m.Pack()
	n := 0
	for _, v := range m.Data {
		n += v.Len()
	}
	if tooLong(len(e.held.data)+n, e.held.path.Dst.Is4()) {
		u.flush(e)
		return 0, syscall.EMSGSIZE
	}
	for _, v := range m.Data {
		e.held.data = append(e.held.data, v.Bytes()...)
		v.Release()
	}
	m.Data = m.Data[:0]
	if e.cork || m.Flags&abi.MSG_MORE != 0 {
		return n, nil
	}
	return n, u.uncork(e)
}

// flush drops what is held back, as a part that is too long has Linux do (udp_sendmsg).
func (u *udpProto) flush(e *udpEndpoint) {
	parts := e.held.zeroCopies
	e.held = nil
	for range parts {
		e.complete()
	}
}

// uncork sends what is held back.
func (u *udpProto) uncork(e *udpEndpoint) error {
	h := e.held
	e.held = nil
	defer func() {
		for range h.zeroCopies {
			e.complete()
		}
	}()
	if h.path.Gen != u.IP.Generation() {
		p, err := u.path(h.path.Dst, h.path.Src, 0)
		if err != nil {
			return err
		}
		h.path = p
	}
	m := socket.Msg{Data: []packet.View{packet.Copy(h.data)}}
	err := u.sendAll(e, &m, h.path, h.port, &h.c, len(h.data))
	for _, v := range m.Data {
		v.Release() // what was refused
	}
	return err
}
