//go:build linux && (amd64 || arm64)

package run

import (
	"testing"

	"golang.org/x/sys/unix"

	"usock"
)

// TestLoopEndsBeforeItsRingers rings a loop that has ended, as a close(2) does that lingers: nothing is written to the descriptor,
// which is another's by then.
func TestLoopEndsBeforeItsRingers(t *testing.T) {
	host, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	l, err := newLoop(host, new(Caller), newLogger(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer l.log.close()
	const high = 100 // where nothing else in the test is put
	was := l.wake
	if l.wake, err = unix.FcntlInt(uintptr(was), unix.F_DUPFD_CLOEXEC, high); err != nil {
		t.Fatal(err)
	}
	unix.Close(was)
	number := l.wake
	l.close()
	other, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(other, number, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.Close(other)
	defer unix.Close(number)
	l.do(func() {})
	if n, err := unix.Read(number, make([]byte, 8)); err != unix.EAGAIN {
		t.Errorf("%d bytes were written, %v", n, err)
	}
}
