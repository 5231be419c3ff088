//go:build linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The outside suites take minutes and the sources of their projects:
//
//	go test ./e2e -run Suite -suites -v
var suites = flag.Bool("suites", false, "run Go's and CPython's own tests under usock run")

// declared are the outside tests that fail under usock run, with the reason.
// docs/CONFORMANCE.md lists them.
var declared = map[string]string{
	"net TestWriteToUDP": "a UDP socket without peer takes write(2) without an address: its descriptor is a connected pair",
	"test_epoll test_control_and_wait": "expects bytes sent by write(2) at both ends at once; the supervisor passes them on " +
		"one after the other",
	"test_asyncio.test_sendfile test_sendfile_close_peer_in_the_middle_of_receiving": "the supervisor's buffers take the " +
		"whole file before the peer closes",
	"test_socket testSourceAddress": "closes the client's socket when the server is done, while the client asks for its name: " +
		"a race of the test's own, lost where getsockname takes longer",
}

const suiteLimit = 8 * time.Minute

// suite runs a command under usock run and returns its output.
func suite(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), suiteLimit)
	defer cancel()
	c, marker := command(t, ctx, append([]string{"--"}, args...)...)
	tmp := c.Dir
	if dir != "" {
		c.Dir = dir
	}
	out, _ := c.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v: not done after %v\n%s", args, suiteLimit, tail(out))
	}
	leavesNothing(t, marker, tmp)
	return string(out)
}

func tail(b []byte) []byte { return b[max(0, len(b)-4000):] }

// judge fails the test for failures that are not declared, and for declared ones
// that have come to pass.
func judge(t *testing.T, name string, failed []string, out string) {
	t.Helper()
	slices.Sort(failed)
	for _, f := range slices.Compact(failed) {
		if why := declared[name+" "+f]; why != "" {
			t.Logf("%s: declared: %s", f, why)
		} else {
			t.Errorf("%s %s fails\n%s", name, f, tail([]byte(out)))
		}
	}
	for d := range declared {
		if n, f, _ := strings.Cut(d, " "); n == name && !slices.Contains(failed, f) {
			t.Logf("%s passes, though it is declared to fail", d)
		}
	}
}

var goFailure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// TestSuiteGo runs the tests of Go's own packages.
func TestSuiteGo(t *testing.T) {
	if !*suites {
		t.Skip("takes minutes: asked for with -suites")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"net", "net/http", "net/http/httputil", "net/rpc", "net/smtp", "net/http/fcgi", "crypto/tls", "log/syslog"} {
		t.Run(pkg, func(t *testing.T) {
			test := filepath.Join(bin, strings.ReplaceAll(pkg, "/", "_")+".test")
			c := exec.Command("go", "test", "-c", "-o", test, pkg)
			c.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out := suite(t, filepath.Join(strings.TrimSpace(string(root)), "src", pkg), test, "-test.short", "-test.v")
			var failed []string
			for _, m := range goFailure.FindAllStringSubmatch(out, -1) {
				failed = append(failed, m[1])
			}
			passed := strings.Count("\n"+out, "\n--- PASS")
			if passed == 0 {
				t.Fatalf("nothing passed\n%s", tail([]byte(out)))
			}
			t.Logf("%d pass, %d fail, %d skip", passed, len(failed), strings.Count("\n"+out, "\n--- SKIP"))
			judge(t, pkg, failed, out)
		})
	}
}

var (
	pyFailure = regexp.MustCompile(`(?m)^(?:FAIL|ERROR): (\w+) \((\S+)\)`)
	pyRan     = regexp.MustCompile(`Ran \d+ tests? in .*\n\n.*`)
)

// TestSuitePython runs CPython's own tests (Debian: libpython3.11-testsuite). Those
// of UDP-Lite and of AF_VSOCK are left out: usock does not have the first, and the
// second is the kernel's.
func TestSuitePython(t *testing.T) {
	if !*suites {
		t.Skip("takes minutes: asked for with -suites")
	}
	if out, err := exec.Command("python3", "-c", "import test.test_socket").CombinedOutput(); err != nil {
		t.Skipf("python3 has no test package (Debian: apt-get install libpython3.11-testsuite): %s", out)
	}
	for _, m := range []string{
		"test_socket", "test_select", "test_poll", "test_epoll", "test_selectors", "test_socketserver", "test_asyncore",
		"test_httplib", "test_httpservers", "test_ftplib", "test_imaplib", "test_poplib", "test_smtplib", "test_smtpd",
		"test_xmlrpc", "test_logging", "test_ssl", "test_asyncio.test_events", "test_asyncio.test_unix_events",
		"test_asyncio.test_selector_events", "test_asyncio.test_base_events", "test_asyncio.test_streams",
		"test_asyncio.test_sendfile", "test_asyncio.test_sock_lowlevel", "test_asyncio.test_sslproto", "test_asyncio.test_ssl",
	} {
		t.Run(m, func(t *testing.T) {
			out := suite(t, "", "python3", "-c", fmt.Sprintf(pyRunner, m))
			ran := pyRan.FindString(out)
			if ran == "" {
				t.Fatalf("no summary\n%s", tail([]byte(out)))
			}
			t.Log(strings.ReplaceAll(ran, "\n\n", ": "))
			var failed []string
			for _, f := range pyFailure.FindAllStringSubmatch(out, -1) {
				failed = append(failed, f[1])
			}
			judge(t, m, failed, out)
		})
	}
}

const pyRunner = `
import importlib, unittest
m = importlib.import_module("test.%s")
skip = ("UDPLITE", "VSOCK")
suite = unittest.TestSuite()
for n in dir(m):
    c = getattr(m, n)
    if isinstance(c, type) and issubclass(c, unittest.TestCase) and not any(s in n.upper() for s in skip):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(c))
if hasattr(m, "setUpModule"):
    m.setUpModule()
unittest.TextTestRunner(verbosity=0).run(suite)
`
