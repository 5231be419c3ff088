//go:build linux

package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/target"
)

// procText is an address and port as the kernel writes them.
func procText(a netip.AddrPort) string {
	text := ""
	for b := a.Addr().AsSlice(); len(b) > 0; b = b[4:] {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b))
	}
	return fmt.Sprintf("%s:%04X", text, a.Port())
}

// FuzzHeldBy reads any text as a line of /proc/net/tcp, and what the kernel writes of an address is that address.
func FuzzHeldBy(f *testing.F) {
	f.Add("  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1", []byte{127, 0, 0, 1}, uint16(8080))
	f.Fuzz(func(t *testing.T, line string, addr []byte, port uint16) {
		ip, ok := netip.AddrFromSlice(addr)
		if !ok {
			ip = netip.IPv4Unspecified()
		}
		at := netip.AddrPortFrom(ip.Unmap(), port)
		for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			if inode, ok := heldBy(line, proto, at); ok && (inode == "" || inode == "0" || strings.ContainsAny(inode, " \t\n")) {
				t.Errorf("%q is held by %q", line, inode)
			}
		}
		text := procText(netip.AddrPortFrom(ip, port))
		if got, ok := procAddr(text); !ok || got != at {
			t.Errorf("%s is %v, %v, want %v", text, got, ok, at)
		}
		whole := "  12: " + text + " 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000"
		if inode, ok := heldBy(whole, unix.IPPROTO_TCP, at); !ok || inode != "4711" {
			t.Errorf("%q: %q, %v", whole, inode, ok)
		}
		if inode, ok := heldBy(whole, unix.IPPROTO_TCP, netip.AddrPortFrom(at.Addr(), port^1)); ok {
			t.Errorf("%q: port %d is held by %q", whole, port^1, inode)
		}
	})
}

// FuzzHostsFile reads any text as hosts(5): a name stands in it if a line says so, whatever is above.
func FuzzHostsFile(f *testing.F) {
	f.Add("127.0.0.1 localhost # db\n", "db")
	f.Fuzz(func(t *testing.T, text, name string) {
		has := namedIn(text, name)
		if name == "" && has {
			t.Error("no name stands there")
		}
		if target.CheckName(name) != nil {
			return
		}
		for _, line := range []string{"192.0.2.1 " + name, "::1\tother  " + strings.ToUpper(name) + "\t# it"} {
			if !namedIn(text+"\n"+line+"\n", name) {
				t.Errorf("%q does not stand in %q", name, line)
			}
		}
		if namedIn(text+"\n# 192.0.2.1 "+name+"\n", name) != has {
			t.Errorf("%q stands in a comment", name)
		}
	})
}
