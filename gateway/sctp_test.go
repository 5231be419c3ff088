//go:build linux

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// inUDP is a host's settings of SCTP that leaves by the gateway in UDP, to the port; its own port is given, too.
func inUDP(own, to uint16) *usock.SCTPConfig {
	c := usock.DefaultSCTPConfig()
	c.UDPPort, c.EncapPort, c.EncapVia = own, to, "eth0"
	return c
}

// Two runs have an association through the machine's UDP, by each of its addresses: the one that is reached
// publishes its port, and answers to wherever packets come from.
func TestSCTPInUDP(t *testing.T) {
	for _, a := range addrs(t) {
		t.Run(a.String(), func(t *testing.T) {
			port := freePort(t)
			const inner = 9899
			server := newRunWith(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_UDP, Addr: a, Port: port, Inner: inner}}}, inUDP(inner, 0))
			settings := inUDP(7777, port)
			if a.IsLoopback() {
				settings.EncapVia = "" // that is not reached by eth0
			}
			client := newRunWith(t, Config{}, settings)
			l, err := server.host.ListenSCTP("sctp", ":5000")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			c, err := client.host.DialSCTP(ctx, "sctp", netip.AddrPortFrom(a, 5000).String())
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.AcceptSCTP()
			if err != nil {
				t.Fatal(err)
			}
			for i, size := range []int{1, 1000, 30000, 60000} {
				for _, way := range [][2]*usock.SCTPConn{{c, s}, {s, c}} {
					data := bytes.Repeat([]byte{byte(i)}, size)
					if _, err := way[0].WriteMsg(data, usock.SCTPInfo{Stream: uint16(i), PPID: 9}); err != nil {
						t.Fatal(err)
					}
					got, info := whole(t, way[1])
					if !bytes.Equal(got, data) || info.Stream != uint16(i) || info.PPID != 9 {
						t.Errorf("%d bytes of %d, %+v", len(got), size, info)
					}
				}
			}
			c.Close()
			s.SetDeadline(time.Now().Add(10 * time.Second))
			if _, _, err := s.ReadMsg(make([]byte, 10)); err != io.EOF {
				t.Errorf("the end: %v", err)
			}
			s.Close()
			if client.warn.Len() > 0 || server.warn.Len() > 0 {
				t.Errorf("%s%s", client.warn, server.warn)
			}
		})
	}
}

// whole reads a message.
func whole(t *testing.T, c *usock.SCTPConn) (data []byte, info usock.SCTPInfo) {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	for !info.EOR {
		var n int
		var err error
		b := make([]byte, 1<<16)
		if n, info, err = c.ReadMsg(b); err != nil {
			t.Fatal(err)
		}
		data = append(data, b[:n]...)
	}
	return data, info
}

// SCTP that is not in UDP is refused, and what to do is told, once.
func TestSCTPRefused(t *testing.T) {
	for _, a := range []string{"192.0.2.7", "2001:db8::7"} {
		t.Run(a, func(t *testing.T) {
			r := newRun(t, Config{})
			for range 3 {
				_, err := r.host.DialSCTP(context.Background(), "sctp", net.JoinHostPort(a, "5000"))
				if errors.Is(err, syscall.ENETUNREACH) {
					t.Skip("the machine has no route of the family")
				}
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("%v, want ECONNREFUSED", err)
				}
			}
			within(t, "it is told", func() bool {
				told := false
				done := make(chan struct{})
				r.g.leave(func() { told = r.warn.Len() > 0; close(done) })
				<-done
				return told
			})
			if got := r.warn.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, fmt.Sprintf("SCTP to %s was refused: as it is it leaves", a)) {
				t.Errorf("told: %q", got)
			}
		})
	}
}

// What the machine says of a datagram reaches the association: nobody has the port, or it is too large.
func TestSCTPInUDPRefused(t *testing.T) {
	for _, a := range addrs(t) {
		c := inUDP(0, freePort(t))
		c.EncapVia = ""
		r := newRunWith(t, Config{}, c)
		begin := time.Now()
		_, err := r.host.DialSCTP(context.Background(), "sctp", netip.AddrPortFrom(a, 5000).String())
		if took := time.Since(begin); !errors.Is(err, syscall.ECONNREFUSED) || took > 2*time.Second {
			t.Errorf("%v: %v after %v", a, err, took)
		}
	}
}

// Whatever comes to the port of a run that takes SCTP in UDP, it goes on to take more.
func TestSCTPInUDPRubbish(t *testing.T) {
	a := netip.MustParseAddr("127.0.0.1")
	port := freePort(t)
	r := newRunWith(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_UDP, Addr: a, Port: port, Inner: 9899}}}, inUDP(9899, 0))
	l, err := r.host.ListenSCTP("sctp", ":5000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for n := range 200 {
		p.Write(bytes.Repeat([]byte{byte(n)}, n))
	}
	c := inUDP(0, port)
	c.EncapVia = ""
	client := newRunWith(t, Config{}, c)
	x, err := client.host.DialSCTP(context.Background(), "sctp", "127.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
}
