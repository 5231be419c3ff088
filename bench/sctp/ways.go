//go:build linux

package main

import "net"

// stack is an SCTP with both ends in this process.
type stack interface {
	// dial opens an association. The other end comes from accept.
	dial() (conn, error)

	// accept waits for an association's other end.
	accept() (conn, error)

	// settings says how the ends are set.
	settings() string
}

// conn is an end of an association, whose messages take stream 0.
type conn interface {
	// send sends a message, and waits for room.
	send(p []byte) error

	// receive receives a message; 0 bytes are the end.
	receive(p []byte) (int, error)

	// close ends the association (SHUTDOWN), and waits as long as the stack does by itself.
	close() error
}

// bufferSize is asked for as send and receive buffer of every end.
const bufferSize = 1 << 20

// way is a column of the table.
type way struct {
	name string
	open func(prompt bool) (stack, error) // nil: the work is done by a program of its own
}

var ways = []way{
	{"usock", func(prompt bool) (stack, error) { return usockLoopback(prompt) }},
	{"usock-udp", func(prompt bool) (stack, error) { return usockUDP(prompt) }},
	{"usrsctp", nil},
	{"pion", func(bool) (stack, error) { return newPion(), nil }},
}

func findWay(name string) *way {
	for i := range ways {
		if ways[i].name == name && ways[i].open != nil {
			return &ways[i]
		}
	}
	return nil
}

// udpPair returns two connected UDP sockets of the kernel on loopback.
func udpPair() (a, b *net.UDPConn, err error) {
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	first, err := net.ListenUDP("udp4", local)
	if err != nil {
		return nil, nil, err
	}
	if b, err = net.DialUDP("udp4", local, first.LocalAddr().(*net.UDPAddr)); err != nil {
		first.Close()
		return nil, nil, err
	}
	// The first one is connected as well, as soon as its address is free.
	at, to := first.LocalAddr().(*net.UDPAddr), b.LocalAddr().(*net.UDPAddr)
	first.Close()
	if a, err = net.DialUDP("udp4", at, to); err != nil {
		b.Close()
		return nil, nil, err
	}
	for _, c := range []*net.UDPConn{a, b} {
		c.SetReadBuffer(bufferSize)
		c.SetWriteBuffer(bufferSize)
	}
	return a, b, nil
}
