package inet

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/rank"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/packet"
)

// TCP Fast Open (RFC 7413): a client's sends that open connections and what it remembers of servers, a
// server's cookies and their keys. What goes into the segments is the core's.

// fastOpenServer is what a client remembers of a server (RFC 7413, section 4.1.3; Linux,
// tcp_fastopen_metrics).
type fastOpenServer struct {
	mss     uint16
	nCookie uint8
	exp     bool // the cookie came in the option's experimental form
	tryExp  tryExp
	cookie  [16]byte
}

// tryExp says which form of the option asks a server for its first cookie: servers older than RFC
// 7413 know the experimental one alone.
type tryExp uint8

const (
	tryStandard tryExp = iota
	tryExperimental
	triedBoth // neither was answered: the standard form, for good
)

// fastOpenServers are what a host's clients remember.
type fastOpenServers struct {
	mu rank.Leaf
	of map[netip.Addr]fastOpenServer
}

// knownFastOpen returns what the SYN of e, whose peer is chosen, may have. It is to wait for data
// where data may go with it.
func (t *tcpProto) knownFastOpen(e *tcpEndpoint) tcp.FastOpen {
	t.fastOpen.mu.Lock()
	k := t.fastOpen.of[e.raddr]
	t.fastOpen.mu.Unlock()
	f := tcp.FastOpen{Ask: true, MSS: k.mss}
	if t.cfg.FastOpen&tcp.FastOpenClientNoCookie != 0 || e.fastOpen().noCookie {
		f.NoCookie = true
	} else {
		f.NCookie, f.Cookie = k.nCookie, k.cookie
		f.Exp = k.exp || k.nCookie == 0 && k.tryExp == tryExperimental
	}
	f.Wait = f.NoCookie || f.NCookie > 0
	return f
}

// maxFastOpenServers bounds the client's memory of servers.
const maxFastOpenServers = 1024

// rememberFastOpen keeps what a server has told in its SYN-ACK.
func (t *tcpProto) rememberFastOpen(e *tcpEndpoint) {
	a, ok := e.conn.FastOpenAnswer()
	if !ok {
		return
	}
	t.fastOpen.mu.Lock()
	defer t.fastOpen.mu.Unlock()
	servers := t.fastOpen.of
	k, known := servers[e.raddr]
	if !known && len(servers) >= maxFastOpenServers {
		all := slices.SortedFunc(maps.Keys(servers), netip.Addr.Compare)
		from := int(t.prf.random() % uint64(len(all)))
		for i := range len(all)/4 + 1 { // many at once, so that the sorting is seldom
			delete(servers, all[(from+i)%len(all)])
		}
	}
	k.mss = a.MSS
	switch {
	case a.NCookie > 0:
		k.nCookie, k.cookie, k.exp = a.NCookie, a.Cookie, a.Exp
	case a.Refused && k.nCookie == 0:
		try := tryExperimental
		if a.Exp {
			try = triedBoth
		}
		k.tryExp = max(k.tryExp, try)
	}
	servers[e.raddr] = k
}

// sendFastOpen is sendto with MSG_FASTOPEN, and the first send after a deferred connect: connect and
// send in one (tcp(7)). It fails as connect does where there is or may be a connection. What waits
// gets the handshake's outcome; what does not gets the number of bytes in the SYN
// (Linux, tcp_sendmsg_fastopen and __inet_stream_connect).
func (t *tcpProto) sendFastOpen(e *tcpEndpoint, m *socket.Msg) (int, error) {
	switch {
	case m.Opening != 0:
		return t.sendOpening(e, m)
	case t.cfg.FastOpen&tcp.FastOpenClient == 0 || m.HasAddr && m.Addr.Family == abi.AF_UNSPEC:
		return 0, syscall.EOPNOTSUPP
	case e.deferred:
	case e.phase == connecting:
		return t.sendOpening(e, m)
	case e.phase == disconnecting:
		return 0, syscall.EINVAL
	case e.phase != unconnected || e.listener != nil:
		return 0, syscall.EISCONN
	case !m.HasAddr:
		return 0, syscall.EINVAL
	default:
		if err := t.begin(e, m.Addr, tcp.FastOpen{Ask: true, Wait: true}); err != nil {
			return 0, err
		}
	}
	e.deferred = false
	if room := e.conn.SYNRoom(); room > 0 {
		t.writeSYN(e, m, room)
	}
	if e.faulty() == nil || !e.faulty().holds {
		e.conn.SendSYN()
	}
	t.update(e, 0)
	switch {
	case m.Flags&abi.MSG_DONTWAIT == 0:
		m.Opening = syscall.EINPROGRESS
		return 0, syscall.EAGAIN
	case m.Len > 0:
		return m.Len, nil
	}
	return 0, syscall.EINPROGRESS
}

// writeSYN hands the core what of m goes with the SYN: room bytes at most, which end no record if there
// are more. What is left is not kept, but the caller's to send later.
func (t *tcpProto) writeSYN(e *tcpEndpoint, m *socket.Msg, room int) {
	flags, size := m.Flags, 0
	for _, v := range m.Data {
		size += v.Len()
	}
	if size > room {
		m.Flags &^= abi.MSG_EOR
		m.Data = firstBytes(m.Data, room)
	}
	m.Len = t.write(e, m)
	m.Flags = flags
	m.Data = m.Data[:0]
	m.Rest.Release()
	m.Rest = packet.View{}
}

// sendOpening is a send that meets a handshake: once that has succeeded it sends what did not go with
// the SYN.
func (t *tcpProto) sendOpening(e *tcpEndpoint, m *socket.Msg) (int, error) {
	switch e.phase {
	case connecting:
		switch err := t.outcome(e); {
		case err == syscall.EALREADY && m.Flags&abi.MSG_DONTWAIT == 0:
			if m.Opening == 0 {
				m.Opening = syscall.EALREADY
			}
			return 0, syscall.EAGAIN
		case err != nil:
			return 0, err
		}
	case connected:
	default:
		return 0, syscall.EPIPE // others have dissolved it meanwhile
	}
	m.Opening = 0
	m.Flags &^= abi.MSG_FASTOPEN
	if m.Len > 0 {
		return m.Len, nil
	}
	return t.Send(e.s, m)
}

// firstBytes cuts views off behind n bytes, and lets go of the rest.
func firstBytes(views []packet.View, n int) []packet.View {
	for i, v := range views {
		if n < v.Len() {
			views[i] = v.Slice(0, n)
			packet.ReleaseAll(views[i+1:])
			return views[:i+1]
		}
		n -= v.Len()
	}
	return views
}

// offerFastOpen says how a SYN, for which l has made c, is answered by Fast Open (Linux, tcp_try_fastopen). If
// it is answered with data, c is counted.
func (t *tcpProto) offerFastOpen(l, c *tcpEndpoint, seg *tcp.Segment) (f tcp.ServerFastOpen) {
	q, o, k := l.listener, &seg.Options, &c.tuple
	if o.HasFastOpen && o.NCookie == 0 {
		inc(&t.Stats.TCPFastOpenCookieReqd)
	}
	opts := l.fastOpen()
	if t.cfg.FastOpen&tcp.FastOpenServer == 0 || opts.queue == 0 || !o.HasFastOpen && seg.Data.Len() == 0 {
		return f
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() {
		if f.Data {
			q.fast++
		}
	}()
	if q.fast >= int(opts.queue) && !q.forgetReset(c.now()) {
		inc(&t.Stats.TCPFastOpenListenOverflow)
		return f
	}
	if t.cfg.FastOpen&tcp.FastOpenServerNoCookie != 0 || opts.noCookie {
		f.Data = true
		return f
	}
	if !o.HasFastOpen {
		return f
	}
	keys := opts.keys
	if keys == nil {
		keys = &t.fastOpenKeys
	}
	f.Exp = o.ExpFastOpen
	good := keys.cookie(0, k)
	f.NCookie = uint8(copy(f.Cookie[:], good[:]))
	if o.NCookie == 0 {
		return f
	}
	switch i := keys.find(o.Cookie[:o.NCookie], k); {
	case i < 0:
		inc(&t.Stats.TCPFastOpenPassiveFail)
	case i == 0:
		return tcp.ServerFastOpen{Data: true}
	default:
		// Made with the key before: it is good, and the new one takes its place.
		inc(&t.Stats.TCPFastOpenPassiveAltKey)
		f.Data = true
	}
	return f
}

// fastOpenOptions are the options of Fast Open that a socket has set.
type fastOpenOptions struct {
	keys     *fastOpenKeys // TCP_FASTOPEN_KEY; nil: the host's
	lis      *listener     // of a child in SYN-RECEIVED: the listener that counts it
	queue    int32         // TCP_FASTOPEN of a listener
	connect  bool          // TCP_FASTOPEN_CONNECT
	noCookie bool          // TCP_FASTOPEN_NO_COOKIE
}

// fewHave is what few endpoints have: it is made when first needed.
type fewHave struct {
	fastOpenOptions
	faulty *faulty // nil: no fault happens to it
}

func (e *tcpEndpoint) ownFew() *fewHave {
	if e.few == nil {
		e.few = new(fewHave)
	}
	return e.few
}

// fastOpen returns the options, to be read.
func (e *tcpEndpoint) fastOpen() fastOpenOptions {
	if e.few == nil {
		return fastOpenOptions{}
	}
	return e.few.fastOpenOptions
}

// ownFastOpen returns the options, to be set.
func (e *tcpEndpoint) ownFastOpen() *fastOpenOptions {
	return &e.ownFew().fastOpenOptions
}

// fastOpenKeys are the secrets of a server's cookies: the one that makes them and, after a change, the
// one before it, whose cookies are taken as well (RFC 7413, section 4.1.2).
type fastOpenKeys struct {
	n   uint8 // how many there are
	key [2][16]byte
}

// fastOpenKeyLen is the length of a key for TCP_FASTOPEN_KEY.
const fastOpenKeyLen = 16

// derive takes a key that nobody else knows.
func (f *fastOpenKeys) derive(p *prf) {
	hi, lo := p.sum(labelFastOpen, &tuple{})
	f.n = 1
	binary.BigEndian.PutUint64(f.key[0][:], hi)
	binary.BigEndian.PutUint64(f.key[0][8:], lo)
}

// parseFastOpenKeys takes the bytes of TCP_FASTOPEN_KEY: a key, or two.
func parseFastOpenKeys(b []byte) (*fastOpenKeys, error) {
	if len(b) != fastOpenKeyLen && len(b) != 2*fastOpenKeyLen {
		return nil, syscall.EINVAL
	}
	f := &fastOpenKeys{n: uint8(len(b) / fastOpenKeyLen)}
	copy(f.key[0][:], b)
	copy(f.key[1][:], b[fastOpenKeyLen:])
	return f, nil
}

// append appends the keys to b: none, where the host's are used.
func (f *fastOpenKeys) append(b []byte) []byte {
	if f == nil {
		return b
	}
	for _, k := range f.key[:f.n] {
		b = append(b, k[:]...)
	}
	return b
}

// cookie is the cookie by which key i knows the client at k.raddr again. It is Linux's, so
// that servers which share a name and a key take each other's.
func (f *fastOpenKeys) cookie(i int, k *tuple) (b [8]byte) {
	var m [32]byte
	n := copy(m[:], k.raddr.AsSlice())
	n += copy(m[n:], k.laddr.AsSlice())
	binary.LittleEndian.PutUint64(b[:], sipHash(&f.key[i], m[:n]))
	return b
}

// find returns which key has made the cookie of a client; -1: none.
func (f *fastOpenKeys) find(cookie []byte, k *tuple) int {
	for i := range int(f.n) {
		if good := f.cookie(i, k); string(cookie) == string(good[:]) {
			return i
		}
	}
	return -1
}
