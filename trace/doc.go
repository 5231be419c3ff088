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
// Given kinds, it asks for these alone.
//
// TCP tells all kinds of events; UDP, ping and raw sockets are told by what is sent, received, dropped and
// refused, and by calls; AF_UNIX by calls alone, as it has no network. A call's name is that of its
// family: send stands for sendto, sendmsg and sendmmsg, recv likewise. Under usock run they are the calls that the
// supervisor makes on a process's behalf: a stream is pumped, so that its sends and receives are the
// pump's, and a wait that a signal ends is not a call's end.
//
// An event is one line of text (String), or one of JSON in the manner of qlog
// (draft-ietf-quic-qlog-main-schema): Writer. Its name and what stands in data beside whose it is (socket,
// process, protocol, local, peer) and trigger, which is Why:
//
//	tcp:segment_sent, _received  seq length ack flags window times_sent
//	socket:datagram_sent, _received, _dropped  length
//	socket:refused               seq (TCP's) error
//	recovery:acknowledged        seq length congestion_window ssthresh bytes_in_flight
//	                             smoothed_rtt rtt_variance latest_rtt (ms) rate (bytes/s)
//	recovery:segment_lost        seq length times_sent
//	recovery:window_updated      window (the peer's), and unless its closing or opening is told: as acknowledged
//	recovery:rate_updated        rate (bytes/s)
//	recovery:timer_set           at (ms since the epoch)
//	recovery:timer_expired
//	tcp:state_updated            old new
//	tcp:stalled                  at (ms since the epoch)
//	socket:called                call result error
//	usock:events_missed          result
//
// The package imports the standard library only. Whatever makes events (internal/tcp, the sockets'
// calls) puts them into a Log, which its host empties.
package trace
