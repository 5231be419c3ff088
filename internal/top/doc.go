// Package top is the screen of usock top: what runs tell of their links and sockets, again and again, as a table that is
// sorted by what is asked for.
//
// A Watcher keeps a connection to each run and tells what it hears as messages: Found, Look, Failed, Gone. A Model takes
// them, and keys and sizes of the terminal besides; what it shows is a function of these messages alone, so that tests need
// neither runs nor a terminal. A run that does not answer holds up neither the screen nor the other runs: each is asked by
// a goroutine of its own, and no message of its comes.
//
// Begin with model.go; columns.go and view.go draw.
package top
