package link

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"usock/internal/offload"
	"usock/packet"
)

// Block types, options and link types (draft-ietf-opsawg-pcapng, sections 4.1 to
// 4.7; IANA, link types). Blocks of processes are Apple's, as Wireshark reads them.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockNames     = 4
	blockStats     = 5
	blockPacket    = 6
	blockSecrets   = 0x0a
	blockProcess   = 0x80000001

	byteOrderMagic = 0x1a2b3c4d
	secretsTLS     = 0x544c534b

	optEnd         = 0
	optComment     = 1
	optApplication = 4 // of a section
	optName        = 2 // of an interface, and of a process
	optResolution  = 9 // of an interface
	optFlags       = 2 // of a packet
	optProcess     = 0x8001
	optReceived    = 4 // of statistics: packets that passed (isb_ifrecv)
	optDropped     = 5 // those left out (isb_ifdrop, which Wireshark shows)
	optMatched     = 6 // those of the filter (isb_filteraccept)
	optDelivered   = 8 // those recorded (isb_usrdeliv)

	recordIPv4 = 1 // of names
	recordIPv6 = 2
	recordEnd  = 0

	flagInbound  = 1
	flagOutbound = 2

	linkEthernet = 1
	linkRaw      = 101 // an IPv4 or IPv6 header, as its version says

	nanoseconds = 9 // 10^-9 s
)

var le = binary.LittleEndian

// begin starts a block at the end of b and returns where it does.
func begin(b []byte, kind uint32) ([]byte, int) {
	at := len(b)
	b = le.AppendUint32(b, kind)
	return le.AppendUint32(b, 0), at
}

// end finishes the block that starts at at.
func end(b []byte, at int) []byte {
	n := uint32(len(b) - at + 4)
	b = le.AppendUint32(b, n)
	le.PutUint32(b[at+4:], n)
	return b
}

func pad(b []byte) []byte {
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendOption(b []byte, code uint16, value string) []byte {
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func appendOption32(b []byte, code uint16, value uint32) []byte {
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, 4)
	return le.AppendUint32(b, value)
}

func appendOption64(b []byte, code uint16, value uint64) []byte {
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, 8)
	return le.AppendUint64(b, value)
}

func appendSection(b []byte) []byte {
	b, at := begin(b, blockSection)
	b = le.AppendUint32(b, byteOrderMagic)
	b = le.AppendUint16(b, 1)          // version 1.0
	b = le.AppendUint16(b, 0)          //
	b = le.AppendUint64(b, ^uint64(0)) // length of the section: not known
	b = appendOption(b, optApplication, "usock")
	b = appendOption(b, optEnd, "")
	return end(b, at)
}

func (p *PcapWriter) appendInterface(b []byte, info Info) []byte {
	kind := uint16(linkRaw)
	if info.Medium == Ethernet {
		kind = linkEthernet
	}
	b, at := begin(b, blockInterface)
	b = le.AppendUint16(b, kind)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(p.c.SnapLen))
	b = appendOption(b, optName, info.Name)
	b = appendOption(b, optResolution, string(rune(nanoseconds)))
	b = appendOption(b, optEnd, "")
	return end(b, at)
}

// interfacesLen is how long the blocks of interfaces are with which b begins. Nothing may be between them and their section:
// Wireshark's tools write no file anew whose first block is another.
func interfacesLen(b []byte) (n int) {
	for len(b) >= n+8 && le.Uint32(b[n:]) == blockInterface {
		n += int(le.Uint32(b[n+4:]))
	}
	return n
}

// appendProcess describes a process; packets name it by its place among these blocks of the section.
func appendProcess(b []byte, pid int32, name string) []byte {
	b, at := begin(b, blockProcess)
	b = le.AppendUint32(b, uint32(pid))
	if name != "" {
		b = appendOption(b, optName, name)
	}
	b = appendOption(b, optEnd, "")
	return end(b, at)
}

// appendNames tells names of addresses.
func appendNames(b []byte, list []hostName) []byte {
	if len(list) == 0 {
		return b
	}
	b, at := begin(b, blockNames)
	for _, h := range list {
		kind := uint16(recordIPv4)
		if h.addr.Is6() {
			kind = recordIPv6
		}
		b = le.AppendUint16(b, kind)
		b = le.AppendUint16(b, uint16(h.addr.BitLen()/8+len(h.name)+1))
		b = append(b, h.addr.AsSlice()...)
		b = append(b, h.name...)
		b = pad(append(b, 0))
	}
	b = le.AppendUint32(b, recordEnd)
	return end(b, at)
}

// appendSecrets tells lines of a TLS key log.
func appendSecrets(b, lines []byte) []byte {
	b, at := begin(b, blockSecrets)
	b = le.AppendUint32(b, secretsTLS)
	b = le.AppendUint32(b, uint32(len(lines)))
	b = pad(append(b, lines...))
	return end(b, at)
}

// statistics tells of each link how many packets of the file passed and were left out. The caller holds mu, as for
// those below.
func (p *PcapWriter) statistics() {
	now := p.now()
	b := p.buf
	for i := range p.ifaces {
		c := &p.ifaces[i].counts
		var at int
		b, at = begin(b, blockStats)
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, uint32(now>>32))
		b = le.AppendUint32(b, uint32(now))
		b = appendOption64(b, optReceived, c.passed)
		b = appendOption64(b, optDropped, c.dropped)
		if len(p.c.Filters) > 0 {
			b = appendOption64(b, optMatched, c.matched)
		}
		b = appendOption64(b, optDelivered, c.matched-c.dropped)
		b = appendOption(b, optEnd, "")
		b = end(b, at)
	}
	p.buf = b
}

// packet writes a packet, before it the process whose it is if that is new, and behind it what became of it.
func (p *PcapWriter) packet(i *PcapInterface, d Directions, now uint64, k *Packet, whose packet.Owner, fate string) {
	process, known := uint32(0), false
	if whose.PID != 0 {
		p.buf, process, known = p.names.tell(p.buf, whose.PID, now)
	}
	n := k.Len()
	kept := min(n, p.c.SnapLen)
	b, at := begin(p.buf, blockPacket)
	b = le.AppendUint32(b, i.index)
	b = le.AppendUint32(b, uint32(now>>32))
	b = le.AppendUint32(b, uint32(now))
	b = le.AppendUint32(b, uint32(kept))
	b = le.AppendUint32(b, uint32(n))
	start := len(b)
	b = k.AppendTo(b)
	offload.CompleteCopy(b[start+min(i.network, n):], k)
	b = pad(b[:start+kept])
	flags := uint32(flagOutbound)
	if d == Received {
		flags = flagInbound
	}
	b = appendOption32(b, optFlags, flags)
	b = p.comment(b, whose, now)
	if k.Note != "" {
		b = appendOption(b, optComment, k.Note)
	}
	if fate != "" {
		b = appendOption(b, optComment, fate)
	}
	for _, text := range p.notes {
		b = appendOption(b, optComment, text)
	}
	p.notes = nil
	if known {
		b = appendOption32(b, optProcess, process)
	}
	b = appendOption(b, optEnd, "")
	p.buf = end(b, at)
}

// comment names the process and the socket behind a packet.
func (p *PcapWriter) comment(b []byte, whose packet.Owner, now uint64) []byte {
	if whose.PID == 0 && whose.Socket == 0 {
		return b
	}
	at := len(b)
	b = le.AppendUint16(b, optComment)
	b = le.AppendUint16(b, 0)
	if whose.PID != 0 {
		b = append(b, "pid "...)
		b = strconv.AppendInt(b, int64(whose.PID), 10)
		if name := p.names.of(whose.PID, now); name != "" {
			b = append(b, " ("...)
			b = append(b, name...)
			b = append(b, ')')
		}
	}
	if whose.Socket != 0 {
		if whose.PID != 0 {
			b = append(b, ' ')
		}
		b = append(b, "socket "...)
		b = strconv.AppendUint(b, whose.Socket, 10)
	}
	le.PutUint16(b[at+2:], uint16(len(b)-at-4))
	return pad(b)
}

// hostName is a name of an address.
type hostName struct {
	addr netip.Addr
	name string
}
