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
	// first: "echo of hello from the first" from 127.0.0.1:3000
	// second: "echo of hello from the second" from 127.0.0.1:3000
	// third: "echo of hello from the third" from 127.0.0.1:3000
	// 3 datagrams served
}
