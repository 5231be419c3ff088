package oracle

import (
	"encoding/hex"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// Flags of SO_TIMESTAMPING.
const (
	txSoft = abi.SOF_TIMESTAMPING_TX_SOFTWARE
	rxSoft = abi.SOF_TIMESTAMPING_RX_SOFTWARE
	soft   = abi.SOF_TIMESTAMPING_SOFTWARE
	withID = abi.SOF_TIMESTAMPING_OPT_ID
	sched  = abi.SOF_TIMESTAMPING_TX_SCHED
	acked  = abi.SOF_TIMESTAMPING_TX_ACK
	only   = abi.SOF_TIMESTAMPING_OPT_TSONLY
	addrs  = abi.SOF_TIMESTAMPING_OPT_CMSG
	idTCP  = abi.SOF_TIMESTAMPING_OPT_ID_TCP
)

// stamping sets SO_TIMESTAMPING of a socket.
func stamping(socket string, flags uint32) string {
	return "; " + socket + " setx so:timestamping " + hex.EncodeToString(abi.AppendInt(nil, int(flags))) + "; " + socket + " get so:timestamping"
}

// stampCases have the times of datagrams told.
func stampCases() []sequence {
	udp := "b = udp; b bind lo:7000; a = udp; a bind lo:7001; a connect lo:7000"
	sent := "; a send hello; a recv 18 errqueue; a recv 18 errqueue; a recv 18 errqueue; b recv 9"
	values := "a = udp; a get so:timestamping 8"
	for _, v := range []uint32{0, rxSoft | soft, 0xffff, 0x3ffff, 0x7ffff, 0x40000, 0x80000, 1 << 23, 1<<32 - 1, withID | idTCP, idTCP, abi.SOF_TIMESTAMPING_OPT_STATS, abi.SOF_TIMESTAMPING_OPT_STATS | only, abi.SOF_TIMESTAMPING_BIND_PHC, addrs} {
		values += stamping("a", v)
	}
	received := udp
	for _, v := range []uint32{rxSoft, rxSoft | soft, rxSoft | soft | abi.SOF_TIMESTAMPING_RAW_HARDWARE, 0} {
		received += stamping("b", v) + "; a send x; b recv 9"
	}
	left := udp
	for _, v := range []uint32{txSoft, txSoft | soft, txSoft | soft | withID, txSoft | soft | withID, txSoft | soft | only, txSoft | soft | only | withID, sched | soft, sched | txSoft | soft | withID | only, txSoft | soft | addrs, acked | soft | only} {
		left += stamping("a", v) + sent
	}
	id := udp + stamping("a", txSoft|soft|withID|only)
	return []sequence{
		{name: "values", lines: values + "; a setx so:timestamping 0200; a setx so:timestamping 0200000000000000; a get so:timestamping 8; a setx so:timestamping 020000000000000000"},
		{name: "received", lines: received},
		{name: "received, with other forms", lines: udp + "; b set so:timestamp 1" + stamping("b", rxSoft|soft) + "; a send x; b recv 9; b set so:timestampns 1; a send x; b recv 9; b set ip:recvttl 1; a send x; b recv 9 peek; b recv 9; b stamp"},
		{name: "left", lines: left},
		{name: "numbers", lines: id + sent + sent + stamping("a", txSoft|soft|withID|only) + sent + stamping("a", txSoft|soft|only) + stamping("a", txSoft|soft|withID|only) + sent + "; a send x; a send y; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue"},
		{name: "errors are apart", lines: id + "; a send x; a recv 9; a get so:error; a send y; a recv 9 errqueue peek; a recv 9 errqueue; a recv 9 errqueue; b close; a set ip:recverr 1; a send z; a get so:error; a recv 9 errqueue; a get so:error; a recv 0 errqueue; a recv 9 errqueue"},
		{name: "of one datagram", lines: udp + stamping("a", soft|withID|only) + "; a send x; a recv 9 errqueue; a send x cmsg so:timestamping 02000000; a recv 9 errqueue; a send x cmsg so:timestamping 10000000; a send x cmsg so:timestamping 00000000; a send x cmsg so:timestamping 0200; a send x cmsg so:timestamping 02000000 cmsg 1:81 4d000000; a recv 9 errqueue; a send x cmsg 1:81 4d00; a send x cmsg so:timestamping 00010000; a recv 9 errqueue; a recv 9 errqueue" + stamping("a", txSoft|soft|only) + "; a send x cmsg 1:81 4d000000; a send x cmsg so:timestamping 00000000; a recv 9 errqueue; a recv 9 errqueue"},
		{name: "of many at once", lines: id + "; a send abcdef cmsg udp:segment 0200; a recv 9 errqueue; a recv 9 errqueue; a set udp:cork 1; a send x; a send y; a set udp:cork 0; a recv 9 errqueue; a recv 9 errqueue"},
		{name: "v6", lines: "b = udp6; b bind any6:7000" + stamping("b", rxSoft|soft) + "; a = udp6; a connect lo6:7000" + stamping("a", txSoft|soft|withID|only) + sent + stamping("a", txSoft|soft) + "; a send hello; a recv 14 errqueue; b recv 9; c = udp6; c connect m:7000" + stamping("c", txSoft|soft|withID|only) + "; c send x; c recv 9 errqueue; b recv 9"},
		{name: "of others", lines: "r = raw; r connect lo:0" + stamping("r", txSoft|rxSoft|soft|withID|only) + "; r send hello; r recv 9 errqueue; r recvx 99; p = ping; p bind any:77" + stamping("p", txSoft|rxSoft|soft|withID|only) + "; p sendx 0800000000000001 to lo:0; p recv 9 errqueue; p recv 99; s = raw6" + stamping("s", txSoft|soft|only) + "; s send x to lo6:0; s recv 9 errqueue"},
		{name: "of a stream, received", lines: pair + "; c send x; s recv 9" + stamping("s", rxSoft|soft) + "; c send hello; s recv 2; s recv 2 peek; s recv 9; s set so:timestamp 1; c send abc; s recv 1; s set so:timestampns 1; s recv 9" + stamping("s", 0) + "; c send abc; s set so:timestampns 0; s recv 9; s set so:timestamp 1; c send q; s recv 0; s recv 9; s set tcp:inq 1; c send xy; s recv 1; s recv 1 trunc; c shutdown wr; s recv 1; s stamp"},
		{name: "of a stream, of its listener", lines: "l = tcp; l bind lo:7000; l listen 2; l set so:timestamp 1; c = tcp; c connect lo:7000; c send x; s = accept l; s get so:timestamp; s recv 9; c send y; s recv 9"},
		{name: "of a stream, left", lines: pair + stamping("c", txSoft|soft|withID|only) + "; c send hello; s recv 9; c recv 9 errqueue; c recv 9 errqueue; c send abc; s recv 9; c get so:error; c recv 9; c recv 9 errqueue" + stamping("c", txSoft|soft|only) + "; c send abc; s recv 9; c recv 9 errqueue" + stamping("c", txSoft|soft|withID|only) + "; c send z; s recv 9; c recv 9 errqueue" + stamping("c", sched|acked|txSoft|soft|withID|only|abi.SOF_TIMESTAMPING_OPT_RX_FILTER) + "; c send hello; s recv 9; s send x; c recv 9; c recv 9 errqueue; c recv 9 errqueue; c recv 9 errqueue; c recv 9 errqueue" + stamping("c", 0) + "; c send q; s recv 9; c recv 9 errqueue"},
		{name: "of a stream, values", lines: "a = tcp" + stamping("a", withID) + stamping("a", rxSoft|soft) + stamping("a", txSoft|only) + "; l = tcp; l listen 1" + stamping("l", withID) + stamping("l", txSoft|only|soft)},
		{name: "of a stream, one send", lines: pair + stamping("c", soft|withID|only) + "; c send x cmsg so:timestamping 02000000; s recv 9; c recv 9 errqueue; c send x cmsg so:timestamping 10000000; c send x cmsg so:timestamping 0200; c send x cmsg 1:81 01000000; c send y; s recv 9; c recv 9 errqueue"},
		{name: "of a stream, held back", lines: pair + stamping("c", txSoft|soft|withID|only) + "; c set tcp:cork 1; c send ab; c recv 9 errqueue; c set tcp:cork 0; s recv 9; c recv 9 errqueue; c close; s recv 1"},
		{name: "by a link", lines: "a = udp" + stamping("a", txSoft|soft|withID|only) + "; a send x to net:9; a recv 9 errqueue; a sendn 3000 to net:9; a recv 9 errqueue; a send x to far:9; a recv 9 errqueue; a send x to net:9; a recv 9 errqueue"},
	}
}

var stampsOn sync.Once

// turnStampsOn has the kernel stamp packets from now on: it begins and ends to do so a while
// after the first socket wants it and the last one no longer does. The calling thread's
// network must have a loopback interface.
func (k *kernel) turnStampsOn() {
	stampsOn.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // stays open
		k.must(err, "socket")
		k.must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, rxSoft|soft), "SO_TIMESTAMPING")
		k.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), "bind")
		self, err := unix.Getsockname(fd)
		k.must(err, "getsockname")
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			k.must(unix.Sendto(fd, []byte{1}, 0, self), "sendto")
			control := make([]byte, 200)
			_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 1), control, 0)
			k.must(err, "recvmsg")
			if list, err := abi.ParseCmsgs(control[:n]); err == nil && len(list) > 0 {
				return
			}
			if time.Now().After(end) {
				panic("the kernel does not stamp")
			}
		}
	})
}
