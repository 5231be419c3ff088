//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "outside runs on Linux only: the tools that it compares do")
	os.Exit(1)
}
