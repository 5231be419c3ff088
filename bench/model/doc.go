// Model predicts how a usock host grows beyond the processors that there are to be measured on.
//
//	cd bench && go run ./model [-measured model/measured.json] [-cores 1,2,4,16,64]
//
// It is a simulation of discrete events (sim.go): cores carry out operations, whose parts are work of their own, and
// what all share: locks and cache lines. What an operation takes is measured by `bench -cores -json`; how often it
// uses what, and what it costs that a line comes from another core, is in the tables of work.go, with where it is from.
// The report has the predicted growth from one core to two beside the measured one: by that it is to be judged.
//
// It knows nothing of the garbage collector, of memory's bandwidth, of clock rates that fall with the number of
// cores, nor of goroutines that wait for each other across cores.
package main
