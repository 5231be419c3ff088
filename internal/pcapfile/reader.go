package pcapfile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

// Packet is a packet of a capture.
type Packet struct {
	Time      int64  // in ns since 1970
	Interface int    // its number, over all sections; a classic file has one, 0
	Link      uint16 // what Data begins with (IANA, link types)
	Len       int    // as it was; Data may have less
	Data      []byte // until the next call of Next
	Direction Direction

	// Dropped is why usock says that the packet went no further; "": it says nothing. Again: the capture has the packet
	// as it was sent, too.
	Dropped string
	Again   bool
}

// Direction is a packet's way, as the machine sees it that has captured it.
type Direction uint8

// The directions.
const (
	Unknown Direction = iota
	In
	Out
)

// Bounds of what is read.
const (
	maxBlock      = 16 << 20
	maxInterfaces = 1 << 16
)

// Blocks, options and numbers of pcapng (draft-ietf-opsawg-pcapng, sections 3 and 4).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockSimple    = 3
	blockPacket    = 6
	byteOrderMagic = 0x1a2b3c4d

	optEnd        = 0
	optComment    = 1
	optFlags      = 2
	optResolution = 9
	optOffset     = 14
)

// Magic numbers of classic files: times in us, and in ns.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
)

// Reader reads a capture.
type Reader struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	next   func(*Packet) error
	buf    []byte
	begins int     // of this section: the number of its first interface
	list   []iface // of this section; of a classic file the only one
}

// iface is what an interface's packets have in common.
type iface struct {
	link       uint16
	snap       uint32 // 0: none
	resolution uint8  // of times: a power of ten, or of two where the high bit is set
	offset     int64  // of times, in s
}

// ErrFormat is the error for what is no capture.
var ErrFormat = errors.New("this is no capture: neither pcapng nor pcap")

// NewReader begins to read a capture.
func NewReader(r io.Reader) (*Reader, error) {
	x := &Reader{r: bufio.NewReaderSize(r, 1<<16)}
	head, err := x.r.Peek(4)
	if err != nil {
		if err == io.EOF {
			err = ErrFormat
		}
		return nil, err
	}
	if binary.LittleEndian.Uint32(head) == blockSection {
		x.next = x.nextBlock
		return x, nil
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head) {
		case magicMicro:
			return x, x.classic(order, 6)
		case magicNano:
			return x, x.classic(order, 9)
		}
	}
	return nil, ErrFormat
}

// Next reads the next packet into p. Its error is io.EOF at the end, and io.ErrUnexpectedEOF where the file ends within a packet.
func (r *Reader) Next(p *Packet) error {
	*p = Packet{}
	return r.next(p)
}

// read returns the next n bytes.
func (r *Reader) read(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, max(n, 2*cap(r.buf)))
	}
	r.buf = r.buf[:n]
	_, err := io.ReadFull(r.r, r.buf)
	return r.buf, err
}

// classic reads a classic file's header.
func (r *Reader) classic(order binary.ByteOrder, resolution uint8) error {
	b, err := r.read(24)
	if err != nil {
		return ErrFormat
	}
	r.order, r.next = order, r.nextRecord
	r.list = []iface{{link: uint16(order.Uint32(b[20:])), resolution: resolution}}
	return nil
}

// nextRecord reads a packet of a classic file.
func (r *Reader) nextRecord(p *Packet) error {
	b, err := r.read(16)
	if err != nil {
		return err
	}
	i := &r.list[0]
	s, part := int64(r.order.Uint32(b)), int64(r.order.Uint32(b[4:]))
	if i.resolution == 6 {
		part *= 1000
	}
	n := r.order.Uint32(b[8:])
	p.Time, p.Link, p.Len = s*1e9+part, i.link, int(r.order.Uint32(b[12:]))
	if n > maxBlock {
		return fmt.Errorf("a packet of %d bytes", n)
	}
	p.Data, err = r.read(int(n))
	return cut(err)
}

// cut is the error for what ends within something.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextBlock reads blocks of pcapng, to the next one that is a packet.
func (r *Reader) nextBlock(p *Packet) error {
	for {
		kind, body, err := r.block()
		if err != nil {
			return err
		}
		switch kind {
		case blockSection:
			r.begins, r.list = r.begins+len(r.list), nil
		case blockInterface:
			err = r.interfaceBlock(body)
		case blockPacket:
			return r.packetBlock(p, body)
		case blockSimple:
			return r.simpleBlock(p, body)
		}
		if err != nil {
			return err
		}
	}
}

// block reads a block: what it is, and what is between its two lengths.
func (r *Reader) block() (kind uint32, body []byte, err error) {
	head, err := r.r.Peek(12)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(head) == blockSection { // the same in either order
		switch {
		case binary.LittleEndian.Uint32(head[8:]) == byteOrderMagic:
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]) == byteOrderMagic:
			r.order = binary.BigEndian
		default:
			return 0, nil, ErrFormat
		}
	}
	kind = r.order.Uint32(head)
	n := r.order.Uint32(head[4:])
	if n < 12 || n%4 != 0 || n > maxBlock {
		return 0, nil, fmt.Errorf("a block of %d bytes", n)
	}
	b, err := r.read(int(n))
	if err != nil {
		return 0, nil, cut(err)
	}
	if r.order.Uint32(b[n-4:]) != n {
		return 0, nil, errors.New("a block with two lengths")
	}
	return kind, b[8 : n-4], nil
}

func (r *Reader) interfaceBlock(b []byte) error {
	if len(b) < 8 {
		return errors.New("an interface without a link type")
	}
	if len(r.list) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	i := iface{link: r.order.Uint16(b), snap: r.order.Uint32(b[4:]), resolution: 6}
	r.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == optResolution && len(v) == 1:
			i.resolution = v[0]
		case code == optOffset && len(v) == 8:
			i.offset = int64(r.order.Uint64(v))
		}
	})
	r.list = append(r.list, i)
	return nil
}

// options calls f with each option of a list.
func (r *Reader) options(b []byte, f func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if b = b[4:]; code == optEnd || n > len(b) {
			return
		}
		f(code, b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// fill has p be a packet of an interface.
func (r *Reader) fill(p *Packet, number uint32) (*iface, error) {
	if uint64(number) >= uint64(len(r.list)) {
		return nil, fmt.Errorf("a packet of interface %d, and there are %d", number, len(r.list))
	}
	i := &r.list[number]
	p.Interface, p.Link = r.begins+int(number), i.link
	return i, nil
}

// simpleBlock reads a packet without a time, which is 0.
func (r *Reader) simpleBlock(p *Packet, b []byte) error {
	i, err := r.fill(p, 0)
	if err != nil {
		return err
	}
	if len(b) < 4 {
		return errors.New("a packet without a length")
	}
	n := r.order.Uint32(b)
	p.Len, p.Data = int(n), b[4:]
	if i.snap != 0 {
		n = min(n, i.snap)
	}
	p.Data = p.Data[:min(uint64(n), uint64(len(p.Data)))]
	return nil
}

func (r *Reader) packetBlock(p *Packet, b []byte) error {
	if len(b) < 20 {
		return errors.New("a packet without a length")
	}
	i, err := r.fill(p, r.order.Uint32(b))
	if err != nil {
		return err
	}
	ticks := uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:]))
	if p.Time, err = i.time(ticks); err != nil {
		return err
	}
	n := r.order.Uint32(b[12:])
	p.Len = int(r.order.Uint32(b[16:]))
	if b = b[20:]; uint64(n) > uint64(len(b)) {
		return fmt.Errorf("a packet of %d bytes in a block with %d", n, len(b))
	}
	p.Data = b[:n]
	r.options(b[min((int(n)+3)&^3, len(b)):], func(code uint16, v []byte) {
		switch code {
		case optFlags:
			if len(v) == 4 {
				p.Direction = [...]Direction{Unknown, In, Out, Unknown}[r.order.Uint32(v)&3]
			}
		case optComment:
			if why, ok := strings.CutPrefix(string(v), "dropped"); ok {
				later := false
				why, later = strings.CutPrefix(why, " later")
				if why, ok = strings.CutPrefix(why, ": "); ok {
					p.Dropped, p.Again = why, later
				}
			}
		}
	})
	return nil
}

var errTime = errors.New("a packet with a time that no clock shows")

// time returns a time in ns.
func (i *iface) time(ticks uint64) (int64, error) {
	const maxSeconds = 1 << 33 // two centuries and more: differences fit into a time.Duration
	var s, ns uint64
	switch n := uint(i.resolution & 0x7f); {
	case i.resolution&0x80 != 0 && n < 64:
		s = ticks >> n
		high, low := bits.Mul64(ticks&(1<<n-1), 1e9)
		ns = low >> n
		if n > 0 {
			ns |= high << (64 - n)
		}
	case i.resolution&0x80 == 0 && n < 20:
		unit := uint64(1)
		for range n {
			unit *= 10
		}
		s = ticks / unit
		high, low := bits.Mul64(ticks%unit, 1e9)
		ns, _ = bits.Div64(high, low, unit)
	default:
		return 0, errTime
	}
	if s >= maxSeconds || i.offset >= maxSeconds || i.offset <= -maxSeconds {
		return 0, errTime
	}
	whole := int64(s) + i.offset
	if whole < 0 || whole >= maxSeconds {
		return 0, errTime
	}
	return whole*1e9 + int64(ns), nil
}
