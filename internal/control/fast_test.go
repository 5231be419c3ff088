package control

import (
	"encoding/json"
	"reflect"
	"testing"
)

// replies are such as both ways of writing and reading must agree about.
func replies() []Reply {
	full := Socket{
		ID: 1<<64 - 1, Proto: "tcp", State: "ESTAB", RecvQ: -1, SendQ: 1 << 40, Local: "[fe80::1%eth0]:80", Peer: "10.0.0.1:5",
		Process: -7, Program: "a<b>&\"\\\x01\u00e9\u2028", Inode: 1<<32 - 1, Drops: 3, RxBytes: 1<<64 - 1, TxBytes: 5, V6: true, V6Only: true, Device: "eth0",
		Congestion: "cubic", Left: -59000,
	}
	detailed := full
	detailed.TCP = &TCP{RTT: 7}
	odd := full
	odd.Proto, odd.Local = "q\"", "\xff"
	plainOne := full
	plainOne.Program = "curl"
	return []Reply{
		{}, {ID: -3, Done: true},
		{ID: 1, Sockets: []Socket{{}}},
		{ID: 2, Sockets: []Socket{plainOne, {Proto: "udp"}}, Done: true},
		{ID: 2, Sockets: []Socket{full}},
		{ID: 3, Sockets: []Socket{odd, {ID: 1}}},
		{ID: 4, Sockets: []Socket{detailed, plainOne}, Done: true},
		{ID: 4, Sockets: []Socket{{Proto: "udp", Stall: "resolver: no answer"}}},
		{ID: 5, Error: &Error{Busy, "x"}, Done: true},
		{ID: 6, Traffic: &Traffic{At: 3}},
	}
}

func newReader() *reader { return &reader{known: make(map[string]string)} }

// TestAppendIsJSON has the writer by hand write what encoding/json does.
func TestAppendIsJSON(t *testing.T) {
	for _, r := range replies() {
		got, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want)+"\n" {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

// TestReadSocketsTakes has the reader by hand read what it is for, and leave the rest.
func TestReadSocketsTakes(t *testing.T) {
	for _, r := range replies() {
		line, _ := r.Append(nil)
		_, taken := newReader().read(line)
		plain := len(r.Sockets) > 0
		for _, s := range r.Sockets {
			plain = plain && s.TCP == nil && s.Stall == "" && s.Local != "\xff" && (s.Program == "" || s.Program == "curl")
		}
		if taken != plain {
			t.Errorf("taken: %v: %s", taken, line)
		}
	}
}

// FuzzReadSockets has the reader by hand never read anything else than encoding/json does.
func FuzzReadSockets(f *testing.F) {
	for _, r := range replies() {
		line, _ := r.Append(nil)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, ok := newReader().read(line)
		if !ok {
			return
		}
		var want Reply
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q\ngot  %+v\nwant %+v", line, *got, want)
		}
	})
}
