//go:build amd64 || arm64

package run

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// logger tells the user what programs asked for in vain, each thing once.
type logger struct {
	w    io.Writer // nil: nobody wants to know
	told map[string]bool
}

func newLogger(w io.Writer) *logger { return &logger{w, make(map[string]bool)} }

func (g *logger) printf(t *task, format string, args ...any) {
	if g.w == nil {
		return
	}
	line := fmt.Sprintf(format, args...)
	name := command(t.tid)
	if g.told[name+line] {
		return
	}
	g.told[name+line] = true
	fmt.Fprintf(g.w, "usock: %s (%d): %s\n", name, t.process(), line)
}

// command returns the name of the thread's program.
func command(tid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/comm")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}

// refused reports a call that asked for something that usock does not have.
func (g *logger) refused(c *call, e syscall.Errno) {
	if g.w == nil {
		return
	}
	a := &c.n.data.args
	what := ""
	switch c.n.data.nr {
	case unix.SYS_SOCKET:
		what = fmt.Sprintf("socket(%d, %d, %d)", int32(a[0]), int32(a[1])&0xf, int32(a[2]))
	case unix.SYS_SETSOCKOPT:
		what = fmt.Sprintf("setsockopt(level %d, option %d)", int32(a[1]), int32(a[2]))
	case unix.SYS_GETSOCKOPT:
		what = fmt.Sprintf("getsockopt(level %d, option %d)", int32(a[1]), int32(a[2]))
	default:
		what = callNames[c.n.data.nr]
	}
	g.printf(c.t, "%s: %s", what, unix.ErrnoName(e))
}

var callNames = map[int32]string{
	unix.SYS_CONNECT: "connect", unix.SYS_ACCEPT: "accept", unix.SYS_ACCEPT4: "accept4",
	unix.SYS_BIND: "bind", unix.SYS_LISTEN: "listen", unix.SYS_SHUTDOWN: "shutdown",
	unix.SYS_GETSOCKNAME: "getsockname", unix.SYS_GETPEERNAME: "getpeername",
	unix.SYS_SENDTO: "sendto", unix.SYS_RECVFROM: "recvfrom",
	unix.SYS_SENDMSG: "sendmsg", unix.SYS_RECVMSG: "recvmsg",
	unix.SYS_SENDMMSG: "sendmmsg", unix.SYS_RECVMMSG: "recvmmsg", unix.SYS_IOCTL: "ioctl",
}
