package usock

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"usock/internal/abi"
)

// SCTPAddr is the address of an SCTP socket: of several, one that stands for all.
type SCTPAddr netip.AddrPort

// Network returns "sctp".
func (a SCTPAddr) Network() string { return "sctp" }

// String returns the address as net.TCPAddr has it.
func (a SCTPAddr) String() string { return netip.AddrPort(a).String() }

// SCTPInfo says how a message is sent, or how it came (RFC 6458, sections 5.3.4 and 5.3.5).
type SCTPInfo struct {
	Stream    uint16
	Unordered bool
	PPID      uint32 // payload protocol identifier, in the host's byte order

	// EOR says, of what was received, that the message ends with it.
	EOR bool

	// Notification says that what was received is no message but one of SCTP's notifications, in the
	// layout of linux/sctp.h. They come where an option asks for them (SCTP_EVENT).
	Notification bool
}

// SCTPConn is an SCTP association as a socket of one-to-one style: a net.Conn of messages.
type SCTPConn struct{ conn }

// maxSCTPWrite is how many bytes Write sends in one message.
const maxSCTPWrite = 64 << 10

// Write sends p in messages of at most 64 KiB on stream 0.
func (c *SCTPConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		k := 0
		k, err = c.s.Send(p[n:min(len(p), n+maxSCTPWrite)], 0)
		n += k
	}
	return n, c.opError("write", "write", err)
}

// Read receives from the next message, of whatever stream. What of it does not fit stays for the
// next Read: to tell where messages end there is ReadMsg. io.EOF says that the peer has ended the
// association.
func (c *SCTPConn) Read(p []byte) (int, error) {
	n, _, err := c.ReadMsg(p)
	return n, err
}

// WriteMsg sends p as one message. It fails with EMSGSIZE where that is longer than SO_SNDBUF.
func (c *SCTPConn) WriteMsg(p []byte, info SCTPInfo) (int, error) {
	v := abi.SCTPSndinfo{SID: info.Stream, PPID: info.PPID}
	if info.Unordered {
		v.Flags = abi.SCTP_UNORDERED
	}
	m := Msg{Bufs: [][]byte{p}, Control: abi.AppendCmsg(nil, abi.SOL_SCTP, abi.SCTP_SNDINFO, abi.AppendStruct(nil, &v))}
	n, err := c.s.SendMsg(context.Background(), &m, 0)
	return n, c.opError("write", "sendmsg", err)
}

// ReadMsg receives a message, or as much of it as fits, and says how it came. The next call goes on
// where this one ends. io.EOF says that the peer has ended the association.
func (c *SCTPConn) ReadMsg(p []byte) (n int, info SCTPInfo, err error) {
	var room [64]byte
	m := Msg{Bufs: [][]byte{p}, Control: room[:]}
	n, err = c.s.RecvMsg(context.Background(), &m, 0)
	if err != nil {
		return n, info, c.opError("read", "recvmsg", err)
	}
	info.EOR = m.Flags&abi.MSG_EOR != 0
	info.Notification = m.Flags&abi.MSG_NOTIFICATION != 0
	if n == 0 && len(p) > 0 {
		return 0, info, io.EOF
	}
	list, _ := abi.ParseCmsgs(m.Control)
	for _, k := range list {
		var v abi.SCTPRcvinfo
		if k.Level == abi.SOL_SCTP && k.Type == abi.SCTP_RCVINFO && abi.ParseStruct(k.Data, &v) == nil {
			info.Stream, info.PPID, info.Unordered = v.SID, v.PPID, v.Flags&abi.SCTP_UNORDERED != 0
		}
	}
	return n, info, nil
}

// CloseWrite ends the association once all that was sent has reached the peer (SHUTDOWN). What the
// peer had sent before can still be read.
func (c *SCTPConn) CloseWrite() error {
	return c.opError("close", "shutdown", c.s.Shutdown(abi.SHUT_WR))
}

// SetNoDelay sets SCTP_NODELAY.
func (c *SCTPConn) SetNoDelay(on bool) error { return c.setBool(abi.SOL_SCTP, abi.SCTP_NODELAY, on) }

// SetLinger sets SO_LINGER as TCPConn.SetLinger does: with 0 Close aborts the association.
func (c *SCTPConn) SetLinger(sec int) error {
	v := abi.AppendLinger(nil, abi.Linger{On: sec >= 0, Seconds: max(sec, 0)})
	return c.opError("set", "setsockopt", c.s.SetSockOpt(abi.SOL_SOCKET, abi.SO_LINGER, v))
}

// SCTPListener is the net.Listener of SCTP sockets of one-to-one style.
type SCTPListener struct {
	s    *Socket
	k    kind
	addr net.Addr
}

// ListenSCTP listens on the address, as Listen does for TCP, of the network "sctp", "sctp4" or
// "sctp6"; and on the addresses also, with the same port, so that peers can reach their associations
// by each of them.
func (h *Host) ListenSCTP(network, address string, also ...netip.Addr) (*SCTPListener, error) {
	fail := func(a net.Addr, err error) (*SCTPListener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: err}
	}
	k, addrs, err := h.resolveSCTP(context.Background(), network, address, true)
	if err != nil {
		return fail(nil, err)
	}
	at := addrs[0]
	reuse := func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1) }
	s, err := h.bound(k, at, reuse, nil)
	if err != nil {
		return fail(k.addr(at), err)
	}
	l := &SCTPListener{s: s, k: k}
	name, err := s.GetSockName()
	if err == nil && len(also) > 0 {
		v := h.sockaddrs(also, name.Port)
		err = os.NewSyscallError("setsockopt", s.SetSockOpt(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_ADD, v))
	}
	if err == nil {
		err = sctpDefaults(s)
	}
	if err == nil {
		err = os.NewSyscallError("listen", s.Listen(abi.SOMAXCONN))
	}
	if err != nil {
		s.Close()
		return fail(k.addr(at), err)
	}
	l.addr = k.addr(netip.AddrPortFrom(at.Addr(), name.Port))
	return l, nil
}

// resolveSCTP is resolve for the networks of SCTP.
func (h *Host) resolveSCTP(ctx context.Context, network, address string, passive bool) (kind, []netip.AddrPort, error) {
	k := kind{network: network, typ: abi.SOCK_STREAM, protocol: abi.IPPROTO_SCTP}
	switch network {
	case "sctp":
	case "sctp4", "sctp6":
		k.family = network[4]
	default:
		return k, nil, net.UnknownNetworkError(network)
	}
	addrs, err := h.resolve(ctx, k, nil, address, passive)
	return k, addrs, err
}

// sctpDefaults has messages come with how they were sent.
func sctpDefaults(s *Socket) error {
	return os.NewSyscallError("setsockopt", s.SetSockOptInt(abi.SOL_SCTP, abi.SCTP_RECVRCVINFO, 1))
}

// sockaddrs returns addresses, all of one port, as options have them.
func (h *Host) sockaddrs(addrs []netip.Addr, port uint16) (v []byte) {
	for _, a := range addrs {
		v = h.inet(netip.AddrPortFrom(a, port)).AppendSockaddr(v)
	}
	return v
}

// ConnectX opens an association of an SCTP socket with a peer that has all the addresses, which are of one
// port, and returns its number, by which a socket of one-to-many style knows it (sctp_connectx(3)). With
// EINPROGRESS there is a number, too.
func (s *Socket) ConnectX(ctx context.Context, peers ...Addr) (assoc int32, err error) {
	var v []byte
	for _, a := range peers {
		v = a.AppendSockaddr(v)
	}
	err = s.in.SetOptContext(ctx, abi.SOL_SCTP, abi.SCTP_SOCKOPT_CONNECTX, v)
	if err != nil && err != syscall.EINPROGRESS {
		return 0, err
	}
	info := abi.SCTPPaddrinfo{Address: abi.Addr(peers[0])}
	b := abi.AppendStruct(nil, &info)
	if _, e := s.GetSockOpt(abi.SOL_SCTP, abi.SCTP_GET_PEER_ADDR_INFO, b); e == nil {
		abi.ParseStruct(b, &info)
	}
	return info.AssocID, err
}

// Accept waits for the next association: an *SCTPConn.
func (l *SCTPListener) Accept() (net.Conn, error) {
	c, err := l.AcceptSCTP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptSCTP is Accept with another type.
func (l *SCTPListener) AcceptSCTP() (*SCTPConn, error) {
	in, err := l.s.in.Accept(context.Background())
	if err != nil {
		return nil, l.opError("accept", "accept", err)
	}
	c := &SCTPConn{conn{s: Socket{in, l.s.host}, k: l.k}}
	if err := c.named(); err != nil {
		c.s.Close()
		return nil, l.opError("accept", "getsockname", err)
	}
	return c, nil
}

func (l *SCTPListener) opError(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: l.k.network, Addr: l.addr, Err: sysError(call, err)}
}

// Close stops listening; an Accept under way fails with net.ErrClosed.
func (l *SCTPListener) Close() error { return l.opError("close", "close", l.s.Close()) }

// Addr returns the address that is listened on, the first of several.
func (l *SCTPListener) Addr() net.Addr { return l.addr }

// Socket returns the socket behind the listener.
func (l *SCTPListener) Socket() *Socket { return l.s }

// DialSCTP opens an association with the address, of the network "sctp", "sctp4" or "sctp6"; the peer
// is known to have the addresses also, too.
func (h *Host) DialSCTP(ctx context.Context, network, address string, also ...netip.Addr) (*SCTPConn, error) {
	fail := func(a net.Addr, err error) (*SCTPConn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: a, Err: err}
	}
	k, addrs, err := h.resolveSCTP(ctx, network, address, false)
	if err != nil {
		return fail(nil, err)
	}
	var first error
	for _, to := range addrs {
		c, err := h.dialSCTP(ctx, k, to, also)
		if err == nil {
			return c, nil
		}
		if first == nil {
			_, first = fail(k.addr(to), err)
		}
	}
	return nil, first
}

func (h *Host) dialSCTP(ctx context.Context, k kind, to netip.AddrPort, also []netip.Addr) (*SCTPConn, error) {
	if err := endedBy(ctx); err != nil {
		return nil, contextError(err)
	}
	s, err := h.Socket(abi.FamilyOf(to.Addr()), k.typ, k.protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &SCTPConn{conn{s: *s, k: k}}
	if err = sctpDefaults(s); err == nil {
		if len(also) == 0 {
			err = s.ConnectContext(ctx, h.inet(to))
		} else {
			peers := append([]netip.Addr{to.Addr()}, also...)
			err = s.in.SetOptContext(ctx, abi.SOL_SCTP, abi.SCTP_SOCKOPT_CONNECTX, h.sockaddrs(peers, to.Port()))
		}
		err = callError(ctx, "connect", err)
	}
	if err == nil {
		err = sysError("getsockname", c.named())
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return c, nil
}

var _ net.Listener = (*SCTPListener)(nil)
