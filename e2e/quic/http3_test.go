//go:build linux && (amd64 || arm64)

package quic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// fetch downloads from HTTP/3 servers, whose certificate stands in a file, several files side
// by side over one connection, uploads one, and prints what became of it.
func fetch(ca string, addrs []string) error {
	pool := x509.NewCertPool()
	cert, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool.AppendCertsFromPEM(cert)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, addr := range addrs {
		var dials, gso atomic.Int32
		t := &http3.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool},
			Dial: func(ctx context.Context, addr string, tls *tls.Config, conf *quic.Config) (*quic.Conn, error) {
				dials.Add(1)
				c, err := quic.DialAddr(ctx, addr, tls, conf)
				if err == nil && c.ConnectionState().GSO {
					gso.Add(1)
				}
				return c, err
			},
		}
		const files = 4
		lines := make([]string, files)
		done := make(chan error, files)
		for i := range files {
			go func() {
				var err error
				lines[i], err = ask(ctx, t, http.MethodGet, fmt.Sprintf("https://%s/%d", addr, i), nil)
				done <- err
			}()
		}
		for range files {
			err = errors.Join(err, <-done)
		}
		if err != nil {
			return err
		}
		up, err := ask(ctx, t, http.MethodPost, "https://"+addr+"/digest", bytes.NewReader(file(files)))
		if err != nil {
			return err
		}
		host, _, _ := net.SplitHostPort(addr)
		fmt.Printf("%s, connections: %d, with GSO: %d\n%s\n%s\n", host, dials.Load(), gso.Load(), strings.Join(lines, "\n"), up)
		t.Close()
	}
	return nil
}

// ask returns a line about an answer: its protocol, status, length and digest.
func ask(ctx context.Context, t *http3.Transport, method, url string, body io.Reader) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}
	a, err := t.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, a.Body)
	return fmt.Sprintf("%s %s %d bytes %x", a.Proto, a.Status, n, h.Sum(nil)), err
}

// file returns a server's file.
func file(i byte) []byte {
	b := make([]byte, size/2)
	rand.NewChaCha8([32]byte{i}).Read(b)
	return b
}

// outerServer is an HTTP/3 server outside of any run; it returns its address.
func outerServer(t *testing.T, addr string, conf *tls.Config) string {
	t.Helper()
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{i}", func(w http.ResponseWriter, r *http.Request) { w.Write(file(r.PathValue("i")[0] - '0')) })
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		io.Copy(h, r.Body)
		w.Write(h.Sum(nil))
	})
	s := &http3.Server{Handler: mux, TLSConfig: http3.ConfigureTLSConfig(conf)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(p) }()
	t.Cleanup(func() {
		s.Close()
		p.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return p.LocalAddr().String()
}

// TestHTTP3 has a client under usock run fetch from servers outside, on the machine's
// loopback.
func TestHTTP3(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil { // for the ordinary user
			t.Fatal(err)
		}
	}
	usock, client, ca := filepath.Join(dir, "usock"), filepath.Join(dir, "client"), filepath.Join(dir, "ca.pem")
	if out, err := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-o", usock, "./cmd/usock").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(client, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	conf, err := certificate()
	if err == nil {
		err = os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conf.Certificates[0].Certificate[0]}), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{client, ca, outerServer(t, "127.0.0.1:0", conf), outerServer(t, "[::1]:0", conf)}
	run := func(args ...string) string {
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		c.Env = append(os.Environ(), asProgram+"=fetch", "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=true")
		if os.Getuid() == 0 {
			const nobody = 65534
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	native := run(args...)
	if got := run(append([]string{usock, "run", "--"}, args...)...); got != native {
		t.Errorf("--- natively\n%s--- under usock run\n%s", native, got)
	}
	for i := range byte(4) {
		if want := fmt.Sprintf("%x\n", sha256.Sum256(file(i))); strings.Count(native, want) != 2 {
			t.Errorf("file %d did not come twice:\n%s", i, native)
		}
	}
	sum := sha256.Sum256(file(4))
	if want := fmt.Sprintf("%x\n", sha256.Sum256(sum[:])); strings.Count(native, "HTTP/3.0 200 OK 32 bytes "+want) != 2 {
		t.Errorf("the upload did not come twice:\n%s", native)
	}
}
