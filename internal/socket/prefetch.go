package socket

import (
	"usock/internal/abi"
)

// Prefetcher is a Proto of records that keeps some of those received where the next
// calls can take them without entering the host.
type Prefetcher interface {
	// RecvPrefetched is Recv of such a record, for a message that asks for nothing else
	// than bytes and address. It reports false where the call is to enter the host.
	// Not locked.
	RecvPrefetched(*Socket, *Msg) (int, bool)
	// Recall has all calls enter the host until a Recv has set records aside anew:
	// something has changed that comes before the records. Locked.
	Recall(*Socket)
}

// plain reports whether m asks for nothing else than bytes and address.
func (m *Msg) plain() bool { return m.Flags&^abi.MSG_DONTWAIT == 0 && !m.Want }

// MayPrefetch reports whether records may be set aside by a Recv of m: the calls to
// come need not look at a deadline. Locked.
func (s *Socket) MayPrefetch(m *Msg) bool {
	return m.plain() && s.Err() == 0 && !s.hasDeadline(true, false)
}

// recvPrefetched is Recv of a record that was set aside.
func (s *Socket) recvPrefetched(p []byte, m *Msg) (n int, ok bool) {
	f, ok := s.Proto.(Prefetcher)
	if !ok || !m.plain() {
		return 0, false
	}
	m.Data, m.Max = m.Data[:0], len(p)
	n, ok = f.RecvPrefetched(s, m)
	if !ok {
		return 0, false
	}
	m.copyOut(p)
	return n, true
}

// copyOut copies the views to p, releases them and returns the number of bytes.
func (m *Msg) copyOut(p []byte) int {
	n := 0
	for _, v := range m.Data {
		n += copy(p[n:], v.Bytes())
		v.Release()
	}
	m.Data = m.Data[:0]
	return n
}

// recall has the next receive enter the host. Locked.
func (s *Socket) recall() {
	if f, ok := s.Proto.(Prefetcher); ok {
		f.Recall(s)
	}
}
