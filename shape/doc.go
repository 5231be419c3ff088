// Package shape says what a network does to those who use it: profiles of known networks, traces of
// measured ones, rules about some of the packets, timelines, and faults of calls. They are values with forms of text,
// one vocabulary for the command, for files, for the control socket and for tests; what they become is what package
// link makes of a link, and what a host does at a call.
package shape
