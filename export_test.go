package usock

// Timers returns how many of the host's timers have a deadline.
func (h *Host) Timers() int {
	h.h.Enter()
	defer h.h.Leave()
	return h.h.Timers()
}
