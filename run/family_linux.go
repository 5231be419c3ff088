package run

import (
	"bytes"
	"os"
	"strconv"
)

// descendants returns the processes below root, root excluded.
func descendants(root int) []int {
	below := families()
	var all []int
	for todo := below[root]; len(todo) > 0; todo = todo[1:] {
		all = append(all, todo[0])
		todo = append(todo, below[todo[0]]...)
	}
	return all
}

// families returns the children of all processes.
func families() map[int][]int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	below := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		if parent, ok := parentOf(b); ok {
			below[parent] = append(below[parent], pid)
		}
	}
	return below
}

// children returns the children of a process: those of each of its threads, where the kernel
// lists them (CONFIG_PROC_CHILDREN), else of all processes those whose parent it is.
func children(pid int) (list []int) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, t := range threads {
		b, err := os.ReadFile(dir + t.Name() + "/children")
		if os.IsNotExist(err) {
			if _, gone := os.Stat(dir + t.Name()); gone != nil {
				continue // the thread has ended
			}
			return families()[pid]
		}
		for _, text := range bytes.Fields(b) {
			if n, err := strconv.Atoi(string(text)); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
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
