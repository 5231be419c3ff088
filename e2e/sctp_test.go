//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	machine "usock/internal/uml"
)

// TestSCTP has a program use SCTP's sockets of both styles, whatever its kernel knows of SCTP: messages
// are whole, or in parts that a receive asks for, by every call that receives.
func TestSCTP(t *testing.T) {
	passes(t, "python3 "+script(t, "sctp.py"),
		"nobody waits: False\nsomebody waits: True\nnames agree: True True\nnobody waits any more: False\n",
		"whole: b'send' b'write'\n",
		"in parts: b'abcd' False\nin parts: b'ef' True\nin parts: b'next' True\n",
		"a large one: True True\nthe end was told\nrefused: Connection refused\na dead listener: Invalid argument\n",
		"polled: True\nnotification: 0x8001 True 0 True\nmessage: b'from a' 132 3",
		"notification: 0x8001 True 0 True\nmessage: b'from b' 132 3",
		"answers: b'to a' b'to b'\ntwo associations: 2\n",
		"one of them is peeled off: 1 True\nit hears: b'to the peeled'\nan association that there is not: Invalid argument\n",
	)
}

// sctpModules are what SCTP takes of User-mode Linux, in order.
const sctpModules = "lib/crc-ccitt crypto/hmac net/ipv6/ipv6 net/ipv4/udp_tunnel net/ipv6/ip6_udp_tunnel net/sctp/sctp net/sctp/sctp_diag"

// TestSCTPEnds has programs look at the ends of SCTP's sockets in all that a kernel shows of them, and at what ss and
// netlink tell of sockets and associations. They say the same with Linux's own SCTP, in User-mode Linux.
func TestSCTPEnds(t *testing.T) {
	t.Parallel()
	need(t, machine.Kernel, "user-mode-linux")
	need(t, "checksctp", "lksctp-tools") // with its library
	need(t, "ss", "iproute2")
	ends := "python3 " + script(t, "sctpends.py") + "\npython3 " + script(t, "sctpstat.py")
	got := passes(t, ends).stdout
	want := uml(t, "python3 "+script(t, "modules.py")+" "+sctpModules+"\nip link set lo up\n"+ends)
	if got != want {
		t.Errorf("under usock run it says\n%s\nwith Linux's\n%s", got, want)
	}
}

// TestSCTPCalls has programs ask for much, for little and for nonsense, and share sockets between threads and
// processes that end as they like, and pass them to others in messages. They say the same with Linux's own SCTP, and on one processor.
func TestSCTPCalls(t *testing.T) {
	t.Parallel()
	need(t, machine.Kernel, "user-mode-linux")
	need(t, "taskset", "util-linux")
	needC(t)
	want := uml(t, "python3 "+script(t, "modules.py")+" "+sctpModules+"\nip link set lo up\nsctpcalls 50\nsctpshared\nsctppassed")
	for _, how := range []string{"", "taskset -c 0 "} {
		if got := passes(t, how+"sctpcalls 1000\n"+how+"sctpshared\n"+how+"sctppassed").stdout; got != want {
			t.Errorf("under %susock run they say\n%s\nwith Linux's\n%s", how, got, want)
		}
	}
}

// TestSCTPBeside has a program that knows nothing of SCTP receive messages with descriptors of other files, in all ways there are and
// with what may happen meanwhile, in a run that has an SCTP socket: it says what it says natively.
func TestSCTPBeside(t *testing.T) {
	t.Parallel()
	needC(t)
	everyWay(t, true, func(t *testing.T, w way) {
		w.limit = 2 * twinLimit
		twin(t, w, "unixcalls")
	})
}

// TestSCTPInetd has a server that gives each association to a program as its stdin and stdout. With --every-call it is as on Linux,
// whatever RLIMIT_NOFILE says of numbers; without, the user is told, once, what to do.
func TestSCTPInetd(t *testing.T) {
	t.Parallel()
	need(t, machine.Kernel, "user-mode-linux")
	serve := "python3 " + script(t, "sctpinetd.py")
	want := uml(t, "python3 "+script(t, "modules.py")+" "+sctpModules+"\nip link set lo up\n"+serve)
	if o := prints(t, way{user: nobody, flags: []string{"--every-call"}}, "ulimit -n 600\n"+serve, strings.Split(strings.TrimSuffix(want, "\n"), "\n")...); strings.Contains(o.stderr, "SCTP") {
		t.Errorf("it has told the user: %s", o.stderr)
	}
	for moves, to := range map[string]string{
		"for to in 1000, 5, 6: os.dup2(s, to)":                                             "5",
		"for least in 10, 1000, 1024, 1025: fcntl.fcntl(s, fcntl.F_DUPFD, least)":          "1024",
		"fcntl.fcntl(s, fcntl.F_DUPFD_CLOEXEC, 1030)":                                      "1030",
		"resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600)); socket.socket(2, 1, 132)": "3",
	} {
		o := under(t, asUser, "ulimit -n 2000\npython3 -c 'import fcntl, os, resource, socket\ns = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).detach()\n"+moves+"'")
		if n := strings.Count(o.stderr, "SCTP"); n != 1 || !strings.Contains(o.stderr, "an SCTP socket is to be descriptor "+to+",") || !strings.Contains(o.stderr, "--every-call") {
			t.Errorf("%s: it has told that %d times: %s", moves, n, o.stderr)
		}
	}
}

// TestSCTPIperf moves as much as it can, in both directions and over several streams. Its --nstreams
// brings a limit of its own, which -b 0 lifts.
func TestSCTPIperf(t *testing.T) {
	t.Parallel()
	need(t, "iperf3", "iperf3")
	for _, flags := range []string{"", "-R", "--nstreams 16 -b 0", "--nstreams 16 -b 0 -R", "-P 3", "-l 100"} {
		t.Run(strings.TrimSpace("iperf3 "+flags), func(t *testing.T) {
			r := passes(t, `iperf3 -s -1 -p 5298 --forceflush >log & server=$!
listening log
iperf3 --sctp --json -c 127.0.0.1 -p 5298 -n 4M `+flags+`
wait $server`)
			var told iperfTold
			if err := json.Unmarshal([]byte(r.stdout), &told); err != nil {
				t.Fatalf("%v: %s", err, r.stdout)
			}
			told.check(t, 4<<20, strings.Contains(flags, "-R"))
		})
	}
}

// iperfTold is what iperf3's --json says of a test.
type iperfTold struct {
	Start struct {
		Test struct {
			Block int `json:"blksize"`
		} `json:"test_start"`
	}
	End struct {
		Streams []struct {
			Sender, Receiver struct{ Bytes int }
		}
	}
}

// check looks whether n bytes were moved, in whole blocks, each of which is a message. Of ten sends in a row iperf3 asks before
// all but the last whether that is enough (iperf_api.c, iperf_send): so each connection may have one block more.
// The one that has asked for the test ends it when it has sent or received enough. What is on the way to the server then
// is not received.
func (i *iperfTold) check(t *testing.T, n int, reverse bool) {
	t.Helper()
	sent, received, block := 0, 0, i.Start.Test.Block
	for _, s := range i.End.Streams {
		if block == 0 || s.Receiver.Bytes > s.Sender.Bytes || s.Receiver.Bytes%block != 0 || s.Sender.Bytes%block != 0 {
			t.Fatalf("of a stream with blocks of %d bytes %d are sent and %d received", block, s.Sender.Bytes, s.Receiver.Bytes)
		}
		sent += s.Sender.Bytes / block
		received += s.Receiver.Bytes / block
	}
	least := (n + block - 1) / block
	if sent < least || sent > least+len(i.End.Streams) || received == 0 || reverse && received < least {
		t.Errorf("%d blocks of %d bytes sent, %d received; want %d sent", sent, block, received, least)
	}
}

// TestSCTPTools runs the programs of lksctp-tools, with libsctp as Debian has it.
func TestSCTPTools(t *testing.T) {
	t.Parallel()
	need(t, "checksctp", "lksctp-tools")
	needC(t)
	b, err := os.ReadFile("testdata/lksctp.sh")
	if err != nil {
		t.Fatal(err)
	}
	passes(t, string(b), `SCTP supported
tested 0: status 0
20 bytes
tested 1: status 0
55176 bytes
tested 2: status 0
29060 bytes
tested 3: status 0
205334 bytes
tested 4: status 0
227538 bytes
tested 5: status 0
655360 bytes
tested -60000: status 0
1200000 bytes
status: ESTABLISHED
`+strings.Repeat("DATA(13):  hello there.\nDATA(11):  and again.\n", 2), "recv: Transport endpoint is not connected\n", "by SCTP\n")
}

// TestSCTPSocat has socat listen and connect. SCTP has no half-closed state, so the one that answers has to
// be given its time before the other ends.
func TestSCTPSocat(t *testing.T) {
	t.Parallel()
	need(t, "socat", "socat")
	passes(t, `head -c 3000000 /dev/urandom >file
socat -d -d -u SCTP-LISTEN:7400,bind=127.0.0.1 CREATE:copy 2>log & s=$!
listening log
socat -u FILE:file SCTP-CONNECT:127.0.0.1:7400
wait $s
cmp file copy
socat -d -d SCTP-LISTEN:7401,bind=127.0.0.1,reuseaddr,fork EXEC:cat 2>log & s=$!
listening log
for i in 1 2 3; do
	mkfifo in$i
	socat - SCTP-CONNECT:127.0.0.1:7401 <in$i >out$i & c=$!
	exec 3>in$i
	echo line $i >&3
	until_ok grep line out$i
	exec 3>&-
	wait $c
	cat out$i
done
kill $s`, "line 1\nline 2\nline 3\n")
}

// TestSCTPNcat has ncat serve and connect, with sockets that do not block.
func TestSCTPNcat(t *testing.T) {
	need(t, "ncat", "ncat")
	passes(t, `ncat --sctp -v -l 127.0.0.1 7500 -c cat 2>log & s=$!
listening log
mkfifo in
ncat --sctp 127.0.0.1 7500 <in >out & c=$!
exec 3>in
echo hello >&3
until_ok grep hello out
exec 3>&-
wait $c $s
cat out`, "hello\n")
}

// TestSCTPStress has stress-ng's stressor make associations, over IPv4 and IPv6, as fast as it can.
func TestSCTPStress(t *testing.T) {
	need(t, "stress-ng", "stress-ng")
	for _, domain := range []string{"ipv4", "ipv6"} {
		passes(t, "stress-ng --sctp 2 --sctp-ops 2000 --sctp-domain "+domain+" 2>&1", "successful run completed")
	}
}

// TestSCTPNetperfmeter has flows both ways beside an association that controls them, whose messages are
// read in pieces.
func TestSCTPNetperfmeter(t *testing.T) {
	t.Parallel()
	need(t, "netperfmeter", "netperfmeter")
	r := passes(t, `netperfmeter 9000 >log 2>&1 & s=$!
until_ok grep 'Passive Mode' log
netperfmeter 127.0.0.1:9000 -sctp const100:const1000:const100:const1000 -runtime=1 2>&1
kill -INT $s
wait $s || :`, "Loss:")
	var packets []string // sent, received, lost
	for line := range strings.Lines(r.stdout) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "Packets:" {
			packets = append(packets, f[2])
		}
	}
	if len(packets) != 3 || packets[0] == "0" || packets[1] == "0" {
		t.Errorf("of packets sent, received and lost there are %q: %s", packets, r.stdout)
	}
}
