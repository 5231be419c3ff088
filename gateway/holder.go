//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder says who has a port of the machine, as far as /proc tells this user. It reads much,
// and is not for who has the turn.
func holder(proto int, at netip.AddrPort) string {
	inodes := make(map[string]bool)
	for _, f := range []string{protoName(proto), protoName(proto) + "6"} {
		text, err := os.ReadFile("/proc/net/" + f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if ino, ok := heldBy(line, proto, at); ok {
				inodes["socket:["+ino+"]"] = true
			}
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		if len(inodes) == 0 {
			break
		}
		to, err := os.Readlink(l)
		if err != nil || !inodes[to] {
			continue
		}
		pid := strings.Split(l, "/")[2]
		if pid == strconv.Itoa(os.Getpid()) {
			return "it is published twice"
		}
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("%s (process %s) has the port; end that, or publish another", printable(string(bytes.TrimSpace(name))), pid)
	}
	flag := "t"
	if proto == unix.IPPROTO_UDP {
		flag = "u"
	}
	return fmt.Sprintf("another process has the port; as root, ss -%snap 'sport = :%d' shows which", flag, at.Port())
}

// heldBy returns the inode of the socket on a line of /proc/net/tcp, udp, tcp6 or udp6, if it
// keeps others from binding at: it listens, or is UDP's, at that address or all.
func heldBy(line string, proto int, at netip.AddrPort) (inode string, ok bool) {
	const local, state, ino, listen = 1, 3, 9, "0A"
	f := strings.Fields(line)
	if len(f) <= ino || proto == unix.IPPROTO_TCP && f[state] != listen {
		return "", false
	}
	a, ok := procAddr(f[local])
	if !ok || a.Port() != at.Port() || f[ino] == "0" {
		return "", false
	}
	any := a.Addr().IsUnspecified() || at.Addr().IsUnspecified()
	return f[ino], a.Addr() == at.Addr() || any && (a.Addr().Is6() || at.Addr().Is4())
}

// procAddr reads an address and port as /proc/net has them: words of 32 bits in the machine's
// order.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, false
	}
	var b []byte
	for ; len(host) > 0; host = host[8:] {
		w, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(w))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// unprivilegedStart is the first port that takes no privilege.
func unprivilegedStart() int {
	b, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if n, err := strconv.Atoi(string(bytes.TrimSpace(b))); err == nil {
		return n
	}
	return 1024
}
