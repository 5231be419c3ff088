// Command unix shows AF_UNIX: a pair of sockets, a server with a path name, and
// records that keep their bounds.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"usock"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	host, err := usock.NewHost(usock.Config{Name: "example", Cred: &usock.Cred{PID: 42, UID: 1000, GID: 1000}})
	if err != nil {
		return err
	}
	defer host.Close()
	if err := pair(w, host); err != nil {
		return err
	}
	return server(w, host)
}

// pair shows a pair of SOCK_SEQPACKET: connected, in order, record bounds kept.
func pair(w io.Writer, host *usock.Host) error {
	a, b, err := host.SocketPair(usock.AF_UNIX, usock.SOCK_SEQPACKET, 0)
	if err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()
	for _, record := range []string{"one", "two and a half", "three"} {
		if _, err := a.Send([]byte(record), 0); err != nil {
			return err
		}
	}
	buf := make([]byte, 100)
	for range 3 {
		n, err := b.Recv(buf, 0)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "record %q\n", buf[:n])
	}
	return nil
}

// server shows a stream server with a path name, which is a name of the host and
// no file, and who its client is.
func server(w io.Writer, host *usock.Host) error {
	l, err := host.Listen("unix", "/run/example.sock")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := host.Dial("unix", "/run/example.sock")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	s, err := l.Accept()
	if err != nil {
		return err
	}
	defer s.Close()
	text, err := io.ReadAll(s)
	if err != nil {
		return err
	}
	var cred [12]byte // struct ucred
	if _, err := s.(*usock.UnixConn).Socket().GetSockOpt(usock.SOL_SOCKET, usock.SO_PEERCRED, cred[:]); err != nil {
		return err
	}
	fmt.Fprintf(w, "%q at %v from process %d\n", text, s.LocalAddr(), binary.NativeEndian.Uint32(cred[:]))
	return nil
}
