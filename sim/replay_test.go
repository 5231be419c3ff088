package sim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/sim"
)

// wild is a link that does everything to what it carries.
func wild(rate uint64) link.Impairment {
	return link.Impairment{
		Delay: 13 * time.Millisecond, Jitter: 3 * time.Millisecond, Loss: 0.007,
		Reorder: 0.01, ReorderBy: 5 * time.Millisecond, Duplicate: 0.003, Corrupt: 0.003,
		Rate: rate, Limit: link.Amount{Bytes: int(rate / 8 / 20)}, Mark: link.Amount{Bytes: int(rate / 8 / 40)},
	}
}

// talker sends datagrams of many lengths, some in fragments, and echoes those that come.
type talker struct {
	t     *testing.T
	s     *usock.Socket
	clock clock.Clock
	to    usock.Addr // zero: it echoes
	next  time.Duration
	wake  clock.Alarm
	sent  int
	heard int
	buf   [1 << 13]byte
}

func newTalker(t *testing.T, n *sim.Net, h *sim.Host, port uint16) *talker {
	s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.SetNonblock(true)
	if err := s.Bind(usock.Inet(netip.AddrPortFrom(h.Addr(), port))); err != nil {
		t.Fatal(err)
	}
	k := &talker{t: t, s: s, clock: n.Clock(), wake: n.Clock().NewAlarm(func() {})}
	n.Program(k.step)
	return k
}

// most is how many datagrams a talker sends.
const most = 400

func (k *talker) step() sim.Progress {
	p := sim.Idle
	for {
		n, from, err := k.s.RecvFrom(k.buf[:], 0)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			k.t.Errorf("receiving: %v", err)
			return sim.Done
		}
		k.heard++
		p = sim.Moved
		if k.to.Family == 0 {
			k.s.SendTo(k.buf[:n], 0, from)
		}
	}
	if now := k.clock.Now(); k.to.Family != 0 && k.sent < most && now >= k.next {
		k.s.SendTo(bytes.Repeat([]byte{byte(k.sent)}, k.sent*37%5000), 0, k.to)
		k.sent++
		k.next = now + 7*time.Millisecond
		k.wake.Set(7 * time.Millisecond)
		p = sim.Moved
	}
	return p
}

// replay runs a network with all sorts of traffic and returns the digest of what is
// recorded at both ends of all its links.
func replay(t *testing.T, seed uint64) string {
	n := sim.NewManual(t, seed)
	var records []hash.Hash
	lossy := func(m link.Impairment) sim.LinkConfig {
		near, far := sha256.New(), sha256.New()
		records = append(records, near, far)
		return sim.LinkConfig{To: m, Back: m, Capture: near, CaptureFar: far}
	}
	r1, r2 := n.Router("r1"), n.Router("r2")
	n.Link(r1, r2, lossy(wild(20e6)))
	var hosts []*sim.Host
	for i := range 6 {
		h := n.Host(fmt.Sprint("h", i))
		h.Config.TCP = usock.DefaultTCPConfig()
		h.Config.TCP.ECN = usock.ECNOn
		n.Link(h, []*sim.Host{r1, r2}[i%2], lossy(link.Impairment{Delay: time.Duration(i) * time.Millisecond, Rate: 100e6}))
		hosts = append(hosts, h)
	}
	n.Start()

	var flows []*sim.Flow
	for i, cc := range []string{"cubic", "bbr", "bbr3", "bbr", "reno"} {
		from, to := hosts[i], hosts[(i+1+i%2*2)%6]
		flows = append(flows, n.Flow(from, to, sim.FlowConfig{
			Bytes: 1 << 19, Back: int64(i) * 100_000, Congestion: cc, IPv6: i%2 == 1, Chunk: 20_000,
		}))
	}
	x, y, echo := newTalker(t, n, hosts[0], 5000), newTalker(t, n, hosts[3], 5000), newTalker(t, n, hosts[5], 7)
	at, _ := echo.s.GetSockName()
	x.to = at
	y.to = usock.Inet(netip.AddrPortFrom(hosts[4].Addr(), 9)) // nobody: answered by ICMP
	n.Sleep(time.Second)
	for _, f := range flows {
		if res := f.Wait(); res.Err != nil {
			t.Errorf("seed %d: %v", seed, res.Err)
		}
	}
	n.Until(func() bool { return x.sent == most && y.sent == most }, time.Minute)
	if x.heard < most/2 || x.heard > most*11/10 {
		t.Errorf("%d of %d datagrams came back", x.heard, most)
	}
	n.Close()

	sum := sha256.New()
	for _, r := range records {
		sum.Write(r.Sum(nil))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// The digest of replay with seed 1: of every processor, and of every run. What changes a
// packet changes it; the test says what to write here then.
const replayed = "4460bdeae5ad5875ecf812d6bfb17397"

// In manual time a network is a function of its seed: every byte of its captures, under any
// load and with any number of processors.
func TestReplay(t *testing.T) {
	if got := replay(t, 1); got != replayed {
		t.Errorf("the digest is %s, and was %s", got, replayed)
	}
	if replay(t, 2) == replayed {
		t.Error("another seed gives the same")
	}
	stop := make(chan struct{})
	for range 4 {
		go func() {
			var waste [][]byte
			for {
				select {
				case <-stop:
					return
				default:
					waste = append(waste[:len(waste)%100], make([]byte, 1<<12))
				}
			}
		}()
	}
	defer close(stop)
	for _, n := range []int{1, 2, 8} {
		was := runtime.GOMAXPROCS(n)
		got := replay(t, 1)
		runtime.GC() // pools are empty the next time
		runtime.GOMAXPROCS(was)
		if got != replayed {
			t.Errorf("with %d processors and under load the digest is %s", n, got)
		}
	}
}
