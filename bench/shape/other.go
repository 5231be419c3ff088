//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "shape runs on Linux only: so does what is compared")
	os.Exit(1)
}
