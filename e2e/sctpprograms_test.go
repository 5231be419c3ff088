//go:build linux

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestSCTPErlang has Erlang's gen_sctp at both ends.
func TestSCTPErlang(t *testing.T) {
	t.Parallel()
	need(t, "erlc", "erlang-base")
	passes(t, "export HOME=$PWD\nerlc "+script(t, "echo.erl")+"\nerl -noshell -s echo main",
		"up\n", "got 10000 bytes from {127,0,0,1}\n", "the same true\n", "client shutdown_comp\n", "500 messages\n", "server shutdown_comp\n")
}

// TestSCTPOsmo has a signalling gateway serve an application server. The gateway asks for what comes with
// messages once it has accepted, when the first message may have come.
func TestSCTPOsmo(t *testing.T) {
	need(t, "osmo-stp", "osmo-stp")
	r := passes(t, `cat >cfg <<X
line vty
 no login
cs7 instance 0
 listen m3ua 2905
  accept-asp-connections dynamic-permitted
  local-ip 127.0.0.1
X
osmo-stp -c cfg >log 2>&1 & s=$!
python3 `+script(t, "m3ua.py")+`
kill $s
wait $s || :`)
	if want := "up\nthe same True\nthe same True\ndown\n"; r.stdout != want {
		t.Errorf("%q, want %q", r.stdout, want)
	}
}

// TestSCTPDiameter has two Diameter nodes find each other and part. They want an address that is not of loopback.
func TestSCTPDiameter(t *testing.T) {
	t.Parallel()
	need(t, "freeDiameterd", "freediameter")
	need(t, "openssl", "openssl")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, marker := command(t, ctx, "--", "sh", "-c", fmt.Sprintf(prelude, bin)+`node() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key$1 -out cert$1 -days 30 -subj /CN=peer$1.example.net 2>/dev/null
	cat >conf$1 <<X
Identity = "peer$1.example.net";
Realm = "example.net";
Port = 386$1;
SecPort = 0;
No_IPv6;
No_TCP;
TLS_Cred = "cert$1", "key$1";
TLS_CA = "cert$1";
ConnectPeer = "peer$2.example.net" { ConnectTo = "127.0.0.1"; Port = 386$2; No_TLS; };
X
	freeDiameterd -c conf$1 >log$1 2>&1 &
}
node 1 2
a=$!
node 2 1
b=$!
for n in 1 2; do until_ok grep "'STATE_OPEN'" log$n; done
kill $a
until_ok grep 'sent a DPR' log2
kill $b
wait $a $b || :
grep -h ' Connected to' log1 log2`)
	reaches(c)
	r := finish(t, ctx, c, marker)
	for _, peer := range []string{"'peer1.example.net' (SCTP,", "'peer2.example.net' (SCTP,"} {
		if !strings.Contains(r.stdout, peer) {
			t.Errorf("exit status %d, no %s in %s\nstderr: %s", r.code, peer, r.stdout, r.stderr)
		}
	}
}
