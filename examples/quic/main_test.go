package main

import (
	"fmt"
	"os"
)

func Example() {
	if err := run(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// alpha received 2097152 bytes, with GSO: true
	// alpha received packets with ECT(0): true
}
