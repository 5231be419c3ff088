package bpf

import "encoding/binary"

// maxParts is how many pieces a packet may lie in.
const maxParts = 8

// Packet is what a program looks at.
type Packet struct {
	Net  []byte // the network header in front of the data; nil where the data begin with it
	Link []byte // the link's header in front of that, if there is one

	Protocol  uint16 // EtherType
	Type      uint32 // PACKET_HOST and so on
	Ifindex   uint32
	LinkType  uint32 // ARPHRD_*
	PayOffset uint32 // where the transport's payload begins
	Random    uint32 // what SKF_AD_RANDOM loads, of a program that asks for it (Program.Random)

	parts [maxParts][]byte
	n     int
	size  int
}

// Add appends b to the data. It reports false if there are too many pieces.
func (p *Packet) Add(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if p.n == maxParts {
		return false
	}
	p.parts[p.n] = b
	p.n++
	p.size += len(b)
	return true
}

// Where ancillary data, the network header and the link's are found, beyond all offsets
// of data (include/uapi/linux/filter.h, SKF_AD_OFF, SKF_NET_OFF, SKF_LL_OFF).
const (
	ancillary   = 1<<32 - 0x1000
	networkBase = 1<<32 - 0x100000
	linkBase    = 1<<32 - 0x200000
)

// Ancillary data, as offsets from there. Marks, queues, hashes and VLANs there are none;
// netlink attributes are not looked for.
const (
	ancProtocol  = 0
	ancType      = 4
	ancIfindex   = 8
	ancNlattr    = 12
	ancNlaNest   = 16
	ancMark      = 20
	ancQueue     = 24
	ancLinkType  = 28
	ancRxHash    = 32
	ancCPU       = 36
	ancXorX      = 40
	ancVLAN      = 44
	ancHasVLAN   = 48
	ancPayOffset = 52
	ancRandom    = 56
	ancVLANType  = 60
)

var knownAncillary = []uint32{
	ancProtocol, ancType, ancIfindex, ancNlattr, ancNlaNest, ancMark, ancQueue, ancLinkType, ancRxHash, ancCPU,
	ancXorX, ancVLAN, ancHasVLAN, ancPayOffset, ancRandom, ancVLANType,
}

// Run returns how many bytes of the packet the program keeps: 0 is none of it, and more
// than there are is all. A load beyond the end, and a division by zero, end the program
// with 0.
func (p *Program) Run(pk *Packet) uint32 {
	var a, x uint32
	var m [scratchWords]uint32
	for at := 0; ; at++ {
		i := &p.ins[at]
		ok := true
		switch i.Code & 7 {
		case classLD:
			a, ok = pk.load(i, a, x, &m)
		case classLDX:
			switch i.Code & 0xe0 {
			case modeIMM:
				x = i.K
			case modeMEM:
				x = m[i.K]
			case modeLEN:
				x = uint32(pk.size)
			case modeMSH:
				x, ok = pk.at(i.K, 1)
				x = x & 0xf << 2
			}
		case classST:
			m[i.K] = a
		case classSTX:
			m[i.K] = x
		case classALU:
			k := i.K
			if i.Code&sourceX != 0 {
				k = x
			}
			a, ok = compute(i.Code&0xf0, a, k)
		case classJMP:
			at += i.jump(a, x)
		case classRET:
			if i.Code&retA != 0 {
				return a
			}
			return i.K
		case classMSC:
			if i.Code&miscTXA != 0 {
				a = x
			} else {
				x = a
			}
		}
		if !ok {
			return 0
		}
	}
}

// jump returns how many instructions a jump skips.
func (i *Instruction) jump(a, x uint32) int {
	k := i.K
	if i.Code&sourceX != 0 {
		k = x
	}
	is := false
	switch i.Code & 0xf0 {
	case jumpJA:
		return int(i.K)
	case jumpEQ:
		is = a == k
	case jumpGT:
		is = a > k
	case jumpGE:
		is = a >= k
	case jumpSET:
		is = a&k != 0
	}
	if is {
		return int(i.Jt)
	}
	return int(i.Jf)
}

// compute is an operation on the accumulator. Shifts by a register use five bits of it.
func compute(op uint16, a, k uint32) (uint32, bool) {
	switch op {
	case opADD:
		return a + k, true
	case opSUB:
		return a - k, true
	case opMUL:
		return a * k, true
	case opDIV:
		if k == 0 {
			return 0, false
		}
		return a / k, true
	case opMOD:
		if k == 0 {
			return 0, false
		}
		return a % k, true
	case opOR:
		return a | k, true
	case opAND:
		return a & k, true
	case opXOR:
		return a ^ k, true
	case opLSH:
		return a << (k & 31), true
	case opRSH:
		return a >> (k & 31), true
	case opNEG:
		return -a, true
	}
	return 0, false
}

// load carries out a load into the accumulator.
func (p *Packet) load(i *Instruction, a, x uint32, m *[scratchWords]uint32) (uint32, bool) {
	size := 4
	switch i.Code & 0x18 {
	case sizeH:
		size = 2
	case sizeB:
		size = 1
	}
	switch i.Code & 0xe0 {
	case modeIMM:
		return i.K, true
	case modeMEM:
		return m[i.K], true
	case modeLEN:
		return uint32(p.size), true
	case modeIND:
		return p.at(x+i.K, size)
	}
	if i.K >= ancillary {
		return p.ancillary(i.K-ancillary, a, x), true
	}
	return p.at(i.K, size)
}

func (p *Packet) ancillary(what, a, x uint32) uint32 {
	switch what {
	case ancProtocol:
		return uint32(p.Protocol)
	case ancType:
		return p.Type
	case ancIfindex:
		return p.Ifindex
	case ancLinkType:
		return p.LinkType
	case ancXorX:
		return a ^ x
	case ancPayOffset:
		return p.PayOffset
	case ancRandom:
		return p.Random
	}
	return 0
}

// at loads size bytes from an offset into the data or, beyond those, from the network's
// or the link's header on.
func (p *Packet) at(off uint32, size int) (uint32, bool) {
	var b [4]byte
	at := int(off)
	switch {
	case off >= networkBase:
		at = int(off-networkBase) - len(p.Net)
	case off >= linkBase:
		at = int(off-linkBase) - len(p.Net) - len(p.Link)
	case off > 1<<31:
		return 0, false
	}
	for i := range size {
		c, ok := p.byte(at + i)
		if !ok {
			return 0, false
		}
		b[4-size+i] = c
	}
	return binary.BigEndian.Uint32(b[:]), true
}

// byte returns a byte of the data or, at a negative offset, of a header in front of them.
func (p *Packet) byte(at int) (byte, bool) {
	if at < 0 {
		if at += len(p.Net); at >= 0 {
			return p.Net[at], true
		}
		if at += len(p.Link); at >= 0 {
			return p.Link[at], true
		}
		return 0, false
	}
	for _, b := range p.parts[:p.n] {
		if at < len(b) {
			return b[at], true
		}
		at -= len(b)
	}
	return 0, false
}
