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
	client *usock.Host
	l      *usock.Socket
	to     usock.Addr
	over   string // what packets go through
	prompt bool   // SCTP_NODELAY
	say    string // settings
}

func usockLoopback(prompt bool) (*usockStack, error) {
	h, err := usock.NewHost(usock.Config{Privileged: true})
	if err != nil {
		return nil, err
	}
	return newUsock(h, h, netip.AddrFrom4([4]byte{127, 0, 0, 1}), "the host's loopback", prompt)
}

// The addresses of two hosts.
var (
	clientIP = netip.AddrFrom4([4]byte{10, 0, 0, 1})
	serverIP = netip.AddrFrom4([4]byte{10, 0, 0, 2})
)

func usockUDP(prompt bool) (*usockStack, error) {
	a, b, err := udpLinks()
	if err != nil {
		return nil, err
	}
	return usockTwo(a, b, "UDP sockets on loopback", prompt)
}

// usockTwo is two hosts on a wire.
func usockTwo(a, b link.Link, over string, prompt bool) (*usockStack, error) {
	host := func(l link.Link, ip netip.Addr) (*usock.Host, error) {
		return usock.NewHost(usock.Config{Privileged: true, Interfaces: []usock.Interface{
			{Link: l, Addrs: []netip.Prefix{netip.PrefixFrom(ip, 24)}},
		}})
	}
	client, err := host(a, clientIP)
	if err != nil {
		return nil, err
	}
	server, err := host(b, serverIP)
	if err != nil {
		return nil, err
	}
	return newUsock(client, server, serverIP, over, prompt)
}

func newUsock(client, server *usock.Host, at netip.Addr, over string, prompt bool) (*usockStack, error) {
	u := &usockStack{client: client, to: usock.Inet(netip.AddrPortFrom(at, 5000)), over: over, prompt: prompt}
	var err error
	if u.l, err = u.socket(server); err == nil {
		err = u.l.Bind(u.to)
	}
	if err == nil {
		err = u.l.Listen(4096)
	}
	return u, err
}

// socket returns a socket with the settings of the bench.
func (u *usockStack) socket(h *usock.Host) (*usock.Socket, error) {
	s, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		return nil, err
	}
	// The kernel's value is twice what is asked for.
	for _, name := range []int{usock.SO_SNDBUFFORCE, usock.SO_RCVBUFFORCE} {
		if err := s.SetSockOptInt(usock.SOL_SOCKET, name, bufferSize/2); err != nil {
			return nil, err
		}
	}
	if !u.prompt {
		return s, nil
	}
	return s, s.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_NODELAY, 1)
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
