package inet

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"usock/internal/rank"
)

// Port ranges (net.ipv4.ip_local_port_range, ip_unprivileged_port_start).
const (
	ephemeralFirst    = 32768
	ephemeralLast     = 60999
	unprivilegedStart = 1024
)

// binding is a socket's claim to a local port. It is embedded in endpoints.
type binding struct {
	next, prev *binding
	bucket     *bucket    // nil: not bound
	addr       netip.Addr // which packets it takes, now: bind's, or connect's; unspecified: any
	device     int32      // interface index; 0: any
	six        bool       // of an AF_INET6 socket
	named      bool       // bind(2) named an address: it survives the connection
	reuse      bool       // SO_REUSEADDR
	reuseport  bool       // SO_REUSEPORT
	v6only     bool       // of the wildcard ::, no IPv4; fixed while bound
	listening  bool
	explicit   bool // bind(2) asked for the port: it survives the connection
	auto       bool // chosen by connect(2): others may share it; fixed while bound
	like       bool // the bucket's alike stands for it
}

// bucket is all that is bound to one port.
type bucket struct {
	port uint16
	head *binding
	held int // bindings that are not auto
	// lead is the SO_REUSEPORT socket that the ones after it may share TCP's port with
	// unasked; nil: none, or one without the option has come since.
	lead *binding
	like *alike // nil where nobody has listened
}

// noted follows b's coming to a port, or its listening, for which it comes once more
// (Linux, inet_csk_update_fastreuse). What the others have set since does not count.
func (k *bucket) noted(b *binding) {
	switch {
	case !b.reuseport:
		k.lead = nil
	case !k.lets(b):
		k.lead = &binding{addr: b.addr, six: b.six, v6only: b.v6only}
	}
}

// lets reports whether b is let onto the port by its SO_REUSEPORT alone (Linux,
// sk_reuseport_match).
func (k *bucket) lets(b *binding) bool {
	return b.reuseport && k.lead != nil && sameAddr(k.lead, b, true, false)
}

// alike is one binding of a bucket for as many as are like it and stay so: those of a listener's connections, and of what is left of
// these in TIME-WAIT. None of them is in the bucket's list, where each would have to write its neighbours', which other processors are at,
// and all but the first and the last come and go without the table's lock.
type alike struct {
	binding              // written while n is 0, with the table locked
	n       atomic.Int32 // for how many it stands; more than 0: it is in the list. To and from 0 with the table locked
}

// step counts one more or one less, unless that were the first or the last.
func (a *alike) step(by int32) bool {
	for n := a.n.Load(); n > 0 && n+by > 0; n = a.n.Load() {
		if a.n.CompareAndSwap(n, n+by) {
			return true
		}
	}
	return false
}

// is reports whether it may stand for b.
func (a *alike) is(b *binding) bool {
	return a.addr == b.addr && a.device == b.device && a.six == b.six && a.v6only == b.v6only &&
		a.reuse == b.reuse && a.reuseport == b.reuseport && a.auto == b.auto
}

// portTable is the ports of one protocol, and guards the bindings that are in it. Whoever has the whole host
// needs no lock, nor does SCTP, whose domain guards its own.
type portTable struct {
	mu rank.Ports

	buckets byPort[bucket]
	spare   []*bucket   // empty ones, for reuse
	v6only  int         // bindings that are
	used    *portBits   // ephemeral ports that have buckets; nil while they are few
	taken   *takenPorts // told when a port is no longer bind's; may be nil
	refused []*refused  // what searches for ports that may be shared have found
	// strict has SO_REUSEADDR allow sharing only while nobody listens (TCP).
	strict bool
}

func (t *portTable) init(strict bool) {
	t.strict = strict
}

// add binds b to port without asking.
func (t *portTable) add(b *binding, port uint16) {
	k := t.buckets.get(port)
	if k == nil {
		k = t.bucket(port)
		t.buckets.set(port, k)
		t.noteUsed(port, true)
	}
	b.bucket, b.prev, b.next = k, nil, k.head
	if !b.auto {
		k.held++
	}
	if b.v6only {
		t.v6only++
	}
	if last := k.head; !t.strict && b.six && b.reuseport && last != nil {
		// Behind all others: where Linux has it (sk_add_node_rcu).
		for last.next != nil {
			last = last.next
		}
		last.next, b.prev, b.next = b, last, nil
		return
	}
	if k.head != nil {
		k.head.prev = b
	}
	k.head = b
}

// claim is add for a socket that bind or listen gives the port to.
func (t *portTable) claim(b *binding, port uint16) {
	t.add(b, port)
	if t.strict {
		b.bucket.noted(b)
	}
}

// join binds b to the port of a listener, of which it is a connection. The table is not locked.
func (t *portTable) join(k *bucket, b *binding) {
	a := k.like
	if a.step(1) {
		b.bucket, b.like = k, true
		if a.is(b) {
			return
		}
		t.leave(b)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case a.n.Load() == 0:
		a.binding = binding{
			addr: b.addr, device: b.device, six: b.six, v6only: b.v6only,
			reuse: b.reuse, reuseport: b.reuseport, auto: b.auto,
		}
		t.add(&a.binding, k.port)
	case !a.is(b):
		t.add(b, k.port)
		return
	}
	b.bucket, b.like = k, true
	a.n.Add(1)
}

// leave unbinds b, if it is bound. The table is not locked: only whoever may call this changes whether it is.
func (t *portTable) leave(b *binding) {
	switch {
	case b.bucket == nil:
	case b.like && b.bucket.like.step(-1):
		b.bucket, b.like = nil, false
	default:
		t.mu.Lock()
		t.remove(b)
		t.mu.Unlock()
	}
}

// alone has b no longer be one of many: it is about to change. At no time is the port without it, so that who may share that is not
// forgotten (bucket.lead).
func (t *portTable) alone(b *binding) {
	if k := b.bucket; b.like {
		b.like = false
		t.add(b, k.port)
		t.remove(&binding{bucket: k, like: true})
	}
}

// remove unbinds b, if it is bound.
func (t *portTable) remove(b *binding) {
	if b.like {
		a := b.bucket.like
		b.bucket, b.like = nil, false
		if a.n.Add(-1) > 0 {
			return
		}
		b = &a.binding
	}
	k := b.bucket
	if k == nil {
		return
	}
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		k.head = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	}
	b.bucket, b.prev, b.next = nil, nil, nil
	if b.v6only {
		t.v6only--
	}
	t.changed(k.port)
	if !b.auto {
		if k.held--; k.held == 0 {
			k.lead = nil
			if t.taken != nil {
				t.taken.unbound(k.port)
			}
		}
	}
	if k.head == nil {
		t.buckets.set(k.port, nil)
		t.noteUsed(k.port, false)
		if len(t.spare) < maxSpare {
			t.spare = append(t.spare, k)
		}
	}
}

// manyUsed is from how many buckets on those of ephemeral ports are noted.
const manyUsed = 4096

// noteUsed follows a bucket's coming and going.
func (t *portTable) noteUsed(port uint16, used bool) {
	if t.used == nil && t.buckets.n >= manyUsed {
		t.used = new(portBits)
		for p := ephemeralFirst; p <= ephemeralLast; p++ {
			if pair, odd, _ := ephemeral(uint16(p)); t.buckets.get(uint16(p)) != nil {
				t.used.add(pair, odd)
			}
		}
	} else if pair, odd, ok := ephemeral(port); ok && t.used != nil {
		if used {
			t.used.add(pair, odd)
		} else {
			t.used.remove(pair, odd)
		}
	}
	if t.buckets.n < manyUsed/2 {
		t.used = nil
	}
}

// byPort is what there is one of for a port, in pages of 256 even or odd ones: of what is chosen at random most are
// of one kind.
type byPort[T any] struct {
	pages [256]*[256]*T
	n     int
}

func (t *byPort[T]) get(port uint16) *T {
	if g := *t.page(port); g != nil {
		return g[port>>1&255]
	}
	return nil
}

func (t *byPort[T]) page(port uint16) **[256]*T { return &t.pages[port&1<<7|port>>9] }

// set enters one where there is none, or with nil takes the one out that is there.
func (t *byPort[T]) set(port uint16, k *T) {
	g := t.page(port)
	if *g == nil {
		*g = new([256]*T)
	}
	(*g)[port>>1&255] = k
	if k != nil {
		t.n++
	} else {
		t.n--
	}
}

// bucket returns an empty bucket.
func (t *portTable) bucket(port uint16) *bucket {
	if n := len(t.spare); n > 0 {
		k := t.spare[n-1]
		t.spare = t.spare[:n-1]
		*k = bucket{port: port}
		return k
	}
	return &bucket{port: port}
}

// maxSpare bounds what is kept for reuse of each of the records that come and go
// with connections.
const maxSpare = 256

// wildcard returns the address that stands for all of the socket's domain.
func (b *binding) wildcard() netip.Addr {
	if b.six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// to4 reports whether the address is one of IPv4.
func (b *binding) to4() bool { return b.addr.Is4() }

// unnamed takes off the address that connect has set. bind's stays.
func (b *binding) unnamed() {
	if !b.named {
		b.addr = b.wildcard()
	}
}

// meets reports whether b, which is to be bound, lays claim to what o has (Linux,
// inet_rcv_saddr_equal). A connected IPv6 socket that may have carried IPv4 goes on to
// hold its port against the IPv4 wildcard.
func (b *binding) meets(o *binding) bool {
	if b.device != 0 && o.device != 0 && b.device != o.device {
		return false
	}
	return sameAddr(b, o, true, true)
}

// sameAddr is meets without the device; the wildcard of a stands for all addresses if any
// says so, that of b if bAny does.
func sameAddr(a, b *binding, any, bAny bool) bool {
	any, bAny = any && a.addr.IsUnspecified(), bAny && b.addr.IsUnspecified()
	switch {
	case a.addr.Is4() == b.addr.Is4():
		return any || bAny || a.addr == b.addr
	case a.addr.Is4():
		return !b.v6only && (bAny || any && !a.six)
	}
	return any && !a.v6only
}

// conflict reports whether b may not have the port, by the rules of Linux's
// inet_csk_bind_conflict and udp_lib_lport_inuse: the latter goes through the sockets from
// the last one bound, and the first that is of b's group settles it.
func (t *portTable) conflict(b *binding, port uint16) bool {
	k := t.buckets.get(port)
	if k == nil || k.lets(b) {
		return false
	}
	for o := k.head; o != nil; o = o.next {
		if o == b || !b.meets(o) {
			continue
		}
		if b.reuse && o.reuse && (!t.strict || !o.listening) {
			continue
		}
		if b.reuseport && o.reuseport {
			if t.strict {
				continue
			}
			return false
		}
		return true
	}
	return false
}

// meetsAny reports whether a port that nobody named is none for b: of TCP's, no port is that
// another one overlaps with, whatever the two allow (net.ipv4.ip_autobind_reuse).
func (t *portTable) meetsAny(b *binding, port uint16) bool {
	k := t.buckets.get(port)
	if k == nil {
		return false
	}
	for o := k.head; o != nil; o = o.next {
		if o != b && b.meets(o) && (t.strict || !b.reuse || !o.reuse) {
			return true
		}
	}
	return false
}

// meetsAll reports that meetsAny holds for every port that has any binding, whichever they are.
func (t *portTable) meetsAll(b *binding) bool {
	if b.device != 0 || !b.addr.IsUnspecified() || b.reuse && !t.strict {
		return false
	}
	if b.addr.Is6() {
		return !b.v6only
	}
	return !b.six && t.v6only == 0
}

// bind gives b the port, or for port 0 a free one that is not avoid. EADDRINUSE if that fails.
func (t *portTable) bind(b *binding, port, avoid uint16, random uint64) error {
	if port != 0 {
		if t.conflict(b, port) {
			return syscall.EADDRINUSE
		}
		t.claim(b, port)
		return nil
	}
	// Odd ports first, the even ones are connect's (Linux, inet_csk_find_open_port).
	start := uint32(random % pairs)
	for _, odd := range [...]uint32{1, 0} {
		for i := uint32(0); i < pairs; i++ {
			pair := (start + i) % pairs
			if n := t.used.run(pair, odd); n > 0 {
				i += n - 1
				continue
			}
			if p := uint16(ephemeralFirst + 2*pair + odd); t.buckets.get(p) == nil && p != avoid {
				t.claim(b, p)
				return nil
			}
		}
	}
	if t.meetsAll(b) {
		// None would be found, at the cost of a look at each, under the host's lock.
		return syscall.EADDRINUSE
	}
	p, ok := t.sharedPort(b, start, avoid)
	if !ok {
		return syscall.EADDRINUSE
	}
	t.claim(b, p)
	return nil
}

// sharedPort looks for a port that b may share with those who have it, from a pair on.
func (t *portTable) sharedPort(b *binding, start uint32, avoid uint16) (port uint16, ok bool) {
	known := t.refusedTo(b)
	looked := 0
	for _, odd := range [...]uint32{1, 0} {
		for i := uint32(0); i < pairs; i++ {
			pair := (start + i) % pairs
			if n := known.run(pair, odd); n > 0 {
				i += n - 1
				continue
			}
			p := uint16(ephemeralFirst + 2*pair + odd)
			if p == avoid {
				continue
			}
			if !t.meetsAny(b, p) {
				return p, true
			}
			if looked++; known == nil && looked >= learnAfter {
				known = t.beginRefused(b)
			}
			if known != nil {
				known.add(pair, odd)
			}
		}
	}
	return 0, false
}

// refused are ports that sockets of one kind may not share, as a search has found. A port leaves the
// set when anything that is bound to it changes.
type refused struct {
	kind  refusedKind
	ports portBits
}

// refusedKind is what meetsAny goes by in a strict table.
type refusedKind struct {
	addr        netip.Addr
	device      int32
	six, v6only bool
}

func (b *binding) refusedKind() refusedKind { return refusedKind{b.addr, b.device, b.six, b.v6only} }

// refusedTo returns what is known for b; nil: nothing.
func (t *portTable) refusedTo(b *binding) *portBits {
	for _, r := range t.refused {
		if r.kind == b.refusedKind() {
			return &r.ports
		}
	}
	return nil
}

// beginRefused makes b's set, in place of the oldest if there are too many; nil where what others
// set may count, too (UDP).
func (t *portTable) beginRefused(b *binding) *portBits {
	if !t.strict {
		return nil
	}
	if len(t.refused) >= maxTaken {
		t.refused = t.refused[1:]
	}
	r := &refused{kind: b.refusedKind()}
	t.refused = append(t.refused, r)
	return &r.ports
}

// changed is told when something that is bound to the port goes, or may get another address or device.
func (t *portTable) changed(port uint16) {
	if len(t.refused) == 0 {
		return
	}
	if pair, odd, ok := ephemeral(port); ok {
		for _, r := range t.refused {
			r.ports.remove(pair, odd)
		}
	}
}

// sharable reports whether connect may use the port for one more connection, if
// the tuple is free: nobody has asked for the port by bind.
func (t *portTable) sharable(port uint16) bool {
	k := t.buckets.get(port)
	return k == nil || k.held == 0
}
