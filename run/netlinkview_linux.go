//go:build amd64 || arm64

package run

import (
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/rtnl"
)

// source says what the host tells a netlink socket.
func (l *loop) source(s *netlinkSock) *rtnl.Source {
	return &rtnl.Source{
		View: l.view, Find: l.findPath, Sockets: l.listSockets, Foreign: s.askKernel,
		User: func() uint32 { return userOf(make(map[int32]uint32), s.pid) },
	}
}

// view returns the host's interfaces and routes.
func (l *loop) view() *rtnl.View {
	v := new(rtnl.View)
	for _, i := range l.host.Interfaces() {
		v.Links = append(v.Links, rtnl.Link{
			Index: i.Index, Name: i.Name, MTU: i.MTU, Loopback: i.Loopback, Addrs: i.Addrs, Stats: rtnl.Stats(i.Stats),
		})
	}
	for _, r := range l.host.Routes() {
		v.Routes = append(v.Routes, rtnl.Route{
			Dst: r.Dst, Via: r.Via, Src: r.Src, Link: r.Interface, Metric: r.Metric, MTU: r.MTU,
		})
	}
	return v
}

// findPath looks for the path to a destination.
func (l *loop) findPath(q rtnl.Query) (rtnl.Path, rtnl.Errno) {
	p, err := l.host.Path(q.Dst, q.Src, q.Link)
	if err != nil {
		return rtnl.Path{}, rtnl.Errno(errno(err))
	}
	return rtnl.Path{Src: p.Src, Via: p.Via, Link: p.Interface, Local: p.Local, Broadcast: p.Broadcast}, 0
}

// tcpStates are Linux's numbers of the states that SocketInfo names.
var tcpStates = map[string]uint8{
	"ESTAB": 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6,
	"UNCONN": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11,
}

// diagProtocols are those that inet_diag tells of, as SocketInfo names them.
var diagProtocols = map[uint8]string{
	unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp", unix.IPPROTO_RAW: "raw",
}

// socketsAtOnce is how many sockets are looked at in one step.
const socketsAtOnce = 64

// listSockets lists the sockets of a protocol, part by part.
func (l *loop) listSockets(protocol uint8) func() ([]rtnl.Socket, bool) {
	name := diagProtocols[protocol]
	ends := l.endsByID()
	users := make(map[int32]uint32)
	place := 0
	return func() (list []rtnl.Socket, more bool) {
		part, next := l.host.SocketsFrom(place, socketsAtOnce)
		place = next
		for i := range part {
			if in := &part[i]; in.Proto == name && listed(in) {
				list = append(list, describe(in, ends[in.ID], users))
			}
		}
		return list, next != 0
	}
}

// listed reports whether the kernel would list the socket: one without a port is in none of
// its tables, and of a connection in TIME-WAIT the record alone is.
func listed(in *usock.SocketInfo) bool {
	if in.Local.Port() == 0 {
		return false
	}
	return in.Proto != "tcp" || in.State != "UNCONN" && (in.State != "TIME-WAIT" || in.ID == 0)
}

// describe tells of a socket with the inode of the program's end s, by which /proc tells whose
// it is.
func describe(in *usock.SocketInfo, s *sock, users map[int32]uint32) rtnl.Socket {
	k := rtnl.Socket{
		Family: uint8(in.Domain), State: tcpStates[in.State], V6Only: in.V6Only, Local: in.Local, Peer: in.Peer,
		Link: uint32(in.Interface), Cookie: in.ID, RecvQ: uint32(in.RecvQ), SendQ: uint32(in.SendQ),
		RcvBuf: uint32(in.RcvBuf), SndBuf: uint32(in.SndBuf), Drops: uint32(in.Drops),
		Left: in.TimeWait, Congestion: in.Congestion,
	}
	if k.Cookie == 0 {
		k.Cookie = cookieOf(in.Local, in.Peer)
	}
	if in.TCP != nil {
		k.Info, k.Retrans = in.TCP, in.TCP.Retransmits
	}
	if s != nil && s.state != released && in.ID != 0 {
		k.Inode = uint32(s.id.ino)
		s.addQueued(&k)
	}
	if in.Owner != 0 {
		k.UID = userOf(users, in.Owner)
	}
	if in.SCTP != nil {
		describeSCTP(&k, in.SCTP)
	}
	return k
}

// describeSCTP adds what SCTP alone has. There closing is what Linux calls CLOSE-WAIT elsewhere
// (SCTP_SS_CLOSING).
func describeSCTP(k *rtnl.Socket, in *usock.SCTPSocketInfo) {
	withPort := func(list []netip.Addr, port uint16) (out []netip.AddrPort) {
		for _, a := range list {
			out = append(out, netip.AddrPortFrom(a, port))
		}
		return out
	}
	if k.State == tcpStates["CLOSING"] {
		k.State = tcpStates["CLOSE-WAIT"]
	}
	if k.State != tcpStates["LISTEN"] {
		k.RecvQ, k.SendQ = 0, 0 // what the associations have is theirs
	}
	k.Locals, k.Info = withPort(in.Locals, k.Local.Port()), infoBytes(in.Info)
	for _, x := range in.Assocs {
		a := *k
		a.Assoc, a.Assocs, a.State, a.Local, a.Peer = true, nil, uint8(x.State), x.Local, x.Peer
		a.Link, a.RecvQ, a.SendQ, a.Info = uint32(x.Interface), uint32(x.RecvQ), uint32(x.SendQ), infoBytes(x.Info)
		a.Locals, a.Peers = withPort(x.Locals, x.Local.Port()), withPort(x.Peers, x.Peer.Port())
		k.Assocs = append(k.Assocs, a)
	}
}

// infoBytes is a structure that is written by copying it.
type infoBytes []byte

// Put writes it.
func (b infoBytes) Put(to []byte) int { return copy(to, b) }

// cookieOf makes a number for a connection that has no socket any more: its ports, in a range
// that the host's numbers do not reach.
func cookieOf(local, peer netip.AddrPort) uint64 {
	return 1<<63 | uint64(local.Port())<<16 | uint64(peer.Port())
}

// addQueued counts what lies between the program and the stack: bytes that it has sent and the
// stack does not have, or that it has been given and has not read.
func (s *sock) addQueued(k *rtnl.Socket) {
	if s.listen != nil || s.sctp != nil || s.far.fd < 0 {
		return // what an end of SCTP's has is the stack's first message, or nobody's
	}
	sent := len(s.up.buf) - s.up.off + max(0, unread(s.far.fd)-s.filler-s.peeked)
	for _, m := range s.held {
		sent += len(m)
	}
	k.SendQ += uint32(sent)
	k.RecvQ += uint32(len(s.down.buf) - s.down.off)
	if unsent(s.far.fd) == 0 {
		return // the kernel's count is of memory, and right if it is 0
	}
	if t := s.l.tasks[s.tid]; t != nil {
		if dup := s.heldBy(t, s.fd); dup >= 0 {
			k.RecvQ += uint32(unread(dup))
			sysClose(dup)
		}
	}
}

// userOf returns the user of a process; 0 for one that is gone. known are those that were
// looked up.
func userOf(known map[int32]uint32, pid int32) uint32 {
	uid, ok := known[pid]
	if !ok {
		var st unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(int(pid)), &st) == nil {
			uid = st.Uid
		} else {
			uid = uint32(os.Getuid())
		}
		known[pid] = uid
	}
	return uid
}

// askKernel has the kernel answer a request about sockets of another family, which are the
// kernel's. Its answers are read as the program takes them.
func (s *netlinkSock) askKernel(request []byte) func() []byte {
	if s.kernel < 0 {
		fd, _, e := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
			uintptr(s.session.Protocol))
		if e != 0 || !s.l.space.take(1) {
			if e == 0 {
				sysClose(int(fd))
			}
			return nil
		}
		s.kernel = int(fd)
	}
	one := int32(asInt(s.session.CapAck))
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s.kernel), unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, uintptr(unsafe.Pointer(&one)), 4, 0)
	if _, e := sysSend(s.kernel, request); e != 0 {
		return nil
	}
	return func() []byte {
		if s.kernel < 0 {
			return nil
		}
		// The kernel fills datagrams up to the largest buffer that was offered to it, and how
		// large the program's are is not known: offered is what the next one has, and no more.
		n, e := sysRecv(s.kernel, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
		if e != 0 || n == 0 {
			return nil
		}
		b := make([]byte, n)
		if n, e = sysRecv(s.kernel, b, 0); e != 0 || n == 0 {
			return nil
		}
		return b[:n]
	}
}

// hostChanged is what the host calls when its addresses or routes have changed: whoever
// belongs to a group is told, after the step of the loop that is under way.
func (l *loop) hostChanged() { l.do(l.tellChanges) }

// tellChanges sends news to the sockets that belong to groups.
func (l *loop) tellChanges() {
	p := &l.netlink
	if p.members == 0 {
		return
	}
	was := p.last
	p.last = l.view()
	list := rtnl.Changes(was, p.last)
	if len(list) == 0 {
		return
	}
	for _, s := range l.netlinks {
		if s.groups == 0 || s.session.Protocol != rtnl.NETLINK_ROUTE {
			continue
		}
		for i := range list {
			if s.groups>>(list[i].Group-1)&1 == 0 {
				continue
			}
			if len(s.out) >= netlinkNews {
				s.lost = !s.has(unix.NETLINK_NO_ENOBUFS)
				break
			}
			s.out = append(s.out, list[i].Datagram)
		}
		s.answer(false)
		if s.lost {
			s.waiting.wake(l)
		}
	}
}

// join says which groups the socket belongs to.
func (s *netlinkSock) join(groups uint64) {
	p := &s.l.netlink
	s.grouped = s.grouped || groups != 0
	switch {
	case s.groups == 0 && groups != 0:
		if p.members++; p.members == 1 {
			p.last = s.l.view()
			p.stop = s.l.host.OnChange(s.l.hostChanged)
		}
	case s.groups != 0 && groups == 0:
		if p.members--; p.members == 0 {
			p.stop()
			p.last = nil
		}
	}
	s.groups = groups
}
