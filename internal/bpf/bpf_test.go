package bpf

import (
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
)

// bytesOf returns a program as SO_ATTACH_FILTER has it.
func bytesOf(ins []Instruction) []byte { return (&Program{ins: ins}).Append(nil) }

func packet(b []byte, cuts ...int) *Packet {
	p := new(Packet)
	for _, c := range cuts {
		p.Add(b[:c])
		b = b[c:]
	}
	p.Add(b)
	return p
}

const ret, retAcc = 0x06, 0x16

// What Linux 6.18 refuses, and what it takes.
func TestParse(t *testing.T) {
	one := Instruction{ret, 0, 0, 1}
	for _, c := range []struct {
		name string
		ok   bool
		ins  []Instruction
	}{
		{"empty", false, nil},
		{"ret", true, []Instruction{one}},
		{"no ret", false, []Instruction{{0x80, 0, 0, 0}}},
		{"ja", true, []Instruction{{5, 0, 0, 0}, one}},
		{"ja beyond", false, []Instruction{{5, 0, 0, 1}, one}},
		{"ja far beyond", false, []Instruction{{5, 0, 0, 1<<32 - 1}, one}},
		{"jump beyond", false, []Instruction{{0x15, 1, 0, 0}, one}},
		{"jump beyond if not", false, []Instruction{{0x15, 0, 1, 0}, one}},
		{"division by 0", false, []Instruction{{0x34, 0, 0, 0}, one}},
		{"modulo 0", false, []Instruction{{0x94, 0, 0, 0}, one}},
		{"division by X", true, []Instruction{{0x3c, 0, 0, 0}, one}},
		{"shift by 32", false, []Instruction{{0x64, 0, 0, 32}, one}},
		{"shift by 31", true, []Instruction{{0x64, 0, 0, 31}, one}},
		{"shift right by 32", false, []Instruction{{0x74, 0, 0, 32}, one}},
		{"scratch 16", false, []Instruction{{0x60, 0, 0, 16}, one}},
		{"scratch not written", false, []Instruction{{0x60, 0, 0, 3}, one}},
		{"scratch written", true, []Instruction{{0x02, 0, 0, 3}, {0x60, 0, 0, 3}, {retAcc, 0, 0, 0}}},
		{"store 16", false, []Instruction{{0x02, 0, 0, 16}, one}},
		{"written on one way", false, []Instruction{{0x15, 0, 1, 5}, {0x02, 0, 0, 0}, {0x60, 0, 0, 0}, {retAcc, 0, 0, 0}}},
		{"written on both ways", true, []Instruction{{0x15, 0, 2, 5}, {0x02, 0, 0, 0}, {5, 0, 0, 1}, {0x03, 0, 0, 0}, {0x61, 0, 0, 0}, one}},
		{"no such code", false, []Instruction{{0x27, 0, 0, 0}, one}},
		{"no such code at all", false, []Instruction{{0xffff, 0, 0, 0}, one}},
		{"xor", true, []Instruction{{0xa4, 0, 0, 1}, one}},
		{"neg", true, []Instruction{{0x84, 0, 0, 0}, one}},
		{"modulo X", true, []Instruction{{0x9c, 0, 0, 0}, one}},
		{"ldx len", true, []Instruction{{0x81, 0, 0, 0}, one}},
		{"ldx msh", true, []Instruction{{0xb1, 0, 0, 0}, one}},
		{"ldx of the packet", false, []Instruction{{0x21, 0, 0, 0}, one}},
		{"protocol", true, []Instruction{{0x28, 0, 0, 0xfffff000}, {retAcc, 0, 0, 0}}},
		{"unknown ancillary", false, []Instruction{{0x20, 0, 0, 0xfffff0c8}, {retAcc, 0, 0, 0}}},
		{"end of the ancillary", false, []Instruction{{0x20, 0, 0, 0xfffffff0}, {retAcc, 0, 0, 0}}},
		{"network header", true, []Instruction{{0x30, 0, 0, 0xfff00000}, {retAcc, 0, 0, 0}}},
		{"ret X", false, []Instruction{{0x0e, 0, 0, 0}, one}},
		{"jset X", true, []Instruction{{0x4d, 0, 0, 0}, one}},
		{"4096", true, append(slices.Repeat([]Instruction{{0, 0, 0, 1}}, 4095), one)},
		{"4097", false, append(slices.Repeat([]Instruction{{0, 0, 0, 1}}, 4096), one)},
		{"unreachable", true, []Instruction{one, {0x80, 0, 0, 0}, one}},
	} {
		b := bytesOf(c.ins)
		p, err := Parse(b)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && !slices.Equal(p.Append(nil), b) {
			t.Errorf("%s: reads back as something else", c.name)
		}
	}
	if _, err := Parse(make([]byte, 9)); err == nil {
		t.Error("nine bytes")
	}
}

// Both machines keep the same of the same packets.
func TestAsLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	codes := make([]uint16, 0, len(allowed))
	for c := range allowed {
		if c&0xff != classALU|opNEG {
			codes = append(codes, c)
		}
	}
	slices.Sort(codes)
	ran := 0
	for ran < 20000 {
		ins := make([]Instruction, 1+r.IntN(20))
		for i := range ins {
			ins[i] = Instruction{Code: codes[r.IntN(len(codes))], Jt: uint8(r.IntN(4)), Jf: uint8(r.IntN(4)), K: uint32(r.IntN(24))}
			if r.IntN(6) == 0 {
				ins[i].K = r.Uint32()
			}
		}
		ins[len(ins)-1].Code = []uint16{ret, retAcc}[r.IntN(2)]
		p, err := Parse(bytesOf(ins))
		if err != nil || slices.ContainsFunc(ins, special) {
			continue
		}
		raw := make([]bpf.RawInstruction, len(ins))
		for i, x := range ins {
			raw[i] = bpf.RawInstruction{Op: x.Code, Jt: x.Jt, Jf: x.Jf, K: x.K}
		}
		list, whole := bpf.Disassemble(raw)
		vm, err := bpf.NewVM(list)
		if !whole || err != nil {
			continue // it does not know all of it
		}
		ran++
		data := make([]byte, r.IntN(40))
		for i := range data {
			data[i] = byte(r.IntN(256))
		}
		want, err := vm.Run(data)
		cut := r.IntN(len(data) + 1)
		if got := p.Run(packet(data, cut)); err != nil || got != uint32(want) {
			t.Fatalf("%v (%v) on % x: %d, want %d, %v", list, ins, data, got, want, err)
		}
	}
}

// special reports whether the library's machine takes the instruction for something else:
// it shifts by all of a register, adds up offsets beyond the end of a word, and takes the
// length into the other register.
func special(i Instruction) bool {
	switch {
	case i.Code&7 == classALU && (i.Code&0xf0 == opLSH || i.Code&0xf0 == opRSH) && i.Code&sourceX != 0:
		return true
	case i.Code&7 == classLD && i.Code&0xe0 == modeIND:
		return true
	case i.Code&7 == classLD && i.Code&0xe0 == modeABS:
		return i.K > 1<<16
	case i.Code&7 == classLDX && i.Code&0xe0 == modeMSH:
		return i.K > 1<<16
	case i.Code == classLDX|modeLEN:
		return true
	}
	return false
}

// What the library's machine does not have.
func TestBeyondLibrary(t *testing.T) {
	p := packet([]byte("transport"), 4)
	p.Net, p.Link = []byte("network"), []byte("link")
	p.Protocol, p.Ifindex, p.LinkType, p.PayOffset = 0x800, 3, 772, 8
	acc := Instruction{retAcc, 0, 0, 0}
	for _, c := range []struct {
		name string
		ins  []Instruction
		want uint32
	}{
		{"a word across pieces", []Instruction{{0x20, 0, 0, 2}, acc}, 'a'<<24 | 'n'<<16 | 's'<<8 | 'p'},
		{"beyond the end", []Instruction{{0x20, 0, 0, 6}, {ret, 0, 0, 9}}, 0},
		{"at the end", []Instruction{{0x28, 0, 0, 7}, acc}, 'r'<<8 | 't'},
		{"network header", []Instruction{{0x30, 0, 0, 0xfff00001}, acc}, 'e'},
		{"behind the network header", []Instruction{{0x30, 0, 0, 0xfff00007}, acc}, 't'},
		{"link header", []Instruction{{0x28, 0, 0, 0xffe00003}, acc}, 'k'<<8 | 'n'},
		{"in front of all", []Instruction{{0x30, 0, 0, 0xffdfffff}, {ret, 0, 0, 9}}, 0},
		{"indirect network header", []Instruction{{0x01, 0, 0, 2}, {0x50, 0, 0, 0xfff00000}, acc}, 't'},
		{"indirect", []Instruction{{0x01, 0, 0, 2}, {0x50, 0, 0, 1}, acc}, 'n'},
		{"indirect across zero", []Instruction{{0x01, 0, 0, 0xfffffffd}, {0x48, 0, 0, 4}, acc}, 'r'<<8 | 'a'},
		{"indirect beyond the end", []Instruction{{0x01, 0, 0, 5}, {0x40, 0, 0, 1}, {ret, 0, 0, 9}}, 0},
		{"protocol", []Instruction{{0x20, 0, 0, 0xfffff000}, acc}, 0x800},
		{"interface", []Instruction{{0x20, 0, 0, 0xfffff008}, acc}, 3},
		{"kind of link", []Instruction{{0x20, 0, 0, 0xfffff01c}, acc}, 772},
		{"payload", []Instruction{{0x20, 0, 0, 0xfffff034}, acc}, 8},
		{"mark", []Instruction{{0, 0, 0, 7}, {0x20, 0, 0, 0xfffff014}, acc}, 0},
		{"xor", []Instruction{{0, 0, 0, 5}, {0x01, 0, 0, 3}, {0x20, 0, 0, 0xfffff028}, acc}, 6},
		{"negation", []Instruction{{0, 0, 0, 1}, {0x84, 0, 0, 0}, acc}, 1<<32 - 1},
		{"shift by more than a word", []Instruction{{0, 0, 0, 1}, {0x01, 0, 0, 33}, {0x6c, 0, 0, 0}, acc}, 2},
	} {
		prog, err := Parse(bytesOf(c.ins))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := prog.Run(p); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(bytesOf([]Instruction{{0x20, 0, 0, 0xfffff000}, {0x15, 0, 1, 0x800}, {ret, 0, 0, 9}, {ret, 0, 0, 0}}), []byte("data"))
	f.Add(bytesOf([]Instruction{{0xb1, 0, 0, 0}, {0x50, 0, 0, 1}, {retAcc, 0, 0, 0}}), []byte("E data"))
	f.Fuzz(func(t *testing.T, b, data []byte) {
		if p, err := Parse(b); err == nil {
			p.Run(packet(data))
		}
	})
}
