// Package offload does in software what a packet's notes leave to a device:
// completing a transport checksum and cutting a large TCP segment into segments
// that fit. A link that takes such packets and hands them to something that does
// not understand the notes calls it, as does a host that forwards them.
//
// offload may import relay, buf and wire. Begin with checksum.go.
package offload
