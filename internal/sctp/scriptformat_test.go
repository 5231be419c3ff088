package sctp

import (
	"fmt"
	"strings"

	"usock/internal/wire"
)

// format writes a packet as it is written in scripts.
func (s *script) format(p *sentPacket) string {
	var parts []string
	for _, c := range p.chunks {
		parts = append(parts, s.formatChunk(&c))
	}
	head := ""
	for l, x := range scriptAddrs {
		if x[0] == p.Dst && l != "A" {
			head = "@" + l + " "
		}
	}
	switch {
	case p.VTag == s.peer.tag:
	case p.VTag == 0 && p.chunks[0].Type == wire.ChunkInit:
	case p.VTag == s.peer.coreTag:
		head += "tag=own "
	default:
		head += fmt.Sprintf("tag=%#x ", p.VTag)
	}
	if p.Encap != 0 {
		head += fmt.Sprintf("udp=%d ", p.Encap)
	}
	if p.ZeroSum {
		head += "zero "
	}
	return head + strings.Join(parts, "; ")
}

func (s *script) formatChunk(c *wire.Chunk) string {
	t := c.Type.String()
	switch c.Type {
	case wire.ChunkData:
		var d wire.Data
		if d.Parse(c.Flags, c.Value) != nil {
			return "malformed DATA"
		}
		return fmt.Sprintf("DATA %d %s %d:%d %d ppid=%d", d.TSN-s.peer.coreTSN+1, flagText(d.Flags), d.Stream, d.SSN, len(c.Value)-12, d.PPID)
	case wire.ChunkIData:
		var d wire.IData
		if d.Parse(c.Flags, c.Value) != nil {
			return "malformed I-DATA"
		}
		return fmt.Sprintf("I-DATA %d %s %d:%d:%d %d", d.TSN-s.peer.coreTSN+1, flagText(d.Flags), d.Stream, d.MID, d.FSN, len(c.Value)-16)
	case wire.ChunkForwardTSN:
		f, _ := wire.ParseForwardTSN(c.Type, c.Value)
		var streams []string
		for i := range f.Streams() {
			streams = append(streams, fmt.Sprintf("%d:%d", f.Stream(i).Stream, f.Stream(i).MID))
		}
		return fmt.Sprintf("FORWARD-TSN %d streams=%s", f.CumTSN-s.peer.coreTSN+1, strings.Join(streams, ","))
	case wire.ChunkSack:
		k, err := wire.ParseSack(c.Value)
		if err != nil {
			return "malformed SACK"
		}
		var gaps, dups []string
		for i := range k.Gaps() {
			gaps = append(gaps, fmt.Sprintf("%d-%d", k.Gap(i).Start, k.Gap(i).End))
		}
		for i := range k.Dups() {
			dups = append(dups, fmt.Sprint(int32(k.Dup(i)-s.peer.tsn+1)))
		}
		return fmt.Sprintf("SACK %d gap=%s dup=%s rwnd=%d", int32(k.CumTSN-s.peer.tsn+1),
			strings.Join(gaps, ","), strings.Join(dups, ","), k.ARwnd)
	case wire.ChunkInit, wire.ChunkInitAck:
		i, _ := wire.ParseInit(c.Value)
		x := fmt.Sprintf("%s tag=%#x rwnd=%d os=%d is=%d tsn=%#x", t, i.Tag, i.ARwnd, i.OutStreams, i.InStreams, i.TSN)
		for q := i.Params; len(q) > 0; {
			var p wire.TLV
			p, q, _ = wire.ParseTLV(q)
			x += fmt.Sprintf(" param=%d:%x", p.Type, p.Value)
		}
		return x
	case wire.ChunkShutdown:
		tsn, _ := wire.ParseTSN(c.Value)
		return fmt.Sprintf("SHUTDOWN %d", int32(tsn-s.peer.tsn+1))
	case wire.ChunkReConfig:
		return t + s.formatReconf(c.Value)
	case wire.ChunkAbort, wire.ChunkError, wire.ChunkShutdownComplete:
		if c.Flags&wire.FlagT != 0 {
			t += " T"
		}
		for b := c.Value; len(b) > 0; {
			p, rest, err := wire.ParseTLV(b)
			if err != nil {
				return t + " malformed"
			}
			t += fmt.Sprintf(" cause=%d:%x", p.Type, p.Value)
			b = rest
		}
		return t
	}
	if !strings.HasPrefix(t, "chunk") {
		return fmt.Sprintf("%s %x", t, c.Value)
	}
	return fmt.Sprintf("0x%x %x", byte(c.Type), c.Value)
}

// flagText writes the flags of DATA and I-DATA.
func flagText(flags uint8) (text string) {
	for _, x := range dataFlags {
		if flags&x.bit != 0 {
			text += x.letter
		}
	}
	if text == "" {
		text = "-"
	}
	return text
}

// matches reports whether a chunk, as format writes it, is what is wanted.
func matches(got, want string) bool {
	gn, gw, gk := fields(got)
	wn, ww, wk := fields(want)
	if gn != wn || len(ww) > len(gw) {
		return false
	}
	for i := range ww {
		if ww[i] != gw[i] {
			return false
		}
	}
	if len(gw) > len(ww) && gw[len(ww)] == "T" {
		return false
	}
	for key, vs := range wk {
		for _, v := range vs {
			ok := false
			for _, g := range gk[key] {
				ok = ok || g == v || strings.HasPrefix(g, v+":")
			}
			if !ok {
				return false
			}
		}
	}
	for _, key := range []string{"gap", "dup"} {
		if wk[key] == nil && gk[key] != nil && gk[key][0] != "" {
			return false
		}
	}
	return len(wk["cause"]) == len(gk["cause"]) || wn == "INIT"
}

// noteText writes a notification as it is written in scripts.
func noteText(n *Notification) string {
	letter := "?"
	for l, x := range scriptAddrs {
		if x[0] == n.Addr {
			letter = l
		}
	}
	switch n.Type {
	case EventAssocChange:
		s := [...]string{"COMM-UP", "COMM-LOST", "RESTART", "SHUTDOWN-COMP", "CANT-START"}[n.State]
		if n.State == CommUp || n.State == Restart {
			return fmt.Sprintf("%s %d/%d", s, n.OutStreams, n.InStreams)
		}
		if n.Error != 0 {
			s += fmt.Sprintf(" %d", n.Error)
		}
		return s
	case EventPeerAddrChange:
		return letter + " " + [...]string{"available", "unreachable", "removed", "added", "primary", "confirmed", "PF"}[n.State]
	case EventSendFailed, EventSendFailedEvent:
		s := [...]string{"unsent", "sent"}[n.Flags]
		return fmt.Sprintf("failed %d:%d %s", n.Info.Stream, len(n.Data), s)
	case EventRemoteError:
		return fmt.Sprintf("error %d:%x", n.Error, n.Data)
	case EventShutdown:
		return "shutdown"
	case EventStreamReset, EventStreamChange, EventAssocReset:
		s := map[EventType]string{EventStreamReset: "reset", EventStreamChange: "change", EventAssocReset: "assoc reset"}[n.Type]
		for _, x := range []struct {
			bit  uint16
			name string
		}{{ResetIncoming, "in"}, {ResetOutgoing, "out"}, {ResetDenied, "denied"}, {ResetFailed, "failed"}} {
			if n.Flags&x.bit != 0 {
				s += " " + x.name
			}
		}
		switch n.Type {
		case EventStreamReset:
			return fmt.Sprint(s, " ", n.Streams)
		case EventStreamChange:
			return fmt.Sprintf("%s %d/%d", s, n.OutStreams, n.InStreams)
		}
		return fmt.Sprint(s, " ", n.LocalTSN, " ", n.RemoteTSN)
	case EventSenderDry:
		return "dry"
	case EventAdaptation:
		return fmt.Sprintf("adaptation %d", n.Ind)
	}
	return fmt.Sprintf("type %#x", n.Type)
}
