package control

// Mark is the name of a thread that each supervisor of a run has (prctl(2), PR_SET_NAME), by
// which peer_linux.go knows it.
const Mark = "usock-loop"

// Why who has connected is refused.
var (
	errUser      = &Error{Refused, "this is another user's run"}
	errNamespace = &Error{Refused, "this run cannot see the process that asks: ask from the run's own PID namespace"}
	errInRun     = &Error{Refused, "a program that runs under usock may not look at runs"}
	errEndedPeer = &Error{Refused, "the process that has connected is gone"}
)
