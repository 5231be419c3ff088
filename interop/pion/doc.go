// Package pion has WebRTC's data channels (RFC 8831) between a host of usock's and github.com/pion/sctp, which has
// its packets in UDP as SCTP has by RFC 6951. It is a module of its own: the rest must not depend on pion's.
package pion
