// Package pkt carries packets from one place to another: a relay is a queue that several
// goroutines push to and one at a time hands on. What a packet is stands in the public package
// packet, whose names it has for the packages below.
//
// pkt may import packet and the standard library.
package pkt

import "usock/packet"

// Headroom is packet.Headroom.
const Headroom = packet.Headroom

type (
	// Packet is packet.Packet.
	Packet = packet.Packet
	// Owner is packet.Owner.
	Owner = packet.Owner
	// Queue is packet.Queue.
	Queue = packet.Queue
)

// New is packet.New.
func New() *Packet { return packet.New() }

// FromBytes is packet.FromBytes.
func FromBytes(b []byte) *Packet { return packet.FromBytes(b) }
