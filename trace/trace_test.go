package trace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"usock/trace"
)

func flow() trace.Event {
	return trace.Event{
		Time: 1234567 * time.Microsecond, Socket: 7, Owner: 42, Protocol: 6,
		Local: netip.MustParseAddrPort("10.0.0.1:4000"), Peer: netip.MustParseAddrPort("[::1]:80"),
	}
}

// written is an event with its text and its JSON: the name, then the data without whose it is.
type written struct {
	e          trace.Event
	text, json string
}

func (c *written) compare(t *testing.T) {
	t.Helper()
	e := c.e
	if got := e.Text(); got != c.text {
		t.Errorf("text is %q, want %q", got, c.text)
	}
	b, err := json.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	name, data, _ := strings.Cut(c.json, " ")
	if want := `{"time":0,"name":"` + name + `","data":` + data + `}`; string(b) != want {
		t.Errorf("JSON is\n%s, want\n%s", b, want)
	}
}

// TestTextDatagrams compares the lines of events that are not of TCP alone.
func TestTextDatagrams(t *testing.T) {
	for _, c := range []written{
		{trace.Event{Kind: trace.Sent, Protocol: 17, Len: 5}, "sent 5", `socket:datagram_sent {"length":5}`},
		{trace.Event{Kind: trace.Received, Protocol: 6, Len: 60}, "received 60", `socket:datagram_received {"length":60}`}, // a raw socket's
		{trace.Event{Kind: trace.Dropped, Why: trace.NoRoom, Len: 5}, "dropped 5: no room", `socket:datagram_dropped {"trigger":"no room","length":5}`},
		{trace.Event{Kind: trace.Refused, Protocol: 17, Err: "connection refused"}, "refused: connection refused", `socket:refused {"error":"connection refused"}`},
		{trace.Event{Kind: trace.Refused, Protocol: 6, Seq: 9, Err: "no route to host"}, "refused 9: no route to host", `socket:refused {"seq":9,"error":"no route to host"}`},
		{trace.Event{Kind: trace.Struck, Protocol: 6, Err: "reset after 10 bytes"}, "fault: reset after 10 bytes", `usock:fault_struck {"fault":"reset after 10 bytes"}`},
	} {
		c.compare(t)
	}
}

// TestText compares the lines of all kinds, and their JSON.
func TestText(t *testing.T) {
	const none = ^uint32(0)
	for _, c := range []written{
		{
			trace.Event{Kind: trace.Sent, Flags: trace.PSH | trace.ACK, Seq: 1, Len: 1000, Ack: 5, Window: 512, Times: 1},
			"sent P. 1+1000 ack 5 win 512",
			`tcp:segment_sent {"seq":1,"length":1000,"ack":5,"flags":"P.","window":512,"times_sent":1}`,
		},
		{
			trace.Event{Kind: trace.Sent, Why: trace.ByRACK, Flags: trace.ACK, Seq: 1, Len: 10, Times: 2},
			"sent . 1+10 ack 0 win 0, again (2): RACK",
			`tcp:segment_sent {"trigger":"RACK","seq":1,"length":10,"ack":0,"flags":".","window":0,"times_sent":2}`,
		},
		{
			trace.Event{Kind: trace.Received, Flags: trace.SYN, Window: 65535},
			"received S 0 win 65535",
			`tcp:segment_received {"seq":0,"length":0,"flags":"S","window":65535}`,
		},
		{
			trace.Event{Kind: trace.Acknowledged, Seq: 1, Len: 20, RTT: 1500 * time.Microsecond, CWnd: 100, SSThresh: none, InFlight: 7, SRTT: 2 * time.Millisecond},
			"acknowledged 1+20 rtt 1.5ms cwnd 100 in flight 7",
			`recovery:acknowledged {"seq":1,"length":20,"congestion_window":100,"bytes_in_flight":7,"smoothed_rtt":2,"latest_rtt":1.5}`,
		},
		{
			trace.Event{Kind: trace.Lost, Why: trace.ByTimeout, Seq: 9, Len: 3, Times: 1},
			"lost 9+3: timeout",
			`recovery:segment_lost {"trigger":"timeout","seq":9,"length":3,"times_sent":1}`,
		},
		{
			trace.Event{Kind: trace.State, Before: "SYN-SENT", State: "ESTABLISHED"},
			"SYN-SENT -> ESTABLISHED",
			`tcp:state_updated {"old":"SYN-SENT","new":"ESTABLISHED"}`,
		},
		{
			trace.Event{Kind: trace.Window, Why: trace.TLPRepaired, CWnd: 7, SSThresh: 7},
			"cwnd reduced: TLP repaired, cwnd 7 ssthresh 7",
			`recovery:window_updated {"trigger":"TLP repaired","window":0,"congestion_window":7,"ssthresh":7,"bytes_in_flight":0}`,
		},
		{
			trace.Event{Kind: trace.Window, Why: trace.Undone, CWnd: 7, SSThresh: none},
			"cwnd restored: undone, cwnd 7",
			`recovery:window_updated {"trigger":"undone","window":0,"congestion_window":7,"bytes_in_flight":0}`,
		},
		{
			trace.Event{Kind: trace.Window, Why: trace.PeerClosed},
			"peer's window closed: 0",
			`recovery:window_updated {"trigger":"peer's window closed","window":0}`,
		},
		{trace.Event{Kind: trace.Shaped, Before: "--delay 5ms", State: "--delay 9ms"}, "links are shaped: --delay 9ms", `usock:links_shaped {"old":"--delay 5ms","new":"--delay 9ms"}`},
		{trace.Event{Kind: trace.Shaped, Before: "--delay 5ms"}, "links are shaped: not at all", `usock:links_shaped {"old":"--delay 5ms"}`},
		{trace.Event{Kind: trace.Rate, Rate: 1000}, "paced at 1000 B/s", `recovery:rate_updated {"rate":1000}`},
		{
			trace.Event{Kind: trace.TimerSet, Why: trace.TimerPersist, At: 3 * time.Second},
			"persist timer set to 3s", `recovery:timer_set {"trigger":"persist","at":3000}`,
		},
		{
			trace.Event{Kind: trace.TimerExpired, Why: trace.TimerRetransmit},
			"retransmission timer expired", `recovery:timer_expired {"trigger":"retransmission"}`,
		},
		{
			trace.Event{Kind: trace.Stalled, Why: trace.ByWindow, At: time.Second},
			"waits for the receiver's window", `tcp:stalled {"trigger":"the receiver's window","at":1000}`,
		},
		{trace.Event{Kind: trace.Stalled, Why: trace.ByNobody}, "goes on", `tcp:stalled {"trigger":"nobody"}`},
		{
			trace.Event{Kind: trace.Called, Call: "send", Result: -1, Err: "broken pipe"},
			"send = -1, broken pipe", `socket:called {"call":"send","result":-1,"error":"broken pipe"}`,
		},
		{
			trace.Event{Kind: trace.Window, Why: trace.ByController, CWnd: 8, SSThresh: 9},
			"cwnd set: congestion control, cwnd 8 ssthresh 9",
			`recovery:window_updated {"trigger":"congestion control","window":0,"congestion_window":8,"ssthresh":9,"bytes_in_flight":0}`,
		},
		{
			trace.Event{Kind: trace.Missed, Result: 3},
			"3 events are missing: who listens was too slow", `usock:events_missed {"result":3}`,
		},
	} {
		c.compare(t)
	}
	e := flow()
	e.Kind, e.Call, e.Result = trace.Called, "recv", 12
	if got, want := e.String(), "1.234567 [42] tcp 10.0.0.1:4000 > [::1]:80 recv = 12"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who has no peer says nothing of one.
func TestNoPeer(t *testing.T) {
	e := flow()
	e.Kind, e.Call, e.Peer = trace.Called, "listen", netip.AddrPort{}
	if got, want := e.String(), "1.234567 [42] tcp 10.0.0.1:4000 listen = 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNames looks that every kind and reason has a name of its own, and none beyond.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for k := trace.Sent; ; k++ {
		name := k.String()
		if strings.HasPrefix(name, "Kind(") {
			break
		}
		if name == "" || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[name] = true
		b, err := json.Marshal(&trace.Event{Kind: k})
		if err != nil || bytes.Contains(b, []byte("unknown")) {
			t.Errorf("JSON of %q: %s, %v", name, b, err)
		}
	}
	clear(seen)
	for w := trace.NoReason + 1; ; w++ {
		name := w.String()
		if strings.HasPrefix(name, "Why(") {
			break
		}
		if name == "" || seen[name] {
			t.Errorf("reason %d is called %q", w, name)
		}
		seen[name] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d reasons", len(seen))
	}
}

// TestWriter reads back what a Writer has written, and has it fail.
func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := trace.NewWriter(&b, "curl", time.UnixMilli(1500))
	e := flow()
	e.Kind, e.Why = trace.Lost, trace.ByRACK
	if err := w.Write([]trace.Event{e, e}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), &b)
	}
	var head struct {
		Format string `json:"qlog_format"`
		Title  string
		Trace  struct {
			Fields struct {
				Reference float64 `json:"reference_time"`
			} `json:"common_fields"`
		}
	}
	if err := json.Unmarshal([]byte(lines[0]), &head); err != nil || head.Format != "NDJSON" || head.Title != "curl" || head.Trace.Fields.Reference != 1500 {
		t.Errorf("%s: %+v, %v", lines[0], head, err)
	}
	var event struct {
		Time float64
		Name string
		Data map[string]any
	}
	if err := json.Unmarshal([]byte(lines[2]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Time != 1234.567 || event.Name != "recovery:segment_lost" || event.Data["local"] != "10.0.0.1:4000" ||
		event.Data["peer"] != "[::1]:80" || event.Data["process"] != 42.0 || event.Data["trigger"] != "RACK" {
		t.Errorf("%+v", event)
	}

	full := errors.New("full")
	f := &failing{room: 400, err: full}
	w = trace.NewWriter(f, "", time.Time{})
	for range 3 {
		w.Write([]trace.Event{e, e})
	}
	if err := w.Write(nil); err != full {
		t.Errorf("error is %v", err)
	}
	if f.failed != 1 {
		t.Errorf("%d writes after the first that failed", f.failed-1)
	}
}

type failing struct {
	room, failed int
	err          error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		f.failed++
		return 0, f.err
	}
	return len(b), nil
}

// TestTape writes, cuts and reads on several goroutines: runs stay as they were until they are given back, whichever way the tape goes on,
// and each event is what was written last where it stands.
func TestTape(t *testing.T) {
	var tape trace.Tape
	runs := make(chan trace.Run, 10)
	const events = 20_000
	go func() {
		defer close(runs)
		rnd := rand.New(rand.NewPCG(1, 2))
		for n := 0; n < events; {
			size := 1 + rnd.IntN(3)
			if rnd.IntN(100) == 0 {
				size = 200
			}
			for range size {
				if k := tape.Next(trace.Called, trace.ByRACK); n%3 == 0 {
					k.Err, k.Len = "text", uint32(n)
				} else {
					k.Result = n
				}
				n++
			}
			if got := tape.Written(); got != size || len(tape.From(1)) != size-1 {
				t.Errorf("%d events are written, of %d", got, size)
			}
			r := tape.Cut()
			runs <- r.Share(1)
			runs <- r
		}
	}()
	n := 0
	for first := range runs {
		all := <-runs
		if first.Len() != 1 || &first.Events()[0] != &all.Events()[0] {
			t.Fatal("the first of a run is another event")
		}
		first.Done()
		for _, got := range all.Events() {
			want := trace.Event{Kind: trace.Called, Why: trace.ByRACK, Result: n}
			if n%3 == 0 {
				want.Err, want.Len, want.Result = "text", uint32(n), 0
			}
			if got != want {
				t.Fatalf("event %d is %+v", n, got)
			}
			n++
		}
		all.Done()
	}
	if n < events {
		t.Errorf("%d events", n)
	}
}

// TestTapeReused has runs given back before the tape goes on: it is written over from its beginning, unless it had become long.
func TestTapeReused(t *testing.T) {
	var tape trace.Tape
	tape.Next(trace.Sent, 0)
	one := tape.Cut()
	slot := &one.Events()[0]
	one.Done()
	if e := tape.Next(trace.Sent, 0); e != slot {
		t.Error("what nobody reads any more is left aside")
	}
	one = tape.Cut()
	if e := tape.Next(trace.Sent, 0); e == slot {
		t.Error("what is being read is written over")
	}
	two := tape.Cut()
	if !one.Follow(two) || one.Len() != 2 || one.Follow(trace.RunOf(trace.Event{})) {
		t.Error("what follows is not a part, or what does not is one")
	}
	one.Done()
	for range 1000 {
		tape.Next(trace.Sent, 0)
	}
	long := tape.Cut()
	slot = &long.Events()[0]
	long.Done()
	if e := tape.Next(trace.Sent, 0); e == slot {
		t.Error("a long tape is kept")
	}
	tape.Reset()
	if tape.Written() != 0 {
		t.Error("not empty")
	}
}

// TestKinds: no kinds stand for all of them, and those that there are not for none.
func TestKinds(t *testing.T) {
	const unknown = trace.Kind(200)
	for _, x := range []struct {
		list        []trace.Kind
		sent, state bool
	}{{nil, true, true}, {[]trace.Kind{trace.Sent}, true, false}, {[]trace.Kind{trace.Sent, trace.State}, true, true}, {[]trace.Kind{unknown}, false, false}} {
		if s := trace.KindsOf(x.list...); s.Has(trace.Sent) != x.sent || s.Has(trace.State) != x.state {
			t.Errorf("%v: %b", x.list, s)
		}
	}
}
