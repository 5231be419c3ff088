package oracle

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"usock/internal/abi"
)

// form is the layout of a structure of linux/sctp.h: fields in order, each TYPE:NAME. Types are numbers
// (u8 u16 u32 u64 i32, be16 be32), pad1 to pad6, and
//
//	assoc  an association's id; 0, 1 and 2 are FUTURE, CURRENT and ALL, others A1, A2 in the order in which they are seen
//	addr   a sockaddr_storage          ip4, ip6  an address
//	tsn    T1+3: how far from the first one that was seen
//	time   what the clock decides, and is not shown
//	u8s u16s assocs addrs bytes    what is left, in hexadecimal if it is bytes
//
// A structure is written as its fields that are not zero, NAME=VALUE. A field without a name stands alone.
type form []formField

type formField struct{ kind, name string }

func newForm(text string) (f form) {
	for _, w := range strings.Fields(text) {
		kind, name, _ := strings.Cut(w, ":")
		f = append(f, formField{kind, name})
	}
	return f
}

// widths are those of fields that have one.
var widths = map[string]int{
	"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4, "be16": 2, "be32": 4, "assoc": 4, "addr": 128, "ip4": 4, "ip6": 16,
	"tsn": 4, "time": 4, "pad1": 1, "pad2": 2, "pad4": 4, "pad6": 6,
}

// size returns the structure's, or 512 where it has none.
func (f form) size() (n int) {
	for _, x := range f {
		w, ok := widths[x.kind]
		if !ok {
			return 512
		}
		n += w
	}
	return n
}

// symbols are names for numbers that chance has chosen.
type symbols struct {
	assocs []int32
	tsns   []uint32
}

func (s *symbols) assoc(id int32) string {
	if id >= 0 && id <= 2 {
		return fmt.Sprint(id)
	}
	i := slices.Index(s.assocs, id)
	if i < 0 {
		i = len(s.assocs)
		s.assocs = append(s.assocs, id)
	}
	return fmt.Sprintf("A%d", i+1)
}

// id is assoc's inverse; ids that have not been seen yet are no association's.
func (s *symbols) id(text string) int32 {
	if n, ok := strings.CutPrefix(text, "A"); ok {
		if i := number(n); i <= len(s.assocs) {
			return s.assocs[i-1]
		}
		return 0x7ffffff0
	}
	return int32(number(text))
}

func (s *symbols) tsn(v uint32) string {
	for i, t := range s.tsns {
		if d := int32(v - t); d > -1000 && d < 1000 {
			return fmt.Sprintf("T%d%+d", i+1, d)
		}
	}
	s.tsns = append(s.tsns, v)
	return fmt.Sprintf("T%d", len(s.tsns))
}

// show writes a structure; bytes behind or short of it are shown as bytes.
func (c *script) show(f form, b []byte) string {
	var out []string
	put := func(name, value string) {
		if name != "" {
			value = name + "=" + value
		}
		out = append(out, value)
	}
	for _, x := range f {
		w, ok := widths[x.kind]
		if !ok {
			if len(b) > 0 {
				put(x.name, c.showRest(x.kind, b))
			}
			b = nil
			break
		}
		if len(b) < w {
			break
		}
		if v := b[:w]; x.kind != "time" && slices.ContainsFunc(v, func(x byte) bool { return x != 0 }) || len(f) == 1 {
			put(x.name, c.showField(x.kind, v))
		}
		b = b[w:]
	}
	if slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) {
		put("rest", hex.EncodeToString(b))
	}
	return strings.Join(out, " ")
}

func (c *script) showField(kind string, b []byte) string {
	switch kind {
	case "u8":
		return fmt.Sprint(b[0])
	case "u16":
		return fmt.Sprint(binary.NativeEndian.Uint16(b))
	case "be16":
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case "u32":
		return fmt.Sprint(binary.NativeEndian.Uint32(b))
	case "i32":
		return fmt.Sprint(int32(binary.NativeEndian.Uint32(b)))
	case "be32":
		return fmt.Sprint(binary.BigEndian.Uint32(b))
	case "u64":
		return fmt.Sprint(binary.NativeEndian.Uint64(b))
	case "assoc":
		return c.seen.assoc(int32(binary.NativeEndian.Uint32(b)))
	case "tsn":
		return c.seen.tsn(binary.NativeEndian.Uint32(b))
	case "addr":
		return c.ports.text(b)
	case "ip4", "ip6":
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	}
	return hex.EncodeToString(b) // padding that is not zero
}

func (c *script) showRest(kind string, b []byte) string {
	width := map[string]int{"u8s": 1, "u16s": 2, "assocs": 4}[kind]
	var out []string
	switch {
	case kind == "addrs":
		for len(b) >= 2 {
			n := 16
			if binary.NativeEndian.Uint16(b) == abi.AF_INET6 {
				n = 28
			}
			if binary.NativeEndian.Uint16(b) == 0 {
				break
			}
			if len(b) < n {
				out, b = append(out, fmt.Sprintf("%d bytes of another", len(b))), nil
				break
			}
			out = append(out, c.ports.text(b[:n]))
			b = b[n:]
		}
	case width > 0:
		for ; len(b) >= width; b = b[width:] {
			out = append(out, c.showField(strings.TrimSuffix(kind, "s"), b[:width]))
		}
	}
	if kind == "bytes" && len(b) > 32 {
		return fmt.Sprintf("%d bytes, sha256 %.5x", len(b), sha256.Sum256(b))
	}
	if slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) || kind == "bytes" {
		out = append(out, hex.EncodeToString(b))
	}
	return strings.Join(out, ",")
}

// pack returns the structure that words tell: NAME=VALUE, or a value alone for the field without a name.
func (c *script) pack(f form, words []string) []byte {
	given := make(map[string]string)
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			name, value = "", w
		}
		given[name] = value
	}
	var b []byte
	for _, x := range f {
		value, ok := given[x.name]
		if strings.HasPrefix(x.kind, "pad") {
			ok = false
		}
		if ok {
			b = c.packField(b, x.kind, value)
			delete(given, x.name)
		} else {
			b = append(b, make([]byte, widths[x.kind])...)
		}
	}
	if len(given) > 0 {
		panic(fmt.Sprintf("no such field: %v", given))
	}
	return b
}

func (c *script) packField(b []byte, kind, value string) []byte {
	n := func() uint64 {
		v, err := strconv.ParseInt(value, 0, 64)
		if err != nil {
			panic(err)
		}
		return uint64(v)
	}
	switch kind {
	case "u8":
		return append(b, byte(n()))
	case "u16":
		return binary.NativeEndian.AppendUint16(b, uint16(n()))
	case "be16":
		return binary.BigEndian.AppendUint16(b, uint16(n()))
	case "u32", "i32", "tsn", "time":
		return binary.NativeEndian.AppendUint32(b, uint32(n()))
	case "be32":
		return binary.BigEndian.AppendUint32(b, uint32(n()))
	case "u64":
		return binary.NativeEndian.AppendUint64(b, n())
	case "assoc":
		return binary.NativeEndian.AppendUint32(b, uint32(c.seen.id(value)))
	case "addr":
		a := c.addr(value)
		return append(append(b, a...), make([]byte, 128-len(a))...)
	case "ip4", "ip6":
		if h, ok := hosts[value]; ok {
			value = h
		}
		return append(b, netip.MustParseAddr(value).AsSlice()...)
	case "bytes":
		v, err := hex.DecodeString(value)
		if err != nil {
			panic(err)
		}
		return append(b, v...)
	}
	if value != "" {
		for _, v := range strings.Split(value, ",") {
			if kind == "addrs" {
				b = append(b, c.addr(v)...)
			} else {
				b = c.packField(b, strings.TrimSuffix(kind, "s"), v)
			}
		}
	}
	return b
}
