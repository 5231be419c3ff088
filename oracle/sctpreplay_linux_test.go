package oracle

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/internal/abi"
)

// patience is how long a host may take to do what the kernel did: its packets go by goroutines.
const patience = 100 * time.Millisecond

// sctpSettings returns a host's settings that stand for the kernel's, NAME=VALUE each.
func sctpSettings(sysctl string) *usock.SCTPConfig {
	c := usock.DefaultSCTPConfig()
	flags := map[string]*bool{
		"prsctp_enable": &c.PRSCTP, "reconf_enable": &c.ReConf, "auth_enable": &c.Auth, "addip_enable": &c.Addip,
		"intl_enable": &c.Interleave, "ecn_enable": &c.ECN,
		"sndbuf_policy": &c.SndBufPolicy,
	}
	times := map[string]*time.Duration{
		"rto_initial": &c.RTOInitial, "rto_min": &c.RTOMin, "rto_max": &c.RTOMax, "sack_timeout": &c.SackDelay,
		"hb_interval": &c.HBInterval, "valid_cookie_life": &c.ValidCookieLife, "max_autoclose": &c.MaxAutoclose,
	}
	numbers := map[string]*int{
		"max_init_retransmits": &c.MaxInitRetrans, "path_max_retrans": &c.PathMaxRetrans, "association_max_retrans": &c.MaxRetrans,
		"max_burst": &c.MaxBurst, "pf_retrans": &c.PFRetrans, "ps_retrans": &c.PSRetrans, "pf_expose": &c.PFExpose,
	}
	for _, s := range strings.Fields(sysctl) {
		name, value, _ := strings.Cut(s, "=")
		unit := time.Millisecond
		if name == "max_autoclose" {
			unit = time.Second
		}
		switch {
		case flags[name] != nil:
			*flags[name] = value != "0"
		case times[name] != nil:
			*times[name] = time.Duration(number(value)) * unit
		case numbers[name] != nil:
			*numbers[name] = number(value)
		case s == "rcvbuf_policy=1", s == "addip_noauth_enable=1":
			// Associations have rooms of their own; addresses that nobody vouches for are not taken.
		default:
			panic("no such setting: " + s)
		}
	}
	return c
}

// replaySCTP plays a sequence on a host and returns how it differs from what the kernel has answered.
func replaySCTP(t *testing.T, c sequence, want recording) (found []difference) {
	u := newUserOf(t, usock.Config{Capable: c.capable, TCP: kernelLimits(t), SCTP: sctpSettings(c.sysctl)})
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
			same := 0
			for i := range cases {
				next <- i
			}
			close(next)
			wg.Wait()
			for _, found := range all {
				if len(found) == 0 {
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
			t.Logf("%d of %d sequences are as the kernel's", same, len(cases))
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
