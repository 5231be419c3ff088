package sctp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// order returns the streams of the chunks that leave, packets apart, until nothing is left.
func (s *sends) order() string {
	var out []string
	s.f.cwnd, s.arwnd = 1<<30, 1<<30
	for {
		p := s.packet(s.f)
		if p == "" {
			return strings.Join(out, " ")
		}
		o := ""
		for _, c := range strings.Fields(p) {
			_, c, _ = strings.Cut(c, ":")
			c, _, _ = strings.Cut(c, ".")
			o += c
		}
		out = append(out, o)
	}
}

// TestSchedulers: RFC 8260, section 3, by messages that are small, and by messages of several chunks
// with and without I-DATA.
func TestSchedulers(t *testing.T) {
	for _, c := range []struct {
		kind               Sched
		small, data, idata string
	}{
		{SchedFCFS, "000112", "0 0 0 0 1 1 2 2 2", "0 0 0 0 1 1 2 2 2"},
		{SchedRR, "012010", "0 0 1 1 2 2 2 0 0", "0 1 2 0 1 2 0 2 0"},
		{SchedPackets, "000 11 2", "0 0 1 1 2 2 2 0 0", "0 1 2 0 1 2 0 2 0"},
		{SchedPriority, "112000", "1 1 2 2 2 0 0 0 0", "1 1 2 2 2 0 0 0 0"},
		{SchedFair, "012010", "0 0 1 1 2 2 2 0 0", "0 1 2 0 1 2 0 2 0"},
		{SchedWeighted, "012001", "0 0 1 1 2 2 2 0 0", "0 1 2 0 2 0 0 1 2"},
	} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			begin := func(interleaved bool) *sends {
				s := newSends(t, func(s *sends) { s.interleaved = interleaved })
				s.setScheduler(c.kind)
				for i, prio := range []uint16{7, 2, 4} {
					s.setSchedule(uint16(i), prio)
				}
				return s
			}
			s := begin(false)
			for _, stream := range []uint16{0, 0, 0, 1, 1, 2} {
				s.message(outMessage{stream: stream}, 20)
			}
			s.want(s.order(), c.small)
			for _, interleaved := range []bool{false, true} {
				s := begin(interleaved)
				const chunk = 1448 // of I-DATA; DATA has a chunk as many
				s.message(outMessage{stream: 0}, 2*chunk)
				s.message(outMessage{stream: 0}, 2*chunk)
				s.message(outMessage{stream: 1}, 2*chunk)
				s.message(outMessage{stream: 2}, 3*chunk)
				want := c.data
				if interleaved {
					want = c.idata
				}
				s.want(s.order(), want)
			}
		})
	}
}

// TestScheduleChange: a scheduler that is chosen while messages wait goes by what they have.
func TestScheduleChange(t *testing.T) {
	s := newSends(t)
	for _, stream := range []uint16{3, 2, 1, 3} {
		s.message(outMessage{stream: stream}, 20)
		s.setSchedule(stream, stream)
	}
	s.setScheduler(SchedPriority)
	s.setSchedule(1, 9)
	s.want(s.order(), "2331")

	s = newSends(t)
	for _, stream := range []uint16{3, 2, 1, 3} {
		s.message(outMessage{stream: stream}, 20)
	}
	s.setScheduler(SchedRR)
	s.want(s.order(), "3213")
}

// TestShares: over a long time bytes are shared equally, or by weight, whatever the sizes of messages
// are.
func TestShares(t *testing.T) {
	for _, weighted := range []bool{false, true} {
		s := newSends(t, func(s *sends) { s.interleaved = true })
		s.setScheduler(SchedFair)
		if weighted {
			s.setScheduler(SchedWeighted)
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		sent := map[uint16]int{}
		for i, n := range []int{50, 500, 5000} {
			s.setSchedule(uint16(i), uint16(i+1))
			for left := 2 << 20; left > 0; {
				size := n/2 + rnd.IntN(n)
				s.message(outMessage{stream: uint16(i)}, size)
				left -= size
			}
		}
		s.f.cwnd, s.arwnd = 1<<30, 1<<30
		var d outData
		for l := (load{room: 1 << 20}); sent[0]+sent[1]+sent[2] < 1<<20 && s.next(s.now, s.f, &l, &d); {
			sent[d.Stream] += d.payload.Len()
		}
		all := sent[0] + sent[1] + sent[2]
		for i := range 3 {
			share := all / 3
			if weighted {
				share = all * (i + 1) / 6
			}
			if have := sent[uint16(i)]; have < share*99/100 || have > share*101/100 {
				t.Errorf("weighted %v: stream %d has sent %d bytes, want about %d", weighted, i, have, share)
			}
		}
	}
}

// TestLateComer: who was silent does not have all to itself until it has caught up.
func TestLateComer(t *testing.T) {
	s := newSends(t, func(s *sends) { s.interleaved = true })
	s.setScheduler(SchedFair)
	for range 40 {
		s.message(outMessage{stream: 1}, 1448)
	}
	s.f.cwnd = 1 << 30
	for range 20 {
		s.packet(s.f)
	}
	for range 4 {
		s.message(outMessage{stream: 2}, 1448)
	}
	have := s.order()
	if !strings.HasPrefix(have, "2 1 2 1 2 1") && !strings.HasPrefix(have, "1 2 1 2 1 2") {
		t.Fatal(have)
	}
}
