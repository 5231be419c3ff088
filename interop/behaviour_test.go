//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/wire"
	"usock/link"
)

// eachRole runs the test with usock as client and as server, beside each kernel. same is the
// usock end, peer the kernel's.
func eachRole(t *testing.T, s setup, f func(t *testing.T, l *lab, same, peer stream)) {
	eachKernel(t, func(t *testing.T, kernel neighbour) {
		s.kernel = kernel
		for _, serves := range []bool{false, true} {
			t.Run(fmt.Sprintf("usock serves=%v", serves), func(t *testing.T) {
				l := newLab(t, s)
				if serves {
					peer, same := connect(t, l.kernel(), l.usock(), false)
					f(t, l, same, peer)
					return
				}
				same, peer := connect(t, l.usock(), l.kernel(), false)
				f(t, l, same, peer)
			})
		}
	})
}

func write(t *testing.T, s stream, text string) {
	t.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s stream, want string) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, len(want))
	if _, err := io.ReadFull(s, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

func readEOF(t *testing.T, s stream) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v; want the end of the stream", n, err)
	}
}

// readError reads until an error comes, which must be want.
func readError(t *testing.T, s stream, want error) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{s}); !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

// One direction ends while the other goes on, whichever side begins.
func TestHalfClose(t *testing.T) {
	eachRole(t, setup{}, func(t *testing.T, l *lab, same, peer stream) {
		write(t, same, "question")
		if err := same.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		read(t, peer, "question")
		readEOF(t, peer)
		write(t, peer, "answer")
		read(t, same, "answer")
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
		readEOF(t, same)
		same.Close()
	})
	eachRole(t, setup{}, func(t *testing.T, l *lab, same, peer stream) {
		if err := peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		readEOF(t, same)
		write(t, same, "more")
		same.Close()
		read(t, peer, "more")
		readEOF(t, peer)
	})
}

// Closing with unread data, or without lingering, resets; the other side is told.
func TestReset(t *testing.T) {
	for _, how := range []string{"unread", "linger"} {
		for _, byKernel := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,by kernel=%v", how, byKernel), func(t *testing.T) {
				eachRole(t, setup{}, func(t *testing.T, l *lab, same, peer stream) {
					from, to := same, peer
					if byKernel {
						from, to = peer, same
					}
					write(t, from, "hello")
					read(t, to, "hello")
					if how == "unread" {
						write(t, to, "not read")
						settle(t, "data in the queue", func() bool { return queued(t, l, from) > 0 })
					} else if err := from.(interface{ SetLinger(int) error }).SetLinger(0); err != nil {
						t.Fatal(err)
					}
					from.Close()
					readError(t, to, syscall.ECONNRESET)
					if _, err := to.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
						t.Errorf("writing after a reset: %v", err)
					}
				})
			})
		}
	}
}

// queued returns how many bytes wait to be read.
func queued(t *testing.T, l *lab, s stream) int {
	t.Helper()
	if c, ok := s.(*usock.TCPConn); ok {
		n, err := c.Socket().InQueue()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n, err := l.of(s).Queued()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Ports where nobody listens.
func TestRefused(t *testing.T) { eachKernel(t, testRefused) }

func testRefused(t *testing.T, kernel neighbour) {
	l := newLab(t, setup{kernel: kernel})
	for _, v6 := range []int{0, 1} {
		for _, s := range []struct{ from, to side }{{l.usock(), l.kernel()}, {l.kernel(), l.usock()}} {
			_, err := s.from.dial([]string{"tcp4", "tcp6"}[v6], netip.AddrPortFrom(s.to.addrs[v6], 9))
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("from %s: %v", s.from.name, err)
			}
		}
	}
}

// Programs that do not read close the windows, both at once; probes keep the connection, and
// everything arrives in the end.
func TestZeroWindow(t *testing.T) {
	eachRole(t, setup{}, func(t *testing.T, l *lab, same, peer stream) {
		const n = 24 << 20
		type result struct {
			sum []byte
			err error
		}
		ends := []stream{same, peer}
		sent := [2]chan result{make(chan result, 1), make(chan result, 1)}
		for i, s := range ends {
			go func() {
				sum, err := source(s, n, uint64(i))
				sent[i] <- result{sum, errors.Join(err, s.CloseWrite())}
			}()
		}
		// The queues stop to grow, and the senders probe at least three times: after 200,
		// 600 and 1400 ms.
		last, since := [2]int{}, time.Now()
		settle(t, "standstill", func() bool {
			if q := [2]int{queued(t, l, same), queued(t, l, peer)}; q != last {
				last, since = q, time.Now()
			}
			return last[0] > 0 && last[1] > 0 && time.Since(since) > 1700*time.Millisecond
		})
		var all sync.WaitGroup
		for i, s := range ends {
			all.Go(func() {
				s.SetReadDeadline(time.Now().Add(time.Minute))
				sum, k, err := sink(s)
				r := <-sent[1-i]
				if k != n || err != nil || r.err != nil || string(sum) != string(r.sum) {
					t.Errorf("%d of %d bytes, %v, %v, digests equal: %v", k, n, err, r.err, string(sum) == string(r.sum))
				}
			})
		}
		all.Wait()
	})
}

// Keepalive: each stack answers the other's probes, and notices when they are answered no more.
func TestKeepalive(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel neighbour) {
		l := newLab(t, setup{kernel: kernel})
		// One connection whose usock end probes, one whose kernel's does.
		var probing, other [2]stream
		probing[0], other[0] = connect(t, l.usock(), l.kernel(), false)
		other[1], probing[1] = connect(t, l.usock(), l.kernel(), false)
		for i := range probing {
			l.set(other[i], unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
			l.set(probing[i], unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			l.set(probing[i], unix.SOL_TCP, unix.TCP_KEEPIDLE, 1)
			l.set(probing[i], unix.SOL_TCP, unix.TCP_KEEPINTVL, 1)
			l.set(probing[i], unix.SOL_TCP, unix.TCP_KEEPCNT, 2)
		}
		before, _ := l.imp.Stats()
		settle(t, "three probes of each", func() bool {
			now, _ := l.imp.Stats()
			return now.Packets >= before.Packets+6
		})
		begin := time.Now()
		for i := range probing {
			write(t, other[i], "still there")
			read(t, probing[i], "still there")
		}
		dead := link.Impairment{Loss: 1}
		if err := l.imp.Set(dead, dead); err != nil {
			t.Fatal(err)
		}
		for i, s := range probing {
			readError(t, s, syscall.ETIMEDOUT)
			if d := time.Since(begin); d < 2*time.Second || d > 8*time.Second {
				t.Errorf("%s noticed after %v, want 3 s", []string{"usock", "the kernel"}[i], d)
			}
		}
	})
}

// set sets an option of a connection, of either stack.
func (l *lab) set(s stream, level, name, value int) {
	l.t.Helper()
	var err error
	if c, ok := s.(*usock.TCPConn); ok {
		err = c.Socket().SetSockOptInt(level, name, value)
	} else {
		err = l.of(s).SetInt(level, name, value)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// counter returns a counter of the kernel, as TcpExt TCPFastOpenPassive.
func (l *lab) counter(group, name string) int {
	l.t.Helper()
	b, err := l.netstat()
	if err != nil {
		l.t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for k := range names {
			if names[0] == group+":" && names[k] == name {
				n, err := strconv.Atoi(values[k])
				if err != nil {
					l.t.Fatal(err)
				}
				return n
			}
		}
	}
	l.t.Fatalf("no counter %s %s", group, name)
	return 0
}

// A bottleneck that marks (RFC 3168): both stacks reduce their rate, and nothing
// is lost.
func TestECN(t *testing.T) {
	config := usock.DefaultTCPConfig()
	config.ECN = usock.ECNOn
	narrow := link.Impairment{
		Delay: 5 * time.Millisecond, Rate: 20e6,
		Limit: link.Amount{Bytes: 400_000}, Mark: link.Amount{Bytes: 30_000},
	}
	s := setup{toKernel: narrow, toUsock: narrow, tcp: config, sysctl: map[string]string{"ipv4/tcp_ecn": "1"}}
	eachRole(t, s, func(t *testing.T, l *lab, same, peer stream) {
		exchange(t, same, peer, 2<<20)
		same.Close()
		peer.Close()
		out, back := l.imp.Stats()
		if out.Marked == 0 || back.Marked == 0 {
			t.Errorf("%d and %d packets marked", out.Marked, back.Marked)
		}
		if out.Dropped+back.Dropped > 0 {
			t.Errorf("%d and %d packets dropped", out.Dropped, back.Dropped)
		}
		if n := l.host.Stats().TCP.RetransSegs; n > 10 {
			t.Errorf("%d retransmissions", n)
		}
		for addr, f := range l.flags() {
			if f.ece == 0 || f.cwr == 0 {
				t.Errorf("%v has sent %d segments with ECE and %d with CWR", addr, f.ece, f.cwr)
			}
		}
	})
}

// ecnFlags are numbers of segments.
type ecnFlags struct{ ece, cwr int }

// flags ends the capture and counts the segments that tell of marks (RFC 3168, section 6.1), by
// who has sent them.
func (l *lab) flags() map[netip.Addr]ecnFlags {
	l.t.Helper()
	l.host.Close()
	if err := l.pcap.Close(); err != nil {
		l.t.Fatal(err)
	}
	b, err := os.ReadFile(l.capture)
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[netip.Addr]ecnFlags{usock4.Addr(): {}, kernel4.Addr(): {}}
	for {
		b, _, err := r.ReadPacketData()
		if err != nil {
			return out
		}
		h, n, err := wire.ParseIPv4(b)
		if err != nil || h.Proto != unix.IPPROTO_TCP || len(b) < n+20 || b[n+13]&(tcpSYN|tcpRST) != 0 {
			continue
		}
		f := out[h.Src]
		f.ece += int(b[n+13] >> 6 & 1)
		f.cwr += int(b[n+13] >> 7 & 1)
		out[h.Src] = f
	}
}

// Bits of TCP's flags.
const tcpSYN, tcpRST = 2, 4

// Fast Open (RFC 7413): the first connection asks for a cookie, the second sends
// data in its SYN, which the server's program has before the handshake ends.
func TestFastOpenClient(t *testing.T) { eachKernel(t, testFastOpenClient) }

func testFastOpenClient(t *testing.T, kernel neighbour) {
	l := newLab(t, setup{kernel: kernel, sysctl: map[string]string{"ipv4/tcp_fastopen": "3"}})
	server := l.kernelWith(func(o options) error { return o.SetInt(unix.SOL_TCP, unix.TCP_FASTOPEN, 5) })
	n, err := server.listen("tcp4", netip.AddrPortFrom(kernel4.Addr(), port))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	before := l.counter("TcpExt", "TCPFastOpenPassive")
	for i := range 3 {
		s, err := l.host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("hello %d", i)
		s.SetDeadline(time.Now().Add(10 * time.Second))
		if k, err := s.SendTo([]byte(text), usock.MSG_FASTOPEN, usock.Inet(netip.AddrPortFrom(kernel4.Addr(), port))); k != len(text) || err != nil {
			t.Fatal(k, err)
		}
		c, err := n.Accept()
		if err != nil {
			t.Fatal(err)
		}
		read(t, c.(stream), text)
		write(t, c.(stream), "answer")
		b := make([]byte, 10)
		if k, err := s.Recv(b, 0); string(b[:k]) != "answer" || err != nil {
			t.Fatal(k, err)
		}
		s.Close()
		c.Close()
	}
	if k := l.counter("TcpExt", "TCPFastOpenPassive") - before; k != 2 {
		t.Errorf("the kernel took data from %d SYNs, want 2", k)
	}
}

func TestFastOpenServer(t *testing.T) { eachKernel(t, testFastOpenServer) }

func testFastOpenServer(t *testing.T, kernel neighbour) {
	config := usock.DefaultTCPConfig()
	config.FastOpen = usock.FastOpenServer
	l := newLab(t, setup{kernel: kernel, tcp: config, sysctl: map[string]string{"ipv4/tcp_fastopen": "3"}})
	s, err := l.host.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := usock.Inet(netip.AddrPortFrom(usock4.Addr(), port))
	if err := errors.Join(
		s.Bind(to), s.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, 5), s.Listen(5),
	); err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(20 * time.Second))
	before := l.counter("TcpExt", "TCPFastOpenActive")
	for i := range 3 {
		text := fmt.Sprintf("hello %d", i)
		end, err := l.fastOpen(netip.AddrPortFrom(usock4.Addr(), port), text)
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if k, err := c.Recv(b, 0); string(b[:k]) != text || err != nil {
			t.Fatalf("%q, %v", b[:k], err)
		}
		c.Close()
		end()
	}
	if k := l.counter("TcpExt", "TCPFastOpenActive") - before; k != 2 {
		t.Errorf("the kernel's data was taken from %d SYNs, want 2", k)
	}
}

// Both ends close at the same time, or the last bytes go with the FIN.
func TestSimultaneousClose(t *testing.T) {
	slow := link.Impairment{Delay: 20 * time.Millisecond}
	eachRole(t, setup{toKernel: slow, toUsock: slow}, func(t *testing.T, l *lab, same, peer stream) {
		write(t, same, "last")
		write(t, peer, "words")
		if err := errors.Join(same.CloseWrite(), peer.CloseWrite()); err != nil {
			t.Fatal(err)
		}
		read(t, peer, "last")
		read(t, same, "words")
		readEOF(t, same)
		readEOF(t, peer)
		settle(t, "TIME-WAIT", func() bool {
			for _, s := range l.host.Sockets() {
				if s.State == "TIME-WAIT" || s.State == "UNCONN" {
					return true
				}
			}
			return false
		})
	})
}
