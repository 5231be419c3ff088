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
	// port 80: listen tcp 127.0.0.1:80: bind: permission denied: ports below 1024 take CAP_NET_BIND_SERVICE, which usock.Config.Privileged gives
	// 100 clients were greeted by name
}
