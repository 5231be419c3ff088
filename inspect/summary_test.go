package inspect

import (
	"context"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// sends has the program at h's end write, and end the connection when all is sent.
func (x *stalled) sends(pieces int, size int, pause time.Duration) {
	go func() {
		for range pieces {
			x.c.Write(make([]byte, size))
			time.Sleep(pause)
		}
		x.c.Close()
	}()
}

// TestWaited makes each situation, has the connection end, and looks what is said of its life.
func TestWaited(t *testing.T) {
	for name, c := range map[string]struct {
		does func(x *stalled)
		want string
	}{
		"slow reader": {func(x *stalled) {
			x.sends(1, 8<<20, 0)
			for n := 1; n > 0; time.Sleep(100 * time.Millisecond) {
				n, _ = x.s.Read(make([]byte, 256<<10))
			}
		}, "receiver: its window was full for .*s of .*s, the program there read too slowly"},
		"slow sender": {func(x *stalled) {
			x.sends(10, 100, time.Second)
			io.Copy(io.Discard, x.s)
		}, "program: it had nothing to send for 9[.0-9]*s of 10s"},
		"loss": {func(x *stalled) {
			x.bad.Set(link.Impairment{Loss: 1}, link.Impairment{})
			x.sends(1, 100, 0)
			time.Sleep(5 * time.Second)
			x.bad.Set(link.Impairment{}, link.Impairment{})
			io.Copy(io.Discard, x.s)
		}, "path: what was sent was on its way for .*s of .*s, in round trips of .*ms; [0-9]+ segments sent again, after [45] timeouts"},
		"small window": {func(x *stalled) {
			x.s.SetReadBuffer(4096)
			x.sends(1, 1<<20, 0)
			io.Copy(io.Discard, x.s)
		}, "receiver: its window was full for .*s of .*s, the program there read too slowly"},
		"congestion": {func(x *stalled) {
			x.s.SetReadBuffer(16 << 20)
			x.sends(1, 8<<20, 0)
			io.Copy(io.Discard, x.s)
		}, "congestion: the window was full for .*ms of .*ms"},
		"Nagle with delayed acknowledgments": {func(x *stalled) {
			x.c.SetNoDelay(false)
			go func() {
				for range 40 {
					x.c.Write(make([]byte, 100))
					x.c.Write(make([]byte, 100))
					time.Sleep(time.Millisecond)
				}
				x.c.Close()
			}()
			io.Copy(io.Discard, x.s)
		}, "Nagle: small segments were held back for .*ms of .*ms; TCP_NODELAY sends them at once"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := stall(t)
				c.does(x)
				x.s.Close()
				time.Sleep(time.Second)
				ended := x.over()
				if len(ended) != 1 {
					t.Fatalf("%d have ended", len(ended))
				}
				in := &ended[0]
				if got := Waited(in); !regexp.MustCompile("^(" + c.want + ")$").MatchString(got) {
					t.Errorf("%q, want %s", got, c.want)
				}
				var sum time.Duration
				for _, d := range waits(in) {
					sum += d
				}
				if d := sum - in.Age; d < -2*time.Millisecond || d > 2*time.Millisecond {
					t.Errorf("the waits come to %v of %v", sum, in.Age)
				}
			})
		})
	}
}

// TestWaitedWords has what the situations above do not come to.
func TestWaitedWords(t *testing.T) {
	for want, in := range map[string]usock.SocketInfo{
		"": {Proto: "udp"},
		"send buffer: it was full for 2s of 3s, with all of it sent; SO_SNDBUF was too small": {Age: 3 * time.Second, TCP: &usock.TCPInfo{BytesAcked: 9, BusyTime: 2_500_000, SndbufLimited: 2_000_000}},
		"program: it had nothing to send for 3s of 3s, and has not read 1 byte":               {Age: 3 * time.Second, RecvQ: 1, TCP: &usock.TCPInfo{BytesAcked: 1}},
		"path: the connection was refused":                                                    {TCP: &usock.TCPInfo{SegsOut: 1, SegsIn: 1}},
		"receiver: its window was full for 1.5ms, the program there read too slowly":          {Age: time.Millisecond, TCP: &usock.TCPInfo{BytesAcked: 1, BusyTime: 1500, RwndLimited: 1500}},
	} {
		if got := Waited(&in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSummary has connections of all fates, more than are told of one by one.
func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := stall(t) // the first one
		x.all.Named(0, "prog\x1b")
		for i := range 7 {
			c, err := x.h.Dial("tcp", "10.0.0.2:8000")
			if err != nil {
				t.Fatal(err)
			}
			c.Write(make([]byte, 1000))
			time.Sleep(time.Duration(i) * time.Second)
			c.(*usock.TCPConn).SetLinger(0)
			c.Close()
		}
		x.h.Dial("tcp", "10.0.0.2:9") // refused
		ctx, cancel := context.WithTimeout(t.Context(), 4500*time.Millisecond)
		defer cancel()
		x.h.DialContext(ctx, "tcp", "10.0.0.3:9") // nobody is there
		u, err := x.h.ListenPacket("udp", "10.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.(*usock.UDPConn).WriteToUDPAddrPort(make([]byte, 10), netip.MustParseAddrPort("10.0.0.2:53"))
		time.Sleep(time.Second)

		got := strings.Join(x.all.Lines(x.h), "\n")
		for _, want := range []string{
			`10 connections begun, 0 accepted; 1 failed to be made, 7 were reset, 1 live`,
			`TCP: 7000 bytes sent, 0 bytes received; [2-4] of [0-9]+ segments sent again`,
			`UDP: 1 datagram sent, 0 received, 0 found no room`,
			`pipe0: [0-9]+ (bytes|KiB) sent, [0-9]+ bytes received, in [0-9]+ and [0-9]+ packets`,
			`waited for, all connections together: program [0-9.s]+, path [0-9.s]+(, .*)?`,
			`the longest of 10 connections, by how long they lasted:`,
			`  2[67]s prog\[[0-9]+\] 10\.0\.0\.1:[0-9]+ > 10\.0\.0\.2:8000, 0 bytes sent, 0 bytes received; lives; program: nothing to send for .*`,
			`  6.0[0-9]s prog.* 1000 bytes sent, 0 bytes received; program: it had nothing to send for 6s of 6.0[0-9]s`,
			`  5.0[0-9]s .*`,
			`  4.5s .* > 10\.0\.0\.3:9, .*; path: no answer to 5 SYNs`,
			`  4.0[0-9]s .*`,
			`the longest of 1 socket of UDP, by how long they lasted:`,
			`  1s prog\[[0-9]+\] 10\.0\.0\.1:[0-9]+ > \*, 10 bytes sent, 0 bytes received; lives; path: nothing has come back`,
		} {
			line, rest, _ := strings.Cut(got, "\n")
			if !regexp.MustCompile("^(" + want + ")$").MatchString(line) {
				t.Errorf("%q\nwant %s", line, want)
			}
			got = rest
		}
		if got != "" {
			t.Errorf("there is more: %s", got)
		}
		x.all.mu.Lock()
		n := cap(x.all.ended.tcp.longest)
		x.all.mu.Unlock()
		if n > 2*maxLongest {
			t.Errorf("%d connections are kept", n)
		}
	})
}
