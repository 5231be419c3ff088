// Command gonet uses Go's network library: an HTTP server with many clients,
// deadlines, refusals, datagrams.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	web()
	deadlines()
	datagrams()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func web() {
	const clients, size = 300, 10000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, size))
	})}
	go s.Serve(l)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			r, err := http.Get("http://" + l.Addr().String())
			must(err)
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			must(err)
			if len(b) != size {
				log.Fatalf("%d bytes", len(b))
			}
		})
	}
	wg.Wait()
	must(s.Close())
	fmt.Println(clients, "answers")
}

func deadlines() {
	l, err := net.Listen("tcp", "[::]:0")
	must(err)
	port := l.Addr().(*net.TCPAddr).Port
	c, err := net.Dial("tcp", fmt.Sprintf("localhost:%d", port))
	must(err)
	must(c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)))
	if _, err = c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		log.Fatal(err)
	}
	_, err = l.Accept()
	must(err)
	must(l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Millisecond)))
	_, err = l.Accept()
	fmt.Println(err)
	must(l.Close())
	_, err = net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	fmt.Println(err)
}

func datagrams() {
	const count = 100
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := p.ReadFrom(b)
			must(err)
			p.WriteTo(b[:n], from)
		}
	}()
	u, err := net.Dial("udp", p.LocalAddr().String())
	must(err)
	for i := range count {
		text := fmt.Sprint("datagram ", i)
		_, err := u.Write([]byte(text))
		must(err)
		b := make([]byte, 100)
		n, err := u.Read(b)
		must(err)
		if string(b[:n]) != text {
			log.Fatalf("%q instead of %q", b[:n], text)
		}
	}
	fmt.Println(count, "datagrams")
}
