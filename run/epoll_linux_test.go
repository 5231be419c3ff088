//go:build amd64 || arm64

package run

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRegistrarHasATableOfItsOwn begins it on the first thread of the process, whose
// descriptors must stay what they are: /proc/self shows them.
func TestRegistrarHasATableOfItsOwn(t *testing.T) {
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	closed := make(chan struct{})
	t.Cleanup(func() {
		close(closed) // each ends with its thread
		threadsEnd(t)
	})
	for range 200 {
		var r registrar
		r.start(closed)
		if r.work == nil {
			t.Skip("the kernel lets no thread have a table of its own")
		}
		runtime.Gosched()
	}
	var here, there unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &here); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), &there); err != nil || here.Rdev != there.Rdev {
		t.Errorf("/proc/self shows another table: %v", err)
	}
}
