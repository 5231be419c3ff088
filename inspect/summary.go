package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"usock"
	"usock/internal/control"
)

// Summary is what was on a host, for whoever wants to know at its end. It keeps sums, and of each protocol the connections, sockets or
// associations that have lasted longest. Its zero value is ready; Ended is for the host's configuration:
//
//	var all inspect.Summary
//	h, err := usock.NewHost(usock.Config{Ended: all.Ended})
//	...
//	for _, line := range all.Lines(h) {
type Summary struct {
	mu    sync.Mutex
	ended tallies          // mu
	named map[int32]string // mu: programs by process
}

// tallies are what there was of each protocol.
type tallies struct{ tcp, sctp, udp tally }

// tally is what connections, sockets or associations come to.
type tally struct {
	n              int
	sent, received uint64
	retrans        uint64                  // chunks of SCTP
	waits          [waitings]time.Duration // of TCP
	longest        []lasted                // the longest first
}

// lasted is one of those that lasted longest.
type lasted struct {
	usock.SocketInfo
	program string // "": not known
	lives   bool
}

// maxLongest is how many of a protocol are told of.
const maxLongest = 5

// maxNamed bounds how many names of processes are kept.
const maxNamed = 4096

// Named takes the name of a process's program, which may be gone when it is told of (usock/run.Options.Named).
func (s *Summary) Named(pid int32, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil || len(s.named) >= maxNamed {
		s.named = make(map[int32]string)
	}
	s.named[pid] = control.Printable(name)
}

// Ended takes what has ended.
func (s *Summary) Ended(in usock.SocketInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.add(&lasted{SocketInfo: in, program: s.named[in.Owner]})
}

// add adds what has ended to the tally of its protocol.
func (t *tallies) add(in *lasted) {
	switch {
	case in.TCP != nil:
		for k, d := range waits(&in.SocketInfo) {
			t.tcp.waits[k] += d
		}
		t.tcp.add(in)
	case in.Proto == "udp":
		t.udp.add(in)
	case in.SCTP != nil && len(in.SCTP.Assocs) == 1:
		t.sctp.retrans += in.SCTP.Assocs[0].Retrans
		t.sctp.add(in)
	}
}

// clone returns a copy that may be added to.
func (t tallies) clone() tallies {
	for _, x := range []*tally{&t.tcp, &t.sctp, &t.udp} {
		x.longest = slices.Clone(x.longest)
	}
	return t
}

// bytes are those that went, but for those of retransmissions, and those that came.
func (l *lasted) bytes() (sent, received uint64) {
	if l.TCP != nil {
		return l.TCP.BytesSent - l.TCP.BytesRetrans, l.TCP.BytesReceived
	}
	return l.TxBytes, l.RxBytes
}

func (t *tally) add(in *lasted) {
	t.n++
	sent, received := in.bytes()
	t.sent += sent
	t.received += received
	at, _ := slices.BinarySearchFunc(t.longest, in.Age, func(l lasted, age time.Duration) int { return cmp.Compare(age, l.Age) })
	if at == maxLongest {
		return
	}
	if len(t.longest) == maxLongest {
		t.longest = t.longest[:maxLongest-1]
	}
	t.longest = slices.Insert(t.longest, at, *in)
}

// Lines tells of what has ended, and of what the host has, which is to be open still.
func (s *Summary) Lines(h *usock.Host) []string {
	s.mu.Lock()
	t, named := s.ended.clone(), maps.Clone(s.named)
	s.mu.Unlock()
	ended := t
	for part := range detailed(h) {
		for i := range part {
			for _, in := range living(&part[i]) {
				t.add(&lasted{in, named[in.Owner], true})
			}
		}
	}
	st := h.Stats()
	lines := []string{
		fmt.Sprintf("%s begun, %d accepted; %d failed to be made, %d were reset, %d live", count(int(st.TCP.ActiveOpens), "connection"),
			st.TCP.PassiveOpens, st.TCP.AttemptFails, st.TCP.EstabResets, t.tcp.n-ended.tcp.n),
		fmt.Sprintf("TCP: %s sent, %s received; %d of %s sent again", bytesOf(int(t.tcp.sent)), bytesOf(int(t.tcp.received)),
			st.TCP.RetransSegs, count(int(st.TCP.OutSegs+st.TCP.RetransSegs), "segment")),
	}
	if t.sctp.n > 0 {
		lines = append(lines, fmt.Sprintf("SCTP: %s begun, %d accepted, %d aborted, %d live; %s sent, %s received; %s sent again",
			count(int(st.SCTP.ActiveEstabs), "association"), st.SCTP.PassiveEstabs, st.SCTP.Aborteds, t.sctp.n-ended.sctp.n,
			bytesOf(int(t.sctp.sent)), bytesOf(int(t.sctp.received)), count(int(t.sctp.retrans), "chunk")))
	}
	if u := st.UDP; u.InDatagrams+u.OutDatagrams+u.RcvbufErrors > 0 {
		lines = append(lines, fmt.Sprintf("UDP: %s sent, %d received, %d found no room", count(int(u.OutDatagrams), "datagram"), u.InDatagrams, u.RcvbufErrors))
	}
	for _, i := range h.Interfaces() {
		if x := i.Stats; x.TxPackets+x.RxPackets > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s sent, %s received, in %d and %d packets", i.Name, bytesOf(int(x.TxBytes)), bytesOf(int(x.RxBytes)), x.TxPackets, x.RxPackets))
		}
	}
	lines = append(lines, t.tcp.waited()...)
	lines = append(lines, t.tcp.lines("connection", "")...)
	lines = append(lines, t.sctp.lines("association", " of SCTP")...)
	return append(lines, t.udp.lines("socket", " of UDP")...)
}

// living is what a socket of a list stands for whose end was not told: a connection, or an attempt, a socket of UDP that has
// carried something, or each of SCTP's associations.
func living(in *usock.SocketInfo) (list []usock.SocketInfo) {
	switch {
	case in.Proto == "udp" && in.RxBytes+in.TxBytes+in.Drops > 0:
		return []usock.SocketInfo{*in}
	case in.SCTP != nil:
		for _, x := range in.SCTP.Assocs {
			one := *in
			one.Local, one.Peer, one.RecvQ, one.SendQ, one.RxBytes, one.TxBytes, one.Age = x.Local, x.Peer, x.RecvQ, x.SendQ, x.RxBytes, x.TxBytes, x.Age
			one.SCTP = &usock.SCTPSocketInfo{Assocs: []usock.SCTPAssocInfo{x}}
			list = append(list, one)
		}
		return list
	case in.TCP == nil || in.State == "UNCONN" || in.State == "SYN-RECV" || in.State == "TIME-WAIT":
		return nil
	}
	return []usock.SocketInfo{*in}
}

// waited is the line about whom connections have waited for.
func (t *tally) waited() []string {
	order := make([]waiting, 0, waitings)
	for k := range waitings {
		if t.waits[k] >= time.Millisecond {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b waiting) int { return cmp.Compare(t.waits[b], t.waits[a]) })
	var words []string
	for _, k := range order {
		words = append(words, fmt.Sprintf("%v %s", k, rounded(t.waits[k])))
	}
	if len(words) == 0 {
		return nil
	}
	return []string{"waited for, all connections together: " + strings.Join(words, ", ")}
}

// lines are those about the longest of what is called so, and is of a protocol.
func (t *tally) lines(what, of string) (lines []string) {
	if t.n == 0 {
		return nil
	}
	lines = append(lines, "the longest of "+count(t.n, what)+of+", by how long they lasted:")
	for i := range t.longest {
		lines = append(lines, t.longest[i].line())
	}
	return lines
}

// line tells of one.
func (l *lasted) line() string {
	pid := l.Owner
	if pid == 0 {
		pid = int32(os.Getpid())
	}
	if l.program == "" {
		l.program = programName(make(gate, 1), make(map[int32]string), pid)
	}
	why := Waited(&l.SocketInfo)
	switch now := Stall(&l.SocketInfo); {
	case l.lives && now != "":
		why = "lives; " + now
	case l.lives && why != "" && l.TCP == nil:
		why = "lives; " + why
	case l.lives && why == "":
		why = "lives"
	}
	if why != "" {
		why = "; " + why
	}
	peer := "*"
	if l.Peer.IsValid() {
		peer = l.Peer.String()
	}
	sent, received := l.bytes()
	return fmt.Sprintf("  %s %s[%d] %v > %s, %s sent, %s received%s", rounded(l.Age), l.program, pid, l.Local, peer,
		bytesOf(int(sent)), bytesOf(int(received)), why)
}
