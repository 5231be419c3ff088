//go:build linux

package link

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/packet"
)

// frameSockets returns both ends of a connection, and where it was made.
func frameSockets(t *testing.T, c FrameSocketConfig) (listening, dialled *tester, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := ListenFrames(path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d, err := DialFrames(path, c)
	d = opened(t, d, err)
	a, err := l.Accept()
	a = opened(t, a, err)
	return test(t, a), test(t, d), path
}

// rawPeer returns a link and the socket of its peer, which sends what it likes.
func rawPeer(t *testing.T, c FrameSocketConfig) (*tester, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenFrames(path, c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	return test(t, opened(t, a, err)), fd
}

func frameOf(n int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, n)
	copy(b, macB[:])
	copy(b[6:], macA[:])
	b[12], b[13] = 0x08, 0x00
	return b
}

func anyFrame(*Packet) bool { return true }

// Each record is a frame, whole, of all sizes up to the MTU, in both directions and in order.
func TestFrameSocketCarries(t *testing.T) {
	leakCheck(t)
	a, d, _ := frameSockets(t, FrameSocketConfig{MTU: 9000})
	for _, x := range []struct{ from, to *tester }{{a, d}, {d, a}} {
		sizes := []int{15, 60, 1514, 2048, 9014}
		var batch []*Packet
		for i, n := range sizes {
			p := packet.FromBytes(frameOf(n, byte(i+1))[14:])
			copy(p.Prepend(14), frameOf(14, 0)) // headers and data lie apart
			batch = append(batch, p)
		}
		if n := x.from.Send(batch); n != len(sizes) {
			t.Fatalf("%d frames sent", n)
		}
		for i, n := range sizes {
			p := x.to.next(anyFrame)
			want := frameOf(n, byte(i+1))
			if got := p.AppendTo(nil); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came, want %d", len(got), n)
			}
			p.Free()
		}
	}
}

// What is no frame is dropped: nothing, a header alone, more than the MTU. What comes next is
// none the worse.
func TestFrameSocketBadRecords(t *testing.T) {
	leakCheck(t)
	l, fd := rawPeer(t, FrameSocketConfig{})
	defer unix.Close(fd)
	good := frameOf(1514, 7)
	for _, b := range [][]byte{{}, {1}, frameOf(14, 0), frameOf(1515, 1), frameOf(9000, 1), good} {
		if err := unix.Sendto(fd, b, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	p := l.next(anyFrame)
	if got := p.AppendTo(nil); !bytes.Equal(got, good) {
		t.Errorf("%d bytes came", len(got))
	}
	p.Free()
	if n := l.Send([]*Packet{packet.FromBytes(frameOf(1515, 0)), packet.FromBytes(good)}); n != 1 {
		t.Errorf("%d frames sent, want the one that is not too large", n)
	}
	b := make([]byte, 2000)
	if n, err := unix.Read(fd, b); err != nil || !bytes.Equal(b[:n], good) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// The peer's death is told after all that it has sent, and sending then drops.
func TestFrameSocketPeerGone(t *testing.T) {
	leakCheck(t)
	l, fd := rawPeer(t, FrameSocketConfig{})
	if err := unix.Sendto(fd, frameOf(100, 1), 0, nil); err != nil {
		t.Fatal(err)
	}
	l.next(anyFrame).Free()
	ended := make(chan error)
	go func() {
		_, err := l.Recv(make([]*Packet, 4))
		ended <- err
	}()
	unix.Close(fd)
	if err := <-ended; err != ErrPeerClosed {
		t.Errorf("Recv: %v", err)
	}
	if _, err := l.Recv(make([]*Packet, 4)); err != ErrPeerClosed {
		t.Errorf("Recv again: %v", err)
	}
	if n := l.Send([]*Packet{packet.FromBytes(frameOf(100, 1))}); n != 0 {
		t.Errorf("%d frames sent to nobody", n)
	}

	// One that dies with frames unread resets.
	l, fd = rawPeer(t, FrameSocketConfig{})
	l.Send([]*Packet{packet.FromBytes(frameOf(100, 1))})
	unix.Close(fd)
	if _, err := l.Recv(make([]*Packet, 4)); err != ErrPeerClosed {
		t.Errorf("Recv after a reset: %v", err)
	}
}

// A peer that takes nothing costs frames, and nobody waits for it.
func TestFrameSocketFull(t *testing.T) {
	leakCheck(t)
	l, fd := rawPeer(t, FrameSocketConfig{})
	defer unix.Close(fd)
	accepted := 0
	for range 10_000 {
		n := l.Send([]*Packet{packet.FromBytes(frameOf(1514, 1))})
		if accepted += n; n == 0 {
			break
		}
	}
	if accepted < 50 || accepted > 9000 {
		t.Errorf("%d frames found room", accepted)
	}
	b := make([]byte, 2000)
	for range accepted {
		if n, err := unix.Read(fd, b); n != 1514 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := l.Send([]*Packet{packet.FromBytes(frameOf(60, 1))}); n != 1 {
		t.Error("no room after everything was taken")
	}
}

// Closing ends a Recv and an Accept that wait, and removes the path.
func TestFrameSocketClose(t *testing.T) {
	leakCheck(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenFrames(path, FrameSocketConfig{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := DialFrames(path, FrameSocketConfig{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := d.Recv(make([]*Packet, 1))
		ended <- err
	}()
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := errors.Join(l.Close(), d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; err != ErrClosed {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is left: %v", err)
	}
	if _, err := a.Recv(make([]*Packet, 1)); err != ErrPeerClosed {
		t.Errorf("the other end: %v", err)
	}
	a.Close()
	if n := a.Send([]*Packet{packet.FromBytes(frameOf(60, 1))}); n != 0 {
		t.Error("a frame was sent by a closed link")
	}
}

// The path of a listener that has died is taken over, that of one that lives is not, nor is a file.
func TestFrameSocketLeftOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	dead, err := net.ListenUnix(seqpacket, &net.UnixAddr{Name: path, Net: seqpacket})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := DialFrames(path, FrameSocketConfig{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to a dead listener: %v", err)
	}
	l, err := ListenFrames(path, FrameSocketConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ListenFrames(path, FrameSocketConfig{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening beside a listener: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenFrames(file, FrameSocketConfig{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening at a file: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "kept" {
		t.Error("the file is gone")
	}
	if _, err := DialFrames(filepath.Join(dir, "none"), FrameSocketConfig{}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("connecting to nothing: %v", err)
	}
}

func TestFrameSocketConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, c := range []FrameSocketConfig{
		{MTU: 67}, {MTU: maxFrameMTU + 1}, {MTU: -1}, {Name: "sixteen-bytes-xx"}, {Address: [6]byte{1}},
	} {
		if _, err := ListenFrames(path, c); err == nil {
			t.Errorf("%+v: no error from ListenFrames", c)
		}
		if _, err := DialFrames(path, c); err == nil || errors.Is(err, syscall.ENOENT) {
			t.Errorf("%+v: %v from DialFrames", c, err)
		}
	}
	a, d, _ := frameSockets(t, FrameSocketConfig{})
	x, y := a.Info(), d.Info()
	if x.Address == y.Address || x.Address[0]&3 != 2 || x.MTU != 1500 || x.Medium != Ethernet || x.Name != "frames0" {
		t.Errorf("%+v and %+v", x, y)
	}
}

// Two hosts' ends of IP over such frames: what Frames makes of it finds its neighbour, and ends
// with the peer.
func TestFramesOverSocket(t *testing.T) {
	leakCheck(t)
	a, d, _ := frameSockets(t, FrameSocketConfig{})
	x := newStation(t, a, FramesConfig{Addresses: addresses("10.0.0.1/24")})
	f, err := Frames(d, FramesConfig{Addresses: addresses("10.0.0.2/24")})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	defer f.Close()
	x.datagram("10.0.0.1", "10.0.0.2", "hello")
	batch := make([]*Packet, 1)
	if n, err := f.Recv(batch); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	src, _, _, b := parse(t, batch[0])
	if src != netip.MustParseAddr("10.0.0.1") || string(b[8:]) != "hello" {
		t.Errorf("%v says %q", src, b)
	}
	batch[0].Free()
	end := time.AfterFunc(10*time.Second, func() { f.Close() })
	defer end.Stop()
	x.Close()
	if _, err := f.Recv(batch); err == nil {
		t.Error("reading goes on when the peer is gone")
	}
}
