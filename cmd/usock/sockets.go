package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"usock"
	"usock/internal/control"
	"usock/internal/ss"
)

// printSockets writes a table of sockets in the manner of "ss -ti": under each
// connection a line of what its TCP knows. It shows what is not zero.
func printSockets(w io.Writer, title string, list []usock.SocketInfo) error {
	// Details are no cells: they would make the first column as wide as they are.
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tState\tRecv-Q\tSend-Q\tLocal Address:Port\tPeer Address:Port\n", title)
	for _, s := range list {
		local, peer := address(s.Local), address(s.Peer)
		if s.Domain == usock.AF_UNIX {
			local, peer = s.Path, s.PeerPath
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", s.Proto, s.State, s.RecvQ, s.SendQ, local, peer)
	}
	t.Flush()
	lines := strings.SplitAfter(table.String(), "\n")
	var out strings.Builder
	for i, line := range lines {
		out.WriteString(line)
		if i == 0 || i > len(list) || list[i-1].TCP == nil {
			continue
		}
		fmt.Fprintf(&out, "\t %s\n", strings.Join(ss.Details((*control.TCP)(list[i-1].TCP), list[i-1].Congestion), " "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return "*:*"
	}
	return a.String()
}
