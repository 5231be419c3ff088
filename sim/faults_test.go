package sim_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/wire"
	"usock/link"
	"usock/sim"
)

// TestFault has a server reset its first connection in the midst of an answer: one line of a test.
func TestFault(t *testing.T) {
	page := make([]byte, 5000)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	srv := sim.NewServer(t, h, sim.Both(link.Impairment{}), "reset after 1000 bytes process server at the 1st")
	for i, want := range []error{syscall.ECONNRESET, nil} {
		r, err := srv.Client().Get(srv.URL)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r.Body)
			r.Body.Close()
		}
		if !errors.Is(err, want) || err == nil && len(got) != len(page) {
			t.Errorf("request %d: %d bytes, %v; want %v", i+1, len(got), err, want)
		}
	}
}

// TestFaultText says what is wrong with the text of a fault.
func TestFaultText(t *testing.T) {
	r := &recorder{TB: t}
	func() {
		defer func() { recover() }()
		sim.NewListener(r, sim.LinkConfig{}, "connect refuse")
	}()
	if want := `sim: fault "connect refuse": column 9: "refuse": did you mean "refused"? refused, timed or late is wanted`; r.fatal != want {
		t.Errorf("%q, want %q", r.fatal, want)
	}
}

// recorder keeps the message with which a test would fail.
type recorder struct {
	testing.TB
	fatal string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(r.fatal)
}

// TestFaultReset looks at each packet of connections that a fault resets: the client sends so many bytes and not one more, the RST
// has the number behind them, and nothing follows it.
func TestFaultReset(t *testing.T) {
	const size = 400_000
	for _, c := range []struct {
		name string
		link sim.LinkConfig
		n    int
	}{
		{"one byte", sim.Both(link.Impairment{Delay: 5 * time.Millisecond}), 1},
		{"a part of a segment", sim.Both(link.Impairment{Delay: 5 * time.Millisecond}), 1000},
		{"a whole segment", sim.Both(link.Impairment{Delay: 5 * time.Millisecond}), 1448},
		{"many", sim.Both(link.Impairment{Delay: 5 * time.Millisecond}), 100_001},
		{"with losses", sim.Both(link.Impairment{Delay: 5 * time.Millisecond, Loss: 0.05}), 200_003},
		{"all but the FIN", sim.Both(link.Impairment{}), size},
	} {
		t.Run(c.name, func(t *testing.T) {
			var packets bytes.Buffer
			c.link.Capture = &packets
			synctest.Test(t, func(t *testing.T) {
				l := sim.NewListener(t, c.link, sim.Fault(fmt.Sprintf("reset after %d bytes process client", c.n)))
				done := make(chan int64, 1)
				go func() {
					s, err := l.Accept()
					if err != nil {
						t.Error(err)
						done <- 0
						return
					}
					n, _ := io.Copy(io.Discard, s)
					s.Close()
					done <- n
				}()
				conn := l.NewConn()
				_, err := conn.Write(make([]byte, size))
				conn.CloseWrite()
				if err == nil {
					_, err = conn.Read(make([]byte, 1))
				}
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client gets %v", err)
				}
				time.Sleep(time.Second) // in the bubble's time: what is on its way comes, and what answers it
				l.Net().Close()         // the RST may be lost
				if n := <-done; n > int64(c.n) {
					t.Errorf("the server has %d bytes", n)
				}
			})
			checkReset(t, packets.Bytes(), c.n)
		})
	}
}

// checkReset looks at what a client has sent to port 80, as a recording has it.
func checkReset(t *testing.T, packets []byte, n int) {
	t.Helper()
	first, most, reset := uint32(0), 0, false
	for _, p := range sentTo(packets, 80) {
		ip := int(p[0]&15) * 4
		tcp := p[ip:]
		seq, size, flags := binary.BigEndian.Uint32(tcp[4:]), len(tcp)-int(tcp[12]>>4)*4, wire.TCPFlags(tcp[13])
		if reset {
			t.Errorf("behind the RST: flags %#x, %d bytes at %d", flags, size, seq-first)
		}
		if flags&wire.SYN != 0 {
			first = seq
		}
		if size > 0 {
			most = max(most, int(seq-first)-1+size)
		}
		if flags&wire.RST != 0 {
			reset = true
			if seq-first != uint32(1+n) {
				t.Errorf("the RST is at %d, want %d", seq-first, 1+n)
			}
		}
	}
	if !reset || most != n {
		t.Errorf("%d bytes were sent, want %d; reset: %v", most, n, reset)
	}
}

// sentTo returns the packets of IPv4 to a TCP port in a pcapng file (draft-ietf-opsawg-pcapng).
func sentTo(file []byte, port uint16) (list [][]byte) {
	const enhancedPacket = 6
	for len(file) >= 12 {
		size := binary.LittleEndian.Uint32(file[4:])
		if b := file[:size]; binary.LittleEndian.Uint32(b) == enhancedPacket {
			p := b[28:][:binary.LittleEndian.Uint32(b[20:])]
			if p[0]>>4 == 4 && p[9] == syscall.IPPROTO_TCP && binary.BigEndian.Uint16(p[int(p[0]&15)*4+2:]) == port {
				list = append(list, p)
			}
		}
		file = file[size:]
	}
	return list
}
