// Package trace says what a host's stack does, as values: segments sent, received,
// acknowledged, lost and sent again, changes of state and window, timers, who waits for whom, and
// the program's calls.
//
// Nothing is made while nobody asks. Host.Trace asks, and gets the events of each entry of the
// host together, in order:
//
//	stop := h.Trace(func(events []trace.Event) {
//		for i := range events {
//			fmt.Println(&events[i])
//		}
//	})
//	defer stop()
//
// An event is one line of text (String), or one of JSON in the manner of qlog
// (draft-ietf-quic-qlog-main-schema): Writer.
//
// The package imports the standard library only. Whatever makes events (internal/tcp, the sockets'
// calls) puts them into a Log, which its host empties.
package trace
