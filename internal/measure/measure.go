package measure

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"time"

	"usock/internal/pcapfile"
	"usock/internal/pcapfilter"
	"usock/internal/wire"
)

// maxPackets bounds what is kept of a capture.
const maxPackets = 20_000_000

// Network is what a capture tells of a network.
type Network struct {
	Up, Down Way
	Delay    time.Duration // of one way: half of the shortest round trip; 0: no handshake tells
	Cut      bool          // the capture ends within a packet
}

// Way is one direction: Up is from those that connect or, where the capture names directions, from the machine that has captured.
type Way struct{ packets []delivery }

// delivery is a packet that has passed, or was lost.
type delivery struct {
	at   time.Duration // since the capture's first packet
	size int32         // bytes of IP; 0: of a lost one
}

// Read reads a capture, of which a filter in tcpdump's language chooses the packets; "": all.
func Read(r io.Reader, text string) (*Network, error) {
	filter, err := parseFilter(text)
	if err != nil {
		return nil, err
	}
	file, err := pcapfile.NewReader(r)
	if err != nil {
		return nil, err
	}
	m := meter{flows: map[pcapfilter.Flow]*flow{}}
	out := new(Network)
	for n := 1; ; n++ {
		var p pcapfile.Packet
		err := file.Next(&p)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			out.Cut = true
			break
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("packet %d: %w", n, err)
		}
		b, size, ok := p.IP()
		if !ok || filter != nil && !filter.Match(b, size, pcapfilter.Process{}) {
			continue
		}
		if len(m.seen) == maxPackets {
			return nil, fmt.Errorf("more than %d packets; choose some with a filter", maxPackets)
		}
		m.packet(&p, b, size)
	}
	if len(m.seen) == 0 {
		return nil, errors.New("no packet of IP is in it that the filter lets pass")
	}
	m.split(out)
	return out, nil
}

func parseFilter(text string) (*pcapfilter.Filter, error) {
	if text == "" {
		return nil, nil
	}
	return pcapfilter.Parse(text)
}

// meter gathers what the packets tell.
type meter struct {
	seen    []sighting
	flows   map[pcapfilter.Flow]*flow // by the end that sorts first
	dropped bool                      // usock says what it has dropped
	there   time.Duration             // the shortest time from a SYN to its answer; 0: none
	back    time.Duration             // and from that to the answer's answer
	handed  bool                      // both are known
	steps   int                       // of judge
}

// sighting is a packet, before it is known which way it goes.
type sighting struct {
	at       int64 // ns
	size     int32
	flow     *flow
	low      bool // it comes from the flow's low end
	kind     kind
	outgoing pcapfile.Direction
	sum      uint32 // of its bytes
	last     int32  // the number of the sighting before it from the same end, from 1; 0: none
}

// kind is what has become of a packet.
type kind uint8

const (
	delivered kind = iota
	again          // with data that was sent before: that is lost
	lost           // by chance, as usock says
	refused        // for want of room, or otherwise not by chance
)

// flow is what packets between two ends have in common.
type flow struct {
	lowBegins bool
	connected bool // lowBegins is by a SYN, and not by the first packet
	ends      [2]end
	in, out   [2]bool // packets of the end were captured so

	syn, answer int64 // when they came; 0: they did not, or more than once
}

// end is one end of a flow.
type end struct {
	next  uint32 // the sequence number behind all that it has sent
	known bool
	last  int32 // the number of its last sighting, from 1; 0: none
}

const (
	high = iota
	low
)

// packet takes a packet: its flow, its way, and what has become of it.
func (m *meter) packet(p *pcapfile.Packet, b []byte, size int) {
	name, ports := pcapfilter.FlowOf(b)
	fromLow := less(name.Src, name.Dst)
	if !fromLow {
		name = name.Reverse()
	}
	f := m.flows[name]
	if f == nil {
		f = &flow{lowBegins: fromLow}
		m.flows[name] = f
	}
	s := sighting{at: p.Time, size: int32(min(size, 1<<20)), flow: f, low: fromLow, outgoing: p.Direction}
	side := high
	if fromLow {
		side = low
	}
	f.in[side] = f.in[side] || p.Direction == pcapfile.In
	f.out[side] = f.out[side] || p.Direction == pcapfile.Out
	switch {
	case strings.HasPrefix(p.Dropped, "loss"):
		s.kind = lost
	case p.Dropped != "":
		s.kind = refused
	}
	m.dropped = m.dropped || p.Dropped != ""
	s.sum, s.last = crc32.Checksum(b, castagnoli), f.ends[side].last
	if p.Again && m.judge(s) {
		return
	}
	if ports && name.Proto == protoTCP { // no later fragment
		if h, n, ok := tcpOf(b); ok {
			data := int64(size) - int64(n)
			if m.segment(f, side, &h, p.Time, uint32(max(data, 0))) && s.kind == delivered {
				s.kind = again
			}
		}
	}
	m.seen = append(m.seen, s)
	f.ends[side].last = int32(len(m.seen))
}

// judge has what has become of a packet that was sent before be what its second sighting s says. It reports whether the first was
// found, which it is where usock has made the capture; one that says nonsense is not searched for ever.
func (m *meter) judge(s sighting) bool {
	const most = 1 << 28
	for at := s.last; at != 0 && m.steps < most; m.steps++ {
		was := &m.seen[at-1]
		if was.sum == s.sum && was.size == s.size && (was.kind == delivered || was.kind == again) {
			was.kind = s.kind
			return true
		}
		at = was.last
	}
	return false
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const protoTCP = 6

// tcpOf returns the TCP header of an IP packet, and where its data begins. Not ok: there is none, or not all of it.
func tcpOf(b []byte) (h wire.TCP, n int, ok bool) {
	at := wire.IPv6Len
	if b[0]>>4 == 4 {
		at = int(b[0]&15) * 4
	} else if b[6] != protoTCP {
		return h, 0, false
	}
	if at > len(b) {
		return h, 0, false
	}
	h, n, err := wire.ParseTCP(b[at:])
	return h, at + n, err == nil
}

// segment follows a connection. It reports whether the segment has data that comes once more, or behind later data: what was sent
// before it was lost.
func (m *meter) segment(f *flow, side int, h *wire.TCP, now int64, data uint32) (again bool) {
	e, peer := &f.ends[side], &f.ends[1-side]
	switch {
	case h.Flags&wire.SYN != 0 && h.Flags&wire.ACK == 0:
		if !e.known || e.next != h.Seq+1 { // another connection
			*f = flow{in: f.in, out: f.out, syn: now, ends: [2]end{{last: f.ends[high].last}, {last: f.ends[low].last}}}
			e.known, e.next = true, h.Seq+1
		} else {
			f.syn, f.answer = 0, 0
		}
		f.lowBegins, f.connected = side == low, true
		return false
	case h.Flags&wire.SYN != 0:
		if f.syn != 0 && f.answer == 0 && peer.known && h.Ack == peer.next {
			f.answer = now
		} else {
			f.syn = 0
		}
		if !f.connected {
			f.lowBegins, f.connected = side != low, true
		}
		e.known, e.next = true, h.Seq+1
		return false
	case f.syn != 0 && f.answer != 0 && (side == low) == f.lowBegins && h.Flags&wire.ACK != 0 && h.Ack == peer.next:
		m.handshake(time.Duration(f.answer-f.syn), time.Duration(now-f.answer))
		f.syn = 0
	}
	behind := h.Seq + data
	if data > 0 && e.known && int32(h.Seq-e.next) < 0 {
		return data > 1 || int32(behind-e.next) > 0 // one byte is a keep-alive's, or a probe's
	}
	if !e.known || int32(behind-e.next) > 0 {
		e.known, e.next = true, behind
	}
	return false
}

// handshake takes the two parts of a round trip, to the one side of where the capture was made and to the other.
func (m *meter) handshake(there, back time.Duration) {
	if there < 0 || back < 0 {
		return
	}
	if !m.handed {
		m.there, m.back, m.handed = there, back, true
		return
	}
	m.there, m.back = min(m.there, there), min(m.back, back)
}

// split sorts the packets by their ways.
func (m *meter) split(out *Network) {
	out.Delay = (m.there + m.back) / 2
	begin := m.seen[0].at
	for i := range m.seen {
		begin = min(begin, m.seen[i].at)
	}
	for i := range m.seen {
		s := &m.seen[i]
		w := &out.Down
		if s.up() {
			w = &out.Up
		}
		d := delivery{time.Duration(s.at - begin), s.size}
		switch s.kind {
		case again:
			// It has arrived, and another one has not.
			if !m.dropped {
				w.packets = append(w.packets, delivery{at: d.at})
			}
		case lost:
			d.size = 0
		case refused:
			continue
		}
		w.packets = append(w.packets, d)
	}
	out.Up.sort()
	out.Down.sort()
}

// up reports which way a packet goes: as the capture says, if it says so of each end in one way, and else from who has connected.
func (s *sighting) up() bool {
	f := s.flow
	oneWay := func(side int) bool { return f.in[side] != f.out[side] }
	ins := f.in[low] || f.in[high]
	outs := f.out[low] || f.out[high]
	if (oneWay(low) || oneWay(high)) && ins && outs && !(f.in[low] && f.out[low]) && !(f.in[high] && f.out[high]) {
		return s.outgoing == pcapfile.Out
	}
	return s.low == f.lowBegins
}

func less(a, b netip.AddrPort) bool { return a.Compare(b) < 0 }
