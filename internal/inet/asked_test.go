package inet

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/packet"
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

// TestQuestionsWaited has a socket ask two name servers: what is told is whom it has waited for the longest, since it asked first.
func TestQuestionsWaited(t *testing.T) {
	m, _ := newPair(t, Config{})
	e := udpOf(m.open("udp4").Socket)
	one, two := addrport(addrB+":53"), addrport(addrB+"3:53")
	question := func(id, of byte, n int) []byte {
		b := make([]byte, n)
		b[0], b[n-1] = id, of
		return b
	}
	asks := func(server netip.AddrPort, msg []byte) {
		v := packet.Copy(msg)
		m.do(func() { e.asks(server, &socket.Msg{Data: []packet.View{v}}) })
		v.Release()
	}
	hears := func(server netip.AddrPort, id byte) {
		m.do(func() { e.hears(server, question(id, 0, dnsHeader)) })
	}
	told := func(want string) {
		t.Helper()
		d := e.asked.detail(m.clock.Now())
		if got := fmt.Sprintf("%v %d of %d bytes, open %v, %v", d.Server, d.Message[0], len(d.Message), d.Open, d.Waited); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if d := e.asked.detail(m.clock.Now()); d != nil {
		t.Errorf("%+v was told of who has asked nobody", d)
	}
	answer := question(1, 1, 40)
	answer[2] = 0x80
	for _, b := range [][]byte{question(1, 1, dnsHeader-1), question(1, 1, maxQuestion+1), answer} {
		if asks(one, b); e.asked != nil {
			t.Errorf("%x is taken for a question", b)
		}
	}
	asks(one, question(1, 1, maxQuestion))
	m.clock.Advance(time.Second)
	asks(two, question(1, 1, 40))
	asks(two, question(1, 1, maxQuestion)) // another server is another question
	asks(one, question(2, 1, maxQuestion)) // another number is not
	m.clock.Advance(time.Second)
	told("10.0.0.2:53 2 of 512 bytes, open true, 2s")
	hears(one, 1) // what nobody asks any more
	told("10.0.0.2:53 2 of 512 bytes, open true, 2s")
	hears(one, 2)
	told("10.0.0.23:53 1 of 40 bytes, open true, 1s")
	hears(two, 1)
	hears(two, 1)
	told("10.0.0.2:53 2 of 512 bytes, open false, 2s")
	asks(one, question(3, 1, 40))
	m.clock.Advance(time.Second)
	hears(one, 3)
	told("10.0.0.2:53 2 of 512 bytes, open false, 2s")
}
