package tcp

import "time"

// TimeWaitState is what is left of a connection in TIME-WAIT: little enough that
// an endpoint can be replaced by it.
type TimeWaitState struct {
	expires        time.Duration
	rcvNxt, sndNxt uint32
	rcvWnd         uint32
	tsRecent       uint32
	tsOffset       uint32
	tsRecentAt     time.Duration
	rfc1337, hasTS bool
}

// Verdict says what a segment that met TIME-WAIT is to lead to.
type Verdict uint8

// The verdicts.
const (
	Drop  Verdict = iota // nothing
	Reply                // send the reply
	Reuse                // hand the SYN to the listener, with ISS above NextISS
	End                  // the state is over
)

// Segment takes a segment that arrived. With Reply, *reply is to be sent.
func (t *TimeWaitState) Segment(now time.Duration, s, reply *Segment) Verdict { return Drop }

// NextISS returns the least initial sequence number of a connection that
// replaces this one.
func (t *TimeWaitState) NextISS() uint32 { return t.sndNxt + 65536 }

// Expires returns when the state ends.
func (t *TimeWaitState) Expires() time.Duration { return t.expires }
