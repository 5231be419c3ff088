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
	// server received "hello from client 1"
	// client received "HELLO FROM CLIENT 1"
	// server received "hello from client 2"
	// client received "HELLO FROM CLIENT 2"
	// server received "hello from client 3"
	// client received "HELLO FROM CLIENT 3"
	// refused: true
}
