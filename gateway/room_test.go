//go:build linux

package gateway

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRoom has a client wait if those before it may take the descriptors that are left, wherever these are.
func TestRoom(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	highest, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 100)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(highest)
	const limit = 200
	if highest >= limit-50 {
		t.Skip("others have left descriptors open")
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
		unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	}()
	want := func(clients int, want syscall.Errno) {
		t.Helper()
		if e := (&room{clients: clients}).forClient(); e != want {
			t.Errorf("with %d clients: %v instead of %v", clients, e, want)
		}
	}
	want(0, 0)
	want(limit/2, 0)
	want(limit-leftOver(limit), unix.EMFILE)
	want(limit, unix.EMFILE)
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		open = append(open, fd)
	}
	want(0, unix.EMFILE)
	for range 20 { // the lowest ones
		unix.Close(open[0])
		open = open[1:]
	}
	want(0, 0)
	want(20, unix.EMFILE)

	r := &room{}
	n := 0
	for r.forClient() == 0 {
		r.clients++
		if n++; n > 20 {
			t.Fatal("there is always room")
		}
	}
}
