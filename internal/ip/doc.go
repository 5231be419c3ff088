// Package ip is the IPv4 and IPv6 layer of a host: interfaces and their
// addresses, routes, path MTUs, fragments, multicast membership, ICMP, and the
// way of a packet between a link and a transport.
//
//	link → Layer.Input → checks → (reassembly) → Raw tap → Transport.Input
//	endpoint → Layer.Route (kept by the endpoint) → Layer.Output → link or loopback
//
// Everything in a Layer is guarded by the lock of its host, which the caller of
// every function holds. Addresses are never IPv4-mapped and have no zone: the
// scope of a link-local address is the interface's index beside it.
//
// ip may import host, offload, relay, buf, timer and wire. Begin with layer.go.
package ip
