// Command quic runs quic-go on two hosts that a link in memory joins, with a delay of 10 ms
// each way. usock's UDP sockets have all that quic-go looks for: it sends many packets in one
// call (UDP_SEGMENT), marks them for explicit congestion notification, and keeps them
// unfragmented.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"usock"
	"usock/link"
)

const (
	delay = 10 * time.Millisecond
	size  = 2 << 20
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	left, right := link.Pipe(link.PipeConfig{MTU: 1500})
	slow := link.Impairment{Delay: delay}
	way, err := link.Impair(left, link.ImpairConfig{Out: slow, In: slow})
	if err != nil {
		return err
	}
	alpha, err := newHost("alpha", way, "192.168.7.1/24")
	if err != nil {
		return err
	}
	defer alpha.Close()
	beta, err := newHost("beta", right, "192.168.7.2/24")
	if err != nil {
		return err
	}
	defer beta.Close()

	marks, err := watch(alpha)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	served := make(chan error, 1)
	addr, err := serve(ctx, beta, served)
	if err != nil {
		return err
	}
	if err := fetch(ctx, w, alpha, addr); err != nil {
		return err
	}
	if err := <-served; err != nil {
		return err
	}
	fmt.Fprintf(w, "alpha received packets with ECT(0): %t\n", marks(2) > 100)
	return nil
}

func newHost(name string, l link.Link, addr string) (*usock.Host, error) {
	return usock.NewHost(usock.Config{
		Name:       name,
		Privileged: true, // for the raw socket of watch
		Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}},
	})
}

// watch begins to count the UDP packets that h receives by their ECN bits (RFC 3168): a raw
// socket gets each with its IP header. count takes what is there.
func watch(h *usock.Host) (count func(ecn int) int, err error) {
	raw, err := h.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	if err := raw.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 8<<20); err != nil {
		return nil, err
	}
	var counts [4]int
	return func(ecn int) int {
		b := make([]byte, 2000)
		for {
			n, err := raw.Recv(b, usock.MSG_DONTWAIT)
			if err != nil {
				return counts[ecn]
			}
			if n > 1 {
				counts[b[1]&3]++
			}
		}
	}, nil
}

// serve sends size bytes on the one stream of the one connection that it accepts.
func serve(ctx context.Context, h *usock.Host, done chan<- error) (string, error) {
	c, err := h.ListenPacket("udp", ":443")
	if err != nil {
		return "", err
	}
	conf, err := certificate()
	if err != nil {
		return "", err
	}
	l, err := quic.Listen(c, conf, nil)
	if err != nil {
		return "", err
	}
	go func() {
		defer c.Close()
		defer l.Close()
		done <- func() error {
			q, err := l.Accept(ctx)
			if err != nil {
				return err
			}
			s, err := q.OpenUniStreamSync(ctx)
			if err != nil {
				return err
			}
			_, err = s.Write(make([]byte, size))
			err = errors.Join(err, s.Close())
			<-q.Context().Done() // the client closes when it has all
			return err
		}()
	}()
	return "192.168.7.2:443", nil
}

func fetch(ctx context.Context, w io.Writer, h *usock.Host, addr string) error {
	c, err := h.ListenPacket("udp", ":0")
	if err != nil {
		return err
	}
	defer c.Close()
	t := quic.Transport{Conn: c}
	defer t.Close()
	to := netip.MustParseAddrPort(addr)
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"example"}}
	q, err := t.Dial(ctx, net.UDPAddrFromAddrPort(to), conf, nil)
	if err != nil {
		return err
	}
	s, err := q.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "alpha received %d bytes, with GSO: %t\n", n, q.ConnectionState().GSO)
	return q.CloseWithError(0, "")
}

// certificate is a server's configuration with a certificate that it has signed itself.
func certificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"example"},
	}, nil
}
