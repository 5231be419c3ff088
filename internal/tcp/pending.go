package tcp

import "time"

// Info fills in what Linux's TCP_INFO tells.
func (c *Conn) Info(now time.Duration, in *Info) {}
