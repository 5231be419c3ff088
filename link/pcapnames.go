package link

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"usock/internal/pcapfilter"
	"usock/packet"
)

// What a capture knows of the packets' makers.
const (
	maxNames     = 1 << 15 // processes; that is what Linux has at one time unless told otherwise
	maxNameLen   = 64      // bytes
	maxHostNames = 1 << 15 // addresses
	maxHostName  = 255     // bytes
	maxFlows     = 1 << 15 // of each generation

	nameAge = 250 * time.Millisecond // after which a name that was asked for is asked for again
)

// processNames are the names of programs, by process.
type processNames struct {
	by   map[int32]program
	ask  func(pid int32) string // PcapConfig.Program
	told map[int32]uint32       // the process's place in list
	list []process              // those that the file has blocks of
}

type process struct {
	pid  int32
	name string
}

// program is a program that a process runs.
type program struct {
	name  string
	asked bool   // and not told by Name
	at    uint64 // when it was asked for, in ns
}

// of returns the name of the program that a process runs; "": it is not known.
func (n *processNames) of(pid int32, now uint64) string {
	x, ok := n.by[pid]
	if n.ask == nil || pid == 0 || ok && !(x.asked && now-x.at >= uint64(nameAge)) {
		return x.name
	}
	name := n.ask(pid)
	if name == "" {
		name = x.name // it has ended: its last packets are still its
	}
	return n.set(pid, program{name, true, now})
}

// set notes a program and returns its name, as far as it is kept.
func (n *processNames) set(pid int32, x program) string {
	x.name = strings.ToValidUTF8(x.name[:min(len(x.name), maxNameLen)], "")
	if n.by[pid].name != x.name {
		delete(n.told, pid)
	}
	if len(n.by) >= maxNames {
		clear(n.by) // most have ended long ago, and the others are named again
	}
	if n.by == nil {
		n.by = make(map[int32]program)
	}
	n.by[pid] = x
	return x.name
}

// Name says that a process runs a program of that name, which its packets
// have from then on beside its number. A later name of the same process, which has executed
// another program or is another one, takes its place. At most 64 bytes of a name are kept.
func (p *PcapWriter) Name(pid int32, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names.set(pid, program{name: name})
}

// tell appends a process's block, if it is not in the file, and returns its place among them; not ok: there are too
// many.
func (n *processNames) tell(b []byte, pid int32, now uint64) (_ []byte, place uint32, ok bool) {
	name := n.of(pid, now)
	if place, ok := n.told[pid]; ok {
		return b, place, true
	}
	if len(n.list) >= maxNames {
		return b, 0, false
	}
	if n.told == nil {
		n.told = make(map[int32]uint32)
	}
	x := process{pid, name}
	place = uint32(len(n.list))
	n.list = append(n.list, x)
	n.told[pid] = place
	return appendProcess(b, x.pid, x.name), place, true
}

// anew has the processes told again, in another file.
func (n *processNames) anew() {
	n.list = nil
	clear(n.told)
}

// hostNames are the names of addresses.
type hostNames struct {
	list  []hostName
	known map[netip.Addr]bool
}

// add notes a name, and reports whether it is to be told. Who answers about names may give any bytes for one, and a file has text.
func (n *hostNames) add(a netip.Addr, name string) bool {
	name = strings.TrimSuffix(name, ".")
	if !a.IsValid() || name == "" || len(name) > maxHostName || !isText(name) || n.known[a] || len(n.list) >= maxHostNames {
		return false
	}
	if n.known == nil {
		n.known = make(map[netip.Addr]bool)
	}
	n.known[a] = true
	n.list = append(n.list, hostName{a, name})
	return true
}

func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// last returns the names that were told last, in at most so many bytes of blocks; 0: all.
func (n *hostNames) last(most int64) []hostName {
	at := len(n.list)
	if most == 0 {
		return n.list
	}
	for ; at > 0; at-- {
		const around = 4 + 16 + 1 + 3 // the record's head, an address, the name's end, padding
		if most -= int64(around + len(n.list[at-1].name)); most < 0 {
			break
		}
	}
	return n.list[at:]
}

// pcapOwners says whose things are. When there are many, those that have not been seen for long are forgotten: they are kept in
// two generations.
type pcapOwners[K comparable] struct {
	young, old map[K]packet.Owner
}

func (o *pcapOwners[K]) set(x K, whose packet.Owner) {
	if o.young[x] == whose {
		return
	}
	if len(o.young) >= maxFlows {
		o.old, o.young = o.young, nil
	}
	if o.young == nil {
		o.young = make(map[K]packet.Owner)
	}
	o.young[x] = whose
}

func (o *pcapOwners[K]) get(x K) packet.Owner {
	if whose, ok := o.young[x]; ok {
		return whose
	}
	return o.old[x]
}

// pcapFlows says who has sent from where to where.
type pcapFlows struct{ pcapOwners[pcapfilter.Flow] }

// owner returns who sends to where a packet of a flow comes from.
func (f *pcapFlows) owner(flow pcapfilter.Flow) packet.Owner { return f.get(flow.Reverse()) }
