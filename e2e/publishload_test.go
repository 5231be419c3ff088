//go:build linux

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"usock/internal/freeport"
)

// TestPublishBulk carries many bytes each way through a published port at one time, with
// digests.
func TestPublishBulk(t *testing.T) {
	need(t, "python3", "python3")
	size := int64(count(64, 1024)) << 20
	port := freeport.Get(t)
	r := publish(t, []string{fmt.Sprintf("%d:7000", port)}, fmt.Sprintf("exec python3 %s serve 7000 %d", script(t, "outclient.py"), size))
	var c net.Conn
	eventually(t, "the server listens", func() (ok bool) {
		var err error
		c, err = net.Dial("tcp", at("127.0.0.1", port))
		return err == nil
	})
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * limit))
	sent := make(chan string, 1)
	go func() {
		h := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(c, h), rand.Reader, size); err != nil {
			t.Error(err)
		}
		c.(*net.TCPConn).CloseWrite()
		sent <- fmt.Sprintf("received %x\n", h.Sum(nil))
	}()
	h := sha256.New()
	if n, err := io.Copy(h, c); n != size || err != nil {
		t.Errorf("%d bytes of %d came: %v", n, size, err)
	}
	for _, line := range []string{fmt.Sprintf("sent %x\n", h.Sum(nil)), <-sent} {
		r.says(t, strings.TrimSuffix(line, "\n"))
		if !strings.Contains(r.output(), line) {
			t.Errorf("no %q in %q, %s", line, r.output(), r.errors())
		}
	}
}

// TestPublishDNS asks a name server inside, by UDP and TCP, for answers of all sizes.
func TestPublishDNS(t *testing.T) {
	need(t, "dnsmasq", "dnsmasq-base")
	need(t, "dig", "bind9-dnsutils")
	// Without processes of its own for TCP (-d): their ends, signals without SA_RESTART, can keep it
	// from serving others (docs/CONFORMANCE.md).
	const dnsmasq = `text=$(printf 'x%%.0s' $(seq 200))
exec dnsmasq -d -C /dev/null -p %d -a 127.0.0.1 -a ::1 -h -R --user="$(id -un)" --pid-file= --bind-interfaces --local=/test/ --edns-packet-max=4096 \
	--host-record=server.test,192.0.2.80,2001:db8::80 --txt-record="big.test,$text,$text,$text,$text,$text,$text,$text,$text"`
	ask := func(port int) (all string) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			eventually(t, "the server is there", func() bool { return !refuses(at(host, port)) })
			for _, how := range []string{"+notcp", "+tcp", "+notcp +ignore +noedns", "+notcp +noedns", "+notcp +bufsize=4096"} {
				args := append([]string{"@" + host, "-p", fmt.Sprint(port), "+tries=1", "+time=10", "+noall", "+answer", "+comments"}, strings.Fields(how)...)
				out, err := exec.Command("dig", append(args, "server.test", "A", "server.test", "AAAA", "big.test", "TXT", "none.test", "A")...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				for line := range strings.Lines(string(out)) {
					line, _, _ = strings.Cut(line, ", id:") // which is random
					if !strings.Contains(line, "COOKIE") {
						all += strings.TrimSpace(line) + "\n"
					}
				}
			}
		}
		return all
	}
	port := freeport.Get(t)
	server := startedIn(t, asUser, fmt.Sprintf(dnsmasq, port))
	native := ask(port)
	server.c.Process.Kill()
	server.c.Wait()
	port = freeport.Get(t)
	publish(t, []string{fmt.Sprintf("%d:5353", port), fmt.Sprintf("%d:5353/udp", port)}, fmt.Sprintf(dnsmasq, 5353))
	if got := ask(port); got != native || strings.Count(native, "192.0.2.80") != 10 || !strings.Contains(native, " tc ") {
		t.Errorf("%s\n--- natively\n%s\n--- published\n%s", differing(native, got), native, got)
	}
}
