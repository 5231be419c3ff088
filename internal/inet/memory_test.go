package inet

import (
	"testing"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
)

// What the machine's memory makes of limits that are not set, and which limits make sense (tcp(7), tcp_mem).
func TestLimitsOfMemory(t *testing.T) {
	for _, c := range []struct {
		mem     [3]int
		orphans int
		ok      bool
	}{
		{[3]int{1, 1, 1}, 1, true}, {[3]int{1, 2, 2}, 1, true}, {[3]int{1, 1, 2}, 1, true}, {[3]int{1, 2, 3}, 1, true},
		{[3]int{0, 1, 2}, 1, false}, {[3]int{-1, 1, 2}, 1, false}, {[3]int{2, 1, 3}, 1, false}, {[3]int{1, 3, 2}, 1, false}, {[3]int{3, 2, 1}, 1, false},
		{[3]int{1, 2, 3}, -1, false},
	} {
		s := tcp.Settings{Mem: c.mem, MaxOrphans: c.orphans}
		if err := limitMemory(&s); (err == nil) != c.ok {
			t.Errorf("%v, %d orphans: %v", c.mem, c.orphans, err)
		} else if err == nil && (s.Mem != c.mem || s.MaxOrphans != c.orphans) {
			t.Errorf("%v, %d orphans: are %v, %d", c.mem, c.orphans, s.Mem, s.MaxOrphans)
		}
	}
	var s tcp.Settings
	if err := limitMemory(&s); err != nil || s.Mem[1] != max(machineMemory()/16, 512<<10) || s.MaxOrphans < 4096 {
		t.Errorf("%v, %d orphans, %v", s.Mem, s.MaxOrphans, err)
	}
	if n := machineMemory(); n < 64<<20 || n > 1<<50 {
		t.Errorf("the machine has %d bytes", n)
	}
}

// When there is memory again, those who can send are told, and nobody else.
func TestMemoryAgainIsTold(t *testing.T) {
	a, b := newPair(t, Config{})
	l := a.open("tcp4").at(addrA + ":80")
	l.Listen(5)
	room, _ := joined(t, a, b, addrB+":80")
	full, _ := joined(t, a, b, addrB+":81")
	full.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 5000)
	a.cut = true
	full.fill()
	set := socket.NewPollSet(a.h)
	defer set.Close()
	for _, s := range []*sock{l, room, full, a.open("tcp4"), a.open("tcp4").with(addrB + ":82"), a.open("udp4").at(addrA + ":9")} {
		if err := set.Add(s.Socket, wait.In|wait.Out|socket.EdgeTriggered, s.Socket); err != nil {
			t.Fatal(err)
		}
	}
	list := make([]socket.Event, 9)
	set.Wait(noContext, list)
	a.do(func() { a.st.tcp.relieve(endpointOf(room.Socket)) })
	if n, _ := set.Wait(noContext, list); n != 0 {
		t.Errorf("%d are told where nobody was without: %+v", n, list[:n])
	}
	a.do(a.st.tcp.tellRelieved)
	n, _ := set.Wait(noContext, list)
	if n != 1 || list[0].Data != any(room.Socket) || list[0].Events != wait.Out {
		t.Errorf("%d are told: %+v", n, list[:n])
	}
}
