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
	// beta received ping
	// alpha received pong
	// beta received ping
	// alpha received pong
	// beta received ping
	// alpha received pong
	// three round trips took no less than the link's time: true
}
