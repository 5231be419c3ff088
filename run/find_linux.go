//go:build amd64 || arm64

package run

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// finder looks for the program's ends of sockets in the descriptors of all
// processes: first of those that have made calls, which are the likely ones, and few. That
// takes as long as there are descriptors on the machine, so a goroutine of its own does it.
type finder struct {
	l    *loop
	want map[*sock][]func(dup int)
	busy bool
}

// reach calls f with a duplicate of the program's end of s, wherever it is held, or -1
// if it is nowhere: at once where it was seen last, or from the loop later. The
// duplicate is closed after f.
func (s *sock) reach(f func(dup int)) {
	if t := s.l.tasks[s.tid]; t != nil {
		if dup := s.heldBy(t, s.fd); dup >= 0 {
			f(dup)
			sysClose(dup)
			return
		}
	}
	d := &s.l.finder
	if d.want == nil {
		d.want = make(map[*sock][]func(int))
	}
	d.want[s] = append(d.want[s], f)
	d.start()
}

func (d *finder) start() {
	if d.busy || len(d.want) == 0 {
		return
	}
	d.busy = true
	want := d.want
	d.want = nil
	links := make(map[string]inode, len(want))
	for s := range want {
		links[s.id.link()] = s.id
	}
	likely := d.l.processes()
	go func() {
		found := search(links, likely)
		d.l.do(func() {
			d.busy = false
			for s, fns := range want {
				dup, ok := found[s.id]
				if !ok {
					dup = -1
				}
				for _, f := range fns {
					f(dup)
				}
			}
			for _, dup := range found {
				sysClose(dup)
			}
			d.start()
		})
	}()
}

// processes returns the processes that have made trapped calls.
func (l *loop) processes() []int {
	set := make(map[int]struct{})
	for _, t := range l.tasks {
		if t.owner != 0 {
			set[int(t.owner)] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(set))
}

// search duplicates the sockets that have the inodes, whose links in /proc are the
// keys, out of whichever process has them: one of the likely ones, or any.
func search(links map[string]inode, likely []int) map[inode]int {
	found := make(map[inode]int, len(links))
	for _, pid := range likely {
		searchProcess(pid, links, found)
		if len(found) == len(links) {
			return found
		}
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		searchProcess(pid, links, found)
		if len(found) == len(links) {
			break
		}
	}
	return found
}

// searchProcess searches in a process. One whose first thread has ended has its
// descriptors with another.
func searchProcess(pid int, links map[string]inode, found map[inode]int) {
	if searchThread(pid, links, found) {
		return
	}
	threads, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil && tid != pid && searchThread(tid, links, found) {
			return
		}
	}
}

// searchThread searches in a thread, and reports whether it has descriptors.
func searchThread(tid int, links map[string]inode, found map[inode]int) bool {
	dir := "/proc/" + strconv.Itoa(tid) + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil || len(fds) == 0 {
		return false
	}
	for _, f := range fds {
		to, err := os.Readlink(dir + "/" + f.Name())
		if err != nil {
			continue
		}
		want, ok := links[to]
		if _, had := found[want]; !ok || had {
			continue
		}
		n, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		dup, e := getFD(tid, n)
		if e != 0 {
			continue
		}
		if id, ok := sysInode(dup); ok && id == want {
			found[want] = dup
			continue
		}
		sysClose(dup)
	}
	return true
}

// getFD duplicates a thread's descriptor.
func getFD(tid, fd int) (int, syscall.Errno) {
	pidfd, e := sysPidfdOpen(tid, pidfdThread)
	if e == unix.EINVAL {
		pidfd, e = sysPidfdOpen(tid, 0)
	}
	if e != 0 {
		return -1, e
	}
	defer sysClose(pidfd)
	return sysGetFD(pidfd, fd)
}
