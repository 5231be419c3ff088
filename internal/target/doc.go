// Package target reads what rules are about: [HOST][:PORTS][/PROTO], where HOST is a name, an address or a prefix. It is one
// form for the rules about what a run reaches (package gateway) and for those about how packets fare (package shape).
// It imports the standard library. Begin with Target.
package target
