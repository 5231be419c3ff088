// Package abi is Linux's binary interface to sockets: the numbers of families,
// types, levels, options and flags, and the layouts of addresses, control
// messages and option values. usock uses these numbers on every system.
//
// abi imports only the standard library.
package abi

//go:generate go run ./gen
