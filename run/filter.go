package run

import "golang.org/x/net/bpf"

// Offsets in struct seccomp_data, which a filter loads from.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// Actions that a filter returns.
const (
	retAllow  = 0x7fff0000
	retNotify = 0x7fc00000
	retErrno  = 0x00050000
)

const enosys = 38

// calls are the numbers of the system calls that a filter knows, on one
// architecture.
type calls struct {
	arch uint32
	x32  uint32 // a bit of the number that marks the x32 interface; 0: there is none

	socket, sendto, recvfrom, setsockopt, ioctl, ioURingSetup uint32

	// notify are the calls that are trapped whatever their arguments.
	notify []uint32

	// foreign is a second architecture's socket calls, which are trapped too.
	foreignArch uint32
	foreign     []uint32
}

// Flags with which a receive or a send without address goes to the kernel.
const (
	nativeRecv = 0x2 | 0x40 | 0x100 | 0x4000 | 0x40000000    // PEEK DONTWAIT WAITALL NOSIGNAL CMSG_CLOEXEC
	nativeSend = 0x4 | 0x40 | 0x80 | 0x800 | 0x4000 | 0x8000 // DONTROUTE DONTWAIT EOR CONFIRM NOSIGNAL MORE
	siocBase   = 0x8900                                      // ioctls of sockets
	siocOutq   = 0x5411                                      // SIOCOUTQ
	afInet     = 2                                           // AF_INET on Linux
	afInet6    = 10                                          // AF_INET6 on Linux
	ipprotoTCP = 6
	tcpCork    = 3
	argHigh    = 4 // offset of an argument's upper half
	argSize    = 8
)

// assembler collects instructions with symbolic jumps.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int
	fixes  []fix
}

type fix struct {
	at      int
	yes, no string // "": the next instruction
}

func (a *assembler) label(name string) { a.labels[name] = len(a.code) }

func (a *assembler) load(off uint32) {
	a.code = append(a.code, bpf.LoadAbsolute{Off: off, Size: 4})
}

func (a *assembler) jump(c bpf.JumpTest, v uint32, yes, no string) {
	a.fixes = append(a.fixes, fix{len(a.code), yes, no})
	a.code = append(a.code, bpf.JumpIf{Cond: c, Val: v})
}

func (a *assembler) ret(v uint32) { a.code = append(a.code, bpf.RetConstant{Val: v}) }

func (a *assembler) skip(at int, label string) uint8 {
	if label == "" {
		return 0
	}
	d := a.labels[label] - at - 1
	if d < 0 || d > 255 {
		panic("run: jump out of range to " + label)
	}
	return uint8(d)
}

func (a *assembler) finish() []bpf.Instruction {
	for _, f := range a.fixes {
		j := a.code[f.at].(bpf.JumpIf)
		j.SkipTrue, j.SkipFalse = a.skip(f.at, f.yes), a.skip(f.at, f.no)
		a.code[f.at] = j
	}
	return a.code
}

// filter returns the program that decides which calls are trapped.
//
// A receive or send that names no address is the kernel's own business: the
// descriptor is a socket with the same meaning. TCP_CORK succeeds without a trap and
// has no effect: what a program writes in one go reaches the stack in one piece
// anyway, and servers set it twice for each answer, which cost nginx a quarter of its
// answers per second. The numbers of io_uring are refused,
// because it would carry out calls that no filter sees.
func filter(c *calls) []bpf.Instruction {
	a := &assembler{labels: make(map[string]int)}
	arg := func(i int) uint32 { return offArgs + uint32(i)*argSize }

	a.load(offArch)
	a.jump(bpf.JumpEqual, c.arch, "", "foreign")
	a.load(offNr)
	if c.x32 != 0 {
		a.jump(bpf.JumpBitsSet, c.x32, "enosys", "")
	}
	a.jump(bpf.JumpEqual, c.socket, "socket", "")
	a.jump(bpf.JumpEqual, c.sendto, "sendto", "")
	a.jump(bpf.JumpEqual, c.recvfrom, "recvfrom", "")
	a.jump(bpf.JumpEqual, c.setsockopt, "setsockopt", "")
	a.jump(bpf.JumpEqual, c.ioctl, "ioctl", "")
	a.jump(bpf.JumpEqual, c.ioURingSetup, "enosys", "")
	for _, nr := range c.notify {
		a.jump(bpf.JumpEqual, nr, "notify", "")
	}
	a.ret(retAllow)

	a.label("socket")
	a.load(arg(0))
	a.jump(bpf.JumpEqual, afInet, "notify", "")
	a.jump(bpf.JumpEqual, afInet6, "notify", "allow")

	a.label("sendto")
	a.load(arg(4))
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(4) + argHigh)
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(3))
	a.jump(bpf.JumpBitsSet, ^uint32(nativeSend), "notify", "allow")

	a.label("recvfrom")
	a.load(arg(4))
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(4) + argHigh)
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(3))
	a.jump(bpf.JumpBitsSet, ^uint32(nativeRecv), "notify", "allow")

	a.label("setsockopt")
	a.load(arg(1))
	a.jump(bpf.JumpEqual, ipprotoTCP, "", "notify")
	a.load(arg(2))
	a.jump(bpf.JumpEqual, tcpCork, "nothing", "notify")

	a.label("ioctl")
	a.load(arg(1))
	a.jump(bpf.JumpEqual, siocOutq, "notify", "")
	a.code = append(a.code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffffff00})
	a.jump(bpf.JumpEqual, siocBase, "notify", "allow")

	a.label("foreign")
	if c.foreignArch != 0 {
		a.jump(bpf.JumpEqual, c.foreignArch, "", "allow")
		a.load(offNr)
		for _, nr := range c.foreign {
			a.jump(bpf.JumpEqual, nr, "notify", "")
		}
	}
	a.label("allow")
	a.ret(retAllow)
	a.label("notify")
	a.ret(retNotify)
	a.label("nothing")
	a.ret(retErrno)
	a.label("enosys")
	a.ret(retErrno | enosys)
	return a.finish()
}
