package main

import (
	"fmt"
	"strings"
)

// title is what usock run -v says when the program starts: what the run reaches, what is
// done to its links, with the seed that does the same again, and where they are recorded.
func title(program string, s *conditions, o *outside) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s runs on usock's sockets", program)
	if o.isolated {
		b.WriteString(", isolated")
	}
	if text := s.mtu.behind(strings.Join(s.wishes.links(), " ")); text != "" {
		where := map[string]string{onBoth: "on both of its links", onLoopback: "on its loopback link", onOutside: "on its way outside"}[s.on]
		if o.isolated {
			where = "on its loopback link"
		}
		fmt.Fprintf(&b, "; %s: %s", where, text)
	}
	if text := s.faults.String(); text != "" {
		fmt.Fprintf(&b, "; at its calls: %s", text)
	}
	if s.impaired() || len(s.strikers()) > 0 {
		fmt.Fprintf(&b, " --seed %d", s.seed)
	}
	if s.pcap.name != "" {
		fmt.Fprintf(&b, "; recording to %s", s.pcap.name)
	}
	return b.String()
}

// String is what is done to the links, as flags; "" for nothing.
func (s *conditions) String() string {
	return s.mtu.behind(s.wishes.String())
}
