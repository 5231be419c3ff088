// Command gofaults is faults.py in Go.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Args[1] == "name" {
		began := time.Now()
		addrs, err := net.LookupHost(os.Args[2])
		if err != nil {
			fmt.Println(err.(*net.DNSError).Err)
			return
		}
		fmt.Println(strings.Join(addrs, " ") + late(began))
		return
	}
	n, _ := strconv.Atoi(os.Args[3])
	fmt.Println(transfer("127.0.0.1:"+os.Args[1], os.Args[2] == "up", n))
}

func name(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

func late(began time.Time) string {
	if time.Since(began) > 250*time.Millisecond {
		return " late"
	}
	return ""
}

// receive says what comes, until that is n bytes, the end or an error.
func receive(c net.Conn, n int) (said []string) {
	b := make([]byte, 65536)
	for got := 0; got < n; {
		began := time.Now()
		k, err := c.Read(b)
		switch {
		case err == io.EOF:
			return append(said, "EOF")
		case err != nil:
			return append(said, name(err))
		}
		got += k
		said = append(said, strconv.Itoa(k)+late(began))
	}
	return said
}

func send(c net.Conn, n int) []string {
	if _, err := c.Write(make([]byte, n)); err != nil {
		return []string{name(err)}
	}
	return receive(c, 1)
}

func transfer(addr string, up bool, n int) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return name(err)
	}
	served := make(chan []string, 1)
	go func() {
		var said []string
		c, err := l.Accept()
		for ; err != nil; c, err = l.Accept() {
			said = append(said, name(err))
		}
		defer c.Close()
		if up {
			served <- append(said, receive(c, n)...)
		} else {
			served <- append(said, send(c, n)...)
		}
	}()
	began := time.Now()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "connect: " + name(err) + late(began)
	}
	connected := late(began)
	said := []string{}
	if up {
		said = send(c, n)
	} else {
		said = receive(c, n)
	}
	c.Close()
	return "server: " + strings.Join(<-served, " ") + "; client:" + connected + " " + strings.Join(said, " ")
}
