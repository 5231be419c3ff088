//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

const childName = "child"

// What a connection asks for with its first byte.
const (
	askAnswers = 'a'
	askStream  = 's'
)

const answerLen = 1 << 10

// child is the program: a server, and a client that measures.
func child(args []string) error {
	f := flag.NewFlagSet(childName, flag.ContinueOnError)
	server := f.String("server", "127.0.0.1:0", "where the server listens")
	connect := f.String("connect", "", "where the client connects to; the server if it is missing")
	each := f.Duration("time", time.Second, "how long each measurement takes")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *server)
	if err != nil {
		return err
	}
	if *connect == "" {
		*connect = l.Addr().String()
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	var out figures
	if out.P50, out.P99, err = trips(*connect, *each); err != nil {
		return err
	}
	if out.Came, err = stream(*connect, *each); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func serve(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	if _, err := io.ReadFull(c, b[:1]); err != nil {
		return
	}
	if b[0] == askStream {
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
	for {
		if _, err := io.ReadFull(c, b[:1]); err != nil {
			return
		}
		if _, err := c.Write(b[:answerLen]); err != nil {
			return
		}
	}
}

// trips returns the median and the slowest hundredth of a request's time, in ms.
func trips(at string, each time.Duration) (p50, p99 float64, err error) {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{askAnswers}); err != nil {
		return 0, 0, err
	}
	b := make([]byte, answerLen)
	var all []float64
	for end := time.Now().Add(each); time.Now().Before(end); {
		begun := time.Now()
		if _, err := c.Write(b[:1]); err != nil {
			return 0, 0, err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return 0, 0, err
		}
		all = append(all, float64(time.Since(begun))/1e6)
	}
	if len(all) < 3 {
		return 0, 0, errors.New("too few requests in the time")
	}
	all = all[2:] // the connection's own beginning
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100], nil
}

// slot is the time that a stream's bytes are counted for.
const slot = 100 * time.Millisecond

// stream returns how many bytes come in each slot since the connection was asked for.
func stream(at string, each time.Duration) (came []int, err error) {
	begun := time.Now()
	c, err := net.Dial("tcp", at)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{askStream}); err != nil {
		return nil, err
	}
	b := make([]byte, 256<<10)
	came = make([]int, each/slot)
	for {
		n, err := c.Read(b)
		if err != nil {
			return nil, err
		}
		i := int(time.Since(begun) / slot)
		if i >= len(came) {
			return came, nil
		}
		came[i] += n
	}
}
