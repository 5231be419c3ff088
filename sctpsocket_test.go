package usock_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// sctpMany returns a socket of one-to-many style, bound to the wildcard address and the port.
func sctpMany(t *testing.T, h *usock.Host, port uint16) *usock.Socket {
	t.Helper()
	s, err := h.Socket(usock.AF_INET, usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP)
	if err == nil {
		err = s.Bind(inetAddr("0.0.0.0", port))
	}
	if err == nil {
		err = s.Listen(5)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func inetAddr(ip string, port uint16) usock.Addr {
	return usock.Addr{Family: usock.AF_INET, IP: netip.MustParseAddr(ip), Port: port}
}

// assocOption reads an option whose value begins with an association's number.
func assocOption(t *testing.T, s *usock.Socket, name int, assoc int32, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, uint32(assoc))
	n, err := s.GetSockOpt(usock.SOL_SCTP, name, b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// ConnectX tells the number by which the socket knows the association.
func TestSCTPConnectX(t *testing.T) {
	a, b := sctpHosts(t)
	sctpMany(t, b, 7000)
	s := sctpMany(t, a, 7001)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id, err := s.ConnectX(ctx, inetAddr("10.0.0.2", 7000), inetAddr("10.1.0.2", 7000))
	if err != nil || id == 0 {
		t.Fatalf("%d, %v", id, err)
	}
	if b := assocOption(t, s, usock.SCTP_GET_PEER_ADDRS, id, 200); binary.NativeEndian.Uint32(b[4:]) != 2 {
		t.Errorf("the association has %d addresses of the peer", binary.NativeEndian.Uint32(b[4:]))
	}
	if _, err := s.ConnectX(ctx, inetAddr("10.0.0.2", 7000)); err != syscall.EISCONN {
		t.Errorf("again: %v", err)
	}
	s.SetNonblock(true)
	if id, err = s.ConnectX(ctx, inetAddr("10.0.0.9", 7000)); err != syscall.EINPROGRESS || id == 0 {
		t.Errorf("without waiting: %d, %v", id, err)
	}
}

// With SCTP_AUTO_ASCONF the peer learns of addresses that the host gets, and of those that it loses.
func TestSCTPAutoAsconf(t *testing.T) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	x2, y2 := link.Pipe(link.PipeConfig{MTU: 1500, Names: [2]string{"second", "second"}})
	c := usock.DefaultSCTPConfig()
	c.Auth, c.Addip = true, true
	iface := func(l link.Link, addr string) usock.Interface {
		return usock.Interface{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
	}
	a := newHost(t, usock.Config{SCTP: c, Interfaces: []usock.Interface{iface(x, "10.0.0.1/24")}})
	b := newHost(t, usock.Config{SCTP: c, Interfaces: []usock.Interface{iface(y, "10.0.0.2/24"), iface(y2, "10.1.0.2/24")}})
	server := sctpMany(t, b, 7000)
	s := sctpMany(t, a, 7001)
	if err := s.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_AUTO_ASCONF, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.ConnectX(ctx, inetAddr("10.0.0.2", 7000)); err != nil {
		t.Fatal(err)
	}
	ids := make([]byte, 8)
	if _, err := server.GetSockOpt(usock.SOL_SCTP, usock.SCTP_GET_ASSOC_ID_LIST, ids); err != nil {
		t.Fatal(err)
	}
	id := int32(binary.NativeEndian.Uint32(ids[4:]))
	known := func(want uint32) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			got := binary.NativeEndian.Uint32(assocOption(t, server, usock.SCTP_GET_PEER_ADDRS, id, 400)[4:])
			if got == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the peer knows %d addresses, want %d", got, want)
			}
		}
	}
	known(1)
	if err := a.AddInterface(usock.Interface{Link: x2, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}); err != nil {
		t.Fatal(err)
	}
	known(2)
	if err := a.RemoveInterface("second"); err != nil {
		t.Fatal(err)
	}
	known(1)

	one, err := a.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if err := one.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_AUTO_ASCONF, 1); err != syscall.EINVAL {
		t.Errorf("not bound to the wildcard address: %v", err)
	}
}

// SO_MEMINFO tells what the associations of a socket hold.
func TestSCTPMemInfo(t *testing.T) {
	a, b := sctpHosts(t)
	l, s := sctpMany(t, b, 7000), sctpMany(t, a, 7001)
	held := func(s *usock.Socket) (received, sent uint32) {
		t.Helper()
		v := make([]byte, 36)
		if n, err := s.GetSockOpt(usock.SOL_SOCKET, usock.SO_MEMINFO, v); n != len(v) || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		return binary.NativeEndian.Uint32(v), binary.NativeEndian.Uint32(v[5*4:])
	}
	if received, sent := held(l); received != 0 || sent != 0 {
		t.Errorf("a socket without association holds %d and %d bytes", received, sent)
	}
	if _, err := s.SendTo(make([]byte, 700), 0, inetAddr("10.0.0.2", 7000)); err != nil {
		t.Fatal(err)
	}
	within(t, "the message has come", func() error {
		if received, _ := held(l); received != 700 {
			return fmt.Errorf("%d bytes are held", received)
		}
		return nil
	})
	l.Recv(make([]byte, 1000), 0)
	if received, _ := held(l); received != 0 {
		t.Errorf("%d bytes are held of what was read", received)
	}
}

// A host counts what SCTP does, and its sockets.
func TestSCTPStats(t *testing.T) {
	h := newHost(t, usock.Config{})
	client, server := sctpConns(t, h, h, "127.0.0.1:7000")
	st := h.Stats()
	if c := st.SCTP; c.CurrEstab != 2 || c.ActiveEstabs != 1 || c.PassiveEstabs != 1 || c.InPackets != c.OutPackets || c.InPackets < 4 {
		t.Errorf("%+v", c)
	}
	if st.Sockets.SCTP != 3 || st.Sockets.Raw != 0 {
		t.Errorf("%+v, want a listener and two ends", st.Sockets)
	}
	client.SetLinger(0)
	client.Close()
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("the association was aborted")
	}
	if c := h.Stats().SCTP; c.CurrEstab != 0 || c.Aborteds != 2 {
		t.Errorf("%+v", c)
	}
}

// The schedulers have Linux's numbers, of 6.4 where it has them since then.
func TestSCTPSchedulers(t *testing.T) {
	s := sctpMany(t, newHost(t, usock.Config{}), 7000)
	for k, want := range map[uint32]error{
		usock.SCTP_SS_FCFS: nil, usock.SCTP_SS_PRIO: nil, usock.SCTP_SS_RR: nil, usock.SCTP_SS_FC: nil, usock.SCTP_SS_WFQ: nil,
		usock.SCTP_SS_RR_PKT: nil, usock.SCTP_SS_WFQ + 1: syscall.EINVAL, usock.SCTP_SS_RR_PKT + 1: syscall.EINVAL,
	} {
		v := binary.NativeEndian.AppendUint32(make([]byte, 4), k)
		err := s.SetSockOpt(usock.SOL_SCTP, usock.SCTP_STREAM_SCHEDULER, v)
		if err != want {
			t.Errorf("%d: %v, want %v", k, err, want)
		}
		if got := assocOption(t, s, usock.SCTP_STREAM_SCHEDULER, 0, 8); err == nil && binary.NativeEndian.Uint32(got[4:]) != k {
			t.Errorf("%d was set, and is %d", k, binary.NativeEndian.Uint32(got[4:]))
		}
	}
}
