//go:build linux && (amd64 || arm64)

// Package quic shows that quic-go works under usock run as it does on the kernel: with
// generic segmentation offload (UDP_SEGMENT) and explicit congestion notification in
// control messages, and to a server outside of the run. It is a module of its own, so that usock itself does not depend on
// quic-go.
package quic

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// asProgram has the test's executable be the program that is tested.
const asProgram = "QUIC_PROGRAM"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(asProgram) {
	case "":
		os.Exit(m.Run())
	case "fetch":
		err = fetch(os.Args[1], os.Args[2:])
	default:
		err = exchange()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

const size = 8 << 20

// exchange sends size bytes from a client to a server and back, over IPv4 and IPv6, and
// prints what the connections say of themselves.
func exchange() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conf, err := certificate()
	if err != nil {
		return err
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := quic.ListenAddr(addr, conf, nil)
		if err != nil {
			return err
		}
		echoed := make(chan error, 1)
		go func() { echoed <- echo(ctx, l) }()
		c, err := quic.DialAddr(ctx, l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: conf.NextProtos}, nil)
		if err != nil {
			return err
		}
		s, err := c.OpenStreamSync(ctx)
		if err != nil {
			return err
		}
		sent := make([]byte, size)
		rand.Read(sent)
		go func() {
			s.Write(sent)
			s.Close()
		}()
		got, err := io.ReadAll(s)
		if err != nil {
			return err
		}
		fmt.Println(c.RemoteAddr().(*net.UDPAddr).IP, "the same:", bytes.Equal(got, sent), "GSO:", c.ConnectionState().GSO)
		c.CloseWithError(0, "")
		if err := <-echoed; err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// echo sends back what comes in a stream.
func echo(ctx context.Context, l *quic.Listener) error {
	c, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	s, err := c.AcceptStream(ctx)
	if err != nil {
		return err
	}
	if _, err := io.Copy(s, s); err != nil {
		return err
	}
	s.Close()
	<-c.Context().Done()
	return nil
}

func certificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{NextProtos: []string{"echo"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

// output runs a command as the program and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Env = append(os.Environ(), asProgram+"=1", "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=true")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestUnderRun(t *testing.T) {
	dir := t.TempDir()
	usock, trace := filepath.Join(dir, "usock"), filepath.Join(dir, "trace.pcapng")
	build := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-o", usock, "./cmd/usock")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	native := output(t, self)
	if strings.Count(native, "the same: true") != 2 {
		t.Fatalf("natively:\n%s", native)
	}
	if got := output(t, usock, "run", "--isolated", "--pcap", trace, "--", self); got != native {
		t.Errorf("--- natively\n%s--- under usock run\n%s", native, got)
	}
	for _, field := range []string{"ip.dsfield.ecn", "ipv6.tclass.ecn"} {
		c := exec.Command("tshark", "-r", trace, "-Y", field+" == 2", "-T", "fields", "-e", "udp.length")
		out, err := c.Output()
		if err != nil {
			t.Skipf("no tshark: %v", err) // what follows looks at packets
		}
		if len(bytes.Fields(out)) < 100 {
			t.Errorf("%d packets with ECT(0) in %s", len(bytes.Fields(out)), field)
		}
	}
}
