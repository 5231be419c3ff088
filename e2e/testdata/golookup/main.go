// Command golookup prints the addresses of each name, or the names of each address.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

func main() {
	for _, arg := range os.Args[1:] {
		var found []string
		var err error
		if name, ok := strings.CutPrefix(arg, "TXT:"); ok {
			found, err = net.DefaultResolver.LookupTXT(context.Background(), name)
			found = []string{fmt.Sprint(len(strings.Join(found, "")), " bytes")}
		} else if _, e := netip.ParseAddr(arg); e == nil {
			found, err = net.LookupAddr(arg)
		} else {
			found, err = net.LookupHost(arg)
		}
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns):
			fmt.Printf("%s: found nothing: %v, temporary: %v\n", arg, dns.IsNotFound, dns.IsTemporary)
		case err != nil:
			fmt.Printf("%s: %v\n", arg, err)
		}
		for _, f := range found {
			if err == nil {
				fmt.Printf("%s: %s\n", arg, strings.TrimSuffix(f, ".")) // libc leaves it out
			}
		}
	}
}
