package oracle

import (
	"flag"
	"runtime"
	"testing"
)

var lines = flag.String("script", "", "lines to carry out on both systems and print")

func TestScript(t *testing.T) {
	if *lines == "" {
		t.Skip("no -script")
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		k := newKernel(t)
		defer k.end()
		u := newUser(t, true)
		defer u.end()
		a, b := newScript(u), newScript(k)
		a.ports.asks(split(*lines))
		b.ports.asks(split(*lines))
		for _, l := range split(*lines) {
			t.Logf("%-40s usock %-30s kernel %s", l, a.run(l), b.run(l))
			for _, s := range a.names() {
				t.Logf("    %s usock %v kernel %v", s, a.look(s), b.look(s))
			}
		}
	}()
	<-done
}
