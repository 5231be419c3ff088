package tcp

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// Who is made to wait for memory just as pressure ends is told of that end.
func TestStarvedIsTold(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Mem = [3]int{10, 20, 30}
	cfg.WMem[0] = 0
	var big, small tcb
	big.cfg, small.cfg = cfg, cfg
	var s sender
	m := cfg.Memory
	var start, done atomic.Int32
	go func() {
		for i := int32(1); ; i++ {
			for n := 0; start.Load() != i; n++ {
				if start.Load() < 0 {
					return
				}
				if n > 1000 {
					runtime.Gosched()
				}
			}
			big.charge(0)
			done.Store(i)
		}
	}()
	defer start.Store(-1)
	small.charge(1)
	for i := int32(1); i <= 30000; i++ {
		big.charge(35)
		if !m.pressed() {
			t.Fatal("no pressure")
		}
		start.Store(i)
		told := true
		for range 20 {
			if s.starved(&small) {
				told = false
				break
			}
		}
		for n := 0; done.Load() != i; n++ {
			if n > 1000 {
				runtime.Gosched()
			}
		}
		if m.Relieved() {
			told = true
		}
		if !told {
			t.Fatalf("in round %d somebody waits for ever", i)
		}
		m.starved.Store(false)
	}
}
