package freeport

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// What is given is free, and no socket gets it by chance.
func TestGet(t *testing.T) {
	seen := make(map[int]bool)
	for range 100 {
		port := Get(t)
		if seen[port] {
			t.Errorf("%d is given twice", port)
		}
		seen[port] = true
		if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
			low, _ := strconv.Atoi(strings.Fields(string(b))[0])
			high, _ := strconv.Atoi(strings.Fields(string(b))[1])
			if port >= low && port <= high {
				t.Skipf("this machine gives sockets ports from %d to %d", low, high)
			}
		}
	}
}

// A port that a socket has, on one address, with either protocol, is not free.
func TestFree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, port := range []int{l.Addr().(*net.TCPAddr).Port, p.LocalAddr().(*net.UDPAddr).Port} {
		if free(port) == nil {
			t.Errorf("%d is taken, and free", port)
		}
	}
}
