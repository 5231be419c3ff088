package shape_test

import (
	"net/netip"
	"testing"
	"time"

	"usock/link"
	"usock/shape"
)

// TestRules has rules, and what becomes of packets on a link's way to others.
func TestRules(t *testing.T) {
	const (
		udp     = "udp 10.0.0.1:1000>10.0.0.2:53"
		tcp     = "tcp 10.0.0.1:1000>10.0.0.2:443"
		back    = "tcp 10.0.0.2:443>10.0.0.1:1000"
		backUDP = "udp 10.0.0.2:53>10.0.0.1:1000"
	)
	for _, c := range []struct {
		rules []string
		lines []string
	}{
		// What there is of conditions.
		{[]string{"any: delay 1ms"}, []string{"out " + udp + " → 1ms", "in " + back + " → 1ms", "out gre 10.0.0.1>10.0.0.2 → 1ms"}},
		{[]string{"udp: delay 200ms"}, []string{"out " + udp + " → 200ms", "in " + backUDP + " → 200ms", "out " + tcp + " syn=1 → 0s"}},
		{[]string{"tcp: cut"}, []string{"out " + tcp + " syn=1 → lost", "in " + back + " → lost", "out " + udp + " → 0s"}},
		{[]string{"sctp: delay 3ms"}, []string{"out sctp 10.0.0.1:5000>10.0.0.2:5000 init=5 → 3ms", "out " + udp + " → 0s"}},
		{[]string{"icmp: delay 3ms"}, []string{"out echo 10.0.0.1:7>10.0.0.2 → 3ms", "in reply 10.0.0.2>10.0.0.1:7 → 3ms", "out " + udp + " → 0s"}},
		{[]string{"up: delay 4ms"}, []string{"out " + udp + " → 4ms", "in " + backUDP + " → 0s"}},
		{[]string{"down: delay 4ms"}, []string{"out " + udp + " → 0s", "in " + backUDP + " → 4ms"}},
		{[]string{"down tcp: delay 4ms"}, []string{"out " + tcp + " syn=1 → 0s", "in " + back + " → 4ms", "in " + backUDP + " → 0s"}},
		{[]string{"UDP Down: Delay 4ms"}, []string{"out " + udp + " → 0s", "in " + backUDP + " → 4ms"}},
		{[]string{"udp : delay 4ms"}, []string{"out " + udp + " → 4ms"}},

		// Where packets go to and come from: of both directions of the flow, or of one.
		{[]string{"to 10.0.0.2: cut"}, []string{"out " + udp + " → lost", "in " + backUDP + " → lost", "out udp 10.0.0.1:1000>10.0.0.3:53 → 0s"}},
		{[]string{"from 10.0.0.1: cut"}, []string{"out " + udp + " → lost", "in " + backUDP + " → lost", "in udp 10.0.0.3:9>10.0.0.1:7 → 0s"}},
		{[]string{"from 10.0.0.2: cut"}, []string{"out " + udp + " → 0s", "in " + backUDP + " → 0s", "in udp 10.0.0.2:9>10.0.0.1:7 → lost", "out udp 10.0.0.1:7>10.0.0.2:9 → lost"}},
		{[]string{"up to 10.0.0.2: cut"}, []string{"out " + udp + " → lost", "in " + backUDP + " → 0s"}},
		{[]string{"down to 10.0.0.2: cut"}, []string{"out " + udp + " → 0s", "in " + backUDP + " → lost"}},
		{[]string{"to 10.0.0.0/8: delay 5ms"}, []string{"out " + udp + " → 5ms", "out udp 10.0.0.1:1>11.0.0.1:2 → 0s"}},
		{[]string{"from 10.0.0.0/30 to 10.0.0.0/30: delay 5ms"}, []string{"out " + udp + " → 5ms", "out udp 10.0.0.1:1>10.0.0.4:2 → 0s"}},
		{[]string{"to :53: delay 5ms"}, []string{"out " + udp + " → 5ms", "in " + backUDP + " → 5ms", "out " + tcp + " → 0s", "in udp 10.0.0.3:53>10.0.0.1:99 → 0s"}},
		{[]string{"to *:53/udp: delay 5ms"}, []string{"out " + udp + " → 5ms", "out tcp 10.0.0.1:1>10.0.0.2:53 syn=1 → 0s"}},
		{[]string{"to /udp: delay 5ms"}, []string{"out " + udp + " → 5ms", "out " + tcp + " → 0s"}},
		{[]string{"up to :53/udp: delay 3s"}, []string{"out " + udp + " → 3s", "in " + backUDP + " → 0s"}},
		{[]string{"from :53: delay 5ms"}, []string{"out " + udp + " → 0s", "in udp 10.0.0.3:53>10.0.0.1:99 → 5ms"}},
		{[]string{"to 10.0.0.2:50-60,443: delay 5ms"}, []string{"out " + udp + " → 5ms", "out " + tcp + " syn=1 → 5ms", "out udp 10.0.0.1:9>10.0.0.2:61 → 0s"}},
		{[]string{"to 10.0.0.2:443 tcp: delay 5ms"}, []string{"out " + tcp + " syn=1 → 5ms", "out udp 10.0.0.1:9>10.0.0.2:443 → 0s"}},
		{[]string{"to :5000/sctp: delay 5ms"}, []string{"out sctp 10.0.0.1:9>10.0.0.2:5000 init=5 → 5ms", "in sctp 10.0.0.2:5000>10.0.0.1:9 initack=5 → 5ms", "out udp 10.0.0.1:9>10.0.0.2:5000 → 0s"}},
		{[]string{"to */icmp: delay 5ms"}, []string{"out echo 10.0.0.1:7>10.0.0.2 → 5ms", "out " + udp + " → 0s"}},
		{[]string{"to localhost: cut"}, []string{"out udp 127.0.0.1:1>127.0.0.9:2 → lost", "out udp [::1]:1>[::1]:2 → lost", "out " + udp + " → 0s"}},
		{[]string{"to 10.0.0.2: delay 1ms", "from 10.0.0.1: delay 2ms"}, []string{"out " + udp + " → 3ms"}},

		// IPv6.
		{[]string{"to fd00::/16: delay 6ms"}, []string{"out udp [fd00::1]:1000>[fd00::2]:53 → 6ms", "in udp [fd00::2]:53>[fd00::1]:1000 → 6ms", "out " + udp + " → 0s"}},
		{[]string{"to [fd00::2]:53: delay 6ms"}, []string{"out udp [fd00::1]:1000>[fd00::2]:53 → 6ms", "out udp [fd00::1]:1000>[fd00::2]:54 → 0s"}},
		{[]string{"to fd00::: delay 6ms"}, []string{"out udp [fd00::1]:1000>[fd00::]:53 → 6ms"}},
		{[]string{"to fd00:: udp: delay 6ms"}, []string{"out udp [fd00::1]:1000>[fd00::]:53 → 6ms", "out tcp [fd00::1]:1000>[fd00::]:53 syn=1 → 0s"}},
		{[]string{"icmp: delay 6ms"}, []string{"out echo [fd00::1]:7>fd00::2 → 6ms", "in reply fd00::2>[fd00::1]:7 → 6ms"}},
		{[]string{"to :443: delay 6ms"}, []string{"out tcp [fd00::1]:1000>[fd00::2]:443 syn=1 options → 6ms", "out tcp [fd00::1]:1000>[fd00::2]:444 syn=1 options → 0s"}},
		{[]string{"to ::ffff:10.0.0.2: delay 6ms"}, []string{"out " + udp + " → 6ms"}},
		{[]string{"to 0.0.0.0/0: cut"}, []string{"out " + udp + " → lost", "out udp [fd00::1]:1>[fd00::2]:2 → 0s"}},

		// What a packet looks like does not matter.
		{[]string{"to :53: delay 7ms"}, []string{"out " + udp + " options → 7ms", "out " + udp + " head=28 → 7ms", "out " + udp + " head=20 → 7ms"}},
		{[]string{"to :443 connection 2: delay 7ms"}, []string{"out " + tcp + " syn=1 head=40 → 0s", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=1 head=20 → 7ms"}},

		// Names, once they are known; each goes on to count.
		{[]string{"to api.test: delay 8ms"}, []string{"out " + udp + " → 0s", "name 10.0.0.2 api.test", "out " + udp + " → 8ms", "in " + backUDP + " → 8ms",
			"name 10.0.0.3 api.test", "out udp 10.0.0.1:1>10.0.0.3:2 → 8ms", "out " + udp + " → 8ms"}},
		{[]string{"to *.test: delay 8ms"}, []string{"name 10.0.0.2 API.Test.", "name 10.0.0.3 test", "out " + udp + " → 8ms", "out udp 10.0.0.1:1>10.0.0.3:2 → 0s"}},
		{[]string{"to Api.TEST.:53: delay 8ms"}, []string{"name 10.0.0.2 api.test", "out " + udp + " → 8ms", "out " + tcp + " → 0s"}},
		{[]string{"from db: delay 8ms"}, []string{"name 10.0.0.2 db", "out " + udp + " → 0s", "in udp 10.0.0.2:9>10.0.0.1:7 → 8ms"}},
		{[]string{"to never.test: cut"}, []string{"out " + udp + " → 0s", "name 10.0.0.2 other.test", "out " + udp + " → 0s"}},
		{[]string{"to v6.test: delay 8ms"}, []string{"name fd00::2 v6.test", "out udp [fd00::1]:1>[fd00::2]:2 → 8ms"}},
		{[]string{"from 10s.: delay 8ms"}, []string{"name 10.0.0.2 10s", "in udp 10.0.0.2:9>10.0.0.1:7 → 8ms"}},
		{[]string{"from 10s.test: delay 8ms"}, []string{"name 10.0.0.2 10s.test", "in udp 10.0.0.2:9>10.0.0.1:7 → 8ms"}},

		// Processes: of packets that are sent, and of the answers to them.
		{[]string{"process curl: delay 9ms"}, []string{"program 7 curl", "out " + udp + " pid=7 → 9ms", "in " + backUDP + " → 9ms", "out udp 10.0.0.1:1001>10.0.0.2:53 pid=8 → 0s"}},
		{[]string{"process curl: delay 9ms"}, []string{"in " + backUDP + " → 0s", "program 7 curl", "out " + udp + " pid=7 → 9ms", "in " + backUDP + " → 9ms"}},
		{[]string{"process curl: delay 9ms"}, []string{"program 7 sh", "out " + udp + " pid=7 → 0s", "program 7 curl", "out " + udp + " pid=7 → 9ms", "program 7 cat", "out " + udp + " pid=7 → 0s", "in " + backUDP + " → 0s"}},
		{[]string{"process curl: delay 9ms"}, []string{"program 7 curl", "program 8 wget", "out " + udp + " pid=8 → 0s", "out " + udp + " pid=7 → 9ms", "out " + udp + " pid=8 → 0s"}},
		{[]string{`process "Web Content": delay 9ms`}, []string{"out " + udp + " pid=7 → 0s"}},
		{[]string{"process a-program-with-a-long-name: delay 9ms"}, []string{"program 7 a-program-with-", "out " + udp + " pid=7 → 9ms"}},
		{[]string{"pid 7: delay 9ms"}, []string{"out " + udp + " pid=7 → 9ms", "in " + backUDP + " → 9ms", "out " + tcp + " pid=8 → 0s"}},
		{[]string{"down process curl to :53: delay 9ms"}, []string{"program 7 curl", "out " + udp + " pid=7 → 0s", "in " + backUDP + " → 9ms", "out " + tcp + " pid=7 → 0s"}},

		// Connections, in the order in which they begin.
		{[]string{"connection 2 tcp: cut"}, []string{"out " + tcp + " syn=1 → 0s", "out " + tcp + " syn=1 → 0s", "in " + back + " synack=1 → 0s",
			"out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → lost", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → lost", "out tcp 10.0.0.1:1002>10.0.0.2:443 syn=5 → 0s",
			"in tcp 10.0.0.2:443>10.0.0.1:1001 → lost", "out " + tcp + " → 0s"}},
		{[]string{"connection 2 tcp: cut"}, []string{"out " + tcp + " syn=1 → 0s", "in " + back + " synack=1 → 0s", "out " + tcp + " syn=2 → lost", "in " + back + " → lost", "out " + tcp + " syn=3 → 0s"}},
		{[]string{"connection 2 tcp: cut"}, []string{"out " + tcp + " → 0s", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → 0s", "out tcp 10.0.0.1:1002>10.0.0.2:443 syn=5 → lost"}},
		{[]string{"connection 1 to 10.0.0.3: cut"}, []string{"out " + tcp + " syn=1 → 0s", "out tcp 10.0.0.1:1001>10.0.0.3:443 syn=5 → lost"}},
		{[]string{"udp connection 2-3: cut"}, []string{"out " + udp + " → 0s", "out udp 10.0.0.1:1001>10.0.0.2:53 → lost", "out " + udp + " → 0s", "in udp 10.0.0.2:9>10.0.0.1:7 → lost", "out udp 10.0.0.1:1003>10.0.0.2:53 → 0s"}},
		{[]string{"sctp connection 2: cut"}, []string{"out sctp 10.0.0.1:9>10.0.0.2:5000 init=5 → 0s", "in sctp 10.0.0.2:5000>10.0.0.1:9 initack=5 → 0s", "out sctp 10.0.0.1:9>10.0.0.2:5000 init=6 → lost", "out sctp 10.0.0.1:9>10.0.0.2:5000 → lost"}},
		{[]string{"process curl connection 2: cut"}, []string{"program 7 curl", "out " + tcp + " syn=1 pid=8 → 0s", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 pid=7 → 0s", "out tcp 10.0.0.1:1002>10.0.0.2:443 syn=5 pid=7 → lost"}},
		{[]string{"to api.test connection 1: cut"}, []string{"out " + tcp + " syn=1 → 0s", "name 10.0.0.2 api.test", "out " + tcp + " → lost", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → 0s"}},
		{[]string{"icmp connection 1: cut"}, []string{"out echo 10.0.0.1:7>10.0.0.2 → lost", "out echo 10.0.0.1:7>10.0.0.2 → lost", "out echo 10.0.0.1:8>10.0.0.2 → 0s"}},
		{[]string{"to :443 connection 1: delay 1ms", "to :443 connection 2: delay 2ms", "connection 2: delay 4ms"}, []string{"out " + tcp + " syn=1 → 1ms", "out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → 6ms"}},
		{[]string{"connection 2 at 20s for 10s: cut"}, []string{"out " + tcp + " syn=1 → 0s", "10s out tcp 10.0.0.1:1001>10.0.0.2:443 syn=5 → 0s", "20s out tcp 10.0.0.1:1001>10.0.0.2:443 → lost", "30s out tcp 10.0.0.1:1001>10.0.0.2:443 → 0s"}},
		{[]string{"from 10.0.0.2 connection 1: cut"}, []string{"in tcp 10.0.0.2:999>10.0.0.1:80 syn=4 → lost", "out tcp 10.0.0.1:80>10.0.0.2:999 synack=4 → lost", "out " + tcp + " syn=1 → 0s"}},

		// Times.
		{[]string{"from 10s until 20s: cut"}, []string{"out " + udp + " → 0s", "9999ms out " + udp + " → 0s", "15s out " + udp + " → lost", "20s out " + udp + " → 0s"}},
		{[]string{"any from 10s until 20s: cut"}, []string{"10s out " + udp + " → lost", "20s out " + udp + " → 0s"}},
		{[]string{"to 10.0.0.2: cut at 5s for 2s"}, []string{"out " + udp + " → 0s", "5s out " + tcp + " → lost", "10s out " + udp + " → 0s"}},
		{[]string{"at 5s for 2s to 10.0.0.2: cut"}, []string{"6999ms out " + udp + " → lost", "12s out " + udp + " → 0s"}},
		{[]string{"udp: delay 200ms from 10s"}, []string{"out " + udp + " → 0s", "10s out " + udp + " → 200ms", "500s out " + udp + " → 200ms"}},
		{[]string{"until 10s udp: delay 200ms"}, []string{"out " + udp + " → 200ms", "10s out " + udp + " → 0s"}},
		{[]string{"every 30s for 2s: cut"}, []string{"out " + udp + " → lost", "29s out " + udp + " → 0s", "61s out " + udp + " → lost", "92s out " + udp + " → 0s", "3001s out " + udp + " → lost"}},
		{[]string{"every 30s for 2s from 10s until 45s: cut"}, []string{"out " + udp + " → 0s", "11s out " + udp + " → lost", "40s out " + udp + " → lost", "70s out " + udp + " → 0s"}},
		{[]string{"at 10s every 30s for 2s: cut"}, []string{"out " + udp + " → 0s", "11s out " + udp + " → lost", "41s out " + udp + " → lost"}},
		{[]string{"from 1m30s until 2m: cut"}, []string{"89s out " + udp + " → 0s", "100s out " + udp + " → lost", "2m out " + udp + " → 0s"}},
		{[]string{"from 10.0.0.1 from 10s: cut"}, []string{"out " + udp + " → 0s", "10s out " + udp + " → lost", "20s in udp 10.0.0.3:9>10.0.0.1:7 → 0s"}},

		// Effects.
		{[]string{"udp: delay 10ms rate 80kbit"}, []string{"out " + udp + " → 13.2ms"}}, // 32 bytes
		{[]string{"udp: rate 80kbit", "any: rate 160kbit"}, []string{"out " + udp + " → 4.8ms"}},
		{[]string{"udp: loss 100%"}, []string{"out " + udp + " → lost"}},
		{[]string{"udp: delay 10ms", "any: delay 20ms", "to :53: delay 40ms"}, []string{"out " + udp + " → 70ms", "out " + tcp + " → 20ms"}},
		{[]string{"any: delay 20ms", "any: delay 20ms"}, []string{"out " + udp + " → 40ms"}},
		{[]string{"any: delay 20ms", "tcp: cut"}, []string{"out " + udp + " → 20ms", "out " + tcp + " → lost"}},
		{[]string{"any: delay 4s", "udp until 3s: cut"}, []string{"out " + udp + " → 4s"}}, // it comes there when that is over
		{[]string{"any: delay 2s", "udp from 1s until 3s: cut"}, []string{"out " + udp + " → lost"}},

		// ICMP errors belong to the flow that they quote, and are ICMP.
		{[]string{"to :53: delay 3ms"}, []string{"out " + udp + " → 3ms", "in error 10.0.0.2>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:53 → 3ms", "in error 10.0.0.2>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:54 → 0s"}},
		{[]string{"to :53: delay 3ms"}, []string{"in error 10.0.0.9>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:53 head=28 → 3ms"}},
		{[]string{"icmp: delay 3ms"}, []string{"in error 10.0.0.2>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:53 → 3ms", "out " + udp + " → 0s"}},
		{[]string{"to /icmp: delay 3ms"}, []string{"in error 10.0.0.2>10.0.0.1 about=tcp,10.0.0.1:1000>10.0.0.2:53 → 3ms", "out " + tcp + " → 0s"}},
		{[]string{"process curl: delay 3ms"}, []string{"program 7 curl", "out " + udp + " pid=7 → 3ms", "in error 10.0.0.2>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:53 → 3ms"}},
		{[]string{"udp connection 1: delay 3ms"}, []string{"in error 10.0.0.2>10.0.0.1 about=udp,10.0.0.1:1000>10.0.0.2:53 → 0s", "out " + udp + " → 3ms"}},
		{[]string{"to fd00::2: delay 3ms"}, []string{"in error fd00::9>fd00::1 about=udp,[fd00::1]:1000>[fd00::2]:53 → 3ms"}},
		{[]string{"icmp connection 1: delay 3ms"}, []string{"out echo 10.0.0.1:7>10.0.0.2 → 3ms", "in error 10.0.0.9>10.0.0.1 about=echo,10.0.0.1:7>10.0.0.2 → 3ms"}},

		// Fragments belong to the first one's flow, once that has passed.
		{[]string{"to :53: delay 3ms"}, []string{"out " + udp + " frag=9,0,more → 3ms", "out udp 10.0.0.1>10.0.0.2 frag=9,1480 → 3ms", "out udp 10.0.0.1>10.0.0.2 frag=10,1480 → 0s", "in udp 10.0.0.2>10.0.0.1 frag=9,1480 → 0s"}},
		{[]string{"to :53: delay 3ms"}, []string{"out udp [fd00::1]:1000>[fd00::2]:53 frag=9,0,more → 3ms", "out udp fd00::1>fd00::2 frag=9,1480 → 3ms", "out udp fd00::1>fd00::2 frag=10,1480 → 0s"}},
		{[]string{"udp to 10.0.0.2: delay 3ms"}, []string{"out udp 10.0.0.1>10.0.0.2 frag=9,1480 → 3ms"}},
		{[]string{"icmp: delay 3ms"}, []string{"out echo 10.0.0.1:7>10.0.0.2 frag=9,0,more → 3ms", "out echo 10.0.0.1>10.0.0.2 frag=9,1480 → 3ms"}},
		{[]string{"udp connection 1: delay 3ms"}, []string{"out udp 10.0.0.1>10.0.0.2 frag=9,1480 → 0s", "out " + udp + " → 3ms"}},

		// A connection that has begun before: the smaller port is the server's.
		{[]string{"to :443: delay 3ms"}, []string{"in " + back + " → 3ms", "out " + tcp + " → 3ms"}},
		{[]string{"from 10.0.0.2: delay 3ms"}, []string{"in tcp 10.0.0.2:5000>10.0.0.1:80 → 3ms", "in " + back + " → 0s"}},
	} {
		t.Run(c.rules[0], func(t *testing.T) {
			x := newPassage(t, shape.Shape{Rules: rules(t, c.rules...)}, shape.Config{})
			for _, line := range c.lines {
				x.run(line)
			}
		})
	}
}

// TestRulesOnLoopback has rules on a link all of whose packets are sent: up is what the side sends that has connected.
func TestRulesOnLoopback(t *testing.T) {
	const (
		udp     = "out udp 127.0.0.1:1000>127.0.0.1:53"
		backUDP = "out udp 127.0.0.1:53>127.0.0.1:1000"
		tcp     = "out tcp 127.0.0.1:1000>127.0.0.1:443"
		back    = "out tcp 127.0.0.1:443>127.0.0.1:1000"
	)
	for _, c := range []struct {
		rules []string
		lines []string
	}{
		{[]string{"any: delay 1ms"}, []string{udp + " → 1ms", backUDP + " → 1ms"}},
		{[]string{"up: delay 1ms"}, []string{udp + " → 1ms", backUDP + " → 0s", tcp + " syn=1 → 1ms", back + " synack=1 → 0s"}},
		{[]string{"down: delay 1ms"}, []string{udp + " → 0s", backUDP + " → 1ms", tcp + " syn=1 → 0s", back + " synack=1 → 1ms"}},
		{[]string{"to :443: delay 1ms"}, []string{tcp + " syn=1 → 1ms", back + " synack=1 → 1ms", udp + " → 0s"}},
		{[]string{"from :443: delay 1ms"}, []string{tcp + " syn=1 → 0s", back + " synack=1 → 0s", back + " syn=7 → 1ms", tcp + " → 1ms"}},
		{[]string{"up to localhost:443: cut"}, []string{tcp + " syn=1 → lost", back + " → 0s"}},
		{[]string{"process curl: delay 1ms"}, []string{"program 7 curl", "program 8 server", tcp + " syn=1 pid=7 → 1ms", back + " synack=1 pid=8 → 1ms", udp + " pid=8 → 0s"}},
		{[]string{"process server: delay 1ms"}, []string{"program 7 curl", "program 8 server", tcp + " syn=1 pid=7 → 0s", back + " synack=1 pid=8 → 1ms", tcp + " pid=7 → 1ms"}},
		{[]string{"process curl down connection 2: cut"}, []string{"program 7 curl", tcp + " syn=1 pid=7 → 0s", back + " synack=1 pid=8 → 0s",
			"out tcp 127.0.0.1:1001>127.0.0.1:443 syn=1 pid=7 → 0s", "out tcp 127.0.0.1:443>127.0.0.1:1001 synack=1 pid=8 → lost"}},
		{[]string{"to db: delay 1ms"}, []string{"name 127.0.1.1 db", "out udp 127.0.0.1:1>127.0.1.1:2 → 1ms", "out udp 127.0.1.1:2>127.0.0.1:1 → 1ms"}},
		{[]string{"down: delay 1ms", "up: delay 2ms", "any: delay 4ms", "tcp: delay 8ms"}, []string{udp + " → 6ms", backUDP + " → 5ms", tcp + " syn=1 → 14ms", back + " → 13ms"}},
		{[]string{"to :443: delay 1ms"}, []string{tcp + " syn=1 → 1ms", "out error 127.0.0.1>127.0.0.1 about=tcp,127.0.0.1:1000>127.0.0.1:443 → 1ms"}},
		{[]string{"down to :53: delay 1ms"}, []string{udp + " → 0s", "out error 127.0.0.1>127.0.0.1 about=udp,127.0.0.1:1000>127.0.0.1:53 → 1ms"}},
		{[]string{"any: rate 80kbit"}, []string{udp + " → 3.2ms", backUDP + " → 3.2ms"}}, // 32 bytes
	} {
		t.Run(c.rules[0], func(t *testing.T) {
			for _, oneWay := range []bool{false, true} {
				x := newPassage(t, shape.Shape{OneWay: oneWay, Rules: rules(t, c.rules...)}, shape.Config{Loopback: true})
				for _, line := range c.lines {
					x.run(line)
				}
			}
		})
	}
}

// TestRulesBeforeAll has rules and what is done to all packets: delays add up, on both kinds of links.
func TestRulesBeforeAll(t *testing.T) {
	s := shape.Shape{Up: link.Impairment{Delay: 100 * time.Millisecond}, Down: link.Impairment{Delay: 10 * time.Millisecond}, Rules: rules(t, "udp: delay 1ms", "down: delay 2ms")}
	x := newPassage(t, s, shape.Config{})
	x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 101ms")
	x.run("in udp 10.0.0.2:53>10.0.0.1:1000 → 13ms")
	x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 → 100ms")
	x = newPassage(t, s, shape.Config{Loopback: true})
	x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 101ms")
	x.run("out udp 10.0.0.2:53>10.0.0.1:1000 → 13ms")
	s.OneWay = true
	x = newPassage(t, s, shape.Config{Loopback: true})
	x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 101ms")
	x.run("out udp 10.0.0.2:53>10.0.0.1:1000 → 103ms")
}

// TestRulesChange has rules set while packets travel: those that stay go on to count, and know who has begun.
func TestRulesChange(t *testing.T) {
	x := newPassage(t, shape.Shape{Rules: rules(t, "udp: delay 1ms", "tcp connection 2: cut")}, shape.Config{})
	x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 syn=1 → 0s")
	x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 1ms")
	for range 2 {
		if err := x.link.SetShape(shape.Shape{Rules: rules(t, "tcp connection 2: cut", "up to :53: delay 5ms")}); err != nil {
			t.Fatal(err)
		}
	}
	x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 5ms")
	x.run("in udp 10.0.0.2:53>10.0.0.1:1000 → 0s")
	x.run("out tcp 10.0.0.1:1001>10.0.0.2:443 syn=1 → lost")
	if err := x.link.SetShape(shape.Shape{Rules: rules(t, "to :53: delay 5ms", "tcp connection 2: cut")}); err != nil {
		t.Fatal(err)
	}
	x.run("out tcp 10.0.0.1:1001>10.0.0.2:443 → lost")
	x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 → 0s")
	if err := x.link.SetShape(shape.Shape{}); err != nil {
		t.Fatal(err)
	}
	x.run("out tcp 10.0.0.1:1001>10.0.0.2:443 → 0s")
}

// TestManyRules has as many rules as there may be, all of which match: a packet passes each.
func TestManyRules(t *testing.T) {
	var texts []string
	for range shape.MaxRules {
		texts = append(texts, "any: delay 1ms")
	}
	for _, loopback := range []bool{false, true} {
		x := newPassage(t, shape.Shape{Rules: rules(t, texts...)}, shape.Config{Loopback: loopback})
		x.run("out udp 10.0.0.1:1000>10.0.0.2:53 → 256ms")
	}
	s := shape.Shape{Rules: rules(t, append(texts, "udp: cut")...)}
	if err := s.Check(); err == nil || err.Error() != "257 rules: up to 256 are possible" {
		t.Errorf("one more: %v", err)
	}
}

// TestForgottenFlows has more flows than are remembered. Those that go on are, and so are the connections that were counted.
func TestForgottenFlows(t *testing.T) {
	x := newPassage(t, shape.Shape{Rules: rules(t, "tcp connection 1: delay 7ms")}, shape.Config{})
	x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 syn=1 → 7ms")
	for i := range 200_000 {
		d := described{proto: "udp", src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(i>>16+1)), dst: netip.MustParseAddrPort("10.0.0.2:53")}
		x.send(d)
		if i%20_000 == 0 {
			x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 → 7ms")
		}
	}
	x.run("out tcp 10.0.0.1:1001>10.0.0.2:443 syn=1 → 0s")
	x.run("out tcp 10.0.0.1:1000>10.0.0.2:443 → 7ms")
}
