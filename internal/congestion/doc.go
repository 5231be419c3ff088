// Package cc is congestion control: how many bytes a TCP or SCTP sender may have
// in the network, and how fast it may send them.
//
// What a [Controller] is stands in the public package cc, whose names this one has for the
// cores. Those that are here have no clock, start nothing and allocate nothing after New.
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
// host's epoch. It imports usock/cc and the standard library. Begin with cc.go.
package congestion
