package ss

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a process's descriptor of a socket.
type Holder struct {
	PID  int
	Name string // comm in proc(5)
	FD   int    // -1: not known
}

// Users is what ss prints of those who hold a socket.
func Users(list []Holder) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("users:(")
	for i, h := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%q,pid=%d", h.Name, h.PID)
		if h.FD >= 0 {
			fmt.Fprintf(&b, ",fd=%d", h.FD)
		}
		b.WriteByte(')')
	}
	b.WriteByte(')')
	return b.String()
}

// Holders looks through the descriptors of all processes for sockets with these inodes. It
// sees those that this user may look at.
func Holders(wanted map[uint32]bool) map[uint32][]Holder {
	found := make(map[uint32][]Holder)
	if len(wanted) == 0 {
		return found
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		fds, _ := os.ReadDir(dir + "/fd")
		name := ""
		for _, f := range fds {
			to, err := os.Readlink(dir + "/fd/" + f.Name())
			inode, ok := socketInode(to)
			if err != nil || !ok || !wanted[inode] {
				continue
			}
			if name == "" {
				b, _ := os.ReadFile(dir + "/comm")
				name = strings.TrimSpace(string(b))
			}
			fd, _ := strconv.Atoi(f.Name())
			found[inode] = append(found[inode], Holder{pid, name, fd})
		}
	}
	return found
}

// socketInode reads where a descriptor of a socket leads.
func socketInode(to string) (uint32, bool) {
	text, ok := strings.CutPrefix(to, "socket:[")
	if text, ok2 := strings.CutSuffix(text, "]"); ok && ok2 {
		n, err := strconv.ParseUint(text, 10, 32)
		return uint32(n), err == nil
	}
	return 0, false
}
