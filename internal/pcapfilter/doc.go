// Package pcapfilter parses filters of packets as tcpdump has them (pcap-filter(7)), and matches
// packets by them. It imports the standard library and internal/wire.
//
// It has the part of the language that is about IP: hosts, nets, ports and ranges of ports, protocols,
// lengths, and relations of numbers and bytes of headers. What is about frames (ether, vlan, gateway,
// broadcast) is refused, and so are names of hosts, since a packet has none. Filters are not compiled
// to BPF but walked: that each packet is a slice in memory lets a relation read IPv6 as well, and names
// of processes stand beside it.
//
// A relation holds only where the packet has all the headers that it asks for. tcpdump looks at the first one's of a sum alone,
// and reads the others where they would be. The operators % and ^ bind as in C; libpcap gives them no precedence, so that there
// all that follows them belongs to their right side.
//
// Begin with parse.go, whose head has the grammar.
package pcapfilter
