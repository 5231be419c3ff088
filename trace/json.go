package trace

import (
	"encoding/json"
	"io"
	"net/netip"
	"sync"
	"time"
)

// Writer writes events as lines of JSON, after a first line that says what they are: qlog's
// sequence of events in its newline-delimited form, with a schema of its own for TCP. Its methods may be called
// by several goroutines.
type Writer struct {
	mu  sync.Mutex
	enc *json.Encoder // mu
	err error         // mu: the first one
}

// header is the first line (draft-ietf-quic-qlog-main-schema, section 5).
type header struct {
	Format string `json:"qlog_format"`
	Schema string `json:"file_schema"`
	Title  string `json:"title,omitempty"`
	Trace  struct {
		Fields struct {
			Format    string  `json:"time_format"`
			Reference float64 `json:"reference_time"` // ms since 1970
		} `json:"common_fields"`
	} `json:"trace"`
}

// NewWriter writes to w. epoch is the wall time of the host's epoch, title what the trace is of.
func NewWriter(w io.Writer, title string, epoch time.Time) *Writer {
	h := header{Format: "NDJSON", Schema: "urn:usock:trace:1", Title: title}
	h.Trace.Fields.Format = "relative_to_epoch"
	h.Trace.Fields.Reference = float64(epoch.UnixMicro()) / 1000
	t := &Writer{enc: json.NewEncoder(w)}
	t.enc.SetEscapeHTML(false)
	t.err = t.enc.Encode(&h)
	return t
}

// Write writes events. It fails with the first error of the underlying writer, then and ever
// after.
func (t *Writer) Write(events []Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range events {
		if t.err != nil {
			break
		}
		t.err = t.enc.Encode(&events[i])
	}
	return t.err
}

// line is an event's JSON.
type line struct {
	Time float64 `json:"time"` // ms since the epoch
	Name string  `json:"name"`
	Data *data   `json:"data"`
}

type data struct {
	Trigger  string  `json:"trigger,omitempty"`
	Socket   uint64  `json:"socket,omitempty"`
	Process  int32   `json:"process,omitempty"`
	Protocol string  `json:"protocol,omitempty"`
	Local    string  `json:"local,omitempty"`
	Peer     string  `json:"peer,omitempty"`
	Seq      *uint64 `json:"seq,omitempty"`
	Len      *uint32 `json:"length,omitempty"`
	Ack      *uint64 `json:"ack,omitempty"`
	Flags    string  `json:"flags,omitempty"`
	Window   *uint32 `json:"window,omitempty"`
	Times    uint8   `json:"times_sent,omitempty"`
	Old      string  `json:"old,omitempty"`
	New      string  `json:"new,omitempty"`
	CWnd     *uint32 `json:"congestion_window,omitempty"`
	SSThresh *uint32 `json:"ssthresh,omitempty"`
	InFlight *uint32 `json:"bytes_in_flight,omitempty"`
	SRTT     float64 `json:"smoothed_rtt,omitempty"` // ms
	RTTVar   float64 `json:"rtt_variance,omitempty"` // ms
	RTT      float64 `json:"latest_rtt,omitempty"`   // ms
	Rate     uint64  `json:"rate,omitempty"`         // bytes per second
	At       float64 `json:"at,omitempty"`           // ms since the epoch
	Fault    string  `json:"fault,omitempty"`
	Call     string  `json:"call,omitempty"`
	Result   *int    `json:"result,omitempty"`
	Error    string  `json:"error,omitempty"`
}

var jsonNames = [kinds]string{
	Sent: "tcp:segment_sent", Received: "tcp:segment_received", Acknowledged: "recovery:acknowledged", Lost: "recovery:segment_lost",
	State: "tcp:state_updated", Window: "recovery:window_updated", Rate: "recovery:rate_updated", TimerSet: "recovery:timer_set",
	TimerExpired: "recovery:timer_expired", Stalled: "tcp:stalled", Called: "socket:called",
	Dropped: "socket:datagram_dropped", Refused: "socket:refused", Struck: "usock:fault_struck", Missed: "usock:events_missed",
	Shaped: "usock:links_shaped",
}

// MarshalJSON implements json.Marshaler: an object with time (ms), name and data.
func (e *Event) MarshalJSON() ([]byte, error) {
	d := &data{Trigger: e.Why.String(), Socket: e.Socket, Process: e.Owner, Error: e.Err}
	if e.Local.IsValid() {
		d.Protocol, d.Local, d.Peer = protocolName(e.Protocol), addr(e.Local), addr(e.Peer)
	}
	switch e.Kind {
	case Sent, Received:
		if e.datagram() {
			d.Len = &e.Len
			break
		}
		d.Seq, d.Len, d.Window, d.Times, d.Flags = &e.Seq, &e.Len, &e.Window, e.Times, e.Flags.String()
		if e.Flags&ACK != 0 {
			d.Ack = &e.Ack
		}
	case Dropped:
		d.Len = &e.Len
	case Refused:
		if e.Protocol == protocolTCP {
			d.Seq = &e.Seq
		}
	case Lost:
		d.Seq, d.Len, d.Times = &e.Seq, &e.Len, e.Times
	case Acknowledged:
		d.Seq, d.Len = &e.Seq, &e.Len
		d.sender(e)
	case State, Shaped:
		d.Old, d.New = e.Before, e.State
	case Window:
		d.Window = &e.Window
		if e.Why != PeerClosed && e.Why != PeerOpened {
			d.sender(e)
		}
	case Rate:
		d.Rate = e.Rate
	case TimerSet, Stalled:
		d.At = ms(e.At)
	case Struck:
		d.Fault, d.Error = e.Err, ""
	case Called, Missed:
		d.Call, d.Result = e.Call, &e.Result
	}
	return json.Marshal(line{Time: ms(e.Time), Name: e.jsonName(), Data: d})
}

func (e *Event) jsonName() string {
	switch {
	case e.Kind >= kinds || jsonNames[e.Kind] == "":
		return "usock:unknown"
	case e.Kind == Sent && e.datagram():
		return "socket:datagram_sent"
	case e.Kind == Received && e.datagram():
		return "socket:datagram_received"
	}
	return jsonNames[e.Kind]
}

func (d *data) sender(e *Event) {
	d.CWnd, d.InFlight, d.Rate = &e.CWnd, &e.InFlight, e.Rate
	if e.SSThresh != NoThreshold {
		d.SSThresh = &e.SSThresh
	}
	d.SRTT, d.RTTVar, d.RTT = ms(e.SRTT), ms(e.RTTVar), ms(e.RTT)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func addr(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
