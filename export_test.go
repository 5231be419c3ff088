package usock

import "usock/internal/inet"

// Timers returns how many of the host's timers have a deadline.
func (h *Host) Timers() int {
	h.h.Enter()
	defer h.h.Leave()
	return h.h.Timers()
}

// AddProtocol makes a protocol from the host's stack and adds its row to the table, as a
// line of protocols would.
func (h *Host) AddProtocol(typ, protocol int, make func(*inet.Stack) inet.Protocol) {
	h.h.Enter()
	defer h.h.Leave()
	r := row{typ: typ, protocol: protocol, proto: make(h.stack)}
	h.table.inet = append(h.table.inet, r)
	r.register(h.stack)
}
