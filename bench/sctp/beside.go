//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"usock"
	"usock/link"
)

// The path on which a small message meets bulk, and the bulk's messages.
const (
	besideRate    = 100_000_000 // bits a second
	besideDelay   = time.Millisecond
	besideMark    = 32 << 10 // bytes in the queue from which on packets are marked (ECN)
	besideQueue   = 1 << 20
	besideMessage = 1 << 20
	besideAhead   = 3                     // of these are sent and not received
	besideEvery   = 20 * time.Millisecond // a small message is sent so often
)

// beside sends a small message now and then on a stream of its own, of priority, beside messages of 1 MiB on another,
// over a path of 100 Mbit/s. The figure is its mean delay without interleaving, as a multiple of that with it.
func beside(_ stack, d time.Duration) (result, error) {
	var (
		delays [2]time.Duration
		bulk   [2]float64
	)
	for i, interleave := range []bool{false, true} {
		var err error
		if delays[i], bulk[i], err = smallBesideBulk(interleave, max(d, time.Second)); err != nil {
			return result{}, err
		}
	}
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	return result{
		Value: float64(delays[0]) / float64(delays[1]),
		More: map[string]float64{
			"without, ms": ms(delays[0]), "with, ms": ms(delays[1]),
			"bulk without, MB/s": bulk[0], "bulk with, MB/s": bulk[1],
		},
	}, nil
}

// smallBesideBulk returns the mean delay of small messages, from send to receive, and the MB/s of the bulk.
func smallBesideBulk(interleave bool, d time.Duration) (mean time.Duration, bulk float64, err error) {
	u, err := slowPath(interleave)
	if err != nil {
		return 0, 0, err
	}
	c, s, err := pair(u)
	if err != nil {
		return 0, 0, err
	}
	client, server := c.(usockConn), s.(usockConn)
	if err := client.prefer(); err != nil {
		return 0, 0, err
	}
	failed := make(chan error, 3)

	// There is always something of the bulk to be sent, and always room in the send buffer for a small message.
	room := make(chan struct{}, besideAhead)
	go func() {
		for p := make([]byte, besideMessage); ; {
			room <- struct{}{}
			if err := client.sendOn(1, p); err != nil {
				failed <- err
				return
			}
		}
	}()
	begin := time.Now()
	go func() {
		for ; ; time.Sleep(besideEvery) {
			p := binary.BigEndian.AppendUint64(nil, uint64(time.Since(begin)))
			if err := client.sendOn(0, p); err != nil {
				failed <- err
				return
			}
		}
	}()
	var sum, n, bytes atomic.Int64
	go func() {
		came := 0
		for p := make([]byte, besideMessage); ; {
			k, err := server.receive(p)
			if err != nil || k == 0 {
				failed <- fmt.Errorf("received %d bytes: %w", k, err)
				return
			}
			if k != 8 {
				bytes.Add(int64(k))
				for came += k; came >= besideMessage; came -= besideMessage {
					<-room
				}
				continue
			}
			sent := time.Duration(binary.BigEndian.Uint64(p))
			if now := time.Since(begin); sent > d/4 {
				sum.Add(int64(now - sent))
				n.Add(1)
			}
		}
	}()
	select {
	case err := <-failed:
		return 0, 0, err
	case <-time.After(d + d/4):
	}
	if n.Load() == 0 {
		return 0, 0, fmt.Errorf("no small message came within %v", d)
	}
	return time.Duration(sum.Load() / n.Load()), float64(bytes.Load()) / 1e6 / time.Since(begin).Seconds(), nil
}

// slowPath is two hosts on a path that is slower than they are.
func slowPath(interleave bool) (*usockStack, error) {
	a, b := link.Pipe(link.PipeConfig{MTU: udpMTU})
	slow, err := link.Impair(a, link.ImpairConfig{
		Out: link.Impairment{Rate: besideRate, Delay: besideDelay, Limit: link.Amount{Bytes: besideQueue}, Mark: link.Amount{Bytes: besideMark}},
		In:  link.Impairment{Delay: besideDelay},
	})
	if err != nil {
		return nil, err
	}
	u := &usockStack{over: "100 Mbit/s", prompt: true, buffer: 4 * besideMessage, interleave: interleave}
	return u, u.wire(slow, b)
}

// prefer has messages of stream 0 go before those of stream 1.
func (c usockConn) prefer() error {
	err := c.s.SetSockOpt(usock.SOL_SCTP, usock.SCTP_STREAM_SCHEDULER, assocValue(schedPriority))
	if err == nil {
		const stream, priority = 1, 1 // that of others is 0, which goes first
		v := binary.NativeEndian.AppendUint16(make([]byte, 4), stream)
		err = c.s.SetSockOpt(usock.SOL_SCTP, usock.SCTP_STREAM_SCHEDULER_VALUE, binary.NativeEndian.AppendUint16(v, priority))
	}
	return err
}

// schedPriority is SCTP_SS_PRIO of linux/sctp.h.
const schedPriority = 1
