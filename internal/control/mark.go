package control

// Mark is the name of a thread that each supervisor of a run has (prctl(2), PR_SET_NAME), by
// which peer_linux.go knows it.
const Mark = "usock-loop"
