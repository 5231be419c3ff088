package oracle

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

var (
	replayFrom = flag.String("replay", "", "play the sequences of this `file` of -record again and compare")
	plainCalls = flag.Bool("plain", false, "replay with send(2) and recv(2) on streams")
	foundTo    = flag.String("found", "", "write the differences of -replay to this `file`")
)

// shifted is the kernel, with the ports that scripts name moved, so that a sequence
// does not meet what one before it has left: connections in TIME-WAIT, sockets whose
// end the supervisor has not noticed yet.
type shifted struct {
	*kernel
	by    uint16
	plain bool // send(2) and recv(2) on streams, which no filter traps, where they do
}

// The ports that scripts name, and how far they can be moved below those that the
// system chooses.
const (
	firstPort  = 7000
	scriptPort = 16
	maxShifts  = (32768 - firstPort) / scriptPort
)

func movePort(sa []byte, from, by uint16) []byte {
	if len(sa) < 4 {
		return sa
	}
	if f := binary.NativeEndian.Uint16(sa); f != abi.AF_INET && f != abi.AF_INET6 && f != abi.AF_UNSPEC {
		return sa
	}
	if p := binary.BigEndian.Uint16(sa[2:]); p >= from && p < from+scriptPort {
		sa = append([]byte(nil), sa...)
		binary.BigEndian.PutUint16(sa[2:], p+by)
	}
	return sa
}

func (k *shifted) there(sa []byte) []byte { return movePort(sa, firstPort, k.by) }
func (k *shifted) back(sa []byte) []byte  { return movePort(sa, firstPort+k.by, -k.by) }

func (k *shifted) bind(s int, sa []byte) error    { return k.kernel.bind(s, k.there(sa)) }
func (k *shifted) connect(s int, sa []byte) error { return k.kernel.connect(s, k.there(sa)) }
func (k *shifted) finish(s int, sa []byte) error  { return k.kernel.finish(s, k.there(sa)) }

func (k *shifted) accept(s int) (int, []byte, error) {
	n, sa, err := k.kernel.accept(s)
	return n, k.back(sa), err
}

func (k *shifted) name(s int) ([]byte, error) {
	sa, err := k.kernel.name(s)
	return k.back(sa), err
}

func (k *shifted) peer(s int) ([]byte, error) {
	sa, err := k.kernel.peer(s)
	return k.back(sa), err
}

func (k *shifted) send(s int, m message) (int, error) {
	if k.plain && len(m.name)+len(m.control) == 0 && m.flags&^plainSend == 0 && k.stream(s) {
		n, _, e := unix.Syscall6(unix.SYS_SENDTO, uintptr(s), uintptr(first(m.data)), uintptr(len(m.data)), uintptr(m.flags|unix.MSG_NOSIGNAL), 0, 0)
		if e != 0 {
			return 0, e
		}
		return int(n), nil
	}
	m.name = k.there(m.name)
	return k.kernel.send(s, m)
}

// Flags of the calls that the kernel carries out.
const (
	plainSend = abi.MSG_DONTROUTE | abi.MSG_DONTWAIT | abi.MSG_EOR | abi.MSG_CONFIRM | abi.MSG_MORE
	plainRecv = abi.MSG_PEEK | abi.MSG_DONTWAIT | abi.MSG_WAITALL
)

func (k *shifted) stream(s int) bool {
	v, err := unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && v == unix.SOCK_STREAM
}

func (k *shifted) recv(s, size, room, flags int) (message, int, error) {
	if k.plain && flags&^plainRecv == 0 && k.stream(s) {
		b := make([]byte, size+1)
		n, _, e := unix.Syscall6(unix.SYS_RECVFROM, uintptr(s), uintptr(first(b)), uintptr(size), uintptr(flags), 0, 0)
		if e != 0 {
			return message{}, 0, e
		}
		return message{data: b[:n]}, int(n), nil
	}
	m, n, err := k.kernel.recv(s, size, room, flags)
	m.name = k.back(m.name)
	list, e := abi.ParseCmsgs(m.control)
	if e != nil {
		return m, n, err
	}
	var control []byte
	for _, c := range list {
		if c.Level == abi.SOL_IP && c.Type == abi.IP_RECVORIGDSTADDR || c.Level == abi.SOL_IPV6 && c.Type == abi.IPV6_RECVORIGDSTADDR {
			c.Data = k.back(c.Data)
		}
		control = abi.AppendCmsg(control, c.Level, c.Type, c.Data)
	}
	m.control = control
	return m, n, err
}

// fixedPorts reports whether a sequence names ports in bytes, where they cannot be
// moved.
func fixedPorts(r *recording) bool {
	for _, st := range r.Steps {
		if strings.Contains(st.Line, "sendx") || strings.Contains(st.Line, "raw") || strings.Contains(st.Line, "local_port_range") {
			return true
		}
	}
	return false
}

// replay plays a recorded sequence and returns the differences, in which usock is
// what was found. Where the library differs from the kernel, usock run may, too.
func replay(t *testing.T, r *recording, by uint16) (out []difference) {
	k := &shifted{&kernel{t: t, open: make(map[int]bool), tun: -1}, by, *plainCalls}
	defer k.end()
	line := ""
	defer func() {
		if x := recover(); x != nil {
			out = append(out, difference{r.Name, line, "panic", fmt.Sprintf("%v\n%s", x, debug.Stack()), ""})
		}
	}()
	s := newScript(k)
	var lines []string
	for _, st := range r.Steps {
		lines = append(lines, st.Line)
	}
	s.ports.asks(lines)
	want := make(map[string][3]string)
	last := make(map[string]string)
	for i := range r.Steps {
		st := &r.Steps[i]
		line = st.Line
		if f := strings.Fields(line); len(f) == 2 && f[1] == "close" {
			delete(want, f[0])
		}
		if got := s.run(line); got != st.Result && (got != st.Library || got == "") {
			out = append(out, difference{r.Name, line, "result", got, st.Result})
		}
		for name, l := range st.Looks {
			want[name] = l
		}
		out = append(out, s.compareLooks(r.Name, line, want, st.LibraryLooks, last)...)
	}
	return out
}

// compareLooks compares all sockets with what was recorded, and gives them time to
// settle.
func (s *script) compareLooks(name, line string, want, library map[string][3]string, last map[string]string) (out []difference) {
	for _, x := range slices.Sorted(maps.Keys(want)) { // who is looked at first has the first name for a port
		w := want[x]
		lib, ok := library[x]
		if !ok {
			lib = w
		}
		if _, ok := s.fds[x]; !ok {
			s.fds[x] = -1
		}
		var got [3]string
		for end := time.Now().Add(*settle); ; time.Sleep(time.Millisecond) {
			got = s.look(x)
			same := true
			for i := range got {
				same = same && (got[i] == w[i] || got[i] == lib[i] || last[x+" "+looks[i]] == got[i]+" / "+w[i])
			}
			if same || time.Now().After(end) {
				break
			}
		}
		for i := range got {
			key, now := x+" "+looks[i], got[i]+" / "+w[i]
			if got[i] == w[i] || got[i] == lib[i] {
				delete(last, key)
			} else if last[key] != now {
				last[key] = now
				out = append(out, difference{name, line, key, got[i], w[i]})
			}
		}
	}
	return out
}

// settleAll has the supervisor look for sockets that are closed: it does so where a
// port is wanted that one of them may hold.
func settleAll(t *testing.T) {
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(a)
	b, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(b)
	if err := unix.Bind(a, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(b, sa); err != unix.EADDRINUSE {
		t.Fatalf("bind to a used port: %v", err)
	}
}

func readRecordings(t *testing.T, path string) (out []recording) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r recording
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
}

// TestReplay is what usock run runs.
func TestReplay(t *testing.T) {
	if *replayFrom == "" {
		t.Skip("no -replay")
	}
	var found []difference
	for i, r := range readRecordings(t, *replayFrom) {
		by := uint16(0)
		if !fixedPorts(&r) {
			by = uint16(1+i%(maxShifts-1)) * scriptPort
		}
		found = append(found, replay(t, &r, by)...)
		settleAll(t)
	}
	if *foundTo == "" {
		for _, d := range found {
			t.Errorf("%s: %v", d.name, d)
		}
		return
	}
	f, err := os.Create(*foundTo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := json.NewEncoder(f)
	for _, d := range found {
		if err := e.Encode([5]string{d.name, d.line, d.what, d.usock, d.kernel}); err != nil {
			t.Fatal(err)
		}
	}
}
