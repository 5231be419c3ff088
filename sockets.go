package usock

import (
	"net/netip"
	"time"

	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/tcp"
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
	Path, PeerPath string   // AF_UNIX: names, "@…" for abstract ones
	Owner          int32    // process on whose behalf the socket acts; 0: this one
	Drops          uint64   // datagrams lost because the receive queue was full
	TCP            *TCPInfo // connections only
	Congestion     string   // the name of a connection's congestion control

	V6Only         bool          // IPV6_V6ONLY
	RcvBuf, SndBuf int           // SO_RCVBUF and SO_SNDBUF; 0 of what has no socket
	Interface      int           // the index that SO_BINDTODEVICE has chosen; 0: any
	TimeWait       time.Duration // how long TIME-WAIT lasts yet
}

// ssStates are ss(8)'s names of the states.
var ssStates = map[tcp.State]string{
	tcp.Closed: "UNCONN", tcp.Listen: "LISTEN", tcp.SynSent: "SYN-SENT", tcp.SynRcvd: "SYN-RECV",
	tcp.Established: "ESTAB", tcp.FinWait1: "FIN-WAIT-1", tcp.FinWait2: "FIN-WAIT-2",
	tcp.CloseWait: "CLOSE-WAIT", tcp.Closing: "CLOSING", tcp.LastAck: "LAST-ACK", tcp.TimeWait: "TIME-WAIT",
}

// Sockets lists the host's sockets, the connections that outlive theirs, and those
// in TIME-WAIT.
func (h *Host) Sockets() []SocketInfo {
	h.h.Enter()
	list, local := h.stack.Sockets(), h.unix.Sockets()
	h.h.Leave()
	out := appendInfos(make([]SocketInfo, 0, len(list)), list)
	for _, in := range local {
		s := SocketInfo{
			ID: in.ID, Proto: "unix", Domain: abi.AF_UNIX, State: "UNCONN",
			RecvQ: in.RecvQ, SendQ: in.SendQ, Owner: in.Owner,
			Path: in.Local.String(), PeerPath: in.Peer.String(),
		}
		switch {
		case in.Listening:
			s.State = "LISTEN"
		case in.Connected:
			s.State = "ESTAB"
		default:
			s.PeerPath = ""
		}
		out = append(out, s)
	}
	return out
}

// SocketsFrom lists a part of what Sockets does, but for AF_UNIX and in no order: what stands
// at n places from place on, 0 first, and then what the last call has returned as next, which
// is 0 after the last part. So the host's lock is held for a moment at a time. What comes,
// goes or moves between two calls may be missing or listed twice.
func (h *Host) SocketsFrom(place, n int) (list []SocketInfo, next int) {
	h.h.Enter()
	part, next := h.stack.SocketsFrom(nil, place, n)
	h.h.Leave()
	return appendInfos(nil, part), next
}

// appendInfos appends what the stack tells of sockets of the Internet's families.
func appendInfos(out []SocketInfo, list []inet.Info) []SocketInfo {
	for _, in := range list {
		s := SocketInfo{
			ID: in.ID, Proto: in.Kind.Name, Domain: in.Domain, State: ssStates[in.State],
			RecvQ: in.RecvQ, SendQ: in.SendQ, Local: in.Local, Peer: in.Peer,
			Owner: in.Owner, Drops: in.Drops, TCP: (*TCPInfo)(in.TCP), Congestion: in.Congestion,
			V6Only: in.V6Only, RcvBuf: in.RcvBuf, SndBuf: in.SndBuf, Interface: in.Device, TimeWait: in.Left,
		}
		out = append(out, s)
	}
	return out
}
