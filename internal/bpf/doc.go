// Package bpf runs classic BPF programs on packets: the filters that SO_ATTACH_FILTER
// gives to a socket. It imports the standard library alone.
//
// golang.org/x/net/bpf has a machine as well, and the tests hold this one to it. It knows
// neither the ancillary data that Linux's filters can load (but the length), nor offsets
// from the network header, nor negation, and it does not check what Linux's verifier
// refuses.
//
// Begin with program.go.
package bpf
