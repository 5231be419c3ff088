//go:build linux

package e2e

import "testing"

func TestClassicPair(t *testing.T) {
	needC(t)
	passes(t, `tcp-server 3000 >log & server=$!
listening log
tcp-client 127.0.0.1 3000 'a line from the client'
wait $server
cat log`, "a line from the client")
}

func TestForkServer(t *testing.T) {
	needC(t)
	passes(t, `tcp-fork-server 3000 >log &
listening log
tcp-load 127.0.0.1 3000 20 1048576`, "20 clients, 1048576 bytes each way, all as sent")
}

func TestIterativeServer(t *testing.T) {
	needC(t)
	passes(t, `tcp-iter-server 3000 >log &
listening log
tcp-load 127.0.0.1 3000 20 1048576`, "20 clients, 1048576 bytes each way, all as sent")
}

func TestThousandConnections(t *testing.T) {
	needC(t)
	passes(t, `ulimit -n 4096
tcp-fork-server 3000 >log &
listening log
tcp-load 127.0.0.1 3000 1000 4096`, "1000 clients, 4096 bytes each way, all as sent")
}

func TestUDPServer(t *testing.T) {
	needC(t)
	passes(t, `udp-iter-server 3000 >log &
listening log
udp-peer 127.0.0.1 3000 100`, "100 datagrams came back")
}

func TestUDPWorkers(t *testing.T) {
	needC(t)
	passes(t, `udp-workers 3000 >log &
listening log
for i in 1 2 3 4 5; do udp-peer 127.0.0.1 3000 50 & peers="$peers $!"; done
for p in $peers; do wait $p; done`, "50 datagrams came back")
}

func TestImpaired(t *testing.T) {
	needC(t)
	r := usock(t, []string{"--delay", "5ms", "--jitter", "1ms", "--loss", "1%", "--seed", "7"}, `tcp-fork-server 3000 >log &
listening log
tcp-load 127.0.0.1 3000 5 300000`)
	if r.code != 0 {
		t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
	}
}

func TestSignals(t *testing.T) {
	needC(t)
	passes(t, `interrupt`, "20 restarts, 1 EINTR, 20 more restarts, accepted")
}

func TestPollMasks(t *testing.T) {
	needC(t)
	passes(t, `states`, "all as wanted")
}
