// Sctppeer is a host whose SCTP the kernel does not know: it echoes each message, at port 5000 of its addresses behind a
// TUN device.
//
//	sctppeer DEVICE PREFIX...
package main

import (
	"fmt"
	"net/netip"
	"os"

	"usock"
	"usock/link"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(device string, prefixes []string) error {
	tun, err := link.TUN(link.DeviceConfig{Name: device})
	if err != nil {
		return err
	}
	eth := usock.Interface{Link: tun}
	for _, text := range prefixes {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return err
		}
		eth.Addrs = append(eth.Addrs, p)
		eth.Routes = append(eth.Routes, usock.Route{Dst: netip.PrefixFrom(p.Addr(), 0).Masked(), Via: p.Addr().Prev()})
	}
	h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{eth}, Privileged: true})
	if err != nil {
		return err
	}
	l, err := h.ListenSCTP("sctp", ":5000")
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		c, err := l.AcceptSCTP()
		if err != nil {
			return err
		}
		go echo(c)
	}
}

func echo(c *usock.SCTPConn) {
	defer c.Close()
	fmt.Println("from", c.RemoteAddr())
	b := make([]byte, 1<<18)
	for n := 0; ; {
		k, info, err := c.ReadMsg(b[n:])
		if err != nil {
			return
		}
		if n += k; info.EOR {
			if _, err := c.WriteMsg(b[:n], info); err != nil {
				return
			}
			n = 0
		}
	}
}
