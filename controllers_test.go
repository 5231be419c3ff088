package usock_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/cc"
)

// constant is a congestion control whose window is ten segments, whatever happens.
type constant struct {
	name string
	mss  uint32
	told *int // acknowledgments
}

func (c *constant) Name() string                                        { return c.name }
func (c *constant) Start(s cc.Start)                                    { c.mss = s.MSS }
func (c *constant) Sent(time.Duration, uint32, uint32)                  {}
func (c *constant) Ack(*cc.Ack)                                         { *c.told++ }
func (c *constant) Congestion(*cc.Event)                                {}
func (c *constant) Recovered(time.Duration)                             {}
func (c *constant) Timeout(*cc.Event)                                   {}
func (c *constant) Undo(time.Duration)                                  {}
func (c *constant) Restart(time.Duration, time.Duration, time.Duration) {}
func (c *constant) SetMSS(mss uint32)                                   { c.mss = mss }
func (c *constant) CWnd() uint32                                        { return 10 * c.mss }
func (c *constant) SSThresh() uint32                                    { return cc.MaxWindow }
func (c *constant) PacingRate() uint64                                  { return 0 }
func (c *constant) OwnsRecovery() bool                                  { return true }

// A controller of one's own is chosen by name, on a connection that is made already as well, by
// the hosts that have it and by no other.
func TestControllers(t *testing.T) {
	made, told := 0, 0
	tcp := usock.DefaultTCPConfig()
	tcp.Controllers = map[string]func() cc.Controller{"mine": func() cc.Controller {
		made++
		return &constant{name: "mine", told: &told}
	}}
	h := newHost(t, usock.Config{TCP: tcp})
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := h.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.(*usock.TCPConn).Socket()
	if err := s.SetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if got := congestionOf(t, s); got != "mine" {
		t.Errorf("TCP_CONGESTION is %q", got)
	}
	c.Write(make([]byte, 100))
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Read(make([]byte, 100))
	c.Write(make([]byte, 100))
	server.Read(make([]byte, 100))
	if made < 2 || told == 0 {
		t.Errorf("%d controllers made, one by NewHost, and %d acknowledgments told", made, told)
	}
	if got := congestionOf(t, server.(*usock.TCPConn).Socket()); got != "cubic" {
		t.Errorf("the other end has %q", got)
	}

	other := mustSocket(t, newHost(t, usock.Config{}), usock.AF_INET, usock.SOCK_STREAM)
	defer other.Close()
	if err := other.SetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, []byte("mine")); err != syscall.ENOENT {
		t.Errorf("another host: %v, want ENOENT", err)
	}
}

func congestionOf(t *testing.T, s *usock.Socket) string {
	t.Helper()
	b := make([]byte, 16)
	n, err := s.GetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, b)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(b[:n]), "\x00")
}

// NewHost says what makes no sense about controllers.
func TestControllersRefused(t *testing.T) {
	of := func(name string) func() cc.Controller {
		return func() cc.Controller { return &constant{name: name, told: new(int)} }
	}
	for _, c := range []struct {
		what       string
		with       map[string]func() cc.Controller
		congestion string
	}{
		{"taken", map[string]func() cc.Controller{"reno": of("reno")}, ""},
		{"calls itself", map[string]func() cc.Controller{"mine": of("yours")}, ""},
		{"no function", map[string]func() cc.Controller{"mine": nil}, ""},
		{"1 to 15 bytes", map[string]func() cc.Controller{"": of("")}, ""},
		{"1 to 15 bytes", map[string]func() cc.Controller{"sixteen-bytes-it": of("sixteen-bytes-it")}, ""},
		{"is not one of [cubic reno bbr bbr3 mine]", map[string]func() cc.Controller{"mine": of("mine")}, "other"},
	} {
		tcp := usock.DefaultTCPConfig()
		tcp.Controllers = c.with
		h, err := usock.NewHost(usock.Config{TCP: tcp, Congestion: c.congestion})
		if err == nil {
			h.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%v, want %q", err, c.what)
		}
	}
}
