package control

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// ends reports what blocks.complete is to: whether b is whole blocks, of which the last one is statistics, or none has an interface. Who reads
// pcapng goes on where a block says that it ends, which is behind its head at least.
func ends(b []byte) bool {
	last, interfaces := uint32(0), false
	for begun := false; ; begun = true {
		if len(b) == 0 {
			return begun && (last == statisticsBlock || !interfaces)
		}
		if len(b) < 8 {
			return false
		}
		last = binary.LittleEndian.Uint32(b)
		interfaces = interfaces || last == interfaceBlock
		n := max(uint64(binary.LittleEndian.Uint32(b[4:])), 8)
		if n > uint64(len(b)) {
			return false
		}
		b = b[n:]
	}
}

// FuzzBlocks follows blocks that say anything of their lengths, in parts of any size: all passes on as it is, and whether it is complete is
// what whoever has it at once finds.
func FuzzBlocks(f *testing.F) {
	block := func(kind, length uint32, rest int) []byte {
		b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, kind), length)
		return append(b, make([]byte, rest)...)
	}
	f.Add([]byte(nil), uint8(0))
	f.Add(bytes.Join([][]byte{block(0x0a0d0d0a, 28, 20), block(interfaceBlock, 20, 12), block(statisticsBlock, 24, 16)}, nil), uint8(3))
	f.Add(bytes.Join([][]byte{block(interfaceBlock, 0, 0), block(statisticsBlock, 9, 1)}, nil), uint8(1))
	f.Add(block(statisticsBlock, 1<<32-1, 100), uint8(7))
	f.Add(block(6<<24, 32<<24, 24), uint8(8)) // of a big-endian machine
	f.Fuzz(func(t *testing.T, all []byte, size uint8) {
		var got bytes.Buffer
		b := &blocks{w: &got}
		for rest := all; len(rest) > 0; {
			n, err := b.Write(rest[:min(int(size)+1, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(got.Bytes(), all) {
			t.Errorf("%x became %x", all, got.Bytes())
		}
		if b.complete() != ends(all) {
			t.Errorf("%x in parts of %d: %v", all, int(size)+1, b.complete())
		}
	})
}
