//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"usock"
)

// settings asks a stack for its congestion control and its buffers, as the workloads get
// them: of both ends of a connection, of a UDP receiver, and the limits of the host.
var settings = workload{name: "settings", title: "settings", topology: loopback, run: func(p *pair, _ Task) (Result, error) {
	d, ok := p.client.(describer)
	if !ok {
		return Result{}, errNotServed
	}
	client, server, err := p.connections(1)
	if err != nil {
		return Result{}, err
	}
	u, err := p.server.ListenUDP(p.at(port + 1))
	if err != nil {
		return Result{}, err
	}
	notes, err := d.describe(client[0], server[0], u)
	return Result{Notes: notes}, err
}}

// describer is a stack that can tell of its settings.
type describer interface {
	describe(client, server, udp net.Conn) (string, error)
}

// described puts settings into words. The limits are the least, the first and the most,
// in bytes.
func described(congestion []string, receive, send [3]int, rest string) string {
	limits := func(l [3]int) string { return fmt.Sprintf("%d, %d, %d", l[0], l[1], l[2]) }
	return fmt.Sprintf("congestion control %s (client's end, server's end); receive buffer %s; send buffer %s bytes (least, first, most)%s",
		strings.Join(congestion, ", "), limits(receive), limits(send), rest)
}

func (n usockNet) describe(client, server, udp net.Conn) (string, error) {
	c := usock.DefaultTCPConfig() // which a Config without its own stands for
	var congestion []string
	receiver := 0
	for _, end := range []net.Conn{client, server, udp} {
		for _, s := range n.h.Sockets() {
			switch {
			case s.Local.String() != end.LocalAddr().String():
			case s.Proto == "udp":
				receiver = s.RcvBuf
			case s.State == "ESTAB":
				congestion = append(congestion, s.Congestion)
			}
		}
	}
	return described(congestion, c.RMem, c.WMem, fmt.Sprintf("; UDP receiver %d", receiver)), nil
}

func (n gvisorNet) describe(_, _, _ net.Conn) (string, error) {
	var (
		cc  tcpip.CongestionControlOption
		rcv tcpip.TCPReceiveBufferSizeRangeOption
		snd tcpip.TCPSendBufferSizeRangeOption
		udp tcpip.ReceiveBufferSizeOption
	)
	for _, o := range []tcpip.GettableTransportProtocolOption{&cc, &rcv, &snd} {
		if err := n.s.TransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return "", errors.New(err.String())
		}
	}
	if err := n.s.Option(&udp); err != nil {
		return "", errors.New(err.String())
	}
	return described([]string{string(cc), string(cc)}, [3]int{rcv.Min, rcv.Default, rcv.Max}, [3]int{snd.Min, snd.Default, snd.Max},
		fmt.Sprintf("; UDP receiver %d", udp.Default)), nil
}

func (n kernelNet) describe(client, server, udp net.Conn) (string, error) {
	congestion, err := congestionOf(client, server)
	if err != nil {
		return "", err
	}
	plain, err := plainCongestion()
	if err != nil {
		return "", err
	}
	receiver := 0
	if err := control(udp, func(fd int) (err error) {
		receiver, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return err
	}); err != nil {
		return "", err
	}
	var limits [2][3]int
	for i, file := range []string{"tcp_rmem", "tcp_wmem"} {
		if _, err := fmt.Sscan(sysctl("ipv4/"+file), &limits[i][0], &limits[i][1], &limits[i][2]); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	}
	rest := fmt.Sprintf("; UDP receiver %d; net.core.rmem_max %s, wmem_max %s; congestion control of programs on lo %s; the namespace's own default %s",
		receiver, sysctl("core/rmem_max"), sysctl("core/wmem_max"), plain, sysctl("ipv4/tcp_congestion_control"))
	return described(congestion, limits[0], limits[1], rest), nil
}

// congestionOf returns the congestion controls of connections of the kernel's.
func congestionOf(ends ...net.Conn) (names []string, err error) {
	for _, end := range ends {
		if err := control(end, func(fd int) error {
			name, err := unix.GetsockoptString(fd, unix.SOL_TCP, unix.TCP_CONGESTION)
			names = append(names, strings.TrimRight(name, "\x00"))
			return err
		}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// plainCongestion returns the congestion controls that both ends of a connection over
// the kernel's loopback have if they ask for none.
func plainCongestion() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return "", err
	}
	defer server.Close()
	names, err := congestionOf(client, server)
	return strings.Join(names, ", "), err
}

// control calls f with the descriptor of a connection.
func control(c net.Conn, f func(fd int) error) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var fail error
	return errors.Join(raw.Control(func(fd uintptr) { fail = f(int(fd)) }), fail)
}

// sysctl reads a setting of the thread's network namespace.
func sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
