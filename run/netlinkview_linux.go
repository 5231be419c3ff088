//go:build amd64 || arm64

package run

import (
	"syscall"

	"usock/internal/rtnl"
)

// source says what the host tells a netlink socket.
func (l *loop) source(s *netlinkSock) *rtnl.Source {
	return &rtnl.Source{View: l.view, Find: l.findPath}
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
	out := rtnl.Path{Src: p.Src, Via: p.Via, Link: p.Interface, Local: p.Local, Broadcast: p.Broadcast}
	return out, 0
}

// join says which groups the socket belongs to.
func (s *netlinkSock) join(groups uint64) { s.groups = groups }

var _ syscall.Errno
