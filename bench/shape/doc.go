// Command shape measures what usock makes of a network beside toxiproxy, and how exactly and how fast it does, and prints one table.
//
//	cd bench/shape && go run . [-runs 5] [-time 3s] [-md file]
//
// The ways:
//
//	usock      a program under usock run --delay D --rate R: its client and its server on the run's loopback interface
//	toxiproxy  the same program on the kernel's loopback interface, its connections through a toxiproxy process with the toxics
//	           latency (D) and bandwidth (R), in both directions
//	plain      the same program on the kernel's loopback interface
//
// The program is this one: a server and a client of TCP in one process. It sends 1-byte requests and receives answers of 1 KiB, one
// after the other, or receives as much as comes.
//
// What is asked for is D each way, and R for the bytes of a stream: toxiproxy counts those; usock's rate is that of packets with their
// headers, and is 1500/1448 of R. A row without a rate leaves it out.
//
// The ways take turns, and the one that begins moves on with every round; a figure is the median of the rounds.
//
// Two more rows are of the library alone: how late packets are that are delayed, and how many packets of 1500 bytes with delay, loss and
// a rate one processor carries (GOMAXPROCS=1).
//
// It is a module of its own, for toxiproxy.
package main
