// Package measure says how a network was, from a capture: measure.go reads the packets, way.go makes of them what link.Trace and the
// traces of package shape are written as. What it sees is what was delivered, which is no more than what the network could carry.
package measure
