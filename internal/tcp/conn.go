package tcp

import (
	"time"

	"usock/internal/buf"
	"usock/internal/wait"
)

// Conn is one connection. Its zero value is CLOSED.
type Conn struct {
	state State
	opt   Options
	cfg   *Config
}

// Init prepares a zero Conn: its options can be set and read before it is opened.
func (c *Conn) Init(cfg *Config) { c.cfg = cfg }

func (c *Conn) Connect(now time.Duration, p *Params)                                    {}
func (c *Conn) Accept(now time.Duration, p *Params, syn *Segment)                       {}
func (c *Conn) AcceptCookie(now time.Duration, p *Params, ack *Segment, k *CookieState) {}
func (c *Conn) Segment(now time.Duration, s *Segment) wait.Events                       { return 0 }
func (c *Conn) Poll(now time.Duration, s *Segment) bool                                 { return false }
func (c *Conn) Expire(now time.Duration) wait.Events                                    { return 0 }
func (c *Conn) Deadline() time.Duration                                                 { return 0 }
func (c *Conn) ICMP(now time.Duration, e *ICMPError) wait.Events                        { return 0 }
func (c *Conn) Write(now time.Duration, v buf.View) int                                 { return 0 }
func (c *Conn) WriteUrgent(now time.Duration, v buf.View) int                           { return 0 }
func (c *Conn) SendSpace() int                                                          { return 0 }
func (c *Conn) Read(now time.Duration, max int, dst []buf.View) []buf.View              { return nil }
func (c *Conn) Peek(max, off int, dst []buf.View) []buf.View                            { return nil }
func (c *Conn) ReadUrgent(peek bool) (byte, error)                                      { return 0, nil }
func (c *Conn) AtMark() bool                                                            { return false }
func (c *Conn) Buffered() int                                                           { return 0 }
func (c *Conn) Unsent() int                                                             { return 0 }
func (c *Conn) Outstanding() int                                                        { return 0 }
func (c *Conn) EOF() bool                                                               { return false }
func (c *Conn) ShutdownWrite(now time.Duration)                                         {}
func (c *Conn) ShutdownRead(now time.Duration)                                          {}
func (c *Conn) Close(now time.Duration)                                                 {}
func (c *Conn) Abort(now time.Duration)                                                 {}
func (c *Conn) State() State                                                            { return c.state }
func (c *Conn) Err() error                                                              { return nil }
func (c *Conn) TakeErr() error                                                          { return nil }
func (c *Conn) Ready() wait.Events                                                      { return 0 }
func (c *Conn) Info(now time.Duration, in *Info)                                        {}
func (c *Conn) Options() *Options                                                       { return &c.opt }
func (c *Conn) TimeWait() (TimeWaitState, bool)                                         { return TimeWaitState{}, false }
func (c *Conn) Release()                                                                {}
func (c *Conn) FastOpenCookie() (FastOpen, bool)                                        { return FastOpen{}, false }
func ResetFor(s *Segment) (Segment, bool)                                               { return Segment{}, false }

func (c *Conn) SetNoDelay(now time.Duration, on bool)      {}
func (c *Conn) SetCork(now time.Duration, on bool)         {}
func (c *Conn) SetQuickAck(now time.Duration, on bool)     {}
func (c *Conn) QuickAck() bool                             { return false }
func (c *Conn) SetKeepAlive(now time.Duration, on bool)    {}
func (c *Conn) SetKeepIdle(now time.Duration, s int) error { return nil }
func (c *Conn) SetKeepIntvl(s int) error                   { return nil }
func (c *Conn) SetKeepCnt(n int) error                     { return nil }
func (c *Conn) SetUserTimeout(ms int) error                { return nil }
func (c *Conn) SetLinger2(s int)                           {}
func (c *Conn) SetMaxSeg(n int) error                      { return nil }
func (c *Conn) SetWindowClamp(n int) error                 { return nil }
func (c *Conn) SetNotSentLowat(n uint32)                   {}
func (c *Conn) SetRcvBuf(now time.Duration, n int)         {}
func (c *Conn) SetSndBuf(n int)                            {}
func (c *Conn) RcvBuf() int                                { return 0 }
func (c *Conn) SndBuf() int                                { return 0 }
func (c *Conn) SetRcvLowat(now time.Duration, n int)       {}
func (c *Conn) SetCC(now time.Duration, name string) error { return nil }
func (c *Conn) SetSynCnt(n int) error                      { return nil }
func (c *Conn) SetDeferAccept(s int)                       {}
func (c *Conn) SetThinLinear(on bool)                      {}
func (c *Conn) SetOOBInline(now time.Duration, on bool)    {}
