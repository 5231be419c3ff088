//go:build amd64 || arm64

package run

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRegistrarHasATableOfItsOwn begins registrars until some had the first thread of the
// process, whose descriptors must stay what they are: /proc/self shows them. It does so in
// a process of its own, which has as many threads to end.
func TestRegistrarHasATableOfItsOwn(t *testing.T) {
	const name = "USOCK_TEST_REGISTRAR"
	if os.Getenv(name) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestRegistrarHasATableOfItsOwn$")
		c.Env = append(os.Environ(), name+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	closed := make(chan struct{})
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
