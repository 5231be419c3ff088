package run

import (
	"bytes"
	"encoding/binary"
	"slices"
	"syscall"
	"testing"
)

// hdr builds a struct msghdr.
func hdr(name uint64, nameLen uint32, iovLen, control, controlLen uint64) []byte {
	b := make([]byte, msghdrSize)
	binary.NativeEndian.PutUint64(b, name)
	binary.NativeEndian.PutUint32(b[offNameLen:], nameLen)
	binary.NativeEndian.PutUint64(b[16:], 0x1000)
	binary.NativeEndian.PutUint64(b[24:], iovLen)
	binary.NativeEndian.PutUint64(b[32:], control)
	binary.NativeEndian.PutUint64(b[offControlLen:], controlLen)
	return b
}

func TestParseMsghdr(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		e    syscall.Errno
	}{
		{"plain", hdr(0, 0, 1, 0, 0), 0},
		{"a length without a name", hdr(0, 1<<31, 1, 0, 0), 0},
		{"a negative length of the name", hdr(1, 1<<31, 1, 0, 0), syscall.EINVAL},
		{"a long name", hdr(1, 1000, 1, 0, 0), 0},
		{"as many pieces as allowed", hdr(0, 0, maxIovec, 0, 0), 0},
		{"too many pieces", hdr(0, 0, maxIovec+1, 0, 0), syscall.EMSGSIZE},
		{"room for control of 2 GiB", hdr(0, 0, 1, 1, 1<<31), 0},
		{"short", make([]byte, msghdrSize-1), syscall.EFAULT},
	} {
		h, e := parseMsghdr(c.b)
		if e != c.e {
			t.Errorf("%s: %v, want %v", c.name, e, c.e)
		}
		if e == 0 && h.nameLen > sizeofStorage {
			t.Errorf("%s: a name of %d bytes", c.name, h.nameLen)
		}
		if h.name == 0 && h.nameLen != 0 {
			t.Errorf("%s: a length of no name: %d", c.name, h.nameLen)
		}
	}
}

func iovecs(pairs ...uint64) []byte {
	var b []byte
	for _, v := range pairs {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

func TestParseIovecs(t *testing.T) {
	spans, total, e := parseIovecs(iovecs(0x1000, 10, 0x2000, 0, 0x3000, 20))
	if e != 0 || total != 30 || len(spans) != 2 || spans[1] != (span{0x3000, 20}) {
		t.Errorf("%v, %d, %v", spans, total, e)
	}
	if _, _, e := parseIovecs(iovecs(0x1000, 1<<63)); e != syscall.EINVAL {
		t.Errorf("negative length: %v", e)
	}
	_, total, e = parseIovecs(iovecs(0x1000, maxTransfer-5, 0x2000, 10, 0x3000, 10))
	if e != 0 || total != maxTransfer {
		t.Errorf("more than one call moves: %d, %v", total, e)
	}
}

func FuzzParseMsghdr(f *testing.F) {
	f.Add(hdr(0x1000, 16, 2, 0x2000, 64), iovecs(0x3000, 100, 0x4000, 1<<40))
	f.Add([]byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, head, pieces []byte) {
		h, e := parseMsghdr(head)
		if longer, f := parseMsghdr(append(bytes.Clone(head), 0xff)); len(head) >= msghdrSize && (longer != h || e != f) {
			t.Errorf("%+v, %v; with a byte behind it %+v, %v", h, e, longer, f)
		}
		switch e {
		case 0:
			if h.iovLen > maxIovec || h.nameLen > sizeofStorage || h.name == 0 && h.nameLen != 0 {
				t.Errorf("%+v", h)
			}
		case syscall.EFAULT, syscall.EINVAL, syscall.EMSGSIZE:
		default:
			t.Error(e)
		}
		spans, total, e := parseIovecs(pieces)
		if e != 0 && (e != syscall.EINVAL || spans != nil || total != 0) {
			t.Errorf("%v, %d, %v", spans, total, e)
		}
		sum := uint64(0)
		for _, s := range spans {
			if s.size == 0 {
				t.Error("an empty piece")
			}
			sum += s.size
		}
		if e == 0 && (sum != uint64(total) || total > maxTransfer || len(spans) > len(pieces)/iovecSize) {
			t.Errorf("%d, %d in %d pieces", sum, total, len(spans))
		}
		if e == 0 && total < maxTransfer { // nothing was cut: what the pieces are is read again
			var again []byte
			for _, s := range spans {
				again = append(again, iovecs(s.addr, s.size)...)
			}
			if same, n, e := parseIovecs(again); !slices.Equal(same, spans) || n != total || e != 0 {
				t.Errorf("%v became %v, %v", spans, same, e)
			}
		}
	})
}
