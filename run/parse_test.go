//go:build linux && (amd64 || arm64)

package run

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

const unixTable = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01  8017 /run/systemd/private
0000000000000000: 00000003 00000000 00000000 0001 03 71234
0000000000000000: 00000002 00000000 00000000 0002 01 99 @abstract name
`

func TestUnixInodes(t *testing.T) {
	set := unixInodes([]byte(unixTable))
	if len(set) != 3 {
		t.Errorf("%v", set)
	}
	for _, ino := range []uint64{8017, 71234, 99} {
		if _, ok := set[ino]; !ok {
			t.Errorf("no %d in %v", ino, set)
		}
	}
}

// TestUnixInodesOfThisProcess looks a socket up in the kernel's own table.
func TestUnixInodesOfThisProcess(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	id, ok := sysInode(fd)
	if !ok {
		t.Fatal("not a socket")
	}
	find := func() bool {
		b, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			t.Fatal(err)
		}
		_, ok := unixInodes(b)[id.ino]
		return ok
	}
	if !find() {
		t.Error("an open socket is not in the table")
	}
	unix.Close(fd)
	if find() {
		t.Error("a closed socket is in the table")
	}
}

// FuzzUnixInodes reads any text as a table. No socket is missing because another one's name, which is anything, is above it.
func FuzzUnixInodes(f *testing.F) {
	f.Add([]byte(unixTable))
	f.Add([]byte("/a path\nwith a line: 00000003 00000000 00000000 0001 03 71234"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := unixInodes(b)
		line := "0000000000000000: 00000002 00000000 00010000 0001 01 4711"
		named := unixInodes([]byte(line + " " + string(b) + "\n" + strings.Replace(line, "4711", "  815", 1) + "\n"))
		for _, ino := range []uint64{4711, 815} {
			if _, ok := named[ino]; !ok {
				t.Errorf("no %d in %v", ino, named)
			}
		}
		if more := unixInodes(append(bytes.Clone(b), "\n"+line...)); len(more) < len(all) || len(more) > len(all)+1 {
			t.Errorf("%v, and with one more %v", all, more)
		}
	})
}

const epollInfo = `pos:	0
flags:	02000002
mnt_id:	15
tfd:        5 events: c0000019 data: 8877665500000005  pos:0 ino:2a sdev:8
tfd:       12 events:       1d data:               7  pos:0 ino:2a sdev:8
tfd:        5 events:        1 data:               1  pos:0 ino:2b sdev:8
`

func TestParseRegistration(t *testing.T) {
	ev, ok := parseRegistration([]byte(epollInfo), 5, 0x2a)
	if !ok || ev.Events != 0xc0000019 || ev.Fd != 5 || uint32(ev.Pad) != 0x88776655 {
		t.Errorf("%+v, %v", ev, ok)
	}
	for _, c := range []struct {
		fd  int
		ino uint64
	}{{5, 0x2c}, {6, 0x2a}, {2, 0x2a}} {
		if ev, ok := parseRegistration([]byte(epollInfo), c.fd, c.ino); ok {
			t.Errorf("%+v: %+v", c, ev)
		}
	}
}

// TestRegistrationOfThisProcess reads what the kernel shows.
func TestRegistrationOfThisProcess(t *testing.T) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	want := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET | unix.EPOLLERR | unix.EPOLLHUP, Fd: -2, Pad: 77}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &want); err != nil {
		t.Fatal(err)
	}
	id, _ := sysInode(fd)
	sets := (&task{tid: os.Getpid()}).registrations(fd, id)
	if len(sets) != 1 || sets[0].epfd != ep || sets[0].ev != want {
		t.Errorf("%+v, want %+v of %d", sets, want, ep)
	}
}

// FuzzParseRegistration reads any text as what the kernel shows of a set, and finds what the kernel writes.
func FuzzParseRegistration(f *testing.F) {
	f.Add([]byte(epollInfo), 5, uint64(0x2a), uint32(0x1d), uint64(0x8877665500000005))
	f.Fuzz(func(t *testing.T, b []byte, fd int, ino uint64, events uint32, data uint64) {
		if ev, ok := parseRegistration(b, fd, ino); !ok && ev != (unix.EpollEvent{}) {
			t.Errorf("%+v", ev)
		}
		fd &= 1<<31 - 1
		// ep_show_fdinfo
		line := fmt.Sprintf("tfd: %8d events: %8x data: %16x  pos:%d ino:%x sdev:%x\n", fd, events, data, 0, ino, 8)
		want := unix.EpollEvent{Events: events, Fd: int32(data), Pad: int32(data >> 32)}
		if ev, ok := parseRegistration([]byte("flags:	02000002\n"+line), fd, ino); !ok || ev != want {
			t.Errorf("%q: %+v, %v", line, ev, ok)
		}
		if _, ok := parseRegistration([]byte(line), fd^1, ino); ok {
			t.Errorf("%q: is taken for another descriptor's", line)
		}
	})
}

// FuzzProc reads any text as the files about a process, whose name the program chooses.
func FuzzProc(f *testing.F) {
	f.Add("a) S 1 (b", 34, uint64(0x200))
	f.Fuzz(func(t *testing.T, name string, parent int, mask uint64) {
		parentOf([]byte(name))
		if p, ok := parentOf(fmt.Appendf(nil, "12 (%s) S %d 12 12", name, parent)); !ok || p != parent {
			t.Errorf("%q: %d, %v, want %d", name, p, ok, parent)
		}
		fieldUint([]byte(name), "SigPnd:", 16)
		name = strings.ReplaceAll(name, "\n", "\\n") // as the kernel has it there
		if v := fieldUint(fmt.Appendf(nil, "Name:\t%s\nSigPnd:\t%016x\n", name, mask), "SigPnd:", 16); v != mask {
			t.Errorf("%q: %#x, want %#x", name, v, mask)
		}
	})
}

func TestStatusFields(t *testing.T) {
	status := []byte("Name:\tx\nTgid:\t77\nSigPnd:\t0000000000000200\nSigBlk:\tfffffffffffffffb\n")
	if v, ok := field(status, "Tgid:"); !ok || v != "77" {
		t.Errorf("%q, %v", v, ok)
	}
	if v := fieldUint(status, "SigPnd:", 16); v != 0x200 {
		t.Errorf("%#x", v)
	}
	if v := fieldUint(status, "SigBlk:", 16); v != 0xfffffffffffffffb {
		t.Errorf("%#x", v)
	}
	if _, ok := field(status, "None:"); ok {
		t.Error("found what is not there")
	}
}

func TestParentOf(t *testing.T) {
	if p, ok := parentOf([]byte("12 (a) b (c)) S 34 12 12")); !ok || p != 34 {
		t.Errorf("%d, %v", p, ok)
	}
	for _, s := range []string{"", "12 (a", "12 (a) S", "12 (a) S x"} {
		if _, ok := parentOf([]byte(s)); ok {
			t.Errorf("%q has a parent", s)
		}
	}
}

func TestSenders(t *testing.T) {
	var q senders
	for i := range 5 {
		q = append(q, sender{at: int64(10 * (i + 1)), flags: i})
	}
	if m, ok := q.take(18, true); !ok || m.flags != 1 || len(q) != 4 {
		t.Errorf("looked at: %v, %v, %d left", m, ok, len(q))
	}
	if m, ok := q.take(18, false); !ok || m.flags != 1 || len(q) != 3 {
		t.Errorf("taken: %v, %v, %d left", m, ok, len(q))
	}
	if m, ok := q.take(45, false); !ok || m.flags != 4 || q != nil {
		t.Errorf("after untrapped reads: %v, %v, %d left", m, ok, len(q))
	}
	if _, ok := q.take(50, false); ok {
		t.Error("a sender of nothing")
	}
}

func TestKernelTime(t *testing.T) {
	b := binary.NativeEndian.AppendUint64(nil, 3)
	b = binary.NativeEndian.AppendUint64(b, 7)
	control := abi.AppendCmsg(nil, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, b)
	if v := kernelTime(control); v != 3e9+7 {
		t.Error(v)
	}
	if v := kernelTime(nil); v != 0 {
		t.Error(v)
	}
}

// TestBindHidden checks that a hidden listener can be reached through its descriptor
// alone, and that a closed one is told from a live one.
func TestBindHidden(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30)) // longer than an address
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	fd, e := sysSocket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if e != 0 {
		t.Fatal(e)
	}
	dir := newHiddenDir()
	path, err := dir.bind(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer sysClose(path)
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if e := sysListen(fd, 1); e != 0 {
		t.Fatal(e)
	}
	c, _ := sysSocket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	defer sysClose(c)
	if e := connectHidden(c, path); e != 0 {
		t.Errorf("connect: %v", e)
	}
	probe, _ := sysSocket(unix.SOCK_DGRAM)
	defer sysClose(probe)
	if e := connectHidden(probe, path); e != unix.EPROTOTYPE {
		t.Errorf("probe of a live listener: %v", e)
	}
	sysClose(fd)
	if e := connectHidden(probe, path); e != unix.ECONNREFUSED {
		t.Errorf("probe of a closed listener: %v", e)
	}
}

// TestSearch looks where a socket is likely to be. The search of all processes leaves this
// one out.
func TestSearch(t *testing.T) {
	fd, e := sysSocket(unix.SOCK_STREAM)
	if e != 0 {
		t.Fatal(e)
	}
	defer sysClose(fd)
	id, _ := statInode(fd)
	links := map[string]inode{id.link(): id}
	if found := search(links, nil); len(found) != 0 {
		t.Errorf("found %v elsewhere", found)
	}
	found := search(links, []int{os.Getpid()})
	dup, ok := found[id]
	if again, _ := statInode(dup); !ok || again != id {
		t.Errorf("found %v", found)
	}
	sysClose(dup)
}
