//go:build linux

package uml

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// Socket is a socket of the machine's kernel. Its methods are the calls, with the kernel's errors; one
// that would wait for more than a time limit fails with EAGAIN, or EINPROGRESS where
// it connects.
type Socket struct {
	m  *Machine
	fd int
}

// limit is how long calls wait, in milliseconds.
const limit = 20_000

// Socket makes a socket (socket(2)).
func (m *Machine) Socket(domain, typ, protocol int) (*Socket, error) {
	r, err := m.call(request{Op: "socket", A: domain, B: typ, C: protocol})
	if err != nil {
		return nil, err
	}
	return m.socket(int(r.N))
}

func (m *Machine) socket(fd int) (*Socket, error) {
	s := &Socket{m, fd}
	b := binary.NativeEndian.AppendUint64(nil, limit/1000) // struct timeval
	b = binary.NativeEndian.AppendUint64(b, 0)
	for _, name := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := s.SetBytes(unix.SOL_SOCKET, name, b); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Bind gives the socket an address.
func (s *Socket) Bind(a abi.Addr) error { return s.BindRaw(abi.AppendAddr(nil, a)) }

// BindRaw gives the socket the address that is b, a struct sockaddr.
func (s *Socket) BindRaw(b []byte) error {
	_, err := s.m.call(request{Op: "bind", FD: s.fd, Addr: b})
	return err
}

// Connect connects the socket.
func (s *Socket) Connect(a abi.Addr) error {
	_, err := s.m.call(request{Op: "connect", FD: s.fd, Addr: abi.AppendAddr(nil, a)})
	return err
}

// Listen makes a listener of the socket.
func (s *Socket) Listen(backlog int) error {
	_, err := s.m.call(request{Op: "listen", FD: s.fd, A: backlog})
	return err
}

// Accept waits for a connection and returns it with its peer's address.
func (s *Socket) Accept() (*Socket, abi.Addr, error) {
	r, err := s.m.call(request{Op: "accept", FD: s.fd, Millis: limit})
	if err != nil {
		return nil, abi.Addr{}, err
	}
	a, err := abi.ParseAddr(r.Addr)
	if err != nil {
		return nil, abi.Addr{}, err
	}
	c, err := s.m.socket(int(r.N))
	return c, a, err
}

// Name returns the socket's own address.
func (s *Socket) Name() (abi.Addr, error) {
	r, err := s.m.call(request{Op: "name", FD: s.fd})
	if err != nil {
		return abi.Addr{}, err
	}
	return abi.ParseAddr(r.Addr)
}

// Send sends on a connected socket.
func (s *Socket) Send(p []byte, flags int) (int, error) {
	r, err := s.m.call(request{Op: "send", FD: s.fd, Data: p, A: flags | unix.MSG_NOSIGNAL})
	return int(r.N), err
}

// SendTo sends to an address.
func (s *Socket) SendTo(p []byte, flags int, to abi.Addr) (int, error) {
	r, err := s.m.call(request{Op: "send", FD: s.fd, Data: p, A: flags | unix.MSG_NOSIGNAL, Addr: abi.AppendAddr(nil, to)})
	return int(r.N), err
}

// Recv receives at most n bytes. Without any, a stream has ended.
func (s *Socket) Recv(n, flags int) ([]byte, error) {
	b, _, err := s.RecvFrom(n, flags)
	return b, err
}

// RecvFrom receives at most n bytes and says who has sent them, where that is an address of
// the Internet.
func (s *Socket) RecvFrom(n, flags int) ([]byte, abi.Addr, error) { return s.recv(n, flags, limit) }

func (s *Socket) recv(n, flags, millis int) ([]byte, abi.Addr, error) {
	r, err := s.m.call(request{Op: "recv", FD: s.fd, A: flags, B: n, Millis: millis})
	if err != nil {
		return nil, abi.Addr{}, err
	}
	a, _ := abi.ParseAddr(r.Addr)
	return r.Data, a, nil
}

// Shutdown ends one direction or both (shutdown(2)).
func (s *Socket) Shutdown(how int) error {
	_, err := s.m.call(request{Op: "shutdown", FD: s.fd, A: how})
	return err
}

// Close closes the socket.
func (s *Socket) Close() error {
	_, err := s.m.call(request{Op: "close", FD: s.fd})
	return err
}

// SetInt sets an option that is an integer.
func (s *Socket) SetInt(level, name, value int) error {
	return s.SetBytes(level, name, abi.AppendInt(nil, value))
}

// SetBytes sets an option.
func (s *Socket) SetBytes(level, name int, value []byte) error {
	_, err := s.m.call(request{Op: "set", FD: s.fd, A: level, B: name, Data: value})
	return err
}

// Int returns an option that is an integer.
func (s *Socket) Int(level, name int) (int, error) {
	b, err := s.Bytes(level, name, 4)
	if err != nil || len(b) != 4 {
		return 0, err
	}
	return int(int32(binary.NativeEndian.Uint32(b))), nil
}

// Bytes returns an option of at most n bytes.
func (s *Socket) Bytes(level, name, n int) ([]byte, error) {
	r, err := s.m.call(request{Op: "get", FD: s.fd, A: level, B: name, C: n})
	return r.Data, err
}

// Queued returns how many bytes wait to be received (SIOCINQ).
func (s *Socket) Queued() (int, error) {
	b, err := s.ioctl(unix.SIOCINQ, make([]byte, 4))
	if err != nil {
		return 0, err
	}
	return int(binary.NativeEndian.Uint32(b)), nil
}

func (s *Socket) ioctl(number int, b []byte) ([]byte, error) {
	r, err := s.m.call(request{Op: "ioctl", FD: s.fd, A: number, Data: b})
	return r.Data, err
}

// Source is the function Source, carried out in the machine: its bytes are sent by the socket.
func (s *Socket) Source(n int64, seed uint64) ([]byte, error) {
	r, err := s.m.call(request{Op: "source", FD: s.fd, Bytes: n, Seed: int64(seed)})
	return r.Data, err
}

// Sink is the function Sink, carried out in the machine: it receives by the socket.
func (s *Socket) Sink() (sum []byte, n int64, err error) {
	r, err := s.m.call(request{Op: "sink", FD: s.fd})
	return r.Data, r.N, err
}

// ifreq is a struct ifreq with a value (netdevice(7)).
func ifreq(name string, value []byte) []byte {
	b := make([]byte, 40)
	copy(b, name)
	copy(b[unix.IFNAMSIZ:], value)
	return b
}

// control makes an ioctl about an interface.
func (m *Machine) control(domain, number int, b []byte) ([]byte, error) {
	s, err := m.Socket(domain, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.ioctl(number, b)
}

func (m *Machine) up(name string) error {
	_, err := m.control(unix.AF_INET, unix.SIOCSIFFLAGS, ifreq(name, []byte{unix.IFF_UP, 0}))
	return err
}

// Down switches an interface off, which closes the network card's socket. IPv4 addresses stay, IPv6
// ones go.
func (m *Machine) Down(name string) error {
	_, err := m.control(unix.AF_INET, unix.SIOCSIFFLAGS, ifreq(name, []byte{0, 0}))
	return err
}

// Up switches an interface on, which has the network card connect, and gives it addresses,
// of IPv4 one, that can be used at once.
func (m *Machine) Up(name string, mtu int, addrs ...netip.Prefix) error {
	if err := m.Sysctl("net/ipv6/conf/"+name+"/accept_dad", "0"); err != nil {
		return err
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(mtu))
	if _, err := m.control(unix.AF_INET, unix.SIOCSIFMTU, ifreq(name, b)); err != nil {
		return fmt.Errorf("the MTU of %s: %w", name, err)
	}
	if err := m.up(name); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	index, err := m.Index(name)
	if err != nil {
		return err
	}
	for _, p := range addrs {
		if err := m.assign(name, index, p); err != nil {
			return fmt.Errorf("%v for %s: %w", p, name, err)
		}
	}
	return nil
}

func (m *Machine) assign(name string, index int, p netip.Prefix) error {
	if p.Addr().Is6() {
		b := p.Addr().AsSlice() // struct in6_ifreq
		b = binary.NativeEndian.AppendUint32(b, uint32(p.Bits()))
		b = binary.NativeEndian.AppendUint32(b, uint32(index))
		_, err := m.control(unix.AF_INET6, unix.SIOCSIFADDR, b)
		return err
	}
	inet := func(a netip.Addr) []byte {
		return abi.AppendAddr(nil, abi.AddrFrom(netip.AddrPortFrom(a, 0)))
	}
	if _, err := m.control(unix.AF_INET, unix.SIOCSIFADDR, ifreq(name, inet(p.Addr()))); err != nil {
		return err
	}
	mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), p.Bits()).Masked().Addr()
	_, err := m.control(unix.AF_INET, unix.SIOCSIFNETMASK, ifreq(name, inet(mask)))
	return err
}

// Index returns an interface's number.
func (m *Machine) Index(name string) (int, error) {
	b, err := m.control(unix.AF_INET, unix.SIOCGIFINDEX, ifreq(name, nil))
	if err != nil {
		return 0, err
	}
	return int(binary.NativeEndian.Uint32(b[unix.IFNAMSIZ:])), nil
}

// Address returns an interface's Ethernet address.
func (m *Machine) Address(name string) (a [6]byte, err error) {
	b, err := m.control(unix.AF_INET, unix.SIOCGIFHWADDR, ifreq(name, nil))
	if err == nil {
		copy(a[:], b[unix.IFNAMSIZ+2:])
	}
	return a, err
}

// Route adds a route to a network by a gateway on an interface.
func (m *Machine) Route(to netip.Prefix, via netip.Addr, name string) error {
	if to.Addr().Is6() {
		index, err := m.Index(name)
		if err != nil {
			return err
		}
		b := to.Addr().AsSlice() // struct in6_rtmsg
		b = append(b, make([]byte, 16)...)
		b = append(b, via.AsSlice()...)
		b = binary.NativeEndian.AppendUint32(b, 0) // type
		b = binary.NativeEndian.AppendUint16(b, uint16(to.Bits()))
		b = binary.NativeEndian.AppendUint16(b, 0) // bits of the source
		b = binary.NativeEndian.AppendUint32(b, 1) // metric
		b = binary.NativeEndian.AppendUint64(b, 0) // information
		b = binary.NativeEndian.AppendUint32(b, unix.RTF_UP|unix.RTF_GATEWAY)
		b = binary.NativeEndian.AppendUint32(b, uint32(index))
		_, err = m.control(unix.AF_INET6, unix.SIOCADDRT, b)
		return err
	}
	mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), to.Bits()).Masked().Addr()
	b := make([]byte, 120) // struct rtentry
	for i, a := range []netip.Addr{to.Addr(), via, mask} {
		copy(b[8+16*i:], abi.AppendAddr(nil, abi.AddrFrom(netip.AddrPortFrom(a, 0))))
	}
	binary.NativeEndian.PutUint16(b[56:], unix.RTF_UP|unix.RTF_GATEWAY)
	_, err := m.control(unix.AF_INET, unix.SIOCADDRT, b)
	return err
}
