//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"usock/internal/freeport"

	"golang.org/x/sys/unix"
)

// TestPublishUrgent has urgent bytes come in and go out, as they do between programs of the
// kernel.
func TestPublishUrgent(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "urgentout.py")
	for _, host := range []string{"127.0.0.1", "::1"} {
		var saw [2]string
		for i, native := range []bool{true, false} {
			port := freeport.Get(t)
			s := fmt.Sprintf("exec python3 %s server %d", py, port)
			if native {
				startedIn(t, asUser, s)
			} else {
				publish(t, []string{fmt.Sprint(port)}, s)
			}
			out, err := exec.CommandContext(t.Context(), "timeout", "60", "python3", py, "client", host, fmt.Sprint(port)).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			saw[i] = string(out)
		}
		if saw[0] != saw[1] || strings.Count(saw[0], "PRI") != 2 {
			t.Errorf("%s, natively:\n%s\npublished:\n%s", host, saw[0], saw[1])
		}
	}
}

// TestPublishSegments has a client send datagrams that the kernel cuts apart (UDP_SEGMENT), and a
// server inside answer in the same way; on another machine as well.
func TestPublishSegments(t *testing.T) {
	t.Parallel() // in networks of its own
	need(t, "python3", "python3")
	const size = 1200
	server := fmt.Sprintf("exec python3 %s 7000 %d", script(t, "segments.py"), size)
	t.Run("here", func(t *testing.T) {
		port := freeport.Get(t)
		r := publish(t, []string{fmt.Sprintf("%d:7000/udp", port)}, server)
		r.prints(t, "bound")
		for _, host := range []string{"127.0.0.1", "::1"} {
			segments(t, at(host, port), size)
		}
	})
	t.Run("there", func(t *testing.T) {
		n := newNetwork(t)
		r := publishFrom(t, n.from(asUser), []string{"0.0.0.0:7000/udp", "[::]:7000/udp"}, server)
		r.prints(t, "bound")
		for _, to := range []string{"10.77.1.2:7000", "[fd77:1::2]:7000"} {
			n.in(serverSide, func() { segments(t, to, size) })
		}
	})
}

// segments sends datagrams of a size and a shorter one at once to segments.py, several times,
// and compares what comes back.
func segments(t *testing.T, to string, size int) {
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	udp := c.(*net.UDPConn)
	udp.SetReadBuffer(1 << 20)
	for _, n := range []int{1, 2, 40, 50} {
		sent := make([]byte, n*size-size/3)
		rand.NewChaCha8([32]byte{byte(n)}).Read(sent)
		control := make([]byte, unix.CmsgSpace(2))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(size))
		if _, _, err := udp.WriteMsgUDP(sent, control, nil); err != nil {
			t.Errorf("%s, %d: %v", to, n, err)
			return
		}
		var got, lengths []byte
		b := make([]byte, 1<<16)
		for len(got) < len(sent) {
			k, err := udp.Read(b)
			if err != nil {
				t.Errorf("%s: %d of %d bytes: %v", to, len(got), len(sent), err)
				return
			}
			got = append(got, b[:k]...)
			if k == size {
				lengths = append(lengths, 1)
			}
		}
		if !bytes.Equal(got, sent) || len(lengths) != n-1 {
			t.Errorf("%s: %d datagrams of %d bytes of %d, the same: %v", to, len(lengths), size, n-1, bytes.Equal(got, sent))
		}
	}
}

// TestPublishFew has more clients come than a run with few descriptors can have: they wait or
// are reset, and when the others have gone they, and new ones, are served.
func TestPublishFew(t *testing.T) {
	need(t, "python3", "python3")
	for _, files := range []int{60, 100} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			port := freeport.Get(t)
			w := reaching()
			w.sh = fmt.Sprintf("ulimit -n %d", files)
			r := publishFrom(t, w, []string{fmt.Sprintf("%d:7000", port)}, fmt.Sprintf("exec python3 %s 7000", script(t, "fewfiles.py")))
			to := at("127.0.0.1", port)
			eventually(t, "the server listens", func() bool { return !refuses(to) })
			const clients = 200
			answered, failed := make(chan net.Conn, clients), make(chan error, clients)
			for range clients {
				go func() {
					c, err := exchanged(to)
					if err != nil {
						failed <- err
						return
					}
					answered <- c
				}()
			}
			eventually(t, "a client more than there is room for waits", func() bool { return strings.Contains(r.errors(), "ulimit -n") })
			// Nobody leaves: those that have descriptors are served all the same.
			eventually(t, "some clients are served", func() bool { return len(answered) >= files/15 })
			t.Log(len(answered), "are served,", len(failed), "have failed")
			served := 0
			for served < clients {
				select {
				case c := <-answered:
					served++
					c.Close()
				case err := <-failed:
					served++
					if !errors.Is(err, unix.ECONNRESET) {
						t.Error(err)
					}
				case <-time.After(limit / 3):
					t.Fatalf("%d of %d clients have an answer or none, the others wait", served, clients)
				}
			}
			for range 20 {
				c, err := exchanged(to)
				if err != nil {
					t.Fatal("afterwards: ", err)
				}
				c.Close()
			}
		})
	}
}

// exchanged connects, and has an echo server answer once.
func exchanged(to string) (net.Conn, error) {
	c, err := net.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(limit))
	b := []byte("x")
	if _, err = c.Write(b); err == nil {
		_, err = io.ReadFull(c, b)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
