package oracle

import (
	"flag"
	"fmt"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
)

// patience is how long a host may take to do what the kernel did: its packets go by goroutines.
const patience = 100 * time.Millisecond

// replaySCTP plays a sequence on a host and returns how it differs from what the kernel has answered.
func replaySCTP(t *testing.T, c sequence, want recording) (found []difference) {
	u := newUserWith(t, c.capable, kernelLimits(t))
	defer u.end()
	s := newScript(u)
	s.ports.asks(split(c.lines))
	line := ""
	defer func() {
		if x := recover(); x != nil {
			found = append(found, difference{c.name, line, "panic", fmt.Sprintf("%v\n%s", x, debug.Stack()), ""})
		}
	}()
	looks, last := make(map[string][3]string), make(map[string]string)
	for _, st := range want.Steps {
		line = st.Line
		got := s.run(line)
		for end := time.Now().Add(patience); got == "EAGAIN" && st.Result != got && time.Now().Before(end); got = s.run(line) {
			time.Sleep(time.Millisecond)
		}
		if got != st.Result {
			found = append(found, difference{c.name, line, "result", got, st.Result})
		}
		for name, l := range st.Looks {
			looks[name] = l
		}
		for name := range looks {
			if _, ok := s.fds[name]; !ok {
				delete(looks, name)
			}
		}
		s.allLooks() // ports have the names of who shows them last
		found = append(found, s.compareLooks(c.name, line, looks, nil, last)...)
	}
	return found
}

// TestSCTP holds a host to the golden file.
func TestSCTP(t *testing.T) {
	u := newUser(t, true)
	_, err := u.socket(abi.AF_INET, abi.SOCK_STREAM, abi.IPPROTO_SCTP)
	u.end()
	if err == syscall.EPROTONOSUPPORT {
		t.Skip("a host has no SCTP")
	}
	golden := readGolden(t)
	used := make([]int, len(declaredSCTP))
	for _, table := range sctpTables {
		t.Run(table.name, func(t *testing.T) {
			cases := table.cases()
			all := make([][]difference, len(cases))
			next := make(chan int)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for i := range next {
						c := cases[i]
						c.name = table.name + "/" + c.name
						all[i] = replaySCTP(t, c, golden[c.name])
					}
				})
			}
			played, same := 0, 0
			for i, c := range cases {
				if c.sysctl == "" { // a host has no such settings
					played++
					next <- i
				}
			}
			close(next)
			wg.Wait()
			for i, found := range all {
				if len(found) == 0 && cases[i].sysctl == "" {
					same++
				}
				for _, d := range found {
					if !excused(declaredSCTP, d, used) {
						t.Errorf("%s: %v", d.name, d)
					} else if *findAll {
						t.Logf("%s: %v", d.name, d)
					}
				}
			}
			t.Logf("%d of %d sequences are as the kernel's", same, played)
		})
	}
	if run := flag.Lookup("test.run").Value.String(); run == "" || run == "TestSCTP$" {
		for i, n := range used {
			if n == 0 && !declaredSCTP[i].sometimes {
				t.Errorf("declared, but there is no such difference: %+v", declaredSCTP[i])
			}
		}
	}
}
