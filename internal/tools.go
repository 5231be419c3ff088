//go:build tools

package internal

import (
	_ "github.com/gopacket/gopacket/pcapgo"
	_ "github.com/spf13/cobra"
	_ "golang.org/x/net/nettest"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
)
