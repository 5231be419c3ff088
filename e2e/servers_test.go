//go:build linux

package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// large skips the test if the program is not installed, also in CI: it takes too
// much to install for one test.
func large(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, debian)
	}
}

func TestHaproxy(t *testing.T) {
	need(t, "haproxy", "haproxy")
	need(t, "curl", "curl")
	need(t, "python3", "python3")
	passes(t, `cat >haproxy.cfg <<END
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 20s
frontend front
  bind 127.0.0.1:8900
  default_backend back
backend back
  server one 127.0.0.1:8901
END
mkdir www; echo through the proxy >www/page
python3 -m http.server -b 127.0.0.1 -d www 8901 >/dev/null 2>&1 &
haproxy -f haproxy.cfg >/dev/null 2>&1 &
until_ok curl -sf http://127.0.0.1:8900/page
curl -sf http://127.0.0.1:8900/page http://127.0.0.1:8900/page`, "through the proxy")
}

func TestMemcached(t *testing.T) {
	need(t, "memcached", "memcached")
	need(t, "nc", "netcat-openbsd")
	passes(t, `memcached -p 11999 -U 11999 -l 127.0.0.1 &
until_ok nc -z 127.0.0.1 11999
printf 'set key 0 0 5\r\nvalue\r\nget key\r\nquit\r\n' | nc -N 127.0.0.1 11999`, "STORED", "VALUE key 0 5")
}

func TestDnsmasq(t *testing.T) {
	need(t, "dnsmasq", "dnsmasq-base")
	need(t, "dig", "bind9-dnsutils")
	passes(t, `dnsmasq -k -p 5353 -a 127.0.0.1 -h -R -A /usock.test/192.0.2.7 -u "$(id -un)" --bind-interfaces &
until dig -p 5353 +short +tries=1 +time=1 usock.test @127.0.0.1 | grep 192; do sleep 0.02; done
dig +tcp -p 5353 +short usock.test @127.0.0.1`, "192.0.2.7\n192.0.2.7")
}

func TestPing(t *testing.T) {
	need(t, "ping", "iputils-ping")
	passes(t, `ping -n -c 3 -i 0.2 127.0.0.1
ping -n -c 1 ::1`, "3 received, 0% packet loss", "1 received, 0% packet loss")
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(dirs) == 0 {
		t.Skip("postgres is not installed (Debian: apt-get install postgresql)")
	}
	passes(t, `PATH=`+dirs[0]+`:$PATH
initdb -D data -U me -A trust >/dev/null 2>&1
postgres -D data -k $PWD -p 5999 -c listen_addresses=127.0.0.1 >log 2>&1 & server=$!
until_ok psql -h 127.0.0.1 -p 5999 -U me -c 'select 1' postgres
pgbench -i -q -h 127.0.0.1 -p 5999 -U me postgres 2>/dev/null
pgbench -h 127.0.0.1 -p 5999 -U me -c 10 -t 100 postgres
kill -INT $server
wait $server`, "number of transactions actually processed: 1000/1000")
}

func TestJava(t *testing.T) {
	t.Parallel()
	large(t, "java", "default-jdk-headless")
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("java has no compiler (Debian: apt-get install default-jdk-headless)")
	}
	passes(t, "java "+script(t, "Net.java"), "hello over a stream", "hello over HTTP", "hello in a datagram")
}
