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
	// "from a packet socket" from 127.0.0.1:3000
	// "from a connected one"
	// refused: true
}
