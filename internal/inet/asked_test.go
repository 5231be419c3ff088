package inet

import (
	"bytes"
	"testing"

	"usock/internal/abi"
	"usock/internal/socket"
)

// TestQuestionsKept has a socket ask more than is kept, and be answered, as messages take each other's room: what was told of one stays as it was,
// and who asks on and on allocates nothing for it.
func TestQuestionsKept(t *testing.T) {
	m := newWide(t, addrA+"/24")
	u := m.open("udp4")
	e, server := udpOf(u.Socket), addrport(addrB+":53")
	msg := bytes.Repeat([]byte{0}, 40)
	asks := func(n int) {
		msg[0], msg[39] = byte(n), byte(n)
		e.asks(server, &socket.Msg{Small: msg})
	}
	m.do(func() {
		asks(1)
		told := e.asked.detail(e.s.Host.Now())
		for n := 2; n < 100; n++ {
			asks(n)
		}
		if len(e.asked.open) != maxQuestions || !told.Open || told.Message[39] != 1 {
			t.Errorf("%d are kept; %+v was told", len(e.asked.open), told)
		}
		n := 0
		if a := testing.AllocsPerRun(100, func() { n++; asks(n) }); a != 0 {
			t.Errorf("a question costs %v allocations", a)
		}
		last := byte(n)
		e.hears(server, []byte{last, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		if len(e.asked.open) != maxQuestions-1 {
			t.Errorf("%d are open", len(e.asked.open))
		}
		if slowest := e.asked.slowest; slowest.Message[39] != last {
			t.Errorf("%+v was answered", slowest)
		}
		asks(200)
		asks(201)
		if q := e.asked.slowest.Message; q[39] != last {
			t.Errorf("%x was answered", q)
		}
	})
	if in := u.Info(); in.Detail == nil || in.Protocol != abi.IPPROTO_UDP {
		t.Errorf("%+v", in)
	}
}
