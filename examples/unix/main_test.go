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
	// record "one"
	// record "two and a half"
	// record "three"
	// "hello" at /run/example.sock from process 42
}
