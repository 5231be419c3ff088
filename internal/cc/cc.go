package cc

import "usock/cc"

// What a core and a controller say to each other is public, for those who bring a controller.
type (
	// Controller is cc.Controller.
	Controller = cc.Controller
	// Informer is cc.Informer.
	Informer = cc.Informer
	// Start is cc.Start.
	Start = cc.Start
	// State is cc.State.
	State = cc.State
	// Ack is cc.Ack.
	Ack = cc.Ack
	// Cause is cc.Cause.
	Cause = cc.Cause
	// Event is cc.Event.
	Event = cc.Event
	// Sample is cc.Sample.
	Sample = cc.Sample
)

// Their values.
const (
	MaxWindow = cc.MaxWindow

	Open     = cc.Open
	CWR      = cc.CWR
	Recovery = cc.Recovery
	Loss     = cc.Loss

	ByLoss = cc.ByLoss
	ByECN  = cc.ByECN
)

// makers are the controllers, the default first.
var makers = []struct {
	name string
	make func() Controller
}{
	{"cubic", func() Controller { return new(Cubic) }},
	{"reno", func() Controller { return new(Reno) }},
	{"bbr", func() Controller { return new(BBR) }},
}

// New returns a new controller, and false if the name is unknown. The empty name
// gives the default.
func New(name string) (Controller, bool) {
	if name == "" {
		name = makers[0].name
	}
	for _, m := range makers {
		if m.name == name {
			return m.make(), true
		}
	}
	return nil, false
}

// Names returns the names of all controllers, the default first.
func Names() []string {
	names := make([]string, len(makers))
	for i, m := range makers {
		names[i] = m.name
	}
	return names
}

// InitialWindow is cc.InitialWindow.
func InitialWindow(mss uint32) uint32 { return cc.InitialWindow(mss) }

// add returns a+b, at most MaxWindow.
func add(a, b uint32) uint32 {
	return uint32(min(uint64(a)+uint64(b), MaxWindow))
}
