package usock

import (
	"iter"
	"net/netip"
	"time"

	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/trace"
)

// SocketInfo describes a socket as ss(8) lists it, or a connection that outlives
// its socket.
type SocketInfo struct {
	ID             uint64 // the socket's number; 0 if it has none
	Proto          string // "tcp", "udp", "icmp", "raw", "unix"
	Domain         int
	State          string // as ss names it: "ESTAB", "LISTEN", "TIME-WAIT", "UNCONN", …
	RecvQ, SendQ   int    // bytes; of a listener: connections that wait, and the backlog
	Local, Peer    netip.AddrPort
	Path, PeerPath string // AF_UNIX: names, "@…" for abstract ones
	Owner          int32  // process on whose behalf the socket acts; 0: this one
	Drops          uint64 // datagrams lost because the receive queue was full

	// RxBytes and TxBytes are what a socket of UDP, SCTP, for echo requests or a raw one has received and sent, without
	// headers; what its program has not read is among them but of SCTP. A connection's are in TCP.
	RxBytes, TxBytes uint64

	TCP        *TCPInfo // connections only
	Congestion string   // the name of a connection's congestion control

	UDP  *UDPSocketInfo  // UDP's sockets only, which have asked name servers
	SCTP *SCTPSocketInfo // SCTP's sockets only

	// Waits is whom a connection's sender waits for, as an event of kind trace.Stalled says, where TCP is there too;
	// trace.ByNobody: data moves.
	Waits trace.Why

	V6Only         bool          // IPV6_V6ONLY
	RcvBuf, SndBuf int           // SO_RCVBUF and SO_SNDBUF; 0 of what has no socket
	Interface      int           // the index that SO_BINDTODEVICE has chosen; 0: any
	TimeWait       time.Duration // how long TIME-WAIT lasts yet
	Age            time.Duration // of a TCP connection, since its handshake began, in ms, modulo 2^32 of them (49 days); of a UDP socket, too
}

// Sockets lists the host's sockets, the connections that outlive theirs, and those
// in TIME-WAIT.
func (h *Host) Sockets() []SocketInfo {
	h.h.Enter()
	list := h.stack.Sockets()
	h.h.Leave()
	return infos(list)
}

// SocketsFrom lists a part of what Sockets does, in no order: what stands
// at n places from place on, 0 first, and then what the last call has returned as next, which
// is 0 after the last part. So the host's lock is held for a moment at a time. What comes,
// goes or moves between two calls may be missing or listed twice.
func (h *Host) SocketsFrom(place, n int) (list []SocketInfo, next int) {
	h.h.Enter()
	part, next := h.stack.List(nil, place, n)
	h.h.Leave()
	return infos(part), next
}

// SocketPages is Sockets in parts of at most n, for who looks at many, without what TCP knows of connections
// (SocketInfo.TCP). As with SocketsFrom, the host's lock is held for a part at a time. A part is good until the
// next one.
func (h *Host) SocketPages(n int) iter.Seq[[]SocketInfo] {
	return func(yield func([]SocketInfo) bool) {
		n := max(n, 1)
		var part []socket.Info
		var list []SocketInfo
		for place, next := 0, 1; next != 0; place = next {
			h.h.Enter()
			part, next = h.stack.ListBrief(part[:0], place, n)
			h.h.Leave()
			list = appendInfos(list[:0], part)
			if !yield(list) {
				return
			}
		}
	}
}

// tellEnded has f told of what has ended as users see it.
func tellEnded(f func(SocketInfo)) func(socket.Info) {
	if f == nil {
		return nil
	}
	return func(in socket.Info) { f(appendInfos(nil, []socket.Info{in})[0]) }
}

// infos is what the registry tells of sockets as users see it.
func infos(list []socket.Info) []SocketInfo {
	return appendInfos(make([]SocketInfo, 0, len(list)), list)
}

func appendInfos(out []SocketInfo, list []socket.Info) []SocketInfo {
	for i := range list {
		in := &list[i]
		out = append(out, SocketInfo{})
		s := &out[len(out)-1]
		s.ID, s.Proto, s.Domain, s.State, s.RecvQ, s.SendQ = in.ID, in.Kind.Name, in.Domain, in.State, in.RecvQ, in.SendQ
		s.Owner, s.Drops, s.RxBytes, s.TxBytes, s.Congestion = in.Owner, in.Drops, in.RxBytes, in.TxBytes, in.Congestion
		s.V6Only, s.RcvBuf, s.SndBuf, s.Interface, s.TimeWait, s.Age = in.V6Only, in.RcvBuf, in.SndBuf, in.Device, in.Left, in.Age
		if in.Domain == abi.AF_UNIX {
			s.Path, s.PeerPath = pathOf(in.Local), pathOf(in.Peer)
		} else {
			s.Local, s.Peer = in.Local.AddrPort(), in.Peer.AddrPort()
		}
		switch t := in.Detail.(type) {
		case *tcp.Info:
			s.TCP, s.Waits = (*TCPInfo)(t), in.Waits
		case *inet.UDPDetail:
			s.UDP = (*UDPSocketInfo)(t)
		case *inet.SCTPDetail:
			s.SCTP = sctpSocketInfo(t)
		}
	}
	return out
}

// UDPSocketInfo is what there is to tell of a socket of UDP's alone: of those questions that it has sent to name servers (port 53), the
// oldest that has no answer yet, or else the one that had to wait longest for its own.
type UDPSocketInfo struct {
	Server  netip.AddrPort
	Message []byte // the question, as RFC 1035 has it; it must not be changed
	Open    bool   // it has no answer
	Waited  time.Duration
}

// SCTPSocketInfo is what there is to tell of a socket of SCTP's alone.
type SCTPSocketInfo struct {
	Locals []netip.Addr // that were bound; the wildcard is one
	Info   []byte       // struct sctp_info (linux/sctp.h) with what it has of sockets
	Assocs []SCTPAssocInfo
}

// SCTPAssocInfo describes an association: a socket's own, or one that a listener has to be accepted.
type SCTPAssocInfo struct {
	State         int            // Linux's own number of it (enum sctp_state), 3 for ESTABLISHED: one less than SCTP_STATUS's
	Local, Peer   netip.AddrPort // Peer is the primary address
	Locals, Peers []netip.Addr
	Interface     int    // by which packets leave to Peer; 0: there is no route
	RecvQ, SendQ  int    // bytes
	Info          []byte // struct sctp_info with what it has of associations

	Made       bool          // it was established
	Unanswered bool          // the peer did not answer any more, or not at all
	SRTT       time.Duration // of Peer; 0: not measured
	Retrans    uint64        // chunks of data that were sent again

	// What the program has read and sent, and how long ago the association began: of hosts with Config.Ended.
	RxBytes, TxBytes uint64
	Age              time.Duration
}

func sctpSocketInfo(d *inet.SCTPDetail) *SCTPSocketInfo {
	out := &SCTPSocketInfo{Locals: d.Locals, Info: d.Info}
	for _, a := range d.Assocs {
		out.Assocs = append(out.Assocs, SCTPAssocInfo(a))
	}
	return out
}

// pathOf returns the name in an address of AF_UNIX; "" for none.
func pathOf(a abi.Addr) string {
	if a.Family != abi.AF_UNIX {
		return ""
	}
	return a.String()
}
