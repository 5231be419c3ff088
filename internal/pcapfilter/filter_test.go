package pcapfilter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/tcpdump.txt anew, by the tcpdump of this machine")

// corpus is some packets of IPv4 and IPv6, whose fields have few values each, so that filters find some of them.
func corpus() [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(n ...int) int { return n[rnd.IntN(len(n))] }
	var all [][]byte
	for range 256 {
		proto := pick(1, 2, 6, 6, 6, 17, 17, 17, 132, 132, 58, 50, 51, 103, 200)
		upper := make([]byte, pick(4, 8, 20, 20, 20, 60, 200))
		for i := range upper {
			upper[i] = byte(pick(0, 1, 2, 8, 16, 18, 128, 255))
		}
		binary.BigEndian.PutUint16(upper, uint16(pick(22, 53, 80, 443, 6000, 6005, 50000)))
		binary.BigEndian.PutUint16(upper[2:], uint16(pick(22, 53, 80, 443, 6000, 6005, 50000)))
		var b []byte
		if rnd.IntN(2) == 0 {
			options := pick(0, 0, 0, 8)
			b = make([]byte, 20+options)
			b[0], b[1], b[8], b[9] = byte(0x45+options/4), byte(pick(0, 2, 16)), byte(pick(1, 63, 64)), byte(proto)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(upper)))
			binary.BigEndian.PutUint16(b[6:], uint16(pick(0, 0, 0, 0x4000, 0x2000, 0x20)))
			copy(b[12:], []byte{10, 0, byte(pick(0, 1)), byte(pick(1, 2, 3))})
			copy(b[16:], []byte{byte(pick(10, 192)), byte(pick(0, 168)), byte(pick(0, 1)), byte(pick(1, 2, 255))})
		} else {
			b = make([]byte, 40)
			b[0], b[6], b[7] = 0x60, byte(proto), byte(pick(1, 64, 255))
			b[8], b[9], b[11], b[23] = 0x20, 1, byte(pick(1, 2)), byte(pick(1, 2, 3))
			b[24], b[25], b[27], b[39] = byte(pick(0x20, 0xfe)), 1, byte(pick(1, 2)), byte(pick(1, 2))
			if rnd.IntN(4) == 0 {
				b[6] = 44
				b = append(b, byte(proto), 0, 0, byte(pick(0, 1, 9)), 0, 0, 0, 7)
			}
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40+len(upper)))
		}
		all = append(all, append(b, upper...))
	}
	return all
}

// expressions mean the same here and to tcpdump.
var expressions = []string{
	"", "ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "esp", "ah", "pim", "not tcp", "!udp", "! ! udp", "not not not ip",
	"host 10.0.0.1", "src host 10.0.0.1", "dst host 10.0.0.1", "src 10.0.0.1", "dst 10.0.0.2", "src or dst host 10.0.0.1",
	"src and dst host 10.0.0.1", "ip host 10.0.1.2", "ip6 host 2001:1::1", "host 2001:1::1", "src host 2001:2::3", "ip src host 10.0.0.1",
	"ip6 dst host 2001:1::1", "ip src or dst host 10.0.0.3",
	"net 10", "net 10.0", "net 10.0.1", "net 10.0.1.0/24", "net 10.0.1.2/31", "net 10.0.0.0 mask 255.255.255.0", "src net 10.0.1.0/24", "dst net 192.168.0.0/16",
	"net 2001:1::/32", "src net 2001::/16", "dst net fe01::/16", "net 0.0.0.0/0", "net 10.0.0.1", "src and dst net 10.0.0.0/8", "ip6 net 2001:1::/32",
	"port 80", "src port 80", "dst port 80", "src or dst port 80", "src and dst port 80", "tcp port 80", "udp port 53", "sctp port 443", "tcp src port 22", "udp dst port 53",
	"tcp src or dst port 443", "port 80 or 443", "port 80 or 443 or 22", "tcp port 80 or 443", "src port 80 or 443", "tcp dst port 80 or src 10.0.0.1", "port (80 or 443)", "port (80 or 443) and tcp", "tcp port (22 or 80 or 443)",
	"port not 80", "host (10.0.0.1 or 10.0.0.2)",
	"portrange 6000-6010", "tcp portrange 1-100", "src portrange 6000-6004", "dst portrange 6001-60000", "portrange 6010-6000", "udp src portrange 53-53",
	"proto 6", "proto 17", "ip proto 132", `ip proto \tcp`, `ip6 proto \udp`, "ip6 proto 58", "ip proto 1 or 2", `proto \sctp`, "ip6 proto 200", "proto 44", "ip6 proto 44", "ip6 and not proto 44", "ip proto 44",
	"less 48", "greater 200", "len > 100", "len <= 60", "len = 60", "len == 60", "len != 60", "100 < len", "len - 20 > 40", "len > 2 * 30",
	"tcp or udp", "tcp and port 80", "tcp && (port 80 || port 443)", "tcp or udp and port 80", "udp and port 53 or tcp", "not (tcp or udp)", "not tcp and not udp", "(tcp)", "((tcp or (udp)) and (ip6))",
	"not host 10.0.0.1 and tcp", "not (host 10.0.0.1 and tcp)", "ip and not tcp port 80", "host 10.0.0.1 and 10.0.0.2", "host 10.0.0.1 or 10.0.0.2",
	"src 10.0.0.1 and dst port 80", "tcp and src net 10.0.0.0/24 and not dst port 22",
	"ip[8] < 64", "ip[8] = 1", "ip[0] & 0xf != 5", "ip[0] & 0xf > 5", "ip[6:2] & 0x1fff = 0", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x40 != 0", "ip[2:2] > 60", "ip[12:4] = 0x0a000001", "ip[16] = 192", "ip[1] & 3 = 2",
	"ip6[6] = 44", "ip6[7] < 64", "ip6[8:4] = 0x20010001", "ip6[6] = 6 or ip[9] = 6", "ip6[7] = 64 and tcp",
	"ip and tcp[13] & 2 != 0", "ip and tcp[tcpflags] & tcp-syn != 0", "ip and tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "ip and tcp[tcpflags] == tcp-syn|tcp-ack", "ip and tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-ack", "ip and tcp[2:2] = 80", "ip and tcp[0:2] = tcp[2:2]", "ip and udp[4:2] > 100", "ip and udp[0:2] + 1 = 54", "ip and sctp[0:2] = 443",
	"ip and (tcp[12] >> 4) * 4 > 20", "tcp and ip[6:2] & 0x1fff = 0 and ((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0", "ip and tcp[(tcp[12]>>4)*4] = 1", "ip and tcp[100] = 1", "ip and not tcp[100] = 1", "ip and not tcp[500] = 1", "ip[500] = 1", "not ip[500] = 1",
	"icmp[icmptype] = icmp-echo", "icmp[0] = 0", "icmp[icmpcode] = 80", "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply", "ip and udp[8] ^ 1 = 0", "ip and udp[8] % 3 = 2", "ip and udp[8] / 2 = 4", "len * 2 > 200", "1 = 1", "1 + 1 = 2 and tcp", "(1 + 1) * 2 = 4", "(tcp and len > 60) or (udp and len < 60)", "(len > 60)", "((len)) > 60", "not len > 60", "(ip[8]) = 64 or (udp)",
	"ip and tcp[-2] = 1", "ip and not tcp[-2] = 1", "ip[-1] != 0",
	"1 | 2 & 4 = 1", "1 << 1 + 1 = 4", "7 - 2 - 1 = 4",
	"port http", "tcp port https", "port domain", "udp port domain", "tcp port ssh or http", "portrange 22-80",
}

// bits are which packets match, a hexadecimal digit for each four.
func bits(matched func(i int) bool, n int) string {
	var b strings.Builder
	for i := 0; i < n; i += 4 {
		digit := 0
		for j := range 4 {
			if i+j < n && matched(i+j) {
				digit |= 8 >> j
			}
		}
		fmt.Fprintf(&b, "%x", digit)
	}
	return b.String()
}

// TestAsTcpdump holds filters to what tcpdump's said of the same packets.
func TestAsTcpdump(t *testing.T) {
	name := filepath.Join("testdata", "tcpdump.txt")
	if *update {
		var all strings.Builder
		for _, e := range expressions {
			fmt.Fprintf(&all, "%s %s\n", tcpdump(t, e), e)
		}
		if err := os.WriteFile(name, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packets := corpus()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
		want, text, _ := strings.Cut(s.Text(), " ")
		filter, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		got := bits(func(i int) bool { return filter.Match(packets[i], len(packets[i]), Process{}) }, len(packets))
		if got != want {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
	if n != len(expressions) {
		t.Errorf("%s has %d expressions, the test %d; go test -update", name, n, len(expressions))
	}
}

// TestRecorded holds what was recorded to the tcpdump of this machine.
func TestRecorded(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("there is no tcpdump: install it to compare with it")
	}
	recorded, err := os.ReadFile(filepath.Join("testdata", "tcpdump.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range expressions {
		if line := tcpdump(t, e) + " " + e + "\n"; !strings.Contains(string(recorded), line) {
			t.Errorf("tcpdump: %s", line)
		}
	}
}

// tcpdump returns which packets of the corpus tcpdump matches.
func tcpdump(t *testing.T, expression string) string {
	t.Helper()
	packets := corpus()
	var file bytes.Buffer
	header := []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 262144, 101} // pcap, LINKTYPE_RAW
	binary.Write(&file, binary.LittleEndian, header)
	for i, b := range packets {
		binary.Write(&file, binary.LittleEndian, []uint32{uint32(i), 0, uint32(len(b)), uint32(len(b))})
		file.Write(b)
	}
	c := exec.Command("tcpdump", "-r", "-", "-w", "-", expression)
	c.Stdin = &file
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tcpdump %q: %v\n%s", expression, err, stderr.String())
	}
	matched := make(map[int]bool)
	for out = out[24:]; len(out) >= 16; {
		matched[int(binary.LittleEndian.Uint32(out))] = true
		out = out[16+binary.LittleEndian.Uint32(out[8:]):]
	}
	return bits(func(i int) bool { return matched[i] }, len(packets))
}

// TestBeyondTcpdump has what tcpdump has not: headers over IPv6 in relations, and processes.
func TestBeyondTcpdump(t *testing.T) {
	syn := make([]byte, 60)
	syn[0], syn[6], syn[40+13] = 0x60, 6, 2
	who := Process{PID: 4711, Program: "python3.11"}
	for text, want := range map[string]bool{
		"tcp[tcpflags] & tcp-syn != 0":     true,
		"tcp[tcpflags] & tcp-ack != 0":     false,
		"process python3.11":               true,
		"process 'python3.11'":             true,
		"process 'g++ and more'":           false,
		"process curl":                     false,
		"process curl or pid 4711":         true,
		"pid 4712":                         false,
		"not process curl and pid 4711":    true,
		"tcp and process python3.11 or ip": true,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := f.Match(syn, len(syn), who); got != want {
			t.Errorf("%q matches: %v", text, got)
		}
		if f.String() != text {
			t.Errorf("%q became %q", text, f)
		}
	}
}

// TestNotIP has bytes that are no packet of IP, or not the whole of one.
func TestNotIP(t *testing.T) {
	for _, b := range [][]byte{nil, {0x45}, {0x60, 1, 2}, make([]byte, 60), bytes.Repeat([]byte{0x45}, 19), bytes.Repeat([]byte{0x60}, 39)} {
		for text, want := range map[string]bool{"tcp": false, "not tcp": true, "port 0": false, "net 0.0.0.0/0": false, "not net ::/0": true, "proto 69": false} {
			f, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(b, len(b), Process{}); got != want {
				t.Errorf("%q matches %x: %v", text, b, got)
			}
		}
	}
}

// TestRefused has filters that are none, and where they stop to be one.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"prot 80":                         `filter "prot 80", at "prot 80": here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses`,
		"host example.com":                `filter "host example.com", at "example.com": here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses`,
		"port":                            `filter "port", at its end: a port is to stand here, 0 to 65535 or the name of a service`,
		"port 65536":                      `filter "port 65536", at "65536": a port is to stand here, 0 to 65535 or the name of a service`,
		"port nosuchservice":              `filter "port nosuchservice", at "nosuchservice": a port is to stand here, 0 to 65535 or the name of a service`,
		"portrange 1-":                    `filter "portrange 1-", at "-": here a filter goes on with 'and' or 'or'`,
		"icmp port 80":                    `filter "icmp port 80", at "80": icmp has no ports; tcp, udp and sctp have`,
		"tcp host 10.0.0.1":               `filter "tcp host 10.0.0.1", at "10.0.0.1": tcp has no addresses; write 'tcp and host ...'`,
		"net 10.0.0.1/8":                  `filter "net 10.0.0.1/8", at "10.0.0.1/8": the address has bits beyond the net; write 10.0.0.0/8`,
		"net 10.0.0.0/33":                 `filter "net 10.0.0.0/33", at "33": the length of a prefix is to stand here, at most 32`,
		"tcp port 80 udp":                 `filter "tcp port 80 udp", at "udp": here a filter goes on with 'and' or 'or'`,
		"(tcp":                            `filter "(tcp", at its end: a parenthesis is not closed here; add a ')'`,
		"(tcp[13] & 2":                    `filter "(tcp[13] & 2", at its end: a number is compared, such as len > 100; here =, !=, <, <=, > or >= is to stand`,
		"tcp[13] & 2":                     `filter "tcp[13] & 2", at its end: a number is compared, such as len > 100; here =, !=, <, <=, > or >= is to stand`,
		"tcp[13:3] = 1":                   `filter "tcp[13:3] = 1", at "3] = 1": a number has 1, 2 or 4 bytes`,
		"tcp[13 = 1":                      `filter "tcp[13 = 1", at "= 1": a bracket is not closed here; add a ']'`,
		"tcp and":                         `filter "tcp and", at its end: here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses`,
		"ether host 00:00:00:00:00:01":    `filter "ether host 00:00:00:00:00:01", at "ether host 00:00:00:00:00:01": frames are not looked at; use IP addresses`,
		"proto foo":                       `filter "proto foo", at "foo": a protocol is to stand here, 0 to 255 or a name such as tcp`,
		"tcp proto 6":                     `filter "tcp proto 6", at "6": tcp carries no protocols; ip and ip6 do`,
		"less x":                          `filter "less x", at "x": a number is to stand here`,
		"pid curl":                        `filter "pid curl", at "curl": a number is to stand here`,
		`process "curl`:                   `filter "process \"curl", at "\"curl": a quotation is not closed; add the mark again`,
		`process ""`:                      `filter "process \"\"", at "\"\"": there is nothing between the marks`,
		"process":                         `filter "process", at its end: name the program, such as process curl`,
		"tcp; udp":                        `filter "tcp; udp", at "; udp": this character has no meaning in a filter`,
		strings.Repeat("(", 300) + "tcp":  "more than 200 levels of parentheses and negations; write it flatter",
		strings.Repeat("! ", 300) + "tcp": "more than 200 levels of parentheses and negations; write it flatter",
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%.40q\n got %v\nwant %s", text, err, want)
		}
	}
}

// FuzzFilter parses any text and matches any packet by it.
func FuzzFilter(f *testing.F) {
	packets := corpus()
	for i, e := range expressions {
		f.Add(e, packets[i])
	}
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		filter, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		one := filter.Match(b, len(b), Process{1, "a"})
		if again := filter.Match(b, len(b), Process{1, "a"}); again != one {
			t.Errorf("%q matches, and does not", text)
		}
	})
}
