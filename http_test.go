package usock_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"usock"
)

// TestHTTP has net/http and crypto/tls run on a host unchanged: HTTP/1.1 in the
// clear, HTTP/2 over TLS, many clients at once.
func TestHTTP(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			h := newHost(t, usock.Config{})
			l, err := h.Listen("tcp", "[::1]:0")
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s %d", r.Proto, r.URL.Path, len(b))
			}))
			srv.Listener.Close()
			srv.Listener, srv.EnableHTTP2 = l, secure
			proto := "HTTP/1.1"
			tr := &http.Transport{DialContext: h.DialContext, MaxIdleConnsPerHost: 100, ForceAttemptHTTP2: secure}
			if secure {
				proto = "HTTP/2.0"
				srv.StartTLS()
				pool := x509.NewCertPool()
				pool.AddCert(srv.Certificate())
				tr.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: "example.com"}
			} else {
				srv.Start()
			}
			defer srv.Close()
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr}
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					for k := range 10 {
						r, err := client.Post(fmt.Sprintf("%s/%d", srv.URL, k), "text/plain", io.LimitReader(zeros{}, int64(i*1000)))
						if err != nil {
							t.Error(err)
							return
						}
						b, _ := io.ReadAll(r.Body)
						r.Body.Close()
						if want := fmt.Sprintf("%s /%d %d", proto, k, i*1000); string(b) != want {
							t.Errorf("answer %q, want %q", b, want)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
