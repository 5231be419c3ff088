//go:build linux && (amd64 || arm64)

package run

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// What a program hands to a call is in its memory, and it says itself how long it is. Each input is carried out twice: once with every
// piece of memory right before a page that is not there, and once with other bytes of the program behind it. The calls must say the same,
// and no byte behind a piece may be written.

// arena is memory whose pieces end where a page begins that cannot be read or, if it is filled, somewhere within.
type arena struct {
	mem    []byte
	filled bool
}

const arenaSize = 1 << 18

func newArena(t testing.TB, filled bool) *arena {
	mem, err := unix.Mmap(-1, 0, arenaSize+pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(mem[arenaSize:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	return &arena{mem[:arenaSize], filled}
}

const filling, filledRoom = 0xa5, 256

// put returns a piece that holds b.
func (a *arena) put(b []byte) []byte {
	end := arenaSize
	if a.filled {
		end -= filledRoom
		for i := end; i < arenaSize; i++ {
			a.mem[i] = filling
		}
	}
	p := a.mem[end-len(b) : end : end]
	copy(p, b)
	return p
}

// whole reports whether nothing behind the piece was written.
func (a *arena) whole() bool {
	return !a.filled || bytes.Count(a.mem[arenaSize-filledRoom:], []byte{filling}) == filledRoom
}

// scripted makes the calls of an input.
type scripted struct {
	*player
	rest   []byte // of the input
	fds    []int
	passer int // the peer of the last of fds, an AF_UNIX socket of the kernel's
	arenas []*arena
	used   int // of the arenas, by a call
	told   []string
}

func (s *scripted) next() int {
	if len(s.rest) == 0 {
		return 0
	}
	v := s.rest[0]
	s.rest = s.rest[1:]
	return int(v)
}

// bytes are up to 240 as they come in the input; a greater number stands for a longer piece, of zeros in the end.
func (s *scripted) bytes() []byte {
	n := s.next()
	whole := n
	if n > 240 {
		n, whole = s.next(), (n-240)*128
	}
	b := make([]byte, whole)
	s.rest = s.rest[copy(b, s.rest[:min(n, whole, len(s.rest))]):]
	return b
}

// lend puts bytes into an arena of their own.
func (s *scripted) lend(b []byte) []byte {
	if s.used == len(s.arenas) {
		s.arenas = append(s.arenas, newArena(s.t, s.arenas[0].filled))
	}
	s.used++
	return s.arenas[s.used-1].put(b)
}

// where is the address of a piece; sometimes there is none, or it cannot be looked at.
func (s *scripted) where(b []byte) uint64 {
	switch n := s.next(); {
	case n == 255:
		return 0
	case n == 254 || len(b) == 0:
		return at(s.arenas[0].mem) + arenaSize
	}
	return at(b)
}

// size is how long a piece is said to be: it may be said to be shorter.
func (s *scripted) size(b []byte) uint64 {
	if n := s.next(); n >= 128 {
		return uint64(min(n-128, len(b)))
	}
	return uint64(len(b))
}

// length is size where it is an int, which may be negative.
func (s *scripted) length(b []byte) uint64 {
	if n := s.size(b); n != 127 {
		return n
	}
	return 1<<32 - 1
}

func word(v uint64) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// option is one that some socket has, or any.
func (s *scripted) option() (level, name int) {
	if n := s.next()<<1 | s.next()&1; n < len(abi.Options) {
		return abi.Options[n].Level, abi.Options[n].Number
	}
	return s.next(), s.next()
}

// ioctls are all that the host answers.
var ioctls = slices.Concat(
	slices.Sorted(maps.Keys(ifrequests)), slices.Sorted(maps.Keys(ifchanges)), slices.Sorted(maps.Keys(ifnone)),
	[]uint32{unix.SIOCGIFCONF, unix.SIOCGIFNAME, unix.SIOCGARP, siocEthtool, siocOutqNSD, unix.SIOCOUTQ, siocGStamp, siocGStampNSNew},
)

// vector returns struct iovecs of some pieces, and how many.
func (s *scripted) vector(piece func([]byte) []byte) (list []byte, n int) {
	n = s.next() % 4
	for range n {
		b := piece(s.bytes())
		list = binary.NativeEndian.AppendUint64(list, s.where(b))
		list = binary.NativeEndian.AppendUint64(list, s.size(b))
	}
	return s.lend(list), n
}

// message returns a struct msghdr.
func (s *scripted) message(piece func([]byte) []byte) []byte {
	list, n := s.vector(piece)
	name, control := piece(s.bytes()), piece(s.bytes())
	head := hdr(s.where(name), uint32(s.length(name)), uint64(n), s.where(control), s.size(control))
	binary.NativeEndian.PutUint64(head[16:], s.where(list))
	return head
}

// atLeast returns b, or its bytes and zeros.
func atLeast(b []byte, n int) []byte { return append(b, make([]byte, max(0, n-len(b)))...) }

// arpreqSize is the size of struct arpreq, the longest that an ioctl reads.
const arpreqSize = 68

// step is a call of an input.
type step struct {
	*scripted
	fd     uint64
	what   string
	pieces [][]byte // whose bytes are told
	inner  int      // where in the last of them a pointer is, which is not; -1: nowhere
	c      *played
}

// piece lends bytes, to be told once the call has ended.
func (s *step) piece(b []byte) []byte {
	b = s.lend(b)
	s.pieces = append(s.pieces, b)
	return b
}

// begin makes a call.
func (s *step) begin(what string, args ...uint64) { s.what, s.c = what, s.start(what, args...) }

// do makes the next call.
func (s *scripted) do() {
	s.used = 0
	op := s.next()
	x := &step{scripted: s, fd: uint64(s.fds[op>>4%len(s.fds)]), inner: -1}
	switch op & 15 {
	case 0, 1:
		x.setOption()
	case 2:
		x.many()
	case 3, 4, 5:
		x.getOption()
	case 6, 7:
		x.ioctl()
	case 8, 9:
		b := x.piece(s.bytes())
		x.begin([]string{"bind", "connect"}[op&1], x.fd, s.where(b), s.length(b))
	case 10:
		b, to := x.piece(s.bytes()), x.piece(s.bytes())
		x.begin("sendto", x.fd, s.where(b), s.size(b), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, s.where(to), s.length(to))
	case 11, 12:
		head := s.lend(s.message(x.piece))
		x.pieces = append(x.pieces, head[offNameLen:offNameLen+4], head[offControlLen:])
		x.begin([]string{"recvmsg", "sendmsg"}[op&1], x.fd, s.where(head), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	case 13:
		b, from := x.piece(s.bytes()), x.piece(s.bytes())
		size := x.piece(word(s.length(from)))
		x.begin("recvfrom", x.fd, s.where(b), s.size(b), unix.MSG_DONTWAIT, s.where(from), s.where(size))
	case 15:
		s.pass()
		return
	default:
		what := []string{"getsockname", "getpeername"}[s.next()&1]
		b := x.piece(s.bytes())
		size := x.piece(word(s.length(b)))
		x.begin(what, x.fd, s.where(b), s.where(size))
	}
	x.end()
}

func (s *step) setOption() {
	level, name := s.option()
	b := s.bytes()
	if len(b) == sockFprogSize && isFilter(level, name) {
		list := s.lend(s.bytes())
		binary.NativeEndian.PutUint64(b[offFprogFilter:], s.where(list))
		s.inner = offFprogFilter
	}
	b = s.piece(b)
	s.begin("setsockopt", s.fd, uint64(level), uint64(name), s.where(b), s.length(b))
	s.what += fmt.Sprintf(" %d/%d", level, name)
}

func (s *step) getOption() {
	level, name := s.option()
	b := s.bytes()
	if len(b) >= sizeGetaddrsOld && level == usock.SOL_SCTP && name == usock.SCTP_SOCKOPT_CONNECTX3 {
		list := s.lend(s.bytes())
		binary.NativeEndian.PutUint64(b[offAddrs:], s.where(list))
		s.inner = offAddrs
	}
	size := s.piece(word(0))
	b = s.piece(b)
	binary.NativeEndian.PutUint32(size, uint32(s.length(b)))
	s.begin("getsockopt", s.fd, uint64(level), uint64(name), s.where(b), s.where(size))
	s.what += fmt.Sprintf(" %d/%d", level, name)
}

func (s *step) ioctl() {
	req := ioctls[s.next()%len(ioctls)]
	b := atLeast(s.bytes(), arpreqSize) // the request says how long it is
	switch req {
	case siocEthtool:
		binary.NativeEndian.PutUint64(b[ifrName:], s.where(s.piece(atLeast(s.bytes(), drvInfoSize))))
		s.inner = ifrName
	case unix.SIOCGIFCONF:
		room := s.piece(s.bytes())
		binary.NativeEndian.PutUint64(b[8:], s.where(room))
		binary.NativeEndian.PutUint32(b, uint32(len(room)))
		s.inner = 8
	}
	s.begin("ioctl", s.fd, uint64(req), s.where(s.piece(b)))
	s.what += fmt.Sprintf(" %#x", req)
	if req == siocGStamp || req == siocGStampNSNew {
		s.pieces = nil
	}
}

// many makes a call on several messages, or pieces, or one that is about no socket.
func (s *step) many() {
	switch s.next() % 4 {
	case 0, 1:
		what := []string{"recvmmsg", "sendmmsg"}[s.next()&1]
		var heads []byte
		n := s.next() % 3
		for range n {
			heads = append(heads, s.message(s.piece)...)
			heads = append(heads, make([]byte, mmsghdrSize-msghdrSize)...)
		}
		heads = s.lend(heads)
		for h := heads; len(h) > 0; h = h[mmsghdrSize:] {
			s.pieces = append(s.pieces, h[offNameLen:offNameLen+4], h[offControlLen:mmsghdrSize])
		}
		limit := s.lend(atLeast(s.bytes(), 16)) // a struct timespec, of which what is left is stored
		s.begin(what, s.fd, s.where(heads), uint64(n), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, s.where(limit))
	case 2:
		what := []string{"readv", "writev"}[s.next()&1]
		list, n := s.vector(s.piece)
		s.begin(what, s.fd, s.where(list), uint64(n))
	default:
		attr := s.piece(s.bytes())
		s.begin("landlock_create_ruleset", s.where(attr), s.size(attr), 0)
	}
}

// end waits for the call's end, and notes what it has said.
func (s *step) end() {
	c := s.c
	if s.blocked(c) {
		if len(s.l.scanner.waiting) > 0 {
			s.t.Errorf("%s waits for a scan", s.what)
		}
		s.gone(c)
		s.idle()
	}
	text := fmt.Sprintf("%s: %d, %q, lost %v, kernel %v", s.what, c.val, unix.ErrnoName(c.err), c.lost, c.byKernel)
	if c.err == errGone || c.err != 0 && unix.ErrnoName(c.err) == "" {
		s.t.Error(text)
	}
	if s.fd == uint64(s.fds[len(s.fds)-1]) {
		s.pieces = nil // the numbers of descriptors are not the same twice
	}
	if n := len(s.pieces); n > 0 && s.inner >= 0 {
		clear(s.pieces[n-1][s.inner:][:8])
	}
	for _, b := range s.pieces {
		text += fmt.Sprintf(", %x", b)
	}
	for _, a := range s.arenas[:s.used] {
		if !a.whole() {
			s.t.Errorf("%s: what lies behind a piece was written", s.what)
		}
	}
	s.told = append(s.told, text)
}

// pass sends descriptors to the AF_UNIX socket, which another program does.
func (s *scripted) pass() {
	n := s.next()
	var list []int
	for range n % 4 {
		list = append(list, []int{s.passer, s.fds[2]}[n>>2&1])
	}
	unix.SetsockoptInt(s.fds[len(s.fds)-1], unix.SOL_SOCKET, unix.SO_PASSCRED, n>>3&1)
	var control []byte
	if len(list) > 0 {
		control = unix.UnixRights(list...)
	}
	unix.SendmsgN(s.passer, s.bytes(), control, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// scriptedSockets are those of which an input has one of each, by what socket(2) is asked for.
var scriptedSockets = [][3]int{
	{unix.AF_INET, unix.SOCK_STREAM, 0},
	{unix.AF_INET6, unix.SOCK_DGRAM, 0},
	{unix.AF_INET, unix.SOCK_SEQPACKET, unix.IPPROTO_SCTP},
	{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE},
	{unix.AF_INET, unix.SOCK_DGRAM, 0},
	{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
}

func playScript(t *testing.T, script []byte, filled bool) []string {
	p := playerOf(t, usock.Config{Seed: 1})
	s := &scripted{player: p, rest: script, arenas: []*arena{newArena(t, filled)}}
	for _, k := range scriptedSockets {
		c := p.call("socket", uint64(k[0]), uint64(k[1]|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uint64(k[2]))
		p.must(c.err)
		s.fds = append(s.fds, int(c.val))
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.fds[pair[0]], s.passer = true, pair[1]
	s.fds = append(s.fds, pair[0])
	defer unix.Close(s.passer)
	for len(s.rest) > 0 {
		s.do()
	}
	for _, fd := range s.fds {
		p.close(fd)
	}
	p.settle()
	return s.told
}

// playBoth plays a program twice.
func playBoth(t *testing.T, script []byte) {
	t.Helper()
	first, second := playScript(t, script, false), playScript(t, script, true)
	for i := range min(len(first), len(second)) {
		if first[i] != second[i] {
			t.Fatalf("call %d depends on what lies behind its memory:\n%s\n%s", i, first[i], second[i])
		}
	}
	if len(first) != len(second) {
		t.Errorf("%d calls, and %d", len(first), len(second))
	}
}

// Every option and every request of ioctl is asked for, and set, on each kind of socket.
func TestScriptedOptions(t *testing.T) {
	var zeros [64]byte
	for i := range scriptedSockets {
		fd := byte(i << 4)
		var all []byte
		for k := range abi.Options {
			which := []byte{byte(k >> 1), byte(k & 1)}
			all = append(append(append(all, fd), which...), 4, 1, 0, 0, 0, 0, 0)
			all = append(append(append(all, fd|3), which...), 64)
			all = append(append(all, zeros[:]...), 0, 0, 0)
		}
		for k := range ioctls {
			all = append(all, fd|6, byte(k), 40)
			all = append(append(all, zeros[:40]...), 0, 0)
		}
		playBoth(t, all)
	}
}

// FuzzCalls plays programs that hand anything to calls.
func FuzzCalls(f *testing.F) {
	var zeros [128]byte
	here := usock.Addr{Family: usock.AF_INET, IP: localhost, Port: 4000}.AppendSockaddr(nil)
	named := append([]byte{byte(len(here))}, here...)
	f.Add(slices.Concat([]byte{15, 5, 2, 'h', 'i', 15, 14, 2, 'y', 'o', 0x6c, 1, 16}, zeros[:19], []byte{40}, zeros[:46], []byte{0x6c, 1, 1}, zeros[:4],
		[]byte{19}, zeros[:25]))
	all := usock.Addr{Family: usock.AF_INET6, IP: netip.IPv6Unspecified(), Port: 4000}.AppendSockaddr(nil)
	f.Add(slices.Concat([]byte{0x18, byte(len(all))}, all, []byte{0, 0, 0x48}, named, []byte{0, 0})) // a port that is in use, if it is
	for i := range scriptedSockets {
		fd := byte(i << 4)
		f.Add(slices.Concat([]byte{fd | 8}, named, []byte{0, 0, fd | 9}, named, []byte{0, 0}, []byte{fd | 10, 2, 'h', 'i'}, named, zeros[:4],
			[]byte{fd | 14, 0, 40}, zeros[:44]))
		f.Add(slices.Concat([]byte{fd | 12, 1, 2, 'h', 'i', 0, 0}, named,
			[]byte{20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0}, zeros[:8],
			[]byte{fd | 11, 1, 16}, zeros[:18], []byte{30}, zeros[:30], []byte{100}, zeros[:110]))
		f.Add([]byte{fd | 2, 0, 1, 2, 1, 2, 'h', 'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 'y', 'o', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, fd | 2, 2, 1, 1, 3, 'a', 'b', 'c'})
		f.Add([]byte{fd | 2, 3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, fd | 2, 0, 0, 1, 1, 20, 0, 0, 0, 0, 0, 0})
		f.Add([]byte{fd, 40, 0, 4, 1, 0, 0, 0, 0, 0, fd | 3, 40, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, fd | 6, 3, 8, 'l', 'o'})
	}
	const most = 400 // that the search does not go for length
	f.Fuzz(func(t *testing.T, script []byte) { playBoth(t, script[:min(len(script), most)]) })
}
