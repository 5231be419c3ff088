package inspect

import (
	"cmp"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"usock"
	"usock/internal/control"
	"usock/internal/ss"
	"usock/trace"
)

// page is how many of the host's sockets are looked at in one step, and stand in a reply at most.
const page = 512

// sockets lists the host's sockets, page by page.
func (c *client) sockets(q *control.Request) error {
	filter, err := ss.Parse(q.Filter, ss.ServiceNumber)
	if err != nil {
		return c.fail(q.ID, control.Invalid, err.Error())
	}
	v := view{names: make(map[int32]string), detail: q.Detail, devices: make(map[int]string), self: int32(os.Getpid()), gate: c.s.gate}
	if q.Inodes && c.s.config.Ends != nil {
		v.ends = c.s.config.Ends()
	}
	if q.Detail {
		v.outside = c.s.config.Outside
	}
	for _, i := range c.s.config.Host.Interfaces() {
		v.devices[i.Index] = i.Name
	}
	list := c.s.config.Host.SocketPages(page)
	if q.Detail {
		list = detailed(c.s.config.Host)
	}
	out := c.writeAhead()
	var ends ss.Ends
	for part := range list {
		n := 0
		for i := range part {
			in := &part[i]
			ends = ss.Ends{State: in.State, Local: address(in, in.Local), Peer: address(in, in.Peer)}
			if listed(in) && chosen(q, in) && filter.Match(&ends) {
				if n != i {
					part[n] = *in
				}
				n++
			}
		}
		if part = part[:n]; n == 0 {
			continue
		}
		if err = out.reply(&control.Reply{ID: q.ID, Sockets: v.describe(part)}); err != nil {
			break
		}
	}
	if err = cmp.Or(out.end(), err); err != nil {
		return err
	}
	return c.reply(&control.Reply{ID: q.ID, Done: true}, writeTime)
}

// detailed is SocketPages with what TCP knows.
func detailed(h *usock.Host) iter.Seq[[]usock.SocketInfo] {
	return func(yield func([]usock.SocketInfo) bool) {
		for place, next := 0, 1; next != 0; place = next {
			var list []usock.SocketInfo
			if list, next = h.SocketsFrom(place, page); !yield(list) {
				return
			}
		}
	}
}

// listed reports whether the kernel would list the socket: one without a port is in none of
// its tables, and of a connection in TIME-WAIT the record alone is.
func listed(in *usock.SocketInfo) bool {
	if in.Domain == usock.AF_UNIX {
		return true
	}
	if in.Local.Port() == 0 {
		return false
	}
	return in.Proto != "tcp" || in.State != "UNCONN" && (in.State != "TIME-WAIT" || in.ID == 0)
}

// chosen reports whether a request wants a socket, whatever its filter.
func chosen(q *control.Request, in *usock.SocketInfo) bool {
	return (len(q.Protocols) == 0 || slices.Contains(q.Protocols, in.Proto)) &&
		(len(q.States) == 0 || slices.Contains(q.States, in.State))
}

// view is what the parts of a list have in common.
type view struct {
	names   map[int32]string // of processes
	devices map[int]string
	detail  bool
	gate    gate
	self    int32
	ends    func([]usock.SocketInfo, []uint32) // nil: they are not asked for
	inodes  []uint32
	outside func([]usock.SocketInfo, []string) // nil: likewise
	out     []control.Socket
	text    []byte // of addresses,
	cuts    []int  // with their ends
}

// describe tells of sockets, until it is called again.
func (v *view) describe(list []usock.SocketInfo) []control.Socket {
	v.inodes = append(v.inodes[:0], make([]uint32, len(list))...)
	if v.ends != nil {
		v.ends(list, v.inodes)
	}
	var outside []string
	if v.outside != nil {
		outside = make([]string, len(list))
		v.outside(list, outside)
	}
	out := append(v.out[:0], make([]control.Socket, len(list))...)
	v.out = out
	v.addresses(list, out)
	for i := range list {
		in := &list[i]
		s := &out[i]
		s.ID, s.Proto, s.State, s.RecvQ, s.SendQ, s.Process, s.Inode = in.ID, in.Proto, in.State, in.RecvQ, in.SendQ, in.Owner, v.inodes[i]
		s.Drops, s.RxBytes, s.TxBytes, s.V6, s.V6Only = in.Drops, in.RxBytes, in.TxBytes, in.Domain == usock.AF_INET6, in.V6Only
		s.Congestion, s.Left, s.Device = in.Congestion, in.TimeWait.Milliseconds(), v.devices[in.Interface]
		if in.Domain == usock.AF_UNIX {
			s.Local, s.Peer = in.Path, in.PeerPath
		}
		if in.RcvBuf != 0 { // it has a socket, and so a process
			if s.Process == 0 {
				s.Process = v.self
			}
			s.Program = programName(v.gate, v.names, s.Process)
		}
		if v.detail {
			s.TCP, s.Stall = (*control.TCP)(in.TCP), Stall(in)
		}
		if outside != nil && outside[i] != "" && beyond(in) {
			s.Stall = control.Printable(outside[i])
		}
	}
	return out
}

// beyond reports whether what a socket waits for beyond the host is what it waits for: a program has nothing else to do, or the
// peer, for whom a gateway stands in, takes no more because of it.
func beyond(in *usock.SocketInfo) bool {
	if in.TCP == nil || in.State == "SYN-SENT" || in.Waits == trace.ByWindow {
		return true
	}
	return in.Waits == trace.ByProgram && in.RecvQ == 0 && in.TCP.NotSentBytes == 0
}

// address returns an address as its socket has it: one of IPv6 has IPv4 mapped.
func address(in *usock.SocketInfo, a netip.AddrPort) netip.AddrPort {
	if in.Domain == usock.AF_INET6 && a.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	return a
}

// addresses fills in the addresses, all of which are parts of one text.
func (v *view) addresses(list []usock.SocketInfo, out []control.Socket) {
	v.text, v.cuts = v.text[:0], v.cuts[:0]
	add := func(in *usock.SocketInfo, a netip.AddrPort) {
		if a.IsValid() {
			v.text = address(in, a).AppendTo(v.text)
		}
		v.cuts = append(v.cuts, len(v.text))
	}
	for i := range list {
		add(&list[i], list[i].Local)
		add(&list[i], list[i].Peer)
	}
	all, from := string(v.text), 0
	for i := range list {
		local, peer := v.cuts[2*i], v.cuts[2*i+1]
		out[i].Local, out[i].Peer = all[from:local], all[local:peer]
		from = peer
	}
}

// programName returns the name of a process's program; "" for one that is gone. What
// would change a terminal is left out. known are those that were looked up.
func programName(g gate, known map[int32]string, pid int32) string {
	name, ok := known[pid]
	if !ok && pid != 0 {
		b, _ := g.readFile("/proc/" + strconv.Itoa(int(pid)) + "/comm")
		name = control.Printable(strings.TrimSpace(string(b)))
		known[pid] = name
	}
	return name
}
