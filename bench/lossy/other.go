//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "lossy: the comparison is with Linux's stack: it runs on Linux")
	os.Exit(1)
}
