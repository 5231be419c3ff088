package run

import (
	"bytes"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// descendants returns the processes below roots, which are excluded unless they are below
// others of them.
func descendants(roots ...int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := make(map[int][]int)
	stat := make([]byte, 4096)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := readProc("/proc/"+e.Name()+"/stat", stat)
		if err != nil {
			continue
		}
		if parent, ok := parentOf(b); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	todo := slices.Clone(roots)
	for ; len(todo) > 0; todo = todo[1:] {
		below := children[todo[0]]
		delete(children, todo[0])
		all = append(all, below...)
		todo = append(todo, below...)
	}
	return all
}

// readProc reads a small file of /proc into b. It makes three calls for it: os.ReadFile would
// make eleven, for each process of the machine.
func readProc(path string, b []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, b)
	return b[:max(n, 0)], err
}

// parentOf reads the parent out of /proc/PID/stat: the second field after the name,
// which is in parentheses and may hold any character.
func parentOf(stat []byte) (int, bool) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, false
	}
	f := bytes.Fields(stat[i+1:])
	if len(f) < 2 {
		return 0, false
	}
	n, err := strconv.Atoi(string(f[1]))
	return n, err == nil
}
