package congestion

import "usock/cc"

// makers are the controllers, the default first.
var makers = []struct {
	name string
	make func() cc.Controller
}{
	{"cubic", func() cc.Controller { return new(Cubic) }},
	{"reno", func() cc.Controller { return new(Reno) }},
	{"bbr", func() cc.Controller { return new(BBR) }},
	{"bbr3", func() cc.Controller { return new(BBR3) }},
}

// New returns a new controller, and false if the name is unknown. The empty name
// gives the default.
func New(name string) (cc.Controller, bool) {
	if name == "" {
		name = makers[0].name
	}
	for _, m := range makers {
		if m.name == name {
			return m.make(), true
		}
	}
	return nil, false
}

// Names returns the names of all controllers, the default first.
func Names() []string {
	names := make([]string, len(makers))
	for i, m := range makers {
		names[i] = m.name
	}
	return names
}

// add returns a+b, at most MaxWindow.
func add(a, b uint32) uint32 {
	return uint32(min(uint64(a)+uint64(b), cc.MaxWindow))
}
