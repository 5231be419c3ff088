package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// paper is what a log writes on.
type paper struct {
	mu     sync.Mutex
	b      bytes.Buffer
	err    error
	room   int // in bytes; 0: enough
	closed bool
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	if p.room > 0 && len(b) > p.room-p.b.Len() {
		n, _ := p.b.Write(b[:p.room-p.b.Len()])
		return n, syscall.ENOSPC
	}
	return p.b.Write(b)
}

func (p *paper) Close() error {
	p.closed = true
	return nil
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func someRecord() *FlowRecord {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	return &FlowRecord{
		Start: at, End: at.Add(time.Second), Proto: "tcp", Direction: "out", Process: "a \"b\"\n", PID: 12, Name: "api.example",
		Local: flowPoint{netip.MustParseAddrPort("198.18.77.2:40000")}, Remote: flowPoint{netip.MustParseAddrPort("[2001:db8::1]:443")},
		Sent: 1, Received: 2, Outcome: FlowDenied, Errno: "EACCES", Rule: "*:443",
	}
}

func TestFlowLog(t *testing.T) {
	p := new(paper)
	l := NewFlowLog(p)
	l.put(someRecord())
	l.put(&FlowRecord{Proto: "icmp", Local: flowPoint{netip.MustParseAddrPort("192.0.2.1:0")}, Remote: flowPoint{netip.MustParseAddrPort("192.0.2.2:0")}})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := `{"start":"2026-01-02T03:04:05.000000678Z","end":"2026-01-02T03:04:06.000000678Z","proto":"tcp","direction":"out","process":"a \"b\"\n","pid":12,"name":"api.example","local":"198.18.77.2:40000","remote":"[2001:db8::1]:443","sent":1,"received":2,"outcome":"denied","errno":"EACCES","rule":"*:443"}
{"start":"0001-01-01T00:00:00Z","end":"0001-01-01T00:00:00Z","proto":"icmp","direction":"","local":"192.0.2.1","remote":"192.0.2.2","sent":0,"received":0,"outcome":""}
`
	if p.String() != want || !p.closed {
		t.Errorf("closed: %v\n%s", p.closed, p)
	}
}

// TestFlowLogFull writes to a full disk.
func TestFlowLogFull(t *testing.T) {
	l := NewFlowLog(&paper{err: syscall.ENOSPC})
	for range 3 {
		l.put(someRecord())
	}
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "; 3 flows were left out") {
		t.Error(err)
	}
}

// TestFlowLogPart counts what a disk had room for as written.
func TestFlowLogPart(t *testing.T) {
	p := &paper{room: 3 * lineLength(t)}
	l := NewFlowLog(p)
	for range 5 {
		l.put(someRecord())
	}
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "; 2 flows were left out") {
		t.Error(err)
	}
	if n := strings.Count(p.String(), "\n"); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// lineLength returns how long someRecord's line is.
func lineLength(t *testing.T) int {
	p := new(paper)
	l := NewFlowLog(p)
	l.put(someRecord())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return len(p.String())
}

// TestFlowLogStuck has a reader that does not read: nobody waits, memory is bounded, and what
// is lost is counted.
func TestFlowLogStuck(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const n = 3 * maxLines
	l := NewFlowLog(w)
	for range n {
		l.put(someRecord()) // if it waited, it would for ever: nobody reads before Close
	}
	begin := time.Now()
	err = l.Close()
	if err == nil || !strings.Contains(err.Error(), "flows were left out, as what reads it fell behind") {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("the end took %v", d)
	}
	b, _ := io.ReadAll(r)
	if got := bytes.Count(b, []byte("\n")); got == 0 || got >= n {
		t.Errorf("%d lines came", got)
	}
}
