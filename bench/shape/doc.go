// Command shape measures what usock makes of a network beside toxiproxy, and how exactly and how fast it does, and prints one table.
//
//	cd bench/shape && go run . [-runs 5] [-time 3s] [-only pattern] [-md file]
//
// The ways:
//
//	usock      a program under usock run --delay D --up-rate R --down-rate R: its client and its server on the run's loopback interface
//	toxiproxy  the same program on the kernel's loopback interface, its connections through a toxiproxy process with the toxics
//	           latency (D) and bandwidth (R), in both directions
//	plain      the same program on the kernel's loopback interface
//
// The program is this one: a server and a client of TCP in one process. It sends 1-byte requests and receives answers of 1 KiB, one
// after the other, or receives as much as comes.
//
// What is asked for is D each way, and R for the bytes of a stream: toxiproxy counts those; usock's rate is that of packets with their
// headers, and is 1500/1448 of R. Each direction has a rate of its own, as with toxiproxy: with usock's --rate both would share one queue on
// the loopback interface, where acknowledgments wait behind data and let whole windows go at once. A row without a rate leaves it out.
// What is received is told of the first second, in which TCP's window grows (a proxy has none that grows by round trips), and of the second
// half of the time.
//
// The ways take turns, and the one that begins moves on with every round; a figure is the median of the rounds.
//
// More rows are of the library alone: how late packets are that are delayed, beside the machine's own timer in the same turns, what a clock takes
// while nothing waits, and how many packets of 1500 bytes with delay, loss and a rate one processor carries (GOMAXPROCS=1).
//
// It is a module of its own, for toxiproxy.
package main
