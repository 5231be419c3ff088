// Package packet is the packet that travels between a host and a link: headers that
// are built in place, a payload that refers to blocks, and what the layers have
// to tell each other about it. Who brings a link of his own (usock/link.Link) meets it there.
//
// A [Packet] has one owner at a time. Handing it to a queue, a link or a host hands over the
// ownership, and the last owner calls Free. Packets and what they refer to are not safe for use
// by several goroutines, but for a [Block], whose views may be read by all who have one.
//
// A byte is copied into a [Block] once, by the program that sends it, and out of it once, by the
// program that receives it. Everything between refers to the block through a [View]; reference
// counts are atomic because the two ends of a link in memory are hosts with two locks. A packet
// that holds a copy of given bytes, and costs no thought about that, is made by [FromBytes];
// [Packet.AppendTo] gives a packet's bytes.
//
// packet imports only the standard library. Begin with packet.go.
package packet
