package inet

import (
	"fmt"

	"usock/internal/host"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
)

// commonMemory is the bytes of memory of a machine that does not say.
const commonMemory = 8 << 30

// limitMemory sets the limits of memory that c leaves to the machine, and returns an error in words if
// they make no sense.
func limitMemory(c *tcp.Settings) error {
	c.ScaleTo(machineMemory())
	if m := c.Mem; m[0] <= 0 || m[1] < m[0] || m[2] < m[1] {
		return fmt.Errorf("memory of TCP %v: want 0 < low <= pressure <= high", m)
	}
	if c.MaxOrphans < 0 {
		return fmt.Errorf("at most %d orphans: want none or more", c.MaxOrphans)
	}
	return nil
}

// TCPMemory returns how many bytes the queues of all TCP connections hold.
func (s *Stack) TCPMemory() int { return s.tcp.cfg.Memory.Used() }

// relieve follows whatever e did that may have freed memory.
func (t *tcpProto) relieve(e *tcpEndpoint) {
	if t.cfg.Memory.Relieved() {
		e.dom.Lane().AfterWhole(host.Call(t.tellRelieved), nil)
	}
}

// tellRelieved tells programs that wait for memory to send that there is some again.
func (t *tcpProto) tellRelieved() {
	t.Each(func(s *socket.Socket) {
		if e, ok := s.PCB.(*tcpEndpoint); ok && e.path != nil && e.conn.Ready()&wait.Out != 0 {
			s.Notify(wait.Out)
		}
	})
}
