// Package cc is congestion control: how many bytes a TCP or SCTP sender may have
// in the network, and how fast it may send them.
//
// A [Controller] is a pure state machine. The protocol core tells it what
// happened, with the time in hand; it answers with a window, a threshold and a
// pacing rate. It has no clock, starts nothing and allocates nothing after New.
//
// The core decides what is lost, and when a reduction is due: at most one a round
// trip ([Controller.Congestion]). It carries the reduction out by Proportional
// Rate Reduction (RFC 6937), except for a controller that steers its window in
// recovery itself ([Controller.OwnsRecovery]).
//
// Two helpers hold what the core has to measure for its controller, whichever it
// is: [Usage] says whether the window was what held the sender back, and [Rate]
// makes delivery-rate samples.
//
// # Floating point
//
// A network in manual time is the same on all processors. So a product that is added to
// stands in a conversion, which keeps the compiler from fusing the two (the Go
// specification, "Floating-point operators"), and functions of package math that are not
// exact are not called.
//
// All windows are in bytes, all rates in bytes a second, and all times since the
// host's epoch. cc imports only the standard library. Begin with cc.go.
package cc
