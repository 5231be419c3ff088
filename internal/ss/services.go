package ss

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// machine are the services of this machine.
var machine = sync.OnceValue(func() *Services {
	f, err := os.Open("/etc/services")
	if err != nil {
		return ReadServices(strings.NewReader("")) // a machine may have none
	}
	defer f.Close()
	return ReadServices(f)
})

// ServiceName returns the name that this machine has for a port; "" for none.
func ServiceName(port uint16, proto string) string { return machine().Name(port, proto) }

// ServiceNumber returns the port that this machine has for a name.
func ServiceNumber(name string) (uint16, bool) { return machine().Number(name) }

// Services are the names of ports, as services(5) has them.
type Services struct {
	names   map[wellKnown]string
	numbers map[string]uint16
}

// wellKnown is a port of a protocol.
type wellKnown struct {
	port  uint16
	proto string
}

// ReadServices reads a file such as /etc/services. Of several names for one port the first
// counts, and of several ports for one name, too.
func ReadServices(r io.Reader) *Services {
	s := &Services{make(map[wellKnown]string), make(map[string]uint16)}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		text, proto, _ := strings.Cut(f[1], "/")
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			continue
		}
		if k := (wellKnown{uint16(n), proto}); s.names[k] == "" {
			s.names[k] = f[0]
		}
		for i, name := range f {
			if _, known := s.numbers[name]; i != 1 && !known {
				s.numbers[name] = uint16(n)
			}
		}
	}
	return s
}

// Name returns a port's name; "" if it has none.
func (s *Services) Name(port uint16, proto string) string {
	return s.names[wellKnown{port, proto}]
}

// Number returns the port of a name.
func (s *Services) Number(name string) (uint16, bool) {
	n, ok := s.numbers[name]
	return n, ok
}
