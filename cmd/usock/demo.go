package main

import (
	"bytes"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"usock"
	"usock/link"
	"usock/shape"
)

// demo carries a file from one host to another, both of which it makes.
type demo struct {
	shape conditions
	file  string
	size  int64 // MiB
	out   io.Writer
	live  bool

	// corrupt, if not nil, is applied to what the receiver gets, for tests.
	corrupt func([]byte)
}

func demoCmd() *cobra.Command {
	var d demo
	c := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Carry a file over TCP between two hosts in this process",
		Long: `Demo starts two hosts, joins them by a link in memory, carries a file from one to
the other over usock's TCP, and checks that its SHA-256 digest is the same there.
Then it shows the sockets of both hosts as ss(8) would. With --profile, --delay, --loss and
the like the link is a worse one; the file goes up (--up-rate and the like). Where the link has a rate
it says how long a small packet's round trip takes before the transfer and during it: the difference is
bufferbloat, the delay of a queue, which --queue may shorten.

The exit status is 1 if the digests differ.`,
		Example: demoExamples,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			out := os.Stdout
			if isStdout(d.shape.pcap.name) {
				out = os.Stderr // stdout is the recording's
			}
			d.out, d.live = out, term.IsTerminal(int(out.Fd()))
			d.shape.exact()
			return d.run()
		},
	}
	c.Flags().StringVar(&d.file, "file", "", "carry this `file` in place of random bytes")
	c.Flags().Int64Var(&d.size, "size", 64, "of the random bytes, in MiB")
	d.shape.flags(c.Flags())
	completeShape(c)
	return c
}

var (
	alphaAddr = netip.MustParsePrefix("10.0.0.1/24")
	betaAddr  = netip.MustParsePrefix("10.0.0.2/24")
)

const demoPort = "5001"

func (d *demo) run() error {
	src, size, err := d.source()
	if err != nil {
		return err
	}
	defer src.Close()
	if err := d.shape.open(); err != nil {
		return err
	}
	if err := d.shape.record(); err != nil {
		return err
	}
	alpha, beta, err := d.hosts()
	if err != nil {
		return err
	}
	defer alpha.Close()
	defer beta.Close()
	defer d.shape.calls.end()
	err = d.transfer(alpha, beta, src, size)
	return errors.Join(err, d.shape.close())
}

// source returns what is carried, and its length.
func (d *demo) source() (io.ReadCloser, int64, error) {
	if d.file == "" {
		if d.size < 0 || d.size > 1<<40 {
			return nil, 0, fmt.Errorf("--size %d is out of range", d.size)
		}
		var seed [32]byte
		crand.Read(seed[:])
		size := d.size << 20
		return io.NopCloser(io.LimitReader(rand.NewChaCha8(seed), size)), size, nil
	}
	f, err := os.Open(d.file)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", d.file, withoutName(err))
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", d.file)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// hosts makes the two hosts and the link between them.
func (d *demo) hosts() (alpha, beta *usock.Host, err error) {
	a, b := link.Pipe(link.PipeConfig{})
	worse, err := d.shape.wire(a)
	if err != nil {
		return nil, nil, err
	}
	var faults *shape.Faults
	if len(d.shape.strikers()) > 0 {
		faults = d.shape.strike(os.Stderr, nil)
	}
	d.shape.resolved(alphaAddr.Addr(), "alpha")
	d.shape.resolved(betaAddr.Addr(), "beta")
	alpha, err = usock.NewHost(usock.Config{
		Name: "alpha", Faults: faults, Interfaces: []usock.Interface{{Link: worse, Addrs: []netip.Prefix{alphaAddr}}},
	})
	if err != nil {
		return nil, nil, err
	}
	beta, err = usock.NewHost(usock.Config{
		Name: "beta", Faults: faults, Interfaces: []usock.Interface{{Link: b, Addrs: []netip.Prefix{betaAddr}}},
	})
	if err != nil {
		alpha.Close()
		return nil, nil, err
	}
	return alpha, beta, nil
}

// wire returns the link as the flags want it in both directions.
func (s *conditions) wire(l link.Link) (link.Link, error) {
	if s.impaired() || s.mtu != 0 {
		worse, err := shape.Impair(l, s.shape, s.config())
		if err != nil {
			return nil, err
		}
		s.links.add(l.Info().Name, worse)
		l = worse
	}
	if s.w != nil {
		l = link.Pcap(l, s.w, link.BothWays)
	}
	return l, nil
}

// outcome is what the receiver has to say.
type outcome struct {
	digest []byte
	err    error
}

// transfer carries size bytes of src from alpha to beta and compares digests. The
// receiver sends its digest back; the connection stays open until the sockets have
// been shown.
func (d *demo) transfer(alpha, beta *usock.Host, src io.Reader, size int64) error {
	to := net.JoinHostPort(betaAddr.Addr().String(), demoPort)
	l, err := beta.Listen("tcp", to)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintf(d.out, "%s (%s) sends %d bytes to %s (%s) over TCP\n",
		alpha.Name(), alphaAddr.Addr(), size, beta.Name(), betaAddr.Addr())
	var delay *bloat
	if d.shape.shape.Up.Rate != 0 {
		if delay, err = newBloat(alpha, beta); err != nil {
			return err
		}
	}
	received, shown := make(chan outcome, 1), make(chan struct{})
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.receive(l, received, shown)
	}()
	defer func() { <-closed }()
	defer close(shown)

	c, err := alpha.Dial("tcp", to)
	if err != nil {
		l.Close()
		return err
	}
	defer c.Close()
	if delay != nil {
		delay.load()
	}
	sent, back, err := send(c, src, size)
	if delay != nil {
		delay.end()
	}
	if err != nil {
		c.Close()
		return errors.Join(err, (<-received).err)
	}
	got := <-received
	if got.err != nil {
		return got.err
	}
	if delay != nil {
		delay.print(d.out)
	}
	for _, h := range []*usock.Host{alpha, beta} {
		fmt.Fprintln(d.out)
		if err := printSockets(d.out, h.Name(), h.Sockets()); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "\nSHA-256 sent      %x\nSHA-256 received  %x\n", sent, back)
	if !bytes.Equal(sent, back) || !bytes.Equal(sent, got.digest) {
		return errors.New("the digests differ")
	}
	fmt.Fprintln(d.out, "The file arrived as it was sent.")
	return nil
}

// send sends the length and the bytes of src. It returns their digest, and the one
// that comes back.
func send(c net.Conn, src io.Reader, size int64) (sent, back []byte, err error) {
	if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(size))); err != nil {
		return nil, nil, err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{c}, io.TeeReader(src, sum), make([]byte, 256<<10))
	if err == nil && n != size {
		err = fmt.Errorf("the file has %d bytes, not %d: it has changed", n, size)
	}
	if err != nil {
		return nil, nil, err
	}
	back = make([]byte, sha256.Size)
	_, err = io.ReadFull(c, back)
	return sum.Sum(nil), back, err
}

// receive takes one connection, reads what send sends, and answers with its
// digest.
func (d *demo) receive(l net.Listener, received chan<- outcome, shown <-chan struct{}) {
	c, err := l.Accept()
	if err != nil {
		received <- outcome{err: err}
		return
	}
	defer c.Close()
	digest, err := d.read(c)
	if err == nil {
		_, err = c.Write(digest)
	}
	received <- outcome{digest, err}
	if err == nil {
		<-shown
	}
}

func (d *demo) read(c net.Conn) ([]byte, error) {
	var header [8]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	left := int64(binary.BigEndian.Uint64(header[:]))
	p := newProgress(d.out, d.live, left)
	defer p.end()
	sum := sha256.New()
	buf := make([]byte, 256<<10)
	for left > 0 {
		n, err := c.Read(buf[:min(left, int64(len(buf)))])
		if d.corrupt != nil {
			d.corrupt(buf[:n])
		}
		sum.Write(buf[:n])
		left -= int64(n)
		p.add(n)
		if err != nil {
			return nil, err
		}
	}
	return sum.Sum(nil), nil
}
