//go:build amd64 || arm64

package run

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// finder looks for the program's ends of sockets in the descriptors of all
// processes. That takes as long as there are descriptors on the machine, so a
// goroutine of its own does it.
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
	go func() {
		found := search(links)
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

// search duplicates the sockets that have the inodes, whose links in /proc are the
// keys, out of whichever process has them.
func search(links map[string]inode) map[inode]int {
	found := make(map[inode]int, len(links))
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		searchIn(pid, links, found)
		if len(found) == len(links) {
			break
		}
	}
	return found
}

func searchIn(pid int, links map[string]inode, found map[inode]int) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		return
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
		pidfd, e := sysPidfdOpen(pid, 0)
		if e != 0 {
			return
		}
		dup, e := sysGetFD(pidfd, n)
		unix.Close(pidfd)
		if e != 0 {
			continue
		}
		if id, ok := sysInode(dup); ok && id == want {
			found[want] = dup
			continue
		}
		sysClose(dup)
	}
}
