package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"usock"
)

// bloat measures the round trip over a link while nothing else is on it, and while something is: what a queue before
// the rate adds to the delay of everybody is known as bufferbloat. Small datagrams go to an echo and come back, one
// at a time.
type bloat struct {
	conn       net.Conn
	echo       net.PacketConn
	idle, busy trips
	last       uint64 // datagram that was sent

	stop, done chan struct{} // closed to end what load has begun, and when that has ended
}

// trips are round trips that were measured, and how many were lost.
type trips struct {
	times []time.Duration
	lost  int
}

const (
	bloatPort  = "5002"
	bloatIdle  = 5 // round trips while the link is idle
	bloatEvery = 20 * time.Millisecond
	bloatLost  = time.Second // without an answer, and longer where others took long
)

// newBloat measures from one host to another, with nothing else on the link yet.
func newBloat(from, to *usock.Host) (*bloat, error) {
	at := net.JoinHostPort(betaAddr.Addr().String(), bloatPort)
	echo, err := to.ListenPacket("udp", at)
	if err != nil {
		return nil, err
	}
	conn, err := from.Dial("udp", at)
	if err != nil {
		echo.Close()
		return nil, err
	}
	b := &bloat{conn: conn, echo: echo, stop: make(chan struct{}), done: make(chan struct{})}
	go answer(echo)
	for range bloatIdle {
		b.trip(&b.idle)
	}
	return b, nil
}

// answer sends datagrams back to where they came from, until c is closed.
func answer(c net.PacketConn) {
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		c.WriteTo(buf[:n], from)
	}
}

// trip measures one round trip.
func (b *bloat) trip(to *trips) {
	b.last++
	buf := binary.BigEndian.AppendUint64(nil, b.last)
	begin := time.Now()
	b.conn.SetReadDeadline(begin.Add(bloatLost + 4*to.most()))
	if _, err := b.conn.Write(buf); err != nil {
		return
	}
	for {
		n, err := b.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			to.lost++
		}
		if err != nil {
			return
		}
		if n == len(buf) && binary.BigEndian.Uint64(buf) == b.last {
			to.times = append(to.times, time.Since(begin))
			return
		}
	}
}

// load begins to measure under load.
func (b *bloat) load() {
	go func() {
		defer close(b.done)
		every := time.NewTicker(bloatEvery)
		defer every.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-every.C:
				b.trip(&b.busy)
			}
		}
	}()
}

// end ends all measuring. What is under way then is not counted.
func (b *bloat) end() {
	close(b.stop)
	b.conn.Close()
	<-b.done
	b.echo.Close()
}

func (t *trips) most() time.Duration {
	if len(t.times) == 0 {
		return 0
	}
	return slices.Max(t.times)
}

// print says what was measured.
func (b *bloat) print(w io.Writer) {
	fmt.Fprintf(w, "Round trip while idle        %s\nRound trip under load        %s\n", &b.idle, &b.busy)
}

// String is the median, the largest, and how many there are.
func (t *trips) String() string {
	if len(t.times) == 0 {
		return fmt.Sprintf("not measured (%d lost)", t.lost)
	}
	slices.Sort(t.times)
	return fmt.Sprintf("%s in the median of %d, %s at most, %d lost", millis(t.times[len(t.times)/2]), len(t.times), millis(t.most()), t.lost)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }
