//go:build linux

package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/dns"
)

// unanswered is a question of a program to a name server that has no answer yet.
type unanswered struct {
	dns.Question
	server netip.AddrPort
	at     time.Duration
}

// questions are those of a socket, or of a connection to a name server, that have no answer yet, the oldest first.
type questions []unanswered

// maxQuestions is how many questions of a socket are looked after: the last ones.
const maxQuestions = 16

// resolves reports whether at an address there is a name server.
func (g *Gateway) resolves(a netip.AddrPort) bool { return a.Port() == dnsPort || g.names.asked(a) }

// asks notes a question that leaves for a server. One that is asked again counts from when it was asked first.
func (l *questions) asks(g *Gateway, msg []byte, server netip.AddrPort) {
	q, ok := dns.QuestionOf(msg)
	if !ok || slices.ContainsFunc(*l, func(u unanswered) bool { return u.Question == q && u.server == server }) {
		return
	}
	g.outside.Asked++
	if len(*l) == maxQuestions {
		g.took(&(*l)[0], true)
		*l = slices.Delete(*l, 0, 1)
	}
	*l = append(*l, unanswered{q, server, g.clock.Now()})
}

// hears notes an answer that has come from a server.
func (l *questions) hears(g *Gateway, msg []byte, server netip.AddrPort) {
	q, ok := dns.QuestionOf(msg)
	i := slices.IndexFunc(*l, func(u unanswered) bool { return u.Question == q && u.server == server })
	if !ok || i < 0 {
		return
	}
	g.outside.Answered++
	g.took(&(*l)[i], false)
	*l = slices.Delete(*l, i, i+1)
}

// end notes that the questions will have no answer.
func (l questions) end(g *Gateway) {
	for i := range l {
		g.took(&l[i], true)
	}
}

// waits says that the oldest one has no answer.
func (u *unanswered) waits(now time.Duration) string {
	return fmt.Sprintf("resolver: no answer from %v for %s to a question about %s", u.server, brief(now-u.at), u.Name)
}

// took notes how long a question has taken until now.
func (g *Gateway) took(q *unanswered, none bool) {
	if d := g.clock.Now() - q.at; d >= g.outside.Slowest {
		o := &g.outside
		o.Slowest, o.Name, o.Server, o.NoAnswer = d, q.Name, q.server, none
	}
}

// Outside tells of the time until now.
func (g *Gateway) Outside() (o Outside) {
	g.wait(func() {
		before := g.outside
		for _, m := range g.mappings {
			m.open.end(g)
		}
		for s := range g.streams {
			s.takes()
			s.filter.unanswered().end(g)
		}
		o, g.outside = g.outside, before
	})
	return o
}

// wait has f called by who has the turn, and waits until that is done.
func (g *Gateway) wait(f func()) {
	done := make(chan struct{})
	g.leave(func() {
		f()
		close(done)
	})
	<-done
}

// takes notes for how long the outer socket has had no room, up to now.
func (s *stream) takes() {
	if s.fullSince == 0 {
		return
	}
	now := s.g.clock.Now()
	d := now - s.fullSince
	s.fullFor += d
	s.fullSince = now
	o := &s.g.outside
	if o.Full += d; s.fullFor > o.Fullest {
		o.Fullest, o.FullestPeer = s.fullFor, s.ends.remote
	}
}

// Waits says in words which of the host's sockets wait for the outside, and for what: "resolver: ..." or "outside: ...";
// of others it leaves what there is. It is for inspect.Config.
func (g *Gateway) Waits(list []usock.SocketInfo, words []string) {
	g.wait(func() {
		now := g.clock.Now()
		open := g.byPort()
		for i := range list {
			in := &list[i]
			switch in.Proto {
			case "tcp":
				if s := g.byEnds[ends{in.Local, in.Peer}]; s != nil && !s.gone {
					if text := s.waitsFor(now); text != "" {
						words[i] = text
					}
				}
			case "udp":
				if q := open[in.Local.Port()]; q != nil {
					words[i] = q.waits(now)
				}
			}
		}
	})
}

// byPort are the oldest questions without answer, by the port of the socket that has asked.
func (g *Gateway) byPort() map[uint16]*unanswered {
	open := make(map[uint16]*unanswered)
	for key, m := range g.mappings {
		if len(m.open) > 0 {
			if q := open[key.src.Port()]; q == nil || m.open[0].at < q.at {
				open[key.src.Port()] = &m.open[0]
			}
		}
	}
	return open
}

// waitsFor says what the stream waits for outside; "": nothing.
func (s *stream) waitsFor(now time.Duration) string {
	if !s.open {
		if s.flow == nil {
			return "" // it is the run that has to answer
		}
		return fmt.Sprintf("outside: %v has not answered the connect for %s", s.ends.remote, brief(now-s.began))
	}
	if open := s.filter.unanswered(); len(open) > 0 {
		return open[0].waits(now)
	}
	t, err := unix.GetsockoptTCPInfo(s.fd, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return ""
	}
	if s.fullSince != 0 && len(s.up.held) > 0 {
		why := ""
		switch {
		case t.Retransmits > 0:
			why = ", and does not answer"
		case t.Snd_wnd == 0:
			why = ", as its window is closed"
		}
		return fmt.Sprintf("outside: %v has not taken more for %s%s", s.ends.remote, brief(now-s.fullSince), why)
	}
	if silent := time.Duration(t.Last_data_sent) * time.Millisecond; s.sent && t.Last_data_recv > t.Last_data_sent && len(s.down.held) == 0 {
		return fmt.Sprintf("outside: no answer from %v for %s", s.ends.remote, brief(silent))
	}
	return ""
}

// brief is a time with a few digits.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
