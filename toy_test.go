package usock_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/ip"
	"usock/internal/offload"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/link"
	"usock/packet"
)

// toy is a protocol of records over IP that only this test has: two ports and a CRC32c before
// the data. It is all that a new protocol needs beside its row. As SCTP's, a socket may have
// several local addresses, which stand in the protocol's own table each, and many peers.
type toy struct {
	stack   *inet.Stack
	byAddr  map[netip.AddrPort]*toySocket
	options *socket.Options
}

const (
	toyNumber = 253 // for experiments (RFC 3692)
	toyLevel  = toyNumber
	toyTag    = 1 // an option: a number
	toyAdd    = 2 // and one more local address, as sctp_bindx(3) is an option
	toyLen    = 8 // source port, destination port, CRC32c

	toyChecksum = ip.CRC32c | 4
)

var toyKind = socket.Kind{Name: "toy", Level: toyLevel, IntsFirst: true}

// toySocket is a control block.
type toySocket struct {
	s      *socket.Socket
	locals []netip.AddrPort // of one port
	peer   netip.AddrPort
	tag    int
	queue  []toyRecord
}

type toyRecord struct {
	data packet.View
	from netip.AddrPort
}

func newToy(s *inet.Stack) inet.Protocol {
	t := &toy{stack: s, byAddr: make(map[netip.AddrPort]*toySocket)}
	t.options = inet.NewOptions([]socket.Option{
		socket.IntOption(toyLevel, toyTag,
			func(s *socket.Socket) int { return toyOf(s).tag },
			func(s *socket.Socket, v int) error { toyOf(s).tag = v; return nil }),
		{Level: toyLevel, Name: toyAdd, Set: func(s *socket.Socket, v []byte) error {
			a, err := abi.ParseAddr(v)
			if err != nil {
				return err
			}
			return t.claim(toyOf(s), a.AddrPort())
		}},
	})
	return t
}

func toyOf(s *socket.Socket) *toySocket { return s.PCB.(*toySocket) }

func (t *toy) Kind() *socket.Kind                                 { return &toyKind }
func (t *toy) Options() *socket.Options                           { return t.options }
func (t *toy) Listen(*socket.Socket, int) error                   { return syscall.EOPNOTSUPP }
func (t *toy) Accept(*socket.Socket, int) (*socket.Socket, error) { return nil, syscall.EOPNOTSUPP }
func (t *toy) Shutdown(*socket.Socket, int) error                 { return syscall.EOPNOTSUPP }
func (t *toy) Name(s *socket.Socket) abi.Addr                     { return abi.AddrFrom(toyOf(s).local()) }
func (t *toy) Error(*ip.Error)                                    {}

func (t *toy) Attach(s *socket.Socket) error {
	s.PCB = &toySocket{s: s}
	return nil
}

func (t *toy) Bind(s *socket.Socket, a abi.Addr) error { return t.claim(toyOf(s), a.AddrPort()) }

// claim gives e one more address.
func (t *toy) claim(e *toySocket, a netip.AddrPort) error {
	switch {
	case !t.stack.IP.IsLocal(a.Addr()):
		return syscall.EADDRNOTAVAIL
	case t.byAddr[a] != nil:
		return syscall.EADDRINUSE
	}
	e.locals, t.byAddr[a] = append(e.locals, a), e
	return nil
}

// local is the address that stands for all.
func (e *toySocket) local() netip.AddrPort {
	if len(e.locals) == 0 {
		return netip.AddrPort{}
	}
	return e.locals[0]
}

func (t *toy) Connect(s *socket.Socket, a abi.Addr) error {
	toyOf(s).peer = netip.AddrPortFrom(a.IP, a.Port)
	return nil
}

func (t *toy) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := toyOf(s)
	to := e.peer
	if m.HasAddr {
		to = m.Addr.AddrPort()
	}
	if !to.IsValid() {
		return 0, syscall.EDESTADDRREQ
	}
	path, err := t.stack.IP.Route(to.Addr(), e.local().Addr(), 0)
	if err != nil {
		return 0, err
	}
	p := packet.New()
	for _, v := range m.Data {
		p.Payload.Append(v)
	}
	n := p.Len()
	h := p.Prepend(toyLen)
	clear(h)
	binary.BigEndian.PutUint16(h, e.local().Port())
	binary.BigEndian.PutUint16(h[2:], to.Port())
	return n, t.stack.IP.Whole().Output(p, &path, &ip.Out{Proto: toyNumber, Checksum: toyChecksum})
}

func (t *toy) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	e := toyOf(s)
	if len(e.queue) == 0 {
		return 0, syscall.EAGAIN
	}
	r := e.queue[0]
	e.queue = e.queue[1:]
	m.Data, m.Addr = append(m.Data, r.data), abi.AddrFrom(r.from)
	return min(r.data.Len(), m.Max), nil
}

func (t *toy) Close(s *socket.Socket) {
	e := toyOf(s)
	for _, r := range e.queue {
		r.data.Release()
	}
	for _, a := range e.locals {
		delete(t.byAddr, a)
	}
	t.stack.Forget(s)
}

func (t *toy) Ready(s *socket.Socket) wait.Events {
	if len(toyOf(s).queue) > 0 {
		return wait.In | wait.Out
	}
	return wait.Out
}

func (t *toy) Peer(s *socket.Socket) (abi.Addr, error) {
	if e := toyOf(s); e.peer.IsValid() {
		return abi.AddrFrom(e.peer), nil
	}
	return abi.Addr{}, syscall.ENOTCONN
}

func (t *toy) Queued(s *socket.Socket) (in, out int) {
	if q := toyOf(s).queue; len(q) > 0 {
		in = q[0].data.Len()
	}
	return in, 0
}

// Input drops what is damaged, and knows nobody behind an address that is not bound.
func (t *toy) Input(p *packet.Packet, m *ip.Meta) bool {
	b := p.AppendTo(nil)
	if len(b) < toyLen {
		return false
	}
	e := t.byAddr[netip.AddrPortFrom(m.Dst, binary.BigEndian.Uint16(b[2:]))]
	switch {
	case !p.Trusted && !toyChecksum.OK(p, m):
	case e == nil:
		return false
	default:
		from := netip.AddrPortFrom(m.Src, binary.BigEndian.Uint16(b))
		e.queue = append(e.queue, toyRecord{packet.Copy(b[toyLen:]), from})
		e.s.Notify(wait.In)
	}
	p.Free()
	return true
}

func (t *toy) Describe(s *socket.Socket, in *socket.Info) {
	e := toyOf(s)
	in.Local, in.Peer, in.RecvQ = abi.AddrFrom(e.local()), abi.AddrFrom(e.peer), len(e.queue)
}

func (t *toy) Owner(_ int, local, _ netip.AddrPort) int32 {
	if e := t.byAddr[local]; e != nil {
		return e.s.Owner.Load()
	}
	return 0
}

// wireLink is a pipe's end as a wire is: checksums are completed, what comes out of it is not
// trusted, and the next packet may be damaged.
type wireLink struct {
	link.Link
	damage atomic.Bool
}

// Send implements link.Link.
func (w *wireLink) Send(batch []*link.Packet) int {
	for i, p := range batch {
		offload.Complete(p, 0)
		b := p.AppendTo(nil)
		p.Free()
		if w.damage.Swap(false) {
			b[len(b)-1] ^= 1
		}
		batch[i] = link.NewPacket(b)
	}
	return w.Link.Send(batch)
}

// toyHosts returns two hosts over a wire, with two addresses each, and a socket on each that is
// bound to the first.
func toyHosts(t *testing.T) (hosts [2]*usock.Host, wires [2]*wireLink, socks [2]*usock.Socket) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	wires = [2]*wireLink{{Link: x}, {Link: y}}
	for i, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		first := netip.MustParseAddr(ip)
		hosts[i] = newHost(t, usock.Config{Interfaces: []usock.Interface{{
			Link: wires[i], Addrs: []netip.Prefix{netip.PrefixFrom(first, 24), netip.PrefixFrom(second(first), 24)},
		}}})
		hosts[i].AddProtocol(usock.SOCK_SEQPACKET, toyNumber, newToy)
		socks[i] = toySocketOf(t, hosts[i])
		if err := socks[i].Bind(mustAddr(t, ip+":7")); err != nil {
			t.Fatal(err)
		}
	}
	return hosts, wires, socks
}

func toySocketOf(t *testing.T, h *usock.Host) *usock.Socket {
	t.Helper()
	s, err := h.Socket(usock.AF_INET, usock.SOCK_SEQPACKET, toyNumber)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	return s
}

func nameOf(t *testing.T, s *usock.Socket) usock.Addr {
	t.Helper()
	a, err := s.GetSockName()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// second is the other address of the host that has a.
func second(a netip.Addr) netip.Addr {
	b := a.As4()
	b[1]++
	return netip.AddrFrom4(b)
}

// A protocol that the packages below know nothing of is complete with its calls, its packets
// and its row: two hosts talk in it over a link, its checksum is completed and checked, its
// option is found, and it is listed and has an owner.
func TestAddProtocol(t *testing.T) {
	hosts, wires, socks := toyHosts(t)
	a, b := socks[0], socks[1]
	addrs := [2]usock.Addr{nameOf(t, a), nameOf(t, b)}
	if err := a.Connect(addrs[1]); err != nil {
		t.Fatal(err)
	}

	// The first record is damaged on the wire, so that the second is the first to come.
	for i, text := range []string{"damaged", "whole"} {
		wires[0].damage.Store(i == 0)
		if _, err := a.Send([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 100)
	n, from, err := b.RecvFrom(p, 0)
	if err != nil || string(p[:n]) != "whole" || from != addrs[0] {
		t.Fatalf("received %q from %v, %v", p[:n], from, err)
	}

	// Its option, with the rule of its row that a value is looked at before the name.
	if err := a.SetSockOptInt(toyLevel, toyTag, 5); err != nil {
		t.Fatal(err)
	}
	if v, err := a.GetSockOptInt(toyLevel, toyTag); v != 5 || err != nil {
		t.Errorf("the option is %d, %v", v, err)
	}
	if err := a.SetSockOpt(toyLevel, 99, []byte{1}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a short value of an option that there is not: %v, want EINVAL", err)
	}
	if err := a.SetSockOptInt(toyLevel, 99, 1); !errors.Is(err, syscall.ENOPROTOOPT) {
		t.Errorf("an option that there is not: %v, want ENOPROTOOPT", err)
	}

	a.SetOwner(42)
	local := netip.AddrPortFrom(addrs[0].IP, addrs[0].Port)
	if got := hosts[0].Owner(toyNumber, local, netip.AddrPort{}); got != 42 {
		t.Errorf("owner %d, want 42", got)
	}
	list := hosts[0].Sockets()
	if len(list) != 1 || list[0].Proto != "toy" || list[0].Local != local || list[0].Owner != 42 {
		t.Errorf("listed: %+v", list)
	}
	if err := a.Close(); err != nil || len(hosts[0].Sockets()) != 0 {
		t.Errorf("closed: %v, listed: %+v", err, hosts[0].Sockets())
	}
}

// One socket has two local addresses and speaks with each peer that writes: what comes to either
// is its own, its name is the first, each has its owner, and it is listed once.
func TestProtocolWithTwoAddresses(t *testing.T) {
	hosts, _, socks := toyHosts(t)
	a, b := socks[0], socks[1]
	name := nameOf(t, b)
	other := name
	other.IP = second(name.IP)

	if err := a.Connect(other); err != nil {
		t.Fatal(err)
	}
	value := other.AppendSockaddr(nil)
	if err := b.SetSockOpt(toyLevel, toyAdd, value); err != nil {
		t.Fatal(err)
	}
	if err := b.SetSockOpt(toyLevel, toyAdd, value); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address that the socket has: %v, want EADDRINUSE", err)
	}
	if got := nameOf(t, b); got != name {
		t.Errorf("the socket's name is %v, want the first, %v", got, name)
	}

	p := make([]byte, 100)
	for _, to := range []usock.Addr{name, other} {
		if _, err := a.SendTo([]byte("to "+to.String()), 0, to); err != nil {
			t.Fatal(err)
		}
		n, from, err := b.RecvFrom(p, 0)
		if err != nil || string(p[:n]) != "to "+to.String() {
			t.Fatalf("received %q, %v", p[:n], err)
		}
		if _, err := b.SendTo([]byte("back"), 0, from); err != nil {
			t.Fatal(err)
		}
		if n, from, err := a.RecvFrom(p, 0); err != nil || string(p[:n]) != "back" || from != name {
			t.Fatalf("received %q from %v, %v", p[:n], from, err)
		}
	}

	b.SetOwner(43)
	for _, local := range []usock.Addr{name, other} {
		if got := hosts[1].Owner(toyNumber, local.AddrPort(), netip.AddrPort{}); got != 43 {
			t.Errorf("owner at %v: %d, want 43", local, got)
		}
	}
	if list := hosts[1].Sockets(); len(list) != 1 || list[0].Local != name.AddrPort() {
		t.Errorf("listed: %+v", list)
	}
	b.Close()
	again := toySocketOf(t, hosts[1])
	if err := again.Bind(other); err != nil {
		t.Errorf("the second address of a closed socket: %v", err)
	}
}
