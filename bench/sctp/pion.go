//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pion/sctp"
)

// pionVersion is what go.mod has.
const pionVersion = "1.12.1"

// pionMTU is the size of its packets: the others' less the headers of UDP and IP.
const pionMTU = 1460

// pionStack is pion's SCTP, an association over a pair of UDP sockets each.
type pionStack struct{ accepted chan pionAccept }

type pionAccept struct {
	c   conn
	err error
}

func newPion() *pionStack { return &pionStack{make(chan pionAccept, 1)} }

func (p *pionStack) dial() (conn, error) {
	a, b, err := udpPair()
	if err != nil {
		return nil, err
	}
	go func() {
		x, err := sctp.ServerWithOptions(sctp.WithNetConn(b), sctp.WithMTU(pionMTU),
			sctp.WithMaxReceiveBufferSize(bufferSize), sctp.WithBlockWrite(true))
		c, err := newPionConn(x, err)
		p.accepted <- pionAccept{c, err}
	}()
	x, err := sctp.ClientWithOptions(sctp.WithNetConn(a), sctp.WithMTU(pionMTU),
		sctp.WithMaxReceiveBufferSize(bufferSize), sctp.WithBlockWrite(true))
	return newPionConn(x, err)
}

func (p *pionStack) accept() (conn, error) {
	r := <-p.accepted
	return r.c, r.err
}

func (p *pionStack) settings() string {
	return fmt.Sprintf("pion/sctp %s: BlockWrite, MaxReceiveBufferSize %d, UDP sockets on loopback, both ends in one process, MTU %d",
		pionVersion, bufferSize, pionMTU)
}

type pionConn struct {
	a *sctp.Association
	s *sctp.Stream
}

func newPionConn(a *sctp.Association, err error) (conn, error) {
	if err != nil {
		return nil, err
	}
	s, err := a.OpenStream(0, sctp.PayloadTypeWebRTCBinary)
	return pionConn{a, s}, err
}

func (c pionConn) send(p []byte) error {
	_, err := c.s.Write(p)
	return err
}

func (c pionConn) receive(p []byte) (int, error) {
	n, err := c.s.Read(p)
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	return n, err
}

func (c pionConn) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.a.Shutdown(ctx)
}
