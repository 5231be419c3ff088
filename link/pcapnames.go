package link

import "strings"

// names are those of programs, by process, for the comments of a capture.
type names map[int32]string

const (
	maxNames   = 1 << 15 // processes; that is what Linux has at one time unless told otherwise
	maxNameLen = 64      // bytes
)

// Name says that a process runs a program of that name, which the comments of its packets
// have from then on beside its number. A later name of the same process, which has executed
// another program or is another one, takes its place. At most 64 bytes of a name are kept.
func (p *PcapWriter) Name(pid int32, name string) {
	name = strings.ToValidUTF8(name[:min(len(name), maxNameLen)], "")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.names[pid] == name {
		return
	}
	if len(p.names) >= maxNames {
		clear(p.names) // most have ended long ago, and the others are named again
	}
	if p.names == nil {
		p.names = make(names)
	}
	p.names[pid] = name
}
