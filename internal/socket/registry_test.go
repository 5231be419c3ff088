package socket

import (
	"slices"
	"sync"
	"testing"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
)

// The list of sockets holds the open ones, however they come and go, also while it
// is walked.
func TestRegistry(t *testing.T) {
	r := NewRegistry(host.New(&clock.Manual{}))
	var all []*Socket
	for range 10 {
		all = append(all, r.NewSocketIn(&r.host.Domain, nil, abi.AF_INET, abi.SOCK_DGRAM, 0))
	}
	want := func(n int) {
		t.Helper()
		seen := make(map[*Socket]bool)
		r.Each(func(s *Socket) { seen[s] = true })
		if len(seen) != n {
			t.Fatalf("%d sockets, want %d", len(seen), n)
		}
	}
	want(10)
	r.Forget(all[0])
	r.Forget(all[9])
	r.Forget(all[5])
	r.Forget(all[5])
	want(7)
	// One that goes takes another one along.
	r.Each(func(s *Socket) {
		if s == all[8] {
			r.Forget(all[7])
			r.Forget(all[1])
		}
		r.Forget(s)
	})
	want(0)
}

// listed is a protocol whose sockets have dropped as many as their number, beside what has no socket.
type listed struct {
	Proto
	kind Kind
	rest int
}

func (p *listed) Kind() *Kind                  { return &p.kind }
func (p *listed) Describe(s *Socket, in *Info) { in.Drops = s.ID }
func (p *listed) ListRest(out []Info, place, n int) ([]Info, int) {
	end := min(place+n, p.rest)
	for i := place; i < end; i++ {
		out = append(out, Info{Kind: &p.kind, Protocol: 6, State: "TIME-WAIT"})
	}
	if end < p.rest {
		return out, end
	}
	return out, 0
}

// A list in parts of any size has every socket once, and what each protocol lists besides,
// whatever the family; the whole list is sorted.
func TestRegistryList(t *testing.T) {
	r := NewRegistry(host.New(&clock.Manual{}))
	local := &listed{kind: Kind{Name: "local"}}
	first, second := &listed{kind: Kind{Name: "first"}, rest: 5}, &listed{kind: Kind{Name: "second"}, rest: 3}
	for range 4 {
		r.NewSocket(local, abi.AF_UNIX, abi.SOCK_STREAM, 0)
		r.NewSocket(first, abi.AF_INET, abi.SOCK_DGRAM, 17)
	}
	r.ListAlso(first)
	r.ListAlso(second)
	r.ListAlso(first) // a protocol of two numbers is listed once

	want := map[string]int{"local": 4, "first": 4 + 5, "second": 3}
	for n := 1; n < 12; n++ {
		var all []Info
		for place, next := 0, 1; next != 0; place = next {
			had := len(all)
			if all, next = r.List(all, place, n); len(all)-had > n {
				t.Fatalf("%d at a time: %d", n, len(all)-had)
			}
		}
		got := make(map[string]int)
		for _, in := range all {
			got[in.Kind.Name]++
			if in.ID != in.Drops || in.ID != 0 && in.State != Unconnected {
				t.Errorf("not described: %+v", in)
			}
		}
		for name, k := range want {
			if got[name] != k {
				t.Errorf("%d at a time: %d of %s, want %d", n, got[name], name, k)
			}
		}
	}

	var order []int
	for _, in := range r.Sockets() {
		order = append(order, in.Protocol*100+int(in.ID))
	}
	if want := []int{600, 600, 600, 600, 600, 600, 600, 600, 1702, 1704, 1706, 1708, 1, 3, 5, 7}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// Sockets of several parts are listed once each, in pieces of any size, and forgotten in whatever lane.
func TestRegistryLanes(t *testing.T) {
	h := host.NewWithLanes(&clock.Manual{}, 4)
	r := NewRegistry(h)
	p := &listed{kind: Kind{Name: "p", Own: true}}
	var all []*Socket
	in := make(map[int]bool)
	for range 50 {
		d := h.NewDomain()
		d.Enter()
		in[d.Part()] = true
		all = append(all, r.NewSocketIn(d, p, abi.AF_INET, abi.SOCK_STREAM, 6))
		d.Leave()
	}
	if len(in) < 2 {
		t.Fatalf("parts %v", in)
	}
	for left := len(all); ; left -= 7 {
		for n := 1; n < 60; n += 4 {
			seen := make(map[uint64]bool)
			for place, next := 0, 1; next != 0; place = next {
				var part []Info
				part, next = r.List(nil, place, n)
				if len(part) > n {
					t.Fatalf("%d at a time: %d", n, len(part))
				}
				for _, i := range part {
					if seen[i.ID] {
						t.Fatalf("%d at a time: number %d twice", n, i.ID)
					}
					seen[i.ID] = true
				}
			}
			if len(seen) != max(left, 0) || len(r.All()) != len(seen) {
				t.Fatalf("%d at a time: %d sockets, want %d", n, len(seen), left)
			}
		}
		if left <= 0 {
			break
		}
		for _, s := range all[:min(7, left)] {
			all[len(all)-1].Host.Enter() // another's lane
			r.Forget(s)
			r.Forget(s)
			all[len(all)-1].Host.Leave()
		}
		all = all[min(7, left):]
	}
}

// A socket is made for a domain that others are in, as accept does for its connection, and forgotten in it, while the sockets beside it come
// and go in theirs.
func TestRegistryAtOnce(t *testing.T) {
	h := host.NewWithLanes(&clock.Manual{}, 4)
	r := NewRegistry(h)
	p := &listed{kind: Kind{Name: "p", Own: true}}
	var wg sync.WaitGroup
	for range 4 {
		listener, d := h.NewDomain(), h.NewDomain()
		made := make(chan *Socket, 16)
		wg.Go(func() {
			for range 1000 {
				listener.Enter()
				s := r.NewSocketIn(d, p, abi.AF_INET, abi.SOCK_STREAM, 6)
				listener.Leave()
				made <- s
			}
			close(made)
		})
		wg.Go(func() {
			for s := range made {
				d.Enter()
				r.Forget(s)
				d.Leave()
			}
		})
	}
	wg.Wait()
	if all := r.All(); len(all) != 0 {
		t.Errorf("%d are left", len(all))
	}
}
