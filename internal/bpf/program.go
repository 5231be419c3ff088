package bpf

import (
	"encoding/binary"
	"slices"
	"syscall"
)

// Instruction is a struct sock_filter.
type Instruction struct {
	Code   uint16
	Jt, Jf uint8
	K      uint32
}

const (
	instructionLen  = 8
	maxInstructions = 4096 // BPF_MAXINSNS
	scratchWords    = 16   // BPF_MEMWORDS
)

// Program is a program that was checked.
type Program struct {
	ins    []Instruction
	random bool // one of them may load a random number
}

// Parse reads a program from the structs sock_filter that follow each other in b, and
// refuses what Linux refuses (bpf_check_classic), with EINVAL.
func Parse(b []byte) (*Program, error) {
	n := len(b) / instructionLen
	if len(b)%instructionLen != 0 || n == 0 || n > maxInstructions {
		return nil, syscall.EINVAL
	}
	p := &Program{ins: make([]Instruction, n)}
	for i := range p.ins {
		x := b[instructionLen*i:]
		p.ins[i] = Instruction{
			Code: binary.NativeEndian.Uint16(x), Jt: x[2], Jf: x[3], K: binary.NativeEndian.Uint32(x[4:]),
		}
	}
	p.random = slices.ContainsFunc(p.ins, drawsRandom)
	if !p.sound() || !p.initialized() {
		return nil, syscall.EINVAL
	}
	return p, nil
}

// Append appends the program to b.
func (p *Program) Append(b []byte) []byte {
	for _, i := range p.ins {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

// Parts of a code (include/uapi/linux/bpf_common.h).
const (
	classLD, classLDX, classST, classSTX   = 0, 1, 2, 3
	classALU, classJMP, classRET, classMSC = 4, 5, 6, 7

	sizeW, sizeH, sizeB = 0x00, 0x08, 0x10

	modeIMM, modeABS, modeIND, modeMEM, modeLEN, modeMSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0

	opADD, opSUB, opMUL, opDIV = 0x00, 0x10, 0x20, 0x30
	opOR, opAND, opLSH, opRSH  = 0x40, 0x50, 0x60, 0x70
	opNEG, opMOD, opXOR        = 0x80, 0x90, 0xa0

	jumpJA, jumpEQ, jumpGT, jumpGE, jumpSET = 0x00, 0x10, 0x20, 0x30, 0x40

	sourceX = 0x08
	retA    = 0x10
	miscTXA = 0x80
)

// allowed are the codes that there are.
var allowed = func() map[uint16]bool {
	t := make(map[uint16]bool)
	add := func(class uint16, parts ...uint16) {
		for _, p := range parts {
			t[class|p] = true
		}
	}
	for _, op := range []uint16{opADD, opSUB, opMUL, opDIV, opOR, opAND, opLSH, opRSH, opMOD, opXOR} {
		add(classALU, op, op|sourceX)
	}
	add(classALU, opNEG)
	for _, mode := range []uint16{modeABS, modeIND} {
		add(classLD, sizeW|mode, sizeH|mode, sizeB|mode)
	}
	add(classLD, modeIMM, modeMEM, modeLEN)
	add(classLDX, modeIMM, modeMEM, modeLEN, modeMSH|sizeB)
	add(classST, 0)
	add(classSTX, 0)
	add(classMSC, 0, miscTXA)
	add(classRET, 0, retA)
	add(classJMP, jumpJA)
	for _, j := range []uint16{jumpEQ, jumpGT, jumpGE, jumpSET} {
		add(classJMP, j, j|sourceX)
	}
	return t
}()

// Random reports whether the program may load a random number.
func (p *Program) Random() bool { return p.random }

// drawsRandom reports whether an instruction may load a random number.
func drawsRandom(i Instruction) bool {
	return i.Code&7 == classLD && (i.Code&0xe0 == modeIND || i.Code&0xe0 == modeABS && i.K == ancillary+ancRandom)
}

// sound reports whether each instruction makes sense where it stands.
func (p *Program) sound() bool {
	for at, i := range p.ins {
		rest := uint32(len(p.ins) - at - 1)
		if !allowed[i.Code] {
			return false
		}
		switch class, op := i.Code&7, i.Code&0xf0; {
		case class == classALU && i.Code&sourceX == 0:
			if (op == opDIV || op == opMOD) && i.K == 0 || (op == opLSH || op == opRSH) && i.K >= 32 {
				return false
			}
		case class == classJMP && op == jumpJA:
			if i.K >= rest {
				return false
			}
		case class == classJMP:
			if uint32(i.Jt) >= rest || uint32(i.Jf) >= rest {
				return false
			}
		case class == classST || class == classSTX, class <= classLDX && i.Code&0xe0 == modeMEM:
			if i.K >= scratchWords {
				return false
			}
		case class == classLD && i.Code&0xe0 == modeABS:
			if i.K >= ancillary && !slices.Contains(knownAncillary, i.K-ancillary) {
				return false
			}
		}
	}
	last := p.ins[len(p.ins)-1].Code
	return last == classRET || last == classRET|retA
}

// initialized reports whether no word of scratch memory is read before it was written,
// whichever way the program goes. It only goes forward.
func (p *Program) initialized() bool {
	written := make([]uint16, len(p.ins)) // on all ways to the instruction
	for i := range written {
		written[i] = 1<<16 - 1
	}
	now := uint16(0)
	for at, i := range p.ins {
		now &= written[at]
		switch class := i.Code & 7; {
		case class == classST || class == classSTX:
			now |= 1 << i.K
		case class <= classLDX && i.Code&0xe0 == modeMEM:
			if now&(1<<i.K) == 0 {
				return false
			}
		case i.Code == classJMP|jumpJA:
			written[at+1+int(i.K)] &= now
			now = 1<<16 - 1
		case class == classJMP:
			written[at+1+int(i.Jt)] &= now
			written[at+1+int(i.Jf)] &= now
			now = 1<<16 - 1
		}
	}
	return true
}
