// Gointerfaces lists the addresses of all interfaces: name, index, address and prefix length.
package main

import (
	"fmt"
	"log"
	"net"
)

func main() {
	list, err := net.Interfaces()
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range list {
		if same, err := net.InterfaceByName(i.Name); err != nil || same.Index != i.Index || same.MTU != i.MTU {
			log.Fatal(i.Name, ": ", same, err)
		}
		addrs, err := i.Addrs()
		if err != nil {
			log.Fatal(err)
		}
		for _, a := range addrs {
			fmt.Println(i.Name, i.Index, a)
		}
	}
}
