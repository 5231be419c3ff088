package ip

import (
	"net/netip"
	"testing"
)

// An interface hears what one of its members wants (RFC 3376, section 3.2).
func TestSourceFilters(t *testing.T) {
	b := newBench(t, Config{})
	group, x, y := addr("232.1.2.3"), addr("10.0.0.8"), addr("10.0.0.9")
	only := func(a ...netip.Addr) *Filter { return &Filter{Include: true, Sources: a} }
	but := func(a ...netip.Addr) *Filter { return &Filter{Sources: a} }
	for _, c := range []struct {
		name    string
		members []*Filter
		x, y    bool
	}{
		{"nobody", nil, false, false},
		{"all", []*Filter{but()}, true, true},
		{"one source", []*Filter{only(x)}, true, false},
		{"no source", []*Filter{only()}, false, false},
		{"all but one", []*Filter{but(x)}, false, true},
		{"blocked by one of two", []*Filter{but(x), but(y)}, true, true},
		{"blocked by both", []*Filter{but(x), but(x, y)}, false, true},
		{"blocked and wanted", []*Filter{but(x), only(x)}, true, true},
		{"two want one each", []*Filter{only(x), only(y)}, true, true},
	} {
		b.do(func() {
			for _, f := range c.members {
				if err := b.l.Join(b.eth, group, f); err != nil {
					t.Error(err)
				}
			}
			if gx, gy := b.eth.hears(group, x), b.eth.hears(group, y); gx != c.x || gy != c.y {
				t.Errorf("%s: hears %v and %v, want %v and %v", c.name, gx, gy, c.x, c.y)
			}
			for _, f := range c.members {
				if err := b.l.Leave(b.eth, group, f); err != nil {
					t.Error(err)
				}
			}
			if b.eth.hears(group, x) || len(b.eth.groups) != 0 {
				t.Errorf("%s: something is left", c.name)
			}
		})
	}
}
