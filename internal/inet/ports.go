package inet

import (
	"net/netip"
	"syscall"
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
	addr       netip.Addr // unspecified: any address
	device     int32      // interface index; 0: any
	reuse      bool       // SO_REUSEADDR
	reuseport  bool       // SO_REUSEPORT
	v6only     bool       // of the wildcard ::, no IPv4
	listening  bool
	explicit   bool // bind(2) asked for the port: it survives the connection
	auto       bool // chosen by connect(2): others may share it; fixed while bound
}

// bucket is all that is bound to one port.
type bucket struct {
	port uint16
	head *binding
	held int // bindings that are not auto
}

// portTable is the ports of one protocol.
type portTable struct {
	buckets map[uint16]*bucket
	spare   []*bucket // empty ones, for reuse
	// strict has SO_REUSEADDR allow sharing only while nobody listens (TCP).
	strict bool
}

func (t *portTable) init(strict bool) {
	t.buckets = make(map[uint16]*bucket)
	t.strict = strict
}

// add binds b to port without asking.
func (t *portTable) add(b *binding, port uint16) {
	k := t.buckets[port]
	if k == nil {
		k = t.bucket(port)
		t.buckets[port] = k
	}
	b.bucket, b.prev, b.next = k, nil, k.head
	if !b.auto {
		k.held++
	}
	if k.head != nil {
		k.head.prev = b
	}
	k.head = b
}

// remove unbinds b, if it is bound.
func (t *portTable) remove(b *binding) {
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
	if !b.auto {
		k.held--
	}
	if k.head == nil {
		delete(t.buckets, k.port)
		if len(t.spare) < maxSpare {
			t.spare = append(t.spare, k)
		}
	}
}

// bucket returns an empty bucket.
func (t *portTable) bucket(port uint16) *bucket {
	if n := len(t.spare); n > 0 {
		k := t.spare[n-1]
		t.spare = t.spare[:n-1]
		k.port = port
		return k
	}
	return &bucket{port: port}
}

// maxSpare bounds what is kept for reuse of each of the records that come and go
// with connections.
const maxSpare = 256

// overlap reports whether one packet could be meant for both.
func overlap(a, b *binding) bool {
	if a.device != 0 && b.device != 0 && a.device != b.device {
		return false
	}
	if a.addr.Is4() == b.addr.Is4() {
		return a.addr.IsUnspecified() || b.addr.IsUnspecified() || a.addr == b.addr
	}
	six := a
	if a.addr.Is4() {
		six = b
	}
	return six.addr.IsUnspecified() && !six.v6only
}

// conflict reports whether b may not have the port, by the rules of Linux's
// inet_csk_bind_conflict and udp_lib_lport_inuse.
func (t *portTable) conflict(b *binding, port uint16) bool {
	k := t.buckets[port]
	if k == nil {
		return false
	}
	for o := k.head; o != nil; o = o.next {
		if o == b || !overlap(o, b) {
			continue
		}
		if b.reuse && o.reuse && (!t.strict || !o.listening) {
			continue
		}
		if b.reuseport && o.reuseport {
			continue
		}
		return true
	}
	return false
}

// bind gives b the port, or a free one for port 0. EADDRINUSE if that fails.
func (t *portTable) bind(b *binding, port uint16, random uint64) error {
	if port != 0 {
		if t.conflict(b, port) {
			return syscall.EADDRINUSE
		}
		t.add(b, port)
		return nil
	}
	// Odd ports first, the even ones are connect's (Linux, inet_csk_find_open_port).
	const span = ephemeralLast - ephemeralFirst + 1
	start := uint16(random % (span / 2) * 2)
	for _, parity := range [...]uint16{1, 0} {
		for i := uint16(0); i < span; i += 2 {
			p := ephemeralFirst + (start+i)%span + parity
			if t.buckets[p] == nil {
				t.add(b, p)
				return nil
			}
		}
	}
	for p := uint16(ephemeralFirst); p <= ephemeralLast; p++ {
		if !t.conflict(b, p) {
			t.add(b, p)
			return nil
		}
	}
	return syscall.EADDRINUSE
}

// sharable reports whether connect may use the port for one more connection, if
// the tuple is free: nobody has asked for the port by bind.
func (t *portTable) sharable(port uint16) bool {
	k := t.buckets[port]
	return k == nil || k.held == 0
}
