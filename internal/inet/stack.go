package inet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/rank"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/trace"
)

// Config says how a stack behaves.
type Config struct {
	Sockets    *socket.Registry          // of all the host's sockets
	Capable    func(capability int) bool // whether who calls has it; asked locked
	Forwarding bool                      // packets are passed on between links
	Congestion string                    // "": that of TCP
	TCP        *tcp.Settings             // nil: the core's defaults
	SCTP       *sctp.Settings            // nil: the same
	Seed       uint64                    // of all that is drawn at random; 0: the system's randomness
	Handler    Handler                   // nil: what nobody has is refused
	Foreign    bool                      // the host stands in for all others

	// Faults, if not nil, is asked what goes wrong at the calls of TCP's sockets.
	Faults Faults

	// Watcher, if not nil, is called unlocked when what Listening returns may have changed.
	Watcher func(proto int, port uint16)

	// Settings, if not nil, is called unlocked when the program of a connection has set one
	// of its Settings.
	Settings func(local, remote netip.AddrPort)

	// Ended, if not nil, is called unlocked with each connection of TCP's and association of SCTP's that has ended, and with each
	// socket of UDP's that has carried something.
	Ended func(socket.Info)
}

// Stack is the Internet protocols of one host.
type Stack struct {
	*socket.Registry
	Host *host.Host
	IP   *ip.Layer

	capable    func(capability int) bool
	lanes      []*lane // by number
	paths      paths
	prf        prf
	_          [host.CacheLine]byte  // what goes before changes with each connection, what follows is read with each call
	flows      map[uint32]*flowLease // leased flow labels
	flowsOwned bool                  // one of them was not for everyone
	handler    Handler
	faults     Faults                             // nil: nothing goes wrong
	watcher    func(proto int, port uint16)       // nil: nobody
	settings   func(local, remote netip.AddrPort) // nil: nobody
	ended      func(socket.Info)                  // nil: nobody

	protocols [256]Protocol // those registered, by number

	tcp  *tcpProto
	udp  *udpProto
	sctp *sctpProto
	ping *pingProto
	raw  *rawProto
}

// New returns the stack of h. It fails for an unknown congestion control, or if
// the system has no randomness to give.
func New(h *host.Host, c Config) (*Stack, error) {
	s := &Stack{
		Host:     h,
		Registry: c.Sockets,
		capable:  c.Capable,
		paths:    paths{of: make(map[pathKey]*ip.Path)},
		handler:  c.Handler,
		faults:   c.Faults,
		watcher:  c.Watcher, settings: c.Settings, ended: c.Ended,
	}
	for range h.Lanes() {
		s.lanes = append(s.lanes, new(lane))
	}
	if err := s.prf.init(c.Seed); err != nil {
		return nil, err
	}
	cfg := tcp.DefaultConfig()
	if c.TCP != nil {
		cfg.Settings = *c.TCP
	}
	if c.Congestion != "" {
		cfg.CC = c.Congestion
	}
	if err := cfg.CheckControllers(); err != nil {
		return nil, err
	}
	if err := limitMemory(&cfg.Settings); err != nil {
		return nil, err
	}
	for _, m := range [][3]int{cfg.RMem, cfg.WMem} {
		if m[0] <= 0 || m[1] < m[0] || m[2] < m[1] || m[2] > maxBufLimit {
			return nil, fmt.Errorf("buffer limits %v: want 0 < least <= initial <= most <= %d", m, maxBufLimit)
		}
	}
	cfg.KeepFlight = s.ended != nil
	s.tcp = newTCP(s, cfg)
	h.Traced = func(audience uint32, kinds trace.Kinds) { cfg.Trace, cfg.Kinds = audience, kinds }
	s.udp = newUDP(s)
	sctpSettings := c.SCTP
	if sctpSettings == nil {
		sctpSettings = sctp.DefaultSettings()
	}
	s.sctp = newSCTP(s, sctpSettings)
	if port := sctpSettings.UDPPort; port != 0 {
		if err := s.sctp.takeUDP(port); err != nil {
			return nil, err
		}
	}
	s.ping = newPing(s)
	s.raw = newRaw(s)
	table := &ip.Table{Raw: s.raw}
	if s.handler != nil {
		table.Echo = s.Echo
	}
	layer := ip.Config{Forwarding: c.Forwarding, Foreign: c.Foreign}
	if c.Seed != 0 {
		layer.Rand = s.prf.random
	}
	s.IP = ip.New(h, layer, table)
	return s, nil
}

// Protocol is an Internet protocol: what its sockets do, what its packets do, and whose they
// are.
type Protocol interface {
	socket.Proto
	ip.Transport

	// Owner returns the process that acts at local towards remote, as Stack.Owner does. Any
	// local address of the protocol's own may be asked for. Locked.
	Owner(proto int, local, remote netip.AddrPort) int32
}

// Register has p serve the packets with the protocol number, and be asked about them. It is
// called before there are any.
func (s *Stack) Register(number uint8, p Protocol) {
	s.protocols[number] = p
	if l, ok := p.(socket.Lister); ok {
		s.ListAlso(l)
	}
	s.IP.SetTransport(number, p)
}

// maxBufLimit is the largest buffer limit: what a window with scale 14 can say.
const maxBufLimit = 1 << 30

// Random returns a number that nobody guesses but who knows the seed. Locked.
func (s *Stack) Random() uint64 { return s.prf.random() }

// TCP returns the row of SOCK_STREAM.
func (s *Stack) TCP() Protocol { return s.tcp }

// UDP returns the row of SOCK_DGRAM.
func (s *Stack) UDP() Protocol { return s.udp }

// AddrsChanged says that the host has other addresses now.
func (s *Stack) AddrsChanged() { s.sctp.addrsChanged() }

// SCTP returns the rows of SOCK_STREAM and SOCK_SEQPACKET with IPPROTO_SCTP.
func (s *Stack) SCTP() Protocol { return s.sctp }

// Ping returns the row of SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6.
func (s *Stack) Ping() Protocol { return s.ping }

// Raw returns the row of SOCK_RAW.
func (s *Stack) Raw() socket.Proto { return s.raw }

// Close ends every socket and connection without a word to the peers: nothing leaves a layer
// that is closed. Locked.
func (s *Stack) Close() {
	s.IP.Close()
	s.Each((*socket.Socket).CloseLocked)
	s.tcp.close()
	s.sctp.close()
}

// pathKey is what a path is found by.
type pathKey struct {
	dst, src netip.Addr
	ifindex  int
}

// maxPaths bounds the cache of paths.
const maxPaths = 1024

// paths is the cache of paths. Endpoints keep theirs: it is asked where connections begin.
type paths struct {
	recent [8]atomic.Pointer[recentPath] // found last, by a few bits of their keys; to be read without a lock

	mu rank.LeafRW
	of map[pathKey]*ip.Path
}

// recentPath is an entry of paths. It does not change.
type recentPath struct {
	pathKey
	path *ip.Path
}

// recently returns where the entry of k is if it was found last.
func (c *paths) recently(k *pathKey) *atomic.Pointer[recentPath] {
	d, s := k.dst.As16(), k.src.As16()
	return &c.recent[(d[15]^s[15]<<1)&7]
}

// path returns the path to dst, from the cache if it is there and current. A domain is entered.
func (s *Stack) path(dst, src netip.Addr, ifindex int) (*ip.Path, error) {
	k := pathKey{dst, src, ifindex}
	c := &s.paths
	recent := c.recently(&k)
	if r := recent.Load(); r != nil && r.pathKey == k && r.path.Gen == s.IP.Generation() {
		return r.path, nil
	}
	c.mu.RLock()
	found := c.of[k]
	c.mu.RUnlock()
	if found != nil && found.Gen == s.IP.Generation() {
		recent.Store(&recentPath{k, found})
		return found, nil
	}
	p, err := s.IP.Route(dst, src, ifindex)
	if err == syscall.ENODEV && dst.Is6() {
		err = syscall.ENETUNREACH // what Linux says of a scope that is no interface
	}
	if err != nil {
		if err == syscall.ENETUNREACH {
			s.IP.NoRoute()
		}
		return nil, err
	}
	c.mu.Lock()
	if len(c.of) >= maxPaths {
		clear(c.of)
	}
	c.of[k] = &p
	c.mu.Unlock()
	return &p, nil
}

// lane is what one entry into the host works with (host.Lane), and what has been counted in it.
type lane struct {
	in, out  tcp.Segment // a segment on its way in, and one out
	ipOut    ip.Out
	last     [2]*tcpEndpoint // that segments were for, the last one first; nil: none yet
	straight straight        // the zero value: there is none
	spare    []*tcpStraight  // for reuse
	start    tcp.Params

	inSegs, outSegs uint64
	udp             UDPStats

	_ [host.CacheLine]byte // others' are on other cache lines
}

// lane returns what belongs to the lane of whoever has entered d.
func (s *Stack) lane(d *host.Domain) *lane { return s.lanes[d.Lane().ID] }

// at returns what belongs to the lane that a packet is received in.
func (s *Stack) at(m *ip.Meta) *lane { return s.lanes[m.Lane.At().ID] }

// prf is a keyed pseudo-random function over short messages of one length:
// CBC-MAC with AES under a key of the stack's own.
//
// Several goroutines may ask at the same time.
type prf struct {
	block cipher.Block
	bytes sync.Pool // of *[aes.BlockSize]byte: what a cipher is given is on the heap

	_ [host.CacheLine]byte
	n atomic.Uint64 // random numbers that were drawn
}

func (f *prf) scratch() *[aes.BlockSize]byte {
	if b, ok := f.bytes.Get().(*[aes.BlockSize]byte); ok {
		return b
	}
	return new([aes.BlockSize]byte)
}

// init makes the key, of the seed if that is not 0.
func (f *prf) init(seed uint64) error {
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], seed)
	if seed == 0 {
		if _, err := rand.Read(key[:]); err != nil {
			return err
		}
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
	state := f.scratch()
	*state = [aes.BlockSize]byte{label}
	binary.BigEndian.PutUint64(state[8:], extra)
	binary.BigEndian.PutUint16(state[2:], t.lport)
	binary.BigEndian.PutUint16(state[4:], t.rport)
	f.block.Encrypt(state[:], state[:])
	f.mix(state, t.laddr.As16())
	f.mix(state, t.raddr.As16())
	hi, lo = binary.BigEndian.Uint64(state[:]), binary.BigEndian.Uint64(state[8:])
	f.bytes.Put(state)
	return hi, lo
}

func (f *prf) mix(state *[aes.BlockSize]byte, b [16]byte) {
	for i := range state {
		state[i] ^= b[i]
	}
	f.block.Encrypt(state[:], state[:])
}

// random returns a number that nobody else can predict: the cipher in counter
// mode.
func (f *prf) random() uint64 {
	seed := f.scratch()
	*seed = [aes.BlockSize]byte{0: 0xff}
	binary.BigEndian.PutUint64(seed[8:], f.n.Add(1))
	f.block.Encrypt(seed[:], seed[:])
	out := binary.BigEndian.Uint64(seed[:])
	f.bytes.Put(seed)
	return out
}
