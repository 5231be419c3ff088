//go:build amd64 || arm64

package run

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// alone reports whether the test has this process for itself. If not, it has it run in one that has
// no goroutine and no thread of another test.
func alone(t *testing.T) bool {
	t.Helper()
	const name = "USOCK_TEST_ALONE"
	if os.Getenv(name) == t.Name() {
		return true
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), name+"="+t.Name())
	switch out, err := c.CombinedOutput(); {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name())):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Errorf("it did not run:\n%s", out)
	}
	return false
}

// TestRegistrarHasATableOfItsOwn begins registrars until some had the first thread of the
// process, whose descriptors must stay what they are: /proc/self shows them. It does so in
// a process of its own, which has as many threads to end.
func TestRegistrarHasATableOfItsOwn(t *testing.T) {
	if !alone(t) {
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
