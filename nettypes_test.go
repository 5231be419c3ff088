package usock_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"usock"
	"usock/internal/abi"
	"usock/link"
)

// Control data go both ways through the methods of net.UDPConn: ECN, and with UDP_SEGMENT and
// UDP_GRO many datagrams in one call.
func TestUDPControlData(t *testing.T) {
	h := newHost(t, usock.Config{})
	server := have(h.ListenPacket("udp", "127.0.0.1:0"))(t).(*usock.UDPConn)
	client := have(h.ListenPacket("udp", "127.0.0.1:0"))(t).(*usock.UDPConn)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	for _, o := range []struct{ level, name int }{{usock.SOL_IP, usock.IP_RECVTOS}, {usock.SOL_UDP, usock.UDP_GRO}} {
		if err := server.Socket().SetSockOptInt(o.level, o.name, 1); err != nil {
			t.Fatal(err)
		}
	}

	const ect0 = 2 // RFC 3168 §5
	oob := abi.AppendCmsg(nil, usock.SOL_IP, usock.IP_TOS, []byte{ect0})
	oob = abi.AppendCmsg(oob, usock.SOL_UDP, usock.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, 1000))
	n, oobn, err := client.WriteMsgUDP(make([]byte, 3500), oob, server.LocalAddr().(*net.UDPAddr))
	if n != 3500 || oobn != len(oob) || err != nil {
		t.Fatal(n, oobn, err)
	}
	b, got := make([]byte, 9000), make([]byte, 200)
	n, oobn, flags, from, err := server.ReadMsgUDP(b, got)
	if n != 3500 || flags != 0 || err != nil || from.String() != client.LocalAddr().String() {
		t.Fatalf("%d bytes, flags %#x, %v, %v", n, flags, from, err)
	}
	list, err := abi.ParseCmsgs(got[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	found := map[[2]int][]byte{}
	for _, m := range list {
		found[[2]int{m.Level, m.Type}] = m.Data
	}
	if tos := found[[2]int{usock.SOL_IP, usock.IP_TOS}]; !bytes.Equal(tos, []byte{ect0}) {
		t.Errorf("IP_TOS %v, want %d", tos, ect0)
	}
	if size := found[[2]int{usock.SOL_UDP, usock.UDP_GRO}]; len(size) < 2 || binary.NativeEndian.Uint16(size) != 1000 {
		t.Errorf("UDP_GRO %v, want 1000", size)
	}

	// Room for neither: both are cut, and the flags say so.
	client.WriteMsgUDPAddrPort(make([]byte, 100), oob, server.LocalAddr().(*net.UDPAddr).AddrPort())
	if n, oobn, flags, _, err := server.ReadMsgUDPAddrPort(b[:10], got[:16]); n != 10 || oobn > 16 || err != nil ||
		flags&usock.MSG_TRUNC == 0 || flags&usock.MSG_CTRUNC == 0 {
		t.Errorf("%d bytes, %d of control, flags %#x, %v", n, oobn, flags, err)
	}
}

// A batch takes what is there, and waits for the first only.
func TestUDPBatch(t *testing.T) {
	h := newHost(t, usock.Config{})
	server := have(h.ListenPacket("udp", "[::1]:0"))(t).(*usock.UDPConn)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	client := have(h.Dial("udp", server.LocalAddr().String()))(t).(*usock.UDPConn)
	out := make([]ipv4.Message, 3)
	for i := range out {
		out[i].Buffers = [][]byte{{byte(i)}, {9}}
	}
	if n, err := client.WriteBatch(out, 0); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	in := make([]ipv4.Message, 8)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 10)}
	}
	n, err := server.ReadBatch(in, 0)
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	for i, m := range in[:n] {
		if !bytes.Equal(m.Buffers[0][:m.N], []byte{byte(i), 9}) || m.Addr.String() != client.LocalAddr().String() {
			t.Errorf("message %d: %v from %v", i, m.Buffers[0][:m.N], m.Addr)
		}
	}
	if n, err := server.ReadBatch(in, usock.MSG_DONTWAIT); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("%d, %v, want EAGAIN", n, err)
	}
}

// A group is joined by the name of an interface, and left.
func TestMulticast(t *testing.T) {
	a, b := twoHosts(t, link.PipeConfig{MTU: 1500, Names: [2]string{"left", "right"}})
	for _, group := range []string{"239.1.2.3:7000", "[ff02::7]:7000"} {
		g := netip.MustParseAddrPort(group)
		c := have(b.ListenMulticastUDP("udp", "right", g))(t)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		s := have(a.ListenMulticastUDP("udp", "left", g))(t)
		send := func(to netip.AddrPort) {
			t.Helper()
			if _, err := s.WriteToUDPAddrPort([]byte("all"), to); err != nil {
				t.Fatal(err)
			}
		}
		p := make([]byte, 10)
		send(g)
		if n, _, err := c.ReadFromUDP(p); string(p[:n]) != "all" || err != nil {
			t.Errorf("%s: %q, %v", group, p[:n], err)
		}
		if err := c.LeaveGroup("right", g.Addr()); err != nil {
			t.Error(err)
		}
		send(g)
		second := netip.AddrPortFrom(g.Addr().Next(), g.Port())
		if err := c.JoinGroup("right", second.Addr()); err != nil {
			t.Error(err)
		}
		send(second)
		if _, _, err := c.ReadFrom(p); err != nil {
			t.Error(err)
		}
		if n, err := c.Socket().Recv(p, usock.MSG_DONTWAIT); err != syscall.EAGAIN {
			t.Errorf("%s: %d bytes, %v: what was sent after the group was left came", group, n, err)
		}
		if err := c.JoinGroup("nowhere", g.Addr()); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("join on no interface: %v", err)
		}
		c.Close()
		s.Close()
	}
	if _, err := a.ListenMulticastUDP("udp", "", netip.MustParseAddrPort("10.0.0.1:7000")); err == nil {
		t.Error("an address that is no group was taken")
	}
}

// Control has the socket before it is bound.
func TestListenConfig(t *testing.T) {
	h := newHost(t, usock.Config{})
	asked := 0
	c := usock.ListenConfig{Host: h, Backlog: 1, KeepAlive: 7 * time.Second, Control: func(network string, s *usock.Socket) error {
		if a, err := s.GetSockName(); err == nil && a.Port != 0 {
			t.Errorf("%s: bound to %v already", network, a)
		}
		asked++
		if network == "unix" {
			return nil
		}
		return s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_REUSEPORT, 1)
	}}
	first := have(c.ListenPacket(t.Context(), "udp", "127.0.0.1:0"))(t)
	have(c.ListenPacket(t.Context(), "udp", first.LocalAddr().String()))(t) // SO_REUSEPORT
	l := have(c.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	have(c.Listen(t.Context(), "unix", "@name"))(t)
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
	have(h.Dial("tcp", l.Addr().String()))(t)
	srv := have(l.(*usock.TCPListener).AcceptTCP())(t)
	if v, _ := srv.Socket().GetSockOptInt(usock.SOL_TCP, usock.TCP_KEEPIDLE); v != 7 {
		t.Errorf("TCP_KEEPIDLE %d, want 7", v)
	}
	err := srv.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 90 * time.Second, Interval: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ name, want int }{{usock.TCP_KEEPIDLE, 90}, {usock.TCP_KEEPINTVL, 7}, {usock.TCP_KEEPCNT, 9}} {
		if v, _ := srv.Socket().GetSockOptInt(usock.SOL_TCP, o.name); v != o.want {
			t.Errorf("option %d is %d, want %d", o.name, v, o.want)
		}
	}
	want := errors.New("no")
	c.Control = func(string, *usock.Socket) error { return want }
	if _, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0"); !errors.Is(err, want) {
		t.Errorf("%v, want Control's error", err)
	}
}

// io.Copy goes through ReadFrom and WriteTo, whatever the sizes, and from one connection to
// another.
func TestTCPCopy(t *testing.T) {
	h := newHost(t, usock.Config{})
	data := make([]byte, 3<<20+17)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, sizes := range [][]int{{1 << 20}, {1, 8191, 8192, 70000}, {100}} {
		a, b := connPair(t, h, h, "127.0.0.1:0")
		c, d := connPair(t, h, h, "127.0.0.1:0")
		want := data[:len(data)/len(sizes)/max(1, 1000/slices.Max(sizes))]
		go func() {
			io.Copy(a, &pieces{b: want, sizes: sizes})
			a.CloseWrite()
		}()
		go func() {
			io.Copy(c, b) // a relay
			c.CloseWrite()
		}()
		var got bytes.Buffer
		n, err := io.Copy(&got, d)
		if n != int64(len(want)) || err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("pieces of %v: %d of %d bytes, %v", sizes, n, len(want), err)
		}
		for _, x := range []io.Closer{a, b, c, d} {
			x.Close()
		}
	}
}

// pieces is a reader of pieces of the sizes.
type pieces struct {
	b     []byte
	sizes []int
	at    int
}

func (r *pieces) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(len(r.b), r.sizes[r.at%len(r.sizes)])])
	r.b = r.b[n:]
	r.at++
	return n, nil
}

// Of what could not be written nothing is counted and no block is lost (TestMain counts).
func TestTCPCopyFails(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b := connPair(t, h, h, "127.0.0.1:0")
	a.Write([]byte("some bytes"))
	n, err := b.(*usock.TCPConn).WriteTo(limited(4))
	if n != 4 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%d, %v, want 4, a short write", n, err)
	}
	b.Close()
	a.Close()
	n, err = a.(*usock.TCPConn).ReadFrom(bytes.NewReader(make([]byte, 1<<20)))
	if n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d, %v, want net.ErrClosed", n, err)
	}
}

// limited is a writer that takes so many bytes at most.
type limited int

func (w limited) Write(p []byte) (int, error) { return min(len(p), int(w)), nil }

// Messages of AF_UNIX carry credentials.
func TestUnixMessages(t *testing.T) {
	h := newHost(t, usock.Config{Cred: &usock.Cred{PID: 11, UID: 12, GID: 13}})
	l := have(h.Listen("unix", "/run/x"))(t)
	c := have(h.Dial("unix", "/run/x"))(t).(*usock.UnixConn)
	s := have(l.(*usock.UnixListener).AcceptUnix())(t)
	if err := s.Socket().SetSockOptInt(usock.SOL_SOCKET, usock.SO_PASSCRED, 1); err != nil {
		t.Fatal(err)
	}
	if n, oobn, err := c.WriteMsgUnix([]byte("hello"), nil, nil); n != 5 || oobn != 0 || err != nil {
		t.Fatal(n, oobn, err)
	}
	p, oob := make([]byte, 10), make([]byte, 100)
	n, oobn, flags, from, err := s.ReadMsgUnix(p, oob)
	if string(p[:n]) != "hello" || from != nil || err != nil || flags != 0 {
		t.Fatalf("%q from %v, flags %#x, %v", p[:n], from, flags, err)
	}
	m, err := abi.ParseCmsgs(oob[:oobn])
	if err != nil || len(m) != 1 || binary.NativeEndian.Uint32(m[0].Data) != 11 {
		t.Errorf("control messages %v, %v, want credentials", m, err)
	}
	c.Close()
	if _, _, _, _, err := s.ReadMsgUnix(p, nil); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}
