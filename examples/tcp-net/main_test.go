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
	// ONE
	// TWO
	// THREE
	// deadline exceeded: true
	// listener closed: true
}
