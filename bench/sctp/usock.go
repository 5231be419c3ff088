//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"usock"
	"usock/link"
)

func closed(err error) bool { return errors.Is(err, net.ErrClosed) }

// usockStack is usock: sockets of one-to-one style.
type usockStack struct {
	over       string // what packets go through
	prompt     bool   // SCTP_NODELAY
	buffer     int    // SO_SNDBUF and SO_RCVBUF
	interleave bool   // I-DATA is offered

	client *usock.Host
	l      *usock.Socket
	to     usock.Addr
	say    string // settings
}

func usockLoopback(prompt bool) (*usockStack, error) {
	u := &usockStack{over: "the host's loopback", prompt: prompt, buffer: bufferSize}
	h, err := u.host()
	if err != nil {
		return nil, err
	}
	return u, u.listen(h, h, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

func usockUDP(prompt bool) (*usockStack, error) {
	a, b, err := udpLinks()
	if err != nil {
		return nil, err
	}
	u := &usockStack{over: "UDP sockets on loopback", prompt: prompt, buffer: bufferSize}
	return u, u.wire(a, b)
}

// host returns a host with those interfaces.
func (u *usockStack) host(interfaces ...usock.Interface) (*usock.Host, error) {
	c := usock.DefaultSCTPConfig()
	c.Interleave = u.interleave
	return usock.NewHost(usock.Config{Privileged: true, Interfaces: interfaces, SCTP: c})
}

// wire makes two hosts on a wire.
func (u *usockStack) wire(a, b link.Link) error {
	clientIP, serverIP := netip.AddrFrom4([4]byte{10, 0, 0, 1}), netip.AddrFrom4([4]byte{10, 0, 0, 2})
	client, err := u.host(usock.Interface{Link: a, Addrs: []netip.Prefix{netip.PrefixFrom(clientIP, 24)}})
	if err != nil {
		return err
	}
	server, err := u.host(usock.Interface{Link: b, Addrs: []netip.Prefix{netip.PrefixFrom(serverIP, 24)}})
	if err != nil {
		return err
	}
	return u.listen(client, server, serverIP)
}

// listen has the server listen at its address.
func (u *usockStack) listen(client, server *usock.Host, at netip.Addr) (err error) {
	u.client, u.to = client, usock.Inet(netip.AddrPortFrom(at, 5000))
	if u.l, err = u.socket(server); err == nil {
		err = u.l.Bind(u.to)
	}
	if err == nil {
		err = u.l.Listen(4096)
	}
	return err
}

// socket returns a socket with the settings of the bench.
func (u *usockStack) socket(h *usock.Host) (*usock.Socket, error) {
	s, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		return nil, err
	}
	// The kernel's value is twice what is asked for.
	for _, name := range []int{usock.SO_SNDBUFFORCE, usock.SO_RCVBUFFORCE} {
		if err := s.SetSockOptInt(usock.SOL_SOCKET, name, u.buffer/2); err != nil {
			return nil, err
		}
	}
	if u.prompt {
		err = s.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_NODELAY, 1)
	}
	if err == nil && u.interleave {
		err = s.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_FRAGMENT_INTERLEAVE, 1)
		if err == nil {
			err = s.SetSockOpt(usock.SOL_SCTP, usock.SCTP_INTERLEAVING_SUPPORTED, assocValue(1))
		}
	}
	return s, err
}

// assocValue is a struct sctp_assoc_value.
func assocValue(v uint32) []byte {
	return binary.NativeEndian.AppendUint32(make([]byte, 4), v)
}

func (u *usockStack) dial() (conn, error) {
	s, err := u.socket(u.client)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(u.to); err != nil {
		return nil, err
	}
	u.describe(s)
	return usockConn{s}, nil
}

func (u *usockStack) accept() (conn, error) {
	s, _, err := u.l.Accept()
	if err != nil {
		return nil, err
	}
	return usockConn{s}, nil
}

// describe notes the settings of the first association.
func (u *usockStack) describe(s *usock.Socket) {
	if u.say != "" {
		return
	}
	snd, _ := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_SNDBUF)
	rcv, _ := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF)
	u.say = fmt.Sprintf("SO_SNDBUF %d and SO_RCVBUF %d, %s, both ends in one process, path MTU %d", snd, rcv, u.over, u.pathMTU(s))
}

// pathMTU is what SCTP_STATUS says.
func (u *usockStack) pathMTU(s *usock.Socket) uint32 {
	var v [200]byte
	n, err := s.GetSockOpt(usock.SOL_SCTP, usock.SCTP_STATUS, v[:])
	if err != nil || n < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v[n-4:])
}

func (u *usockStack) settings() string { return u.say }

type usockConn struct{ s *usock.Socket }

func (c usockConn) send(p []byte) error {
	_, err := c.s.Send(p, 0)
	return err
}

func (c usockConn) receive(p []byte) (int, error) { return c.s.Recv(p, 0) }

func (c usockConn) close() error { return c.s.Close() }

// sendOn sends a message on a stream.
func (c usockConn) sendOn(stream uint16, p []byte) error {
	m := usock.Msg{Bufs: [][]byte{p}, Control: sndinfo(stream)}
	_, err := c.s.SendMsg(context.Background(), &m, 0)
	return err
}

// sndinfo is a control message with a struct sctp_sndinfo.
func sndinfo(stream uint16) []byte {
	const header, size = 16, 16 // of struct cmsghdr, of struct sctp_sndinfo
	b := make([]byte, header+size)
	binary.NativeEndian.PutUint64(b, uint64(len(b)))
	binary.NativeEndian.PutUint32(b[8:], usock.SOL_SCTP)
	binary.NativeEndian.PutUint32(b[12:], usock.SCTP_SNDINFO)
	binary.NativeEndian.PutUint16(b[header:], stream)
	return b
}
