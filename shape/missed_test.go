package shape

import (
	"testing"
	"time"
)

// TestMissed has each reason for which a fault does not strike told.
func TestMissed(t *testing.T) {
	connect := func(f *Faults) {
		for range 2 {
			if b, _ := f.Connect(call(7, "", "10.0.0.1:80")); b != nil {
				b.Strike()
			}
		}
	}
	for _, c := range []struct{ text, want string }{
		{"connect refused", ""},
		{"connect refused once", ""},
		{"connect refused to :81", "it is about no connect that there was"},
		{"connect refused process curl", "it is about no connect that there was"},
		{"connect refused sctp", "it is about no connect that there was"},
		{"connect refused from 10s", "its time had not come"},
		{"connect refused at the 3rd", "its turn had not come by the 2nd connect that it is about"},
		{"connect refused at 0.000001%", "its turn had not come by the 2nd connect that it is about"},
		{"reset after 1000 bytes to :80", "no connection that it is about came so far; it counts what the program sends, and 'reset after 1000 bytes received' what it receives"},
		{"reset after 1kb received", "no connection that it is about came so far; it counts what the program receives, and 'reset after 1kb' what it sends"},
		{"stop reading for 5s after 64kb", "no connection that it is about came so far; it counts what the program receives, and 'peer stops reading for 5s after 64kb' what it sends"},
		{"peer stops reading for 5s after 64kb", "no connection that it is about came so far; it counts what the program sends, and 'stop reading for 5s after 64kb' what it receives"},
		{"read in pieces of 1 bytes", "no connection that it is about came so far"},
		{"reset at accept", "there was no accept"},
		{"socket fails with EMFILE", "there was no socket"},
		{"send fails with ENOBUFS", "there was no datagram sent"},
		{"interrupt recv", "there was no recv that would wait; a program that waits in poll or epoll has none"},
		{"dns SERVFAIL", "there was no DNS question"},
	} {
		f, err := ParseFaults(1, c.text)
		if err != nil {
			t.Fatal(err)
		}
		f.Begin(func() time.Duration { return time.Second })
		connect(f)
		got := ""
		for _, m := range f.Missed() {
			got += m.String()
		}
		want := ""
		if c.want != "" {
			want = "fault '" + c.text + "' has not struck: " + c.want
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestMissedTakenAway has a fault that was taken away not be told of.
func TestMissedTakenAway(t *testing.T) {
	f, err := ParseFaults(1, "connect refused", "dns SERVFAIL")
	if err != nil {
		t.Fatal(err)
	}
	f.Set(*f.Missed()[1].Fault)
	if list := f.Missed(); len(list) != 1 || list[0].Fault.Kind != NameServerFails {
		t.Errorf("%v", list)
	}
}
