//go:build amd64 || arm64

package run

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"usock/shape"
)

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

// machine is what a filter must know of the machine that it is for.
type machine struct {
	arm  bool   // its numbers are arm64's, else amd64's
	arch uint32 // AUDIT_ARCH_*
	x32  uint32 // a bit of the number that marks the x32 interface; 0: there is none

	// foreign is a second architecture's socket calls, which are trapped too.
	foreignArch uint32
	foreign     []uint32
}

// Flags with which a receive or a send without address goes to the kernel.
const (
	nativeRecv  = msgPeek | 0x40 | msgWaitAll | msgNoSignal | 0x40000000 // PEEK DONTWAIT WAITALL NOSIGNAL CMSG_CLOEXEC
	nativeSend  = 0x4 | 0x40 | 0x80 | 0x800 | msgNoSignal                // DONTROUTE DONTWAIT EOR CONFIRM NOSIGNAL
	siocBase    = 0x8900                                                 // ioctls of sockets, whose size and direction come above
	siocOutq    = 0x5411                                                 // SIOCOUTQ
	msgMore     = 0x8000
	msgNoSignal = 0x4000
	msgPeek     = 0x2
	msgWaitAll  = 0x100
	ipprotoTCP  = 6
	tcpCork     = 3

	cloneNewNet     = 0x40000000
	netlinkQuestion = 20 // bytes of a struct nlmsghdr with a struct rtgenmsg, padded

	argHigh = 4 // offset of an argument's upper half
	argSize = 8
)

// kernelFamilies are the domains whose sockets reach no network of the machine's, or
// none that carries Internet packets: AF_UNIX, AF_KEY, AF_NETLINK, AF_CAN,
// AF_BLUETOOTH, AF_ALG, AF_NFC. They stay the kernel's, but for the protocols of netlink that
// tell of Internet addresses and sockets.
var kernelFamilies = []uint32{1, 15, 16, 29, 31, 38, 39}

// when says with which arguments a call is trapped: it appends instructions that
// return, or jump to the labels notify, allow, nothing or enosys.
type when func(a *assembler)

func always(a *assembler) { a.ret(retNotify) }

// never is for calls that do not exist here.
func never(a *assembler) { a.ret(retErrno | enosys) }

func makesSocket(a *assembler) {
	a.load(arg(0))
	a.jump(bpf.JumpEqual, unix.AF_NETLINK, "netlink", "")
	makesOther(a)
	a.label("netlink")
	a.load(arg(2))
	a.jump(bpf.JumpEqual, unix.NETLINK_ROUTE, "notify", "")
	a.jump(bpf.JumpEqual, unix.NETLINK_SOCK_DIAG, "notify", "allow")
}

// makesPair is for socketpair: netlink has no pairs, as the kernel says itself.
func makesPair(a *assembler) {
	a.load(arg(0))
	makesOther(a)
}

// makesOther judges the family that is loaded.
func makesOther(a *assembler) {
	for _, f := range kernelFamilies {
		a.jump(bpf.JumpEqual, f, "allow", "")
	}
	always(a)
}

// The calls that may take a thread to another network namespace.
func unsharesNet(a *assembler) {
	a.load(arg(0))
	a.jump(bpf.JumpBitsSet, cloneNewNet, "notify", "allow")
}

func joinsNet(a *assembler) {
	a.load(arg(1))
	a.jump(bpf.JumpEqual, 0, "notify", "") // of any kind
	a.jump(bpf.JumpBitsSet, cloneNewNet, "notify", "allow")
}

// A receive or send that names no address is the kernel's own business: the
// descriptor is a socket with the same meaning. But AF_UNIX does not wait for all that a peek
// wants.
func receives(a *assembler) {
	if a.Receives || a.every {
		always(a)
		return
	}
	marked(a)
	noAddress(a)
	a.jump(bpf.JumpBitsSet, ^uint32(nativeRecv), "notify", "")
	a.jump(bpf.JumpBitsSet, msgWaitAll, "", "allow")
	a.jump(bpf.JumpBitsSet, msgPeek, "notify", "allow")
}

// With MSG_MORE it is only a stream's: of datagrams it says where one ends, and the filter does not see which
// it is. But who does without SIGPIPE writes to a stream, as no other socket sends it: a proxy asks for both with
// nearly all that it sends on, and a trap for each costs HAProxy three answers of five.
func sends(a *assembler) {
	if a.Sends || a.every {
		always(a)
		return
	}
	marked(a)
	noAddress(a)
	a.jump(bpf.JumpEqual, 0, "send", "")
	if !a.seen {
		a.jump(bpf.JumpBitsSet, msgNoSignal, "", "signals")
		a.jump(bpf.JumpBitsSet, ^uint32(nativeSend|msgMore), "notify", "allow")
		a.label("signals")
	}
	a.jump(bpf.JumpBitsSet, ^uint32(nativeSend), "notify", "allow")
	// musl asks netlink with send, and then looks for the answer once, without waiting.
	a.label("send")
	a.load(arg(2))
	a.jump(bpf.JumpEqual, netlinkQuestion, "notify", "allow")
}

// noAddress has a call that names an address trapped, and loads the flags of one that does not.
func noAddress(a *assembler) {
	a.load(arg(4))
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(4) + argHigh)
	a.jump(bpf.JumpEqual, 0, "", "notify")
	a.load(arg(3))
}

// TCP_CORK succeeds without a trap, and has no effect, where nobody sees packets: what a
// program writes in one go reaches the stack in one piece anyway, and servers set it twice
// for each answer, which costs nginx two answers of three.
func setsOption(a *assembler) {
	if a.seen {
		always(a)
		return
	}
	a.load(arg(1))
	a.jump(bpf.JumpEqual, ipprotoTCP, "", "notify")
	a.load(arg(2))
	a.jump(bpf.JumpEqual, tcpCork, "nothing", "notify")
}

func asksSocket(a *assembler) {
	a.load(arg(1))
	a.jump(bpf.JumpEqual, siocOutq, "notify", "")
	a.code = append(a.code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xff00})
	a.jump(bpf.JumpEqual, siocBase, "notify", "allow")
}

// arg returns the offset of the lower half of an argument.
func arg(i int) uint32 { return offArgs + uint32(i)*argSize }

// filterFor is what a filter is for.
type filterFor struct {
	seen  bool // Options.Packets
	every bool // Options.EveryCall
	// Traps are those for faults: of these calls none is the kernel's own business.
	shape.Traps
}

// assembler collects instructions with symbolic jumps.
type assembler struct {
	filterFor
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

// filter returns the program that decides which calls are trapped. io_uring is
// refused, because it would carry out calls that no filter sees.
func filter(m *machine, list []row, what filterFor) []bpf.Instruction {
	a := &assembler{filterFor: what, labels: make(map[string]int)}
	a.load(offArch)
	a.jump(bpf.JumpEqual, m.arch, "", "foreign")
	a.load(offNr)
	if m.x32 != 0 {
		a.jump(bpf.JumpBitsSet, m.x32, "enosys", "")
	}
	list = slices.DeleteFunc(slices.Clone(list), func(r row) bool { return r.number(m) == none })
	for _, r := range list {
		a.jump(bpf.JumpEqual, uint32(r.number(m)), r.name, "")
	}
	a.ret(retAllow)
	for _, r := range list {
		a.label(r.name)
		r.when(a)
	}
	a.label("foreign")
	if m.foreignArch != 0 {
		a.jump(bpf.JumpEqual, m.foreignArch, "", "allow")
		a.load(offNr)
		for _, nr := range m.foreign {
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
