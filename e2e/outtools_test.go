//go:build linux

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usock/internal/freeport"
)

// TestOuterCurl has curl fetch files over HTTPS, by name and by address, from a server whose
// certificate an authority of its own has signed, by HTTP/1.1 and HTTP/2, and many of them side
// by side.
func TestOuterCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	const name = "www.corp.test"
	ca := filepath.Join(bin, "ca.pem")
	data := make([]byte, 300_000)
	rand.Read(data)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(data) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse it are wanted
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{authority(t, ca, name)}}
	s.StartTLS()
	defer s.Close()
	port := s.Listener.Addr().(*net.TCPAddr).Port
	w := reaching()
	w.limit = time.Minute
	w.flags = []string{"--host", name + "=127.0.0.1", "--host", "other.test=127.0.0.1"}
	const files = 500
	script := fmt.Sprintf(`curl="curl -sS --fail --noproxy * $resolve"
code() { $curl "$@" >/dev/null 2>&1 || echo curl: $?; }
set -f # noproxy's star
code https://%[1]s:%[2]d/
code --cacert %[3]s https://other.test:%[2]d/
curl="$curl --cacert %[3]s"
for how in --http1.1 --http2; do
	for host in 127.0.0.1 %[1]s; do
		$curl $how -o one -w '%%{http_version} %%{size_download} %%{ssl_verify_result} %%{remote_ip}\n' https://$host:%[2]d/
		sha256sum one
	done
	i=0
	while [ $i -lt %[4]d ]; do i=$((i+1)); echo "url = https://%[1]s:%[2]d/$i"; echo "output = got-$i"; done >list
	$curl $how --parallel --parallel-max 100 -K list 2>/dev/null
	find . -name 'got-*' | xargs sha256sum | cut -d ' ' -f 1 | sort | uniq -c
	find . -name 'got-*' -delete
done`, name, port, ca, files)
	native := natively(t, w, fmt.Sprintf("resolve='--resolve %s:%d:127.0.0.1 --resolve other.test:%[2]d:127.0.0.1'\n", name, port)+script)
	if sum := fmt.Sprintf("%7d %x\n", files, sha256.Sum256(data)); strings.Count(native.stdout, sum) != 2 {
		t.Fatalf("natively: %v", native)
	}
	if *nativeOnly {
		t.Log(native)
		return
	}
	if o := under(t, w, script); o.late || o.code != 0 || o.stdout != native.stdout {
		t.Errorf("%s\n--- natively\n%s--- under usock run: %v", differing(native.stdout, o.stdout), native.stdout, o)
	}
}

// TestOuterBulk carries many bytes each way, with digests; the program is stopped for a while
// in the middle.
func TestOuterBulk(t *testing.T) {
	need(t, "python3", "python3")
	size := int64(count(256, 1024)) << 20
	sum := make(chan string, 2)
	got := new(passed)
	port := outerServer(t, func(c *net.TCPConn) {
		h := sha256.New()
		if n, err := io.Copy(io.MultiWriter(h, got), c); n != size {
			t.Errorf("the server received %d bytes: %v", n, err)
		}
		sum <- fmt.Sprintf("%x", h.Sum(nil))
		h.Reset()
		io.CopyN(io.MultiWriter(c, h), rand.Reader, size)
		sum <- fmt.Sprintf("%x", h.Sum(nil))
	})
	w := reaching()
	w.limit = time.Duration(count(1, 5)) * time.Minute
	r := w.start(t, true, fmt.Sprintf("exec python3 %s bulk %d %d", script(t, "outclient.py"), port, size))
	pid := programOf(t, r)
	for i := range int64(3) {
		eventually(t, "a part has come", func() bool { return got.n.Load() > (i+1)*size/4 })
		syscall.Kill(pid, syscall.SIGSTOP)
		last := int64(-1)
		eventually(t, "nothing more comes", func() bool {
			before := last
			last = got.n.Load()
			return last == before
		})
		syscall.Kill(pid, syscall.SIGCONT)
	}
	o := r.wait(t)
	var sent, received string
	fmt.Sscanf(o.stdout, "pid %d\nsent %s\nreceived %s\n", &pid, &sent, &received)
	if o.late || o.code != 0 || sent == "" || len(sum) != 2 || sent != <-sum || received != <-sum {
		t.Errorf("the digests differ: %v", o)
	}
}

// TestOuterDatabases asks a postgres and a redis that run on the machine, on 127.0.0.1, and the
// postgres by a name that the run knows as well.
func TestOuterDatabases(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		need(t, "redis-server", "redis-server")
		need(t, "redis-cli", "redis-tools")
		port := freeport.Get(t)
		started(t, fmt.Sprintf("exec redis-server --port %d --bind 127.0.0.1 --save ''", port))
		twin(t, reaching(), fmt.Sprintf(`until_ok redis-cli -p %d ping
redis-cli -p %d flushall
seq 1 2000 | sed 's/.*/set key& value&/' | redis-cli -p %d --pipe | tail -1
redis-cli -p %d get key1999
redis-cli -p %d dbsize`, port, port, port, port, port))
	})
	t.Run("postgres", func(t *testing.T) {
		dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		if len(dirs) == 0 {
			t.Skip("postgres is not installed (Debian: apt-get install postgresql)")
		}
		port := freeport.Get(t)
		started(t, fmt.Sprintf(`PATH=%s:$PATH
initdb -D data -U me -A trust >/dev/null 2>&1
exec postgres -D data -k "$PWD" -p %d -c listen_addresses=127.0.0.1`, dirs[0], port))
		w := reaching()
		w.limit = time.Minute
		w.flags = []string{"--host", "db.corp.test=127.0.0.1"}
		prints(t, w, fmt.Sprintf(`PATH=%s:$PATH
export PGHOST=127.0.0.1 PGPORT=%d PGUSER=me
until_ok psql -c 'select 1' postgres
pgbench -i -q postgres 2>/dev/null
for PGHOST in 127.0.0.1 db.corp.test; do
	psql -At -c 'select sum(i) from generate_series(1, 100000) i' -c 'select host(inet_client_addr())' -c '\conninfo' postgres | sed 's/at port.*//'
	# Many connections, one after the other, and some that stay.
	pgbench -n -C -c 2 -t 10 postgres 2>/dev/null | grep -o 'processed.*'
	pgbench -n -c 4 -t 25 postgres 2>/dev/null | grep -o 'processed.*'
done`, dirs[0], port),
			"5000050000", "127.0.0.1", `You are connected to database "postgres" as user "me" on host "127.0.0.1" `, "processed: 20/20", "processed: 100/100",
			"5000050000", "127.0.0.1", `You are connected to database "postgres" as user "me" on host "db.corp.test" (address "127.0.0.1") `, "processed: 20/20", "processed: 100/100")
	})
}

// started runs a server of an ordinary user on the machine until the test ends.
func started(t *testing.T, script string) {
	t.Helper()
	startedIn(t, asUser, script)
}

// startedIn is started in a way of running.
func startedIn(t *testing.T, w way, script string) *running {
	t.Helper()
	w.limit = 2 * limit
	r := w.start(t, false, script)
	t.Cleanup(func() {
		r.c.Process.Signal(syscall.SIGINT)
		r.c.Wait()
	})
	return r
}

// TestOuterFamilies has clients with Happy Eyeballs (RFC 8305) reach a server both of whose
// addresses answer, of which one is refused, and of which one is a black hole; then the
// machine's IPv6 goes away, and comes back.
func TestOuterFamilies(t *testing.T) {
	t.Parallel() // in networks of its own
	need(t, "python3", "python3")
	need(t, "node", "nodejs")
	n := newNetwork(t)
	n.outerServers()
	w := n.from(asUser)
	for _, c := range []struct{ name, four, six string }{
		{"both", serverAddr4, serverAddr6},
		{"six refused", serverAddr4, "fd77:9::9"},
		{"four refused", "10.77.9.9", serverAddr6},
		{"six in a black hole", serverAddr4, "fd77:66::1"},
		{"four in a black hole", "10.77.66.1", serverAddr6},
	} {
		t.Run(c.name, func(t *testing.T) {
			twin(t, w, fmt.Sprintf("python3 %s eyeballs %s %s; node %s %s %s",
				script(t, "outclient.py"), c.four, c.six, script(t, "outclient.js"), c.four, c.six))
		})
	}
	t.Run("changes", func(t *testing.T) {
		r := w.start(t, true, "exec python3 "+script(t, "outclient.py")+" changes")
		says := func(line string) {
			eventually(t, line, func() bool { return strings.Contains(r.output(), line+"\n") })
		}
		says("six is there")
		n.ip(clientSide, "route del default via fd77:1::1", "addr flush dev right1 scope global")
		n.ip(clientSide, "link set right1 down")
		says("six unreachable at once")
		n.ip(clientSide, "link set right1 up", "addr replace 10.77.1.2/24 dev right1", "addr replace fd77:1::2/64 dev right1 nodad",
			"route replace default via 10.77.1.1", "route replace default via fd77:1::1")
		says("six is back")
		if o := r.wait(t); o.late || o.code != 0 {
			t.Error(o)
		}
	})
}

// TestOuterHops shows the routers on the way to traceroute and ping; ping may ask only where
// the machine lets its user have ping sockets.
func TestOuterHops(t *testing.T) {
	t.Parallel() // in networks of its own
	need(t, "traceroute", "traceroute")
	need(t, "ping", "iputils-ping")
	n := newNetwork(t)
	w := n.from(asUser)
	o := prints(t, w, `! ping -n -c 1 -W 2 10.77.3.2 >out; grep -o 'Packet filtered' out
! ping -n -c 1 -W 2 fd77:3::2 >out; grep -o 'Administratively prohibited' out`, "Packet filtered", "Administratively prohibited")
	const line = "usock: ping reaches nothing outside: the machine allows its user no ping sockets (sysctl net.ipv4.ping_group_range)\n"
	if strings.Count(o.stderr, line) != 1 {
		t.Errorf("stderr does not say once what to do: %s", o.stderr)
	}
	n.sysctl(clientSide, "net/ipv4/ping_group_range", "0 2147483647")
	// Not here: traceroute -I, which gives up when a send meets the error of an earlier probe. It
	// knows EHOSTUNREACH for that, and a send without an address shows it as ECONNRESET (docs/CONFORMANCE.md).
	twin(t, w, `size=5000
for a in 10.77.3.2 fd77:3::2; do
	ping -n -c 3 -i 0.2 -W 2 $a | sed 's/ time=.*//; s/, time .*//; /^rtt/d'
	ping -n -c 1 -s $size -W 2 $a | sed 's/ time=.*//; s/, time .*//; /^rtt/d'
	ping -n -c 1 -t 2 -W 2 $a | grep -o 'From .*' || :
	traceroute -n -q 1 -w 2 $a | sed 's/ [0-9.]* ms//'
	size=1000 # the kernel remembers the path's MTU from one run to the next in IPv6
done`)
}

// passed counts what is written to it.
type passed struct{ n atomic.Int64 }

func (p *passed) Write(b []byte) (int, error) {
	p.n.Add(int64(len(b)))
	return len(b), nil
}
