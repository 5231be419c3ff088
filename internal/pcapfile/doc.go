// Package pcapfile reads captures, pcapng and classic pcap, as far as to the IP packets in them: reader.go has the files, network.go
// what is around a packet. What the bytes say is checked, and nothing is taken whose size they alone determine.
package pcapfile
