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

// Summary is what was on a host, for whoever wants to know at its end. It keeps sums, and the connections that have lasted
// longest. Its zero value is ready; Ended is for the host's configuration:
//
//	var all inspect.Summary
//	h, err := usock.NewHost(usock.Config{Ended: all.Ended})
//	...
//	for _, line := range all.Lines(h) {
type Summary struct {
	mu    sync.Mutex
	ended tally            // mu
	named map[int32]string // mu: programs by process
}

// tally is what connections come to.
type tally struct {
	n              int
	sent, received uint64
	waits          [waitings]time.Duration
	longest        []lasted // the longest first
}

// lasted is a connection of those that lasted longest.
type lasted struct {
	usock.SocketInfo
	program string // "": not known
	lives   bool
}

// maxLongest is how many connections are told of.
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

// Ended takes a connection that has ended.
func (s *Summary) Ended(in usock.SocketInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.add(&lasted{SocketInfo: in, program: s.named[in.Owner]})
}

func (t *tally) add(in *lasted) {
	if in.TCP == nil {
		return
	}
	t.n++
	t.sent += in.TCP.BytesSent - in.TCP.BytesRetrans
	t.received += in.TCP.BytesReceived
	for k, d := range waits(&in.SocketInfo) {
		t.waits[k] += d
	}
	at, _ := slices.BinarySearchFunc(t.longest, in.Age, func(l lasted, age time.Duration) int { return cmp.Compare(age, l.Age) })
	if at == maxLongest {
		return
	}
	if len(t.longest) == maxLongest {
		t.longest = t.longest[:maxLongest-1]
	}
	t.longest = slices.Insert(t.longest, at, *in)
}

// Lines tells of the connections that have ended, and of those that the host has, which is to be open still.
func (s *Summary) Lines(h *usock.Host) []string {
	s.mu.Lock()
	t, named := s.ended, maps.Clone(s.named)
	t.longest = slices.Clone(t.longest)
	s.mu.Unlock()
	ended := t.n
	for part := range detailed(h) {
		for i := range part {
			if in := &part[i]; lives(in) {
				t.add(&lasted{*in, named[in.Owner], true})
			}
		}
	}
	st := h.Stats()
	lines := []string{
		fmt.Sprintf("%s begun, %d accepted; %d failed to be made, %d were reset, %d live", count(int(st.TCP.ActiveOpens), "connection"),
			st.TCP.PassiveOpens, st.TCP.AttemptFails, st.TCP.EstabResets, t.n-ended),
		fmt.Sprintf("TCP: %s sent, %s received; %d of %s sent again", bytesOf(int(t.sent)), bytesOf(int(t.received)),
			st.TCP.RetransSegs, count(int(st.TCP.OutSegs+st.TCP.RetransSegs), "segment")),
	}
	if u := st.UDP; u.InDatagrams+u.OutDatagrams+u.RcvbufErrors > 0 {
		lines = append(lines, fmt.Sprintf("UDP: %s sent, %d received, %d found no room", count(int(u.OutDatagrams), "datagram"), u.InDatagrams, u.RcvbufErrors))
	}
	for _, i := range h.Interfaces() {
		if x := i.Stats; x.TxPackets+x.RxPackets > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s sent, %s received, in %d and %d packets", i.Name, bytesOf(int(x.TxBytes)), bytesOf(int(x.RxBytes)), x.TxPackets, x.RxPackets))
		}
	}
	return append(lines, t.lines()...)
}

// lives reports whether a socket of a list is a connection, or an attempt, whose end was not told.
func lives(in *usock.SocketInfo) bool {
	switch in.State {
	case "UNCONN", "SYN-RECV", "TIME-WAIT":
		return false
	}
	return in.TCP != nil
}

// lines are those about who waited, and about the longest connections.
func (t *tally) lines() (lines []string) {
	if t.n == 0 {
		return nil
	}
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
	if len(words) > 0 {
		lines = append(lines, "waited for, all connections together: "+strings.Join(words, ", "))
	}
	lines = append(lines, fmt.Sprintf("the longest of %s, by how long they lasted:", count(t.n, "connection")))
	for i := range t.longest {
		lines = append(lines, t.longest[i].line())
	}
	return lines
}

// line tells of a connection.
func (l *lasted) line() string {
	pid := l.Owner
	if pid == 0 {
		pid = int32(os.Getpid())
	}
	if l.program == "" {
		l.program = programName(make(gate, 1), make(map[int32]string), pid)
	}
	why := Waited(&l.SocketInfo)
	if now := Stall(&l.SocketInfo); l.lives && now != "" {
		why = "lives; " + now
	}
	return fmt.Sprintf("  %s %s[%d] %v > %v, %s sent, %s received; %s", rounded(l.Age), l.program, pid, l.Local, l.Peer,
		bytesOf(int(l.TCP.BytesSent-l.TCP.BytesRetrans)), bytesOf(int(l.TCP.BytesReceived)), why)
}
