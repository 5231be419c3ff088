// Package cc is what a TCP sender and its congestion control say to each other: how many bytes
// may be in the network, and how fast they may be sent. Who brings a control of his own
// implements [Controller] and names it in usock.TCPConfig.Controllers; programs choose it as any
// other, by TCP_CONGESTION or usock.Config.Congestion.
//
// A [Controller] is a pure state machine. The protocol core tells it what
// happened, with the time in hand; it answers with a window, a threshold and a
// pacing rate. It needs no clock and starts nothing.
//
// The core decides what is lost, and when a reduction is due: at most one a round
// trip ([Controller.Congestion]). It carries the reduction out by Proportional
// Rate Reduction (RFC 6937), except for a controller that steers its window in
// recovery itself ([Controller.OwnsRecovery]).
//
// All windows are in bytes, all rates in bytes a second, and all times since the
// host's epoch. cc imports only the standard library. Begin with cc.go.
package cc
