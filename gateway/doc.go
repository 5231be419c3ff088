// Package gateway connects a usock host with the networks of its machine, by ordinary
// sockets: without privilege, namespace or device. It is a router in this process, on a
// link of the host's, that ends each flow and carries it on outside:
//
//	host's sockets          gateway                              the machine
//	┌────────────┐  link   ┌─────────────────────────────┐  kernel's sockets
//	│ TCP, UDP,  │ packets │ a host that stands in for   │
//	│ ICMP echo  ├─────────┤ all addresses ──► stream,   ├──► servers
//	│            │         │              mapping, echo  │
//	│ loopback:  │         │                             │
//	│ ports that ├─────────┤ asked by the host itself    ├──► the machine's loopback
//	│ nobody has │         │                             │
//	└────────────┘         └─────────────────────────────┘
//
// A TCP connection is answered when the outer one is made, and refused as that is; ends,
// resets and urgent bytes cross, and each side waits for the other. A UDP socket of the host
// has one outer socket for all its peers (endpoint-independent mapping, RFC 4787). Errors
// that ICMP tells outside are told inside by ICMP.
//
// Names are looked up by programs themselves: their questions to the machine's name servers
// are flows like others. Those about names that the run knows (Config.Hosts and the machine's)
// are answered on the way (names.go, answer.go), also within a stream (dnsstream.go).
//
// Rules (Config.Rules) say what passes: they are asked before anything leaves or enters (rule.go,
// policy.go, deny.go). A log (Config.FlowLog) has a record of each flow (account.go, flowlog.go).
//
// # One turn at a time
//
// All state belongs to whoever has the turn (turn.go): the goroutine that brings a packet or
// an event takes it if it is free, and else leaves the work to the one that has it. So a
// byte that a program sends is written to the outer socket by the same goroutine that took
// it from the program. No step waits.
//
// gateway may import usock, link and golang.org/x. Begin with gateway.go.
package gateway
