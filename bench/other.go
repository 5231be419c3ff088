//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench runs on Linux only: it measures the kernel in network namespaces")
	os.Exit(1)
}
