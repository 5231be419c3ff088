//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCompletion has the shells complete what usock takes, with the scripts that it
// writes for them.
func TestCompletion(t *testing.T) {
	values := "both loopback outside"
	for _, c := range []struct{ shell, debian, script, want string }{
		{"bash", "bash", `# Of the package bash-completion.
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword - 1]}; }
source <(usock completion bash)
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); __start_usock; echo ${COMPREPLY[@]}; }
complete_line usock run --on ""
complete_line usock run --on l
complete_line usock com
complete_line usock run -- tcp-cl`, values + "\nloopback\ncompletion\ntcp-client\n"},
		{"fish", "fish", `usock completion fish >u.fish
fish -c 'source u.fish
complete -C "usock run --on " | sort | string join " "
complete -C "usock run --on l"
complete -C "usock com" | string replace -r "\t.*" ""
complete -C "usock run -- tcp-cl" | string replace -r "\t.*" ""'`, values + "\nloopback\ncompletion\ntcp-client\n"},
		{"zsh", "zsh", `usock completion zsh >u.zsh
zsh -f -c 'autoload -U compinit; compinit -u -d dump; source ./u.zsh; echo ${_comps[usock]}
_describe() { print -r -- ${(P)2} } # of the second argument, an array of that name
words=(usock run --on ""); CURRENT=4; _usock'`, "_usock\n" + values + "\n"},
	} {
		t.Run(c.shell, func(t *testing.T) {
			need(t, c.shell, c.debian)
			needC(t) // for tcp-client
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			cmd, marker := command(t, ctx)
			cmd.Path, cmd.Args = "/bin/bash", []string{"bash", "-c", fmt.Sprintf(prelude, bin) + "set +e\n" + c.script}
			if r := finish(t, ctx, cmd, marker); r.stdout != c.want {
				t.Errorf("%q\nwant %q\nstderr: %s", r.stdout, c.want, r.stderr)
			}
		})
	}
}

// TestTooFewDescriptors starts usock run where it has too few descriptors to begin with.
func TestTooFewDescriptors(t *testing.T) {
	o := under(t, limited(asUser, 20), "echo started")
	want := `^usock: too few descriptors: RLIMIT_NOFILE \(ulimit -n\) is 20, and usock run begins with 32 beside the \d+ that are open; raise it to 256 or more\n$`
	if o.code != 125 || o.stdout != "" || !regexp.MustCompile(want).MatchString(o.stderr) {
		t.Errorf("%v\nwant %s", o, want)
	}
}

// TestNoRoute has a program connect where its machine has no route: without -v, too, the
// first time is told.
func TestNoRoute(t *testing.T) {
	needRoot(t)
	need(t, "ip", "iproute2")
	need(t, "python3", "python3")
	name := fmt.Sprintf("usock-noroute-%d", os.Getpid())
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v\n%s", args, err, out)
		}
	}
	ip("netns add " + name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ip("-n " + name + " link set lo up")
	try := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		c, marker := command(t, ctx, "--", "python3", "-c", `
import errno, socket
def connect(family, type, address, port):
    with socket.socket(family, type) as s:
        print(errno.errorcode[s.connect_ex((address, port))])
for _ in range(2):
    connect(socket.AF_INET6, socket.SOCK_STREAM, '2001:db8::1', 80)
    connect(socket.AF_INET, socket.SOCK_STREAM, '192.0.2.1', 80)
    connect(socket.AF_INET, socket.SOCK_STREAM, '192.0.2.2', 80)`)
		reaches(c)
		c.Args = append([]string{"ip", "netns", "exec", name, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", c.Path}, c.Args[1:]...)
		c.Path, c.SysProcAttr.Credential = lookPath(t, "ip"), nil
		r := finish(t, ctx, c, marker)
		if r.stdout != strings.Repeat("ENETUNREACH\n", 6) || !regexp.MustCompile(want).MatchString(r.stderr) {
			t.Errorf("exit status %d: %q\nstderr: %s\nwant %s", r.code, r.stdout, r.stderr, want)
		}
	}
	try(`^usock: python3 \(\d+\): no route to 192\.0\.2\.1: this machine has no IPv4 route to other networks, so the run has none \(ip route shows the machine's\)\n$`)
	ip("-n " + name + " link add away type veth peer other")
	ip("-n " + name + " address add 10.99.99.1/24 dev away")
	ip("-n " + name + " link set away up")
	ip("-n " + name + " link set other up")
	try(`^usock: this machine has no route to 192\.0\.2\.1, to which a program connects \(ip route get 192\.0\.2\.1 shows it\)\n$`)
}

// Test32Bit runs a program that makes a call of the 32-bit interface.
func Test32Bit(t *testing.T) {
	needC(t)
	if _, err := os.Stat(filepath.Join(bin, "thirtytwo")); err != nil {
		t.Skip("this processor has no such interface")
	}
	native := natively(t, asUser, "thirtytwo")
	if native.stdout != "made\n" {
		t.Skipf("the kernel has no 32-bit interface here: %v", native)
	}
	w := asUser
	o := under(t, w, "thirtytwo; thirtytwo")
	want := `^usock: thirtytwo \(\d+\): this is a 32-bit program, for which usock has no Internet sockets: its calls give ENOSYS; run its 64-bit build\n$`
	if o.stdout != "ENOSYS\nENOSYS\n" || !regexp.MustCompile(want).MatchString(complaints(o.stderr)) {
		t.Errorf("%v\nwant %s", o, want)
	}
}
