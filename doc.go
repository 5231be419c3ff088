// Package usock is the Berkeley socket system in user space: hosts with their own
// TCP, UDP, ICMP and IP, and the calls socket, bind, listen, accept, connect,
// send, recv, sendto, recvfrom, shutdown and close with the meaning that they
// have on Linux.
//
// A [Host] is a network host inside the process. It has a loopback interface and
// the links that it is given (package usock/link). [Host.Socket] makes a
// [Socket], whose methods are the BSD calls; [Host.Dial], [Host.Listen] and
// [Host.ListenPacket] give the net package's types instead, on which net/http,
// crypto/tls and the like run unchanged.
//
//	h, err := usock.NewHost(usock.Config{})
//	if err != nil { … }
//	defer h.Close()
//	l, err := h.Listen("tcp", "127.0.0.1:8080")
//
// Names are a host's own affair, too: [Host.Resolver].
//
// Errors are syscall.Errno values, with the errno that Linux would give, or wrap
// one: errors.Is(err, syscall.ECONNREFUSED) holds at every layer.
//
// All methods may be called from any goroutine at any time.
package usock
