package usock_test

import (
	"fmt"
	"io"

	"usock"
	"usock/trace"
)

// What TCP does on a connection that carries five bytes, as the one who connects sees it.
func ExampleHost_Trace() {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	if _, err := h.Listen("tcp", "127.0.0.1:8080"); err != nil {
		panic(err)
	}
	stop := h.Trace(func(events []trace.Event) {
		for _, e := range events {
			if e.Peer.Port() == 8080 && (e.Kind == trace.State || e.Kind == trace.Sent && e.Len > 0) {
				fmt.Println(e.Text())
			}
		}
	})
	c, err := h.Dial("tcp", "127.0.0.1:8080")
	if err != nil {
		panic(err)
	}
	io.WriteString(c, "hello")
	stop()
	c.Close()
	// Output:
	// CLOSED -> SYN-SENT
	// sent S 0+1 win 65495
	// SYN-SENT -> ESTABLISHED
	// sent P. 1+5 ack 1 win 65536
}
