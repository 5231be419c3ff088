package inet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"usock/internal/cc"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/trace"
)

// Config says how a stack behaves.
type Config struct {
	Capable    func(capability int) bool // whether who calls has it; asked locked
	Forwarding bool                      // packets are passed on between links
	Congestion string                    // "": that of TCP
	TCP        *tcp.Config               // nil: the core's defaults
	Handler    Handler                   // nil: what nobody has is refused
	Foreign    bool                      // the host stands in for all others

	// Watcher, if not nil, is called unlocked when what Listening returns may have changed.
	Watcher func(proto int, port uint16)

	// Settings, if not nil, is called unlocked when the program of a connection has set one
	// of its Settings.
	Settings func(local, remote netip.AddrPort)
}

// Stack is the Internet protocols of one host.
type Stack struct {
	Host *host.Host
	IP   *ip.Layer

	capable    func(capability int) bool
	down       bool // closed: nothing is sent any more
	prf        prf
	ids        uint64           // the last socket's number
	sockets    []*socket.Socket // open ones, each at its Slot
	paths      map[pathKey]*ip.Path
	flows      map[uint32]*flowLease // leased flow labels
	flowsOwned bool                  // one of them was not for everyone
	handler    Handler
	watcher    func(proto int, port uint16)       // nil: nobody
	settings   func(local, remote netip.AddrPort) // nil: nobody

	tcp  *tcpProto
	udp  *udpProto
	ping *pingProto
	raw  *rawProto
}

// New returns the stack of h. It fails for an unknown congestion control, or if
// the system has no randomness to give.
func New(h *host.Host, c Config) (*Stack, error) {
	s := &Stack{
		Host:    h,
		capable: c.Capable,
		paths:   make(map[pathKey]*ip.Path),
		handler: c.Handler,
		watcher: c.Watcher, settings: c.Settings,
	}
	if err := s.prf.init(); err != nil {
		return nil, err
	}
	cfg := tcp.DefaultConfig()
	if c.TCP != nil {
		own := *c.TCP
		cfg = &own
	}
	if c.Congestion != "" {
		cfg.CC = c.Congestion
	}
	if _, ok := cc.New(cfg.CC); !ok {
		return nil, fmt.Errorf("congestion control %q is not one of %v", cfg.CC, cc.Names())
	}
	for _, m := range [][3]int{cfg.RMem, cfg.WMem} {
		if m[0] <= 0 || m[1] < m[0] || m[2] < m[1] || m[2] > maxBufLimit {
			return nil, fmt.Errorf("buffer limits %v: want 0 < least <= initial <= most <= %d", m, maxBufLimit)
		}
	}
	s.tcp = newTCP(s, cfg)
	cfg.Trace = nil
	h.Traced = func(l *trace.Log) { cfg.Trace = l }
	s.udp = newUDP(s)
	s.ping = newPing(s)
	s.raw = newRaw(s)
	table := &ip.Table{Raw: s.raw}
	table.Transport[ip.ProtoTCP] = s.tcp
	table.Transport[ip.ProtoUDP] = s.udp
	table.Transport[ip.ProtoICMP] = s.ping
	table.Transport[ip.ProtoICMPv6] = s.ping
	if s.handler != nil {
		table.Echo = s.Echo
	}
	s.IP = ip.New(h, ip.Config{Forwarding: c.Forwarding, Foreign: c.Foreign}, table)
	return s, nil
}

// maxBufLimit is the largest buffer limit: what a window with scale 14 can say.
const maxBufLimit = 1 << 30

// TCP returns the row of SOCK_STREAM.
func (s *Stack) TCP() socket.Proto { return s.tcp }

// UDP returns the row of SOCK_DGRAM.
func (s *Stack) UDP() socket.Proto { return s.udp }

// Ping returns the row of SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6.
func (s *Stack) Ping() socket.Proto { return s.ping }

// Raw returns the row of SOCK_RAW.
func (s *Stack) Raw() socket.Proto { return s.raw }

// NewSocket returns a socket of the row. Locked.
func (s *Stack) NewSocket(p socket.Proto, domain, typ, protocol int) *socket.Socket {
	s.ids++
	n := socket.New(s.Host, p, domain, typ, protocol, s.ids)
	n.Slot = int32(len(s.sockets))
	s.sockets = append(s.sockets, n)
	return n
}

// Forget takes a closed socket out of the list: the last one takes its place.
// Locked.
func (s *Stack) Forget(n *socket.Socket) {
	last := len(s.sockets) - 1
	if i := int(n.Slot); i <= last && s.sockets[i] == n {
		moved := s.sockets[last]
		s.sockets[i], moved.Slot = moved, n.Slot
		s.sockets[last] = nil
		s.sockets = s.sockets[:last]
	}
}

// each calls f with every open socket. f may forget any of them: what takes the
// place of one comes from behind it. Locked.
func (s *Stack) each(f func(*socket.Socket)) {
	for i := len(s.sockets) - 1; i >= 0; i-- {
		if i < len(s.sockets) {
			f(s.sockets[i])
		}
	}
}

// Close ends every socket and connection without a word to the peers. Locked.
func (s *Stack) Close() {
	s.down = true
	s.each((*socket.Socket).CloseLocked)
	s.tcp.close()
	s.IP.Close()
	s.sockets = nil
}

// pathKey is what a path is found by.
type pathKey struct {
	dst, src netip.Addr
	ifindex  int
}

// maxPaths bounds the cache of paths.
const maxPaths = 1024

// path returns the path to dst, from the cache if it is there and current.
func (s *Stack) path(dst, src netip.Addr, ifindex int) (*ip.Path, error) {
	k := pathKey{dst, src, ifindex}
	if p := s.paths[k]; p != nil && p.Gen == s.IP.Generation() {
		return p, nil
	}
	p, err := s.IP.Route(dst, src, ifindex)
	if err == syscall.ENODEV && dst.Is6() {
		err = syscall.ENETUNREACH // what Linux says of a scope that is no interface
	}
	if err != nil {
		return nil, err
	}
	if len(s.paths) >= maxPaths {
		clear(s.paths)
	}
	s.paths[k] = &p
	return &p, nil
}

// prf is a keyed pseudo-random function over short messages of one length:
// CBC-MAC with AES under a key of the stack's own.
type prf struct {
	block cipher.Block
	state [aes.BlockSize]byte
	seed  [aes.BlockSize]byte
	n     uint64
}

func (f *prf) init() error {
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return err
	}
	b, err := aes.NewCipher(key[:])
	f.block = b
	return err
}

// sum returns the function's value for a tuple and a label that tells its uses
// apart.
func (f *prf) sum(label byte, t *tuple) (hi, lo uint64) { return f.sumWith(label, t, 0) }

// sumWith is sum with one more argument.
func (f *prf) sumWith(label byte, t *tuple, extra uint64) (hi, lo uint64) {
	f.state = [aes.BlockSize]byte{label}
	binary.BigEndian.PutUint64(f.state[8:], extra)
	binary.BigEndian.PutUint16(f.state[2:], t.lport)
	binary.BigEndian.PutUint16(f.state[4:], t.rport)
	f.block.Encrypt(f.state[:], f.state[:])
	f.mix(t.laddr.As16())
	f.mix(t.raddr.As16())
	return binary.BigEndian.Uint64(f.state[:]), binary.BigEndian.Uint64(f.state[8:])
}

func (f *prf) mix(b [16]byte) {
	for i := range f.state {
		f.state[i] ^= b[i]
	}
	f.block.Encrypt(f.state[:], f.state[:])
}

// random returns a number that nobody else can predict: the cipher in counter
// mode.
func (f *prf) random() uint64 {
	f.n++
	f.seed = [aes.BlockSize]byte{0: 0xff}
	binary.BigEndian.PutUint64(f.seed[8:], f.n)
	f.block.Encrypt(f.seed[:], f.seed[:])
	return binary.BigEndian.Uint64(f.seed[:])
}
