package link_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

func prefixes(s ...string) (out []netip.Prefix) {
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func newHost(t *testing.T, c usock.Config) *usock.Host {
	h, err := usock.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// transfer carries data from one host to another over network, and a datagram.
func transfer(t *testing.T, from, to *usock.Host, network, addr string, data []byte) {
	t.Helper()
	l, err := to.Listen(network, net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Close()
	got := make(chan []byte)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			close(got)
			return
		}
		b, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		c.Close()
		got <- b
	}()
	c, err := from.Dial(network, l.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := c.Write(data); err != nil {
		t.Error(err)
	}
	c.Close()
	if !bytes.Equal(<-got, data) {
		t.Error("data differ")
	}
	u, err := to.ListenPacket("udp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Error(err)
		return
	}
	defer u.Close()
	d, err := from.Dial("udp", u.LocalAddr().String())
	if err != nil {
		t.Error(err)
		return
	}
	defer d.Close()
	d.Write(data[:5000])
	u.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 10000)
	if n, _, err := u.ReadFrom(b); err != nil || !bytes.Equal(b[:n], data[:5000]) {
		t.Error("datagram differs", err)
	}
}

// Every host on a switch talks to every other one at once.
func TestSwitchHosts(t *testing.T) {
	data := make([]byte, 200_000)
	rand.Read(data)
	for _, c := range []link.SwitchConfig{{}, {MTU: 1500, SmallSegments: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := link.NewSwitch(c)
			var hosts []*usock.Host
			for i := range 5 {
				hosts = append(hosts, newHost(t, usock.Config{Interfaces: []usock.Interface{{
					Link:  s.Port(fmt.Sprintf("eth%d", i)),
					Addrs: prefixes(fmt.Sprintf("10.0.0.%d/24", i+1), fmt.Sprintf("2001:db8::%d/64", i+1)),
				}}}))
			}
			var wg sync.WaitGroup
			for i, from := range hosts {
				for k, to := range hosts {
					wg.Go(func() { transfer(t, from, to, "tcp", fmt.Sprintf("10.0.0.%d", k+1), data) })
					if i != k {
						wg.Go(func() { transfer(t, from, to, "tcp", fmt.Sprintf("2001:db8::%d", k+1), data) })
					}
				}
			}
			wg.Wait()
			s.Close()
		})
	}
}
