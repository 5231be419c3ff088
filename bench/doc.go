// Command bench measures usock beside gVisor's netstack and the kernel's sockets,
// on the same work, and prints one table.
//
//	cd bench && go run . [-workload regexp] [-stack regexp] [-runs 5] [-time 1s]
//		[-json file] [-md file] [-svg dir] [-quiet load]
//	cd bench && go run . -cores [-cpus A,B] [-before binary] ...
//
// Every measurement is a process of its own, so that none inherits another's heap,
// sockets or network namespace. For each workload the stacks take turns, and the
// turn that begins moves on with every round; a figure is the median of the rounds,
// beside it stands half the distance between the quartiles. A child process is
// given a Task and prints a Result.
//
// With -cores, each parallel workload and the single flows are measured on one processor
// and on two (cores.go), the locks of usock's hosts are looked at from outside (locks.go),
// and the report says where the two processors lie to each other (neighbours.go) and what
// load others were (load.go). What a newcomer gets of a busy host is the workload
// "fairness" (work_fair.go) of both reports. The settings that both print are asked of the
// stacks (settings.go).
//
// Beside a round trip's median stand its slowest tenth, hundredth and thousandth, and
// those of two goroutines that do as much work with no stack between them
// (work_trip.go): what of it is Go's and the machine's.
//
// What more processors would bring is predicted from that by command bench/model.
//
// The work (work_*.go) sees a stack only as a network: the net package's Conn,
// Listener and PacketConn, the interfaces that a Go program uses. What a stack is
// made of is in usock.go, gvisor.go and kernel.go; what its best settings are is
// said in the footnotes there. What the machine can do at best is in limits.go.
//
// It runs on Linux and needs root for the network namespaces of the kernel's part.
// bench is a module of its own, so that usock never depends on gVisor.
package main
