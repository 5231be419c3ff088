// Package freeport gives tests ports of the machine for programs that take one by its number. It imports nothing of the module.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports are below Linux's ephemeral ones (32768 to 60999, ip(7)): a socket that asks for none cannot get one before the program
// has it that it is for. The tests of other packages, which go on at the same time, draw theirs by chance, too.
const first, end = 16384, 32768

// given are those that Get has returned.
var given sync.Map

// Get returns a port of the machine that no socket has, neither of TCP nor of UDP, on any address, and each once.
func Get(t testing.TB) int {
	t.Helper()
	var err error
	for range 1000 {
		port := first + rand.IntN(end-first)
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		if err = free(port); err == nil {
			return port
		}
	}
	t.Fatal("no port is free: ", err)
	return 0
}

// free tells why a port is not free.
func free(port int) error {
	at := ":" + strconv.Itoa(port)
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", at)
	if err != nil {
		return err
	}
	return p.Close()
}
