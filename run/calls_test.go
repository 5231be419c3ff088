//go:build linux && (amd64 || arm64)

package run

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// machines are both that a row has a number for, whichever this one is.
var machines = map[string]*machine{
	"amd64": {arch: unix.AUDIT_ARCH_X86_64},
	"arm64": {arm: true, arch: unix.AUDIT_ARCH_AARCH64},
}

// callNumbers reads the numbers of an architecture's system calls out of the module
// golang.org/x/sys, which has them from the kernel's headers.
func callNumbers(t *testing.T, goarch string) map[string]int32 {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skip("go list does not tell where golang.org/x/sys is: ", err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+goarch+".go"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	numbers := make(map[string]int32)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if len(w) != 3 || !strings.HasPrefix(w[0], "SYS_") || w[1] != "=" {
			continue
		}
		n, err := strconv.ParseInt(w[2], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		numbers[strings.ToLower(strings.TrimPrefix(w[0], "SYS_"))] = int32(n)
	}
	if len(numbers) < 300 {
		t.Fatalf("%s has %d calls", f.Name(), len(numbers))
	}
	return numbers
}

// TestRowNumbers holds the rows against the numbers of both architectures.
func TestRowNumbers(t *testing.T) {
	for goarch, m := range machines {
		numbers := callNumbers(t, goarch)
		seen := make(map[int32]string)
		for _, r := range rows() {
			got := r.number(m)
			if _, ok := numbers[r.name]; got == none && !ok {
				continue
			}
			if want, ok := numbers[r.name]; !ok || got != want {
				t.Errorf("%s: %s is %d, want %d", goarch, r.name, got, want)
			}
			if seen[got] != "" {
				t.Errorf("%s: %d is %s and %s", goarch, got, seen[got], r.name)
			}
			seen[got] = r.name
		}
	}
}

// TestForeignNumbers holds the calls of the 32-bit architectures against their tables.
func TestForeignNumbers(t *testing.T) {
	of32 := "386"
	if native.arm {
		of32 = "arm"
	}
	numbers := callNumbers(t, of32)
	delete(numbers, "ioctl")                   // moves no data
	delete(numbers, "landlock_create_ruleset") // judges itself what it knows
	delete(numbers, "unshare")                 // wherever the thread is, its sockets are refused
	delete(numbers, "setns")
	for _, name := range []string{"read", "write", "readv", "writev", "fcntl", "dup", "dup2", "dup3", "close", "preadv2", "pwritev2", "sendfile", "splice"} {
		delete(numbers, name) // of what has a marked number, as a 32-bit program's sockets never have
	}
	names := []string{"socketcall", "recvmmsg_time64"}
	for _, r := range rows() {
		names = append(names, r.name)
	}
	want := make(map[uint32]bool)
	for _, name := range names {
		if n, ok := numbers[name]; ok {
			want[uint32(n)] = true
		}
	}
	for _, name := range names {
		if name == "socketpair" {
			continue // a pair of AF_UNIX has nothing to do with the host
		}
		if n, ok := numbers[name]; ok && !slices.Contains(native.foreign, uint32(n)) {
			t.Errorf("%s: %s (%d) is not trapped", of32, name, n)
		}
	}
	for _, n := range native.foreign {
		if !want[n] && int32(n) != numbers["socketpair"] {
			t.Errorf("%s: %d is no socket call", of32, n)
		}
	}
}

func TestRowsAreWhole(t *testing.T) {
	for _, r := range rows() {
		if r.name == "" || r.when == nil {
			t.Errorf("%+v", r)
		}
		// What the filter answers itself has none.
		if none := r.name == "io_uring_setup"; (r.handle == nil) != none {
			t.Errorf("%s: has a handler: %v", r.name, r.handle != nil)
		}
	}
	if len(callTable()) != len(rows()) {
		t.Error("a number stands twice")
	}
}

// TestFilterTrapsTheRows runs the filter of each machine on every call that its
// architecture has: the rows' alone are not simply allowed, whatever their arguments.
func TestFilterTrapsTheRows(t *testing.T) {
	// Somewhere in these each row decides for a trap or an error.
	args := [][]uint64{{}, {unix.AF_INET, 0, 0, unix.MSG_OOB}, {3, unix.SIOCOUTQ, 0, unix.MSG_OOB}, {unix.CLONE_NEWNET}, {firstMarked}}
	for goarch, m := range machines {
		var want, got []string
		for _, r := range rows() {
			if r.number(m) != none {
				want = append(want, r.name)
			}
		}
		for name, nr := range callNumbers(t, goarch) {
			for _, a := range args {
				if decideFor(t, m, filterFor{}, m.arch, int(nr), a...) != retAllow {
					got = append(got, name)
					break
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: trapped\n%q\nwant\n%q", goarch, got, want)
		}
	}
}
