package ip

import (
	"net/netip"

	"usock/internal/host"
	"usock/internal/pkt"
)

// IfaceConfig describes an interface.
type IfaceConfig struct {
	Name string
	MTU  int // 0: 65536 for a loopback interface, else 1500

	// Loopback makes it the interface for packets to the host's own addresses. It
	// gets 127.0.0.1/8 and ::1/128.
	Loopback bool

	// Out takes the packets to the link. Without one the interface is the host's
	// built-in loopback: packets go through the host's loopback queue, trusted.
	Out *host.Port

	Checksum bool // the link takes packets without transport checksum
	Segments bool // the link takes TCP segments larger than the MTU
}

// IfaceStats counts what an interface carried.
type IfaceStats struct {
	RxPackets, RxBytes, RxErrors, RxDropped uint64
	TxPackets, TxBytes, TxErrors, TxDropped uint64
}

// IfaceFlags are the properties of an interface.
type IfaceFlags uint8

// The flags.
const (
	FlagUp IfaceFlags = 1 << iota
	FlagLoopback
	FlagMulticast
	FlagPointToPoint
)

// Iface is an interface of the host.
type Iface struct {
	Stats IfaceStats

	layer *Layer
	cfg   IfaceConfig
	index int
	addrs []netip.Prefix
}

// AddIface adds an interface. The first one has index 1, and should be the
// loopback interface.
func (l *Layer) AddIface(c IfaceConfig) *Iface {
	i := &Iface{layer: l, cfg: c, index: len(l.ifaces) + 1}
	l.ifaces = append(l.ifaces, i)
	return i
}

// RemoveIface removes an interface with its addresses, routes and groups.
func (l *Layer) RemoveIface(i *Iface) {}

// Ifaces returns the interfaces, in the order of their indices.
func (l *Layer) Ifaces() []*Iface { return l.ifaces }

// Iface returns the interface with the index, nil if there is none.
func (l *Layer) Iface(index int) *Iface { return nil }

// IfaceByName returns the interface with the name, nil if there is none.
func (l *Layer) IfaceByName(name string) *Iface { return nil }

// Loopback returns the loopback interface, nil if there is none.
func (l *Layer) Loopback() *Iface { return nil }

// Index returns the interface's number, from 1.
func (i *Iface) Index() int { return i.index }

// Name returns the interface's name.
func (i *Iface) Name() string { return i.cfg.Name }

// MTU returns the size of the largest packet.
func (i *Iface) MTU() int { return i.cfg.MTU }

// Flags returns the interface's properties.
func (i *Iface) Flags() IfaceFlags { return 0 }

// Addrs returns the interface's addresses with the length of their networks.
func (i *Iface) Addrs() []netip.Prefix { return i.addrs }

// AddAddr gives the interface an address; the rest of the prefix becomes
// reachable through it. EEXIST if it has it.
func (l *Layer) AddAddr(i *Iface, a netip.Prefix) error { return nil }

// RemoveAddr takes the address away; EADDRNOTAVAIL if it is not there.
func (l *Layer) RemoveAddr(i *Iface, a netip.Prefix) error { return nil }

// IsLocal reports whether a is an address of this host: one of 127.0.0.0/8, ::1,
// or an interface's own.
func (l *Layer) IsLocal(a netip.Addr) bool { return false }

// IsBroadcast reports whether a is the limited broadcast address or that of a
// network that the host is on.
func (l *Layer) IsBroadcast(a netip.Addr) bool { return false }

// Join makes the interface receive the group; each Join needs its Leave. EINVAL
// if group is no multicast address.
func (l *Layer) Join(i *Iface, group netip.Addr) error { return nil }

// Leave undoes one Join; EADDRNOTAVAIL without one.
func (l *Layer) Leave(i *Iface, group netip.Addr) error { return nil }

// Joined reports whether the interface receives the group.
func (i *Iface) Joined(group netip.Addr) bool { return false }

// Input takes over packets that a link delivered.
func (l *Layer) Input(i *Iface, batch []*pkt.Packet) {}
