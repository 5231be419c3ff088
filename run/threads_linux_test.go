//go:build amd64 || arm64

package run

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threads returns how many threads this process has.
func threads(t *testing.T) int {
	t.Helper()
	v, ok := statusField(os.Getpid(), "Threads:")
	n, err := strconv.Atoi(v)
	if !ok || err != nil {
		t.Fatalf("Threads: %q", v)
	}
	return n
}

// TestThreadsAreKept runs where no goroutine of another test takes a thread that was kept.
func TestThreadsAreKept(t *testing.T) {
	if !alone(t) {
		return
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 64} {
		runtime.GOMAXPROCS(procs)
		const own = 8
		if err := keepThreads(own); err != nil {
			t.Fatal(err)
		}
		if got := runtime.GOMAXPROCS(0); got != min(procs, maxProcs) {
			t.Errorf("GOMAXPROCS %d, from %d", got, procs)
		}
		before := threads(t)
		// What keepThreads promises: so many that wait in the kernel, and Go code
		// besides, without one thread more. Two of them are the network poller's and
		// the test's own.
		ends := make([]int, 2)
		if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		var in, out sync.WaitGroup
		for range own + spareThreads - 2 {
			in.Add(1)
			out.Add(1)
			go func() {
				defer out.Done()
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				in.Done()
				unix.Read(ends[0], make([]byte, 1))
			}()
		}
		in.Wait()
		for range 100 {
			runtime.GC()
		}
		if n := threads(t); n > before {
			t.Errorf("with %d processors there are %d threads, %d more than were kept", procs, n, n-before)
			pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
		}
		unix.Close(ends[1])
		out.Wait()
		unix.Close(ends[0])
	}
}

func TestRoomForThreads(t *testing.T) {
	begin := time.Now()
	if err := roomFor(40); err != nil {
		t.Fatal(err)
	}
	t.Logf("tried in %v", time.Since(begin))
	if _, err := unix.Wait4(-1, nil, unix.WALL|unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("children are left: %v", err)
	}
}
