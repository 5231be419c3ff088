//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	machine "usock/internal/uml"
)

// TestUserModeLinux runs usock on another kernel, User-mode Linux: an ordinary program
// with this machine's files as its root, by way of a file system (hostfs) on which a
// socket's path does not lead to the socket. It has Yama, too.
func TestUserModeLinux(t *testing.T) {
	t.Parallel()
	need(t, machine.Kernel, "user-mode-linux")
	need(t, "python3", "python3")
	need(t, "setpriv", "util-linux")
	exchange := "usock run -- python3 " + script(t, "exchange.py")
	out := uml(t, `
echo hostfs
usock run -- true || echo status $?
mkdir -p /dev/shm # on a devtmpfs
mount -t tmpfs none /dev/shm && chmod 1777 /dev/shm
echo tmpfs
`+exchange+`
export TMPDIR=/dev/shm # another user cannot remove its directories on hostfs
for scope in 1 2 3; do
	echo Yama $scope
	echo $scope >/proc/sys/kernel/yama/ptrace_scope
	usock run -- echo root started
	setpriv --reuid 1000 --regid 1000 --clear-groups usock run -- echo started || echo status $?
done
`)
	hostfs, rest, _ := strings.Cut(out, "tmpfs\n")
	if !strings.HasPrefix(hostfs, "hostfs\nusock: no directory can have usock's sockets; set TMPDIR to one on a local file system, such as a tmpfs (") ||
		!strings.HasSuffix(hostfs, ")\nstatus 125\n") {
		t.Errorf("on hostfs: %s", hostfs)
	}
	const forbidden = "usock: kernel.yama.ptrace_scope is 3: nobody may look into other processes, until the machine is started anew; " +
		"set it to 1 in /etc/sysctl.d\n"
	want := strings.Repeat("exchanged\ninterrupted\n", 2) +
		"Yama 1\nroot started\nstarted\n" +
		"Yama 2\nroot started\nusock: kernel.yama.ptrace_scope is 2: only administrators may look into other processes; " +
		"set it to 1 (sysctl kernel.yama.ptrace_scope=1), or run usock as root\nstatus 125\n" +
		"Yama 3\n" + forbidden + forbidden + "status 125\n"
	if rest != want {
		t.Errorf("got\n%s\nwant\n%s", rest, want)
	}
}

// uml runs a script as root in User-mode Linux, and returns what it says.
func uml(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	defer cancel()
	dir, err := machine.Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	said := filepath.Join(dir, "said")
	init := fmt.Sprintf(`#!/bin/sh
PATH=%s:/usr/bin:/bin:/usr/sbin:/sbin
export PATH
unset TMPDIR XDG_RUNTIME_DIR HOME
mount -t proc proc /proc
exec >%s 2>&1
%s
sync
# reboot(2) with LINUX_REBOOT_CMD_POWER_OFF
exec python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
`, bin, said, script)
	if err := os.WriteFile(filepath.Join(dir, "init"), []byte(init), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := machine.Command(ctx, dir, filepath.Join(dir, "init"))
	if err != nil {
		t.Fatal(err)
	}
	var console bytes.Buffer
	c.Stdout, c.Stderr = &console, &console
	err = c.Run()
	out, _ := os.ReadFile(said)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, console.Bytes(), out)
	}
	return string(out)
}
