package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"
)

// FlowRecord is what a FlowLog writes of a flow, as an object of JSON.
type FlowRecord struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`

	Proto     string `json:"proto"`             // tcp, udp, sctp or icmp (ICMPv6, too)
	Direction string `json:"direction"`         // who began: out, the run; in, the other side
	Process   string `json:"process,omitempty"` // its name, where it is known
	PID       int    `json:"pid,omitempty"`

	// Name is what the resolver gave the remote address for, if it did: the name that was
	// asked for last. Of a question that was refused it is that.
	Name   string    `json:"name,omitempty"`
	Local  flowPoint `json:"local"` // the run's
	Remote flowPoint `json:"remote"`

	Sent     uint64 `json:"sent"`     // bytes from the run; of datagrams, those that were lost on the way as well
	Received uint64 `json:"received"` // bytes for the run

	// Outcome is how it ended: see Flow*.
	Outcome string `json:"outcome"`
	By      string `json:"by,omitempty"`    // of a reset: run or remote
	Errno   string `json:"errno,omitempty"` // of what was refused, timed out or was denied: what the program sees
	Rule    string `json:"rule,omitempty"`  // of what was denied; none: it is what no rule allows
}

// Outcomes of a FlowRecord.
const (
	FlowClosed    = "closed"    // both sides ended it, or a datagram socket was closed
	FlowReset     = "reset"     // one side did
	FlowRefused   = "refused"   // it was never made
	FlowTimeout   = "timeout"   // nobody answered
	FlowIdle      = "idle"      // of datagrams: for two minutes there were none
	FlowDenied    = "denied"    // a rule denies it, or none allows it
	FlowGivenUp   = "given up"  // who asked for it did not wait for an answer
	FlowDisplaced = "displaced" // there was no room for another one
	FlowRunEnded  = "run ended"
)

// flowPoint is an address and port; of ICMP, an address alone.
type flowPoint struct{ netip.AddrPort }

// MarshalText implements encoding.TextMarshaler.
func (p flowPoint) MarshalText() ([]byte, error) {
	if p.Port() == 0 {
		return p.Addr().MarshalText()
	}
	return p.AddrPort.MarshalText()
}

// FlowLog writes a line for each flow of a gateway at its end (Config.FlowLog).
type FlowLog struct {
	lines *lines
	w     io.WriteCloser
}

// NewFlowLog makes a log that writes to w, which it closes in the end. A Write that waits holds
// nobody up; if it is to end with Close, w's Close must end it, as an os.File's does for a pipe.
func NewFlowLog(w io.WriteCloser) *FlowLog { return &FlowLog{newLines(w), w} }

// put writes a record. It does not wait.
func (l *FlowLog) put(r *FlowRecord) {
	b, err := json.Marshal(r)
	if err != nil {
		l.lines.lost.Add(1) // cannot happen: it has strings, numbers and times of this age
		return
	}
	l.lines.put(append(b, '\n'))
}

// Close writes what is left, within a second or two, and closes the writer. Its error says
// what was left out. The gateway that uses l is to be closed before.
func (l *FlowLog) Close() error {
	closed := false
	lost, err := l.lines.close(func() {
		closed = true
		l.w.Close()
	})
	if errors.Is(err, os.ErrClosed) {
		err = nil // that was this
	}
	if !closed {
		if e := l.w.Close(); err == nil {
			err = e
		}
	}
	switch {
	case err != nil && lost > 0:
		return fmt.Errorf("%w; %d flows were left out", err, lost)
	case err == nil && lost > 0:
		return fmt.Errorf("%d flows were left out, as what reads it fell behind", lost)
	}
	return err
}
