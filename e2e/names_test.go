//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// knownNames are the flags of the runs of these tests. The server knows db.corp.test as well,
// with another address.
var knownNames = []string{"--host", "db=192.0.2.7", "--host", "db=2001:db8::7"}

// lookUp runs a script, as names.sh says, in a network with a name server, natively or under
// usock run with the flags.
func lookUp(t *testing.T, server string, flags []string, native bool, sh string) string {
	t.Helper()
	r := lookUpSaying(t, server, flags, native, sh)
	if r.stderr != "" {
		t.Errorf("stderr, native: %v: %s", native, r.stderr)
	}
	return r.stdout
}

// lookUpSaying is lookUp of a run that may write to stderr.
func lookUpSaying(t *testing.T, server string, flags []string, native bool, sh string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dir := t.TempDir()
	open(t, dir)
	c, marker := commandAs(t, ctx, nobody, append(slices.Clone(flags), "--", "sh", "-c", fmt.Sprintf(prelude, bin)+sh)...)
	if !slices.Contains(flags, isolated) {
		reaches(c)
	}
	argv := append([]string{c.Path}, c.Args[1:]...)
	if native {
		argv = argv[len(argv)-3:]
	}
	c.Path, c.Err = exec.LookPath("unshare")
	c.Args = append([]string{"unshare", "-mnu", "sh", script(t, "names.sh"), dir, server}, argv...)
	c.SysProcAttr.Credential = nil // names.sh gives it up
	r := finish(t, ctx, c, marker)
	if r.code != 0 {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatalf("exit status %d, native: %v\nstdout: %s\nstderr: %s\nserver: %s", r.code, native, r.stdout, r.stderr, log)
	}
	return r
}

// needNameServer skips the test where there can be no server at port 53.
func needNameServer(t *testing.T) {
	t.Helper()
	needRoot(t)
	need(t, "dnsmasq", "dnsmasq-base")
	need(t, "dig", "bind9-dnsutils")
	need(t, "setpriv", "util-linux")
	if !hasCapability(t, capSysAdmin) || !hasCapability(t, capNetAdmin) {
		t.Skip("needs leave to make a network with resolv.conf and server of its own")
	}
}

// resolver is a program that looks names up: first a script for names that the server knows,
// or nobody, which must print what it prints natively; then one for names of the run.
type resolver struct {
	name        string
	need        [2]string // a program, and its Debian package
	prepare     string    // for root: compiles what the scripts start
	server, run string
	want        string // of the second script
}

// both are the answers about db and the machine, in the order that programs print.
const both = "db: 2001:db8::7\ndb: 192.0.2.7\n"

func resolvers() []resolver {
	const (
		served  = " server.test many.test nowhere.test filed 192.0.2.80 192.0.2.200"
		ours    = " db DB 192.0.2.7 2001:db8::7 nowhere"
		answers = both + "DB: 2001:db8::7\nDB: 192.0.2.7\n192.0.2.7: db\n2001:db8::7: db\n"
	)
	libc := func(name, cc, debian, flags string) resolver {
		return resolver{name, [2]string{cc, debian}, cc + " -O1 -w " + flags + " -o $bin/" + name + " testdata/lookup.c",
			name + served, name + ours, answers + "nowhere: no such name\n"}
	}
	golang := func(name, mode string) resolver {
		start := "GODEBUG=netdns=" + mode + " golookup"
		return resolver{name, [2]string{"cc", "gcc libc6-dev"}, "CGO_ENABLED=1 go build -o $bin/golookup ./testdata/golookup",
			start + served + " TXT:big.test TXT:small.test", start + " db 192.0.2.7 nowhere box.",
			"db: 2001:db8::7\ndb: 192.0.2.7\n192.0.2.7: db\nnowhere: found nothing: true, temporary: false\nbox.: 2001:db8:1::1\nbox.: 192.0.2.1\n"}
	}
	return []resolver{
		libc("glibc", "cc", "gcc libc6-dev", ""),
		libc("static", "cc", "gcc libc6-dev", "-static"),
		libc("musl", "musl-gcc", "musl-tools", "-static"),
		golang("go", "go"), golang("cgo", "cgo"),
		{"python", [2]string{"python3", "python3"}, "cp testdata/lookup.py $bin",
			"python3 $bin/lookup.py" + served, "python3 $bin/lookup.py db 192.0.2.7 2001:db8::7", both + "192.0.2.7: db\n2001:db8::7: db\n"},
		{"node", [2]string{"node", "nodejs"}, "cp testdata/lookup.js $bin",
			"node $bin/lookup.js" + served + " TXT:big.test", "node $bin/lookup.js db 192.0.2.7 2001:db8::7",
			"lookup db: 2001:db8::7\nlookup db: 192.0.2.7\nresolve4 db: 192.0.2.7\nresolve6 db: 2001:db8::7\n" +
				"reverse 192.0.2.7: db\nreverse 2001:db8::7: db\n"},
		{"dig", [2]string{"dig", "bind9-dnsutils"}, "", `
for how in +notcp +tcp +noedns +bufsize=512 '+dnssec +nocookie'; do
	dig $how +noall +answer +comments server.test A server.test AAAA server.test MX nowhere.test A small.test TXT \
		big.test TXT many.test A -x 192.0.2.80 | sed 's/id: [0-9]*/id/; s/COOKIE: .*/COOKIE/' | sort
done`, `
for how in +notcp +tcp +noedns '+bufsize=512 +dnssec'; do
	for q in 'DB A' 'db AAAA' 'db.corp.test. A' '-x 2001:db8::7' 'db MX'; do
		dig $how +noall +answer +comments $q | grep -Eo 'status: [A-Z]*|flags: [a-z ]*;|udp: .*|IN.*' | tr '\n' ' '
	done
	echo
done
dig +tcp +keepopen +short server.test A db A many.test A small.test TXT db AAAA | sort | grep -v ^10.1
dig +short @192.0.2.80 +time=1 +tries=1 db >out || echo no server: $?`, dug},
		{"host", [2]string{"host", "bind9-host"}, "", "for q in server.test nowhere.test 192.0.2.80 '-t TXT big.test' '-T server.test'; do host $q || true; done",
			"host db; host -T db; host 2001:db8::7",
			"db.corp.test has address 192.0.2.7\ndb.corp.test has IPv6 address 2001:db8::7\n" +
				"db.corp.test has address 192.0.2.7\ndb.corp.test has IPv6 address 2001:db8::7\n" +
				"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa domain name pointer db.\n"},
		{"getent", [2]string{"getent", "libc-bin"}, "", "for q in hosts ahosts ahostsv4 ahostsv6; do for n in server.test many.test nowhere.test filed; do getent $q $n || echo $?; done; done",
			"getent hosts db; getent ahostsv4 db | grep STREAM; getent hosts 192.0.2.7; getent hosts filed",
			"2001:db8::7     db.corp.test\n192.0.2.7       STREAM db.corp.test\n192.0.2.7       db\n192.0.2.99      filed\n"},
		{"java", [2]string{"javac", "default-jdk-headless"}, "javac -d $bin testdata/Lookup.java",
			"java -Xshare:auto -cp $bin Lookup server.test nowhere.test 192.0.2.80", "java -cp $bin Lookup db 192.0.2.7",
			"db: 192.0.2.7\ndb: 2001:db8:0:0:0:0:0:7\n192.0.2.7: db\n"},
	}
}

// dug is what dig prints of the names of a run.
var dug = func() string {
	var b strings.Builder
	for _, opt := range []string{"udp: 1232 ", "udp: 1232 ", "", "flags: do; udp: 1232 "} {
		for _, answer := range []string{"IN\tA\t192.0.2.7 ", "IN\tAAAA\t2001:db8::7 ", "IN\tA\t192.0.2.7 ", "IN PTR db. ", ""} {
			b.WriteString("status: NOERROR flags: qr aa rd ra; " + opt + answer)
		}
		b.WriteString("\n")
	}
	// In one stream with the server's, of which only 10.1 is left out; and not where no server is.
	return b.String() + "\"hello\"\n192.0.2.7\n192.0.2.80\n2001:db8::7\nno server: 9\n"
}()

// TestNames has all kinds of programs look names up: of the server, as they do natively; of
// the run; of nobody; and what takes TCP.
func TestNames(t *testing.T) {
	t.Parallel() // in networks of its own
	needNameServer(t)
	for _, p := range resolvers() {
		t.Run(p.name, func(t *testing.T) {
			if p.name == "java" {
				large(t, p.need[0], p.need[1])
			} else {
				need(t, p.need[0], p.need[1])
			}
			if p.prepare != "" {
				c := exec.Command("sh", "-c", p.prepare)
				c.Env = append(os.Environ(), "bin="+bin)
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", p.prepare, err, out)
				}
			}
			servers := []string{"127.0.0.1"}
			if *long || slices.Contains([]string{"glibc", "musl", "go"}, p.name) {
				servers = append(servers, "192.0.2.1") // the others ask it in the same way
			}
			for _, server := range servers {
				sh := "bin=" + bin + "\n" + p.server
				native, got := lookUp(t, server, nil, true, sh), lookUp(t, server, knownNames, false, sh)
				if native == "" || got != native {
					t.Errorf("by %s: %s\n--- natively\n%s--- under usock run\n%s", server, differing(native, got), native, got)
				}
				if got := lookUp(t, server, knownNames, false, "bin="+bin+"\n"+p.run); got != p.want {
					t.Errorf("by %s: %s\n--- got\n%s--- want\n%s", server, differing(p.want, got), got, p.want)
				}
			}
		})
	}
}

// TestNamesIsolated has no server but the run: other names are refused at once. A server that
// is not on the loopback interface is out of reach.
func TestNamesIsolated(t *testing.T) {
	needNameServer(t)
	flags := append([]string{isolated}, knownNames...)
	sh := `for how in +notcp +tcp; do
	dig $how +short db AAAA
	dig $how server.test | grep -o 'status: [A-Z]*'
done
getent hosts db
getent hosts server.test || echo status $?
dig -p 5353 +time=1 +tries=1 db | grep -o refused | head -1`
	want := "2001:db8::7\nstatus: REFUSED\n2001:db8::7\nstatus: REFUSED\n2001:db8::7     db.corp.test\nstatus 2\nrefused\n"
	if got := lookUp(t, "127.0.0.1", flags, false, sh); got != want {
		t.Errorf("%s\n%s", differing(want, got), got)
	}
}

// TestNameDaemons has a daemon that looks names up outside of the run: programs do not see it,
// and see the one beside it.
func TestNameDaemons(t *testing.T) {
	needNameServer(t)
	need(t, "python3", "python3")
	py := script(t, "daemons.py")
	t.Setenv("DAEMONS", py)
	sh := "python3 " + py
	native := "/run/nscd/socket: connected\n/run/systemd/resolve/io.systemd.Resolve: connected\n" +
		"/var/run/nscd/socket: connected\n/var/run/./nscd//socket: connected\n/run/nscd/other: connected\n"
	if got := lookUp(t, "127.0.0.1", nil, true, sh); got != native {
		t.Fatalf("natively:\n%s", got)
	}
	want := strings.Replace(native, "connected", "ENOENT", 4)
	for _, flags := range [][]string{nil, {isolated}} {
		if got := lookUp(t, "127.0.0.1", flags, false, sh); got != want {
			t.Errorf("%v:\n%s", flags, got)
		}
	}
}
