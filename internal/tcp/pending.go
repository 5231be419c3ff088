package tcp

import (
	"syscall"
	"time"

	"usock/internal/buf"
	"usock/internal/wait"
)

func (c *Conn) fastOpened() bool                                          { return false }
func (c *Conn) startFastOpen(p *Params)                                   {}
func (c *Conn) acceptFastOpen(now time.Duration, p *Params, syn *Segment) {}
func (c *Conn) synFastOpen(now time.Duration, s *Segment)                 {}
func (c *Conn) simultaneousFastOpen()                                     {}
func (c *Conn) ackedFastOpen(now time.Duration, ack uint64, s *Segment)   {}
func (c *Conn) finishUrgent(s *Segment)                                   {}
func (c *Conn) inUrgent(seq uint64, s *Segment)                           {}
func (c *Conn) readUrgentPassed()                                         {}
func (c *Conn) urgentReady() bool                                         { return false }
func (c *Conn) putUrgent(s *Segment, start uint64)                        {}
func (c *Conn) FastOpenCookie() (FastOpen, bool)                          { return FastOpen{}, false }
func (c *Conn) WriteUrgent(now time.Duration, v buf.View) int             { return c.Write(now, v) }
func (c *Conn) ReadUrgent(peek bool) (byte, error)                        { return 0, syscall.EINVAL }
func (c *Conn) AtMark() bool                                              { return false }
func (c *Conn) ICMP(now time.Duration, e *ICMPError) wait.Events          { return 0 }
func (c *Conn) Info(now time.Duration, in *Info)                          {}
func (c *Conn) SetOOBInline(now time.Duration, on bool)                   { c.opt.OOBInline = on }

func (c *Conn) probeFailed(now time.Duration) {}
