//go:build linux

package interop

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/wire"
)

// queueTrace is a trace of arrivals at a queueing discipline, which User-mode Linux plays: UDP datagrams that carry
// their numbers, sent through the discipline below a class of HTB that has the rate, over a pair of veth devices.
type queueTrace struct {
	Queue  string // as usock has it
	Qdisc  string // as tc has it
	Rate   int    // bits a second, headers of Ethernet counted
	Offers []offer
	ECT    bool // every other datagram is ECN-capable
	CoDel  bool // what it does follows from the times alone
	Own    bool // the qdisc has the rate itself: it is the device's, and there is no HTB
}

// offer is what is sent for a time: one flow or several, each at a multiple of the rate.
type offer struct {
	For   time.Duration
	Times []float64
}

// traceFrame is the length of each frame, in bytes.
const traceFrame = 1250

// sent is a datagram of a trace: when it was sent, since the beginning, and of which flow it is.
type sent struct {
	At   time.Duration
	Flow int
}

// arrived is one that came through.
type arrived struct {
	At     time.Duration
	Number int
	Marked bool
}

// playedTrace is what became of a trace.
type playedTrace struct {
	Sent    []sent
	Arrived []arrived
}

// schedule is when which flow sends. Flows of one rate do not send at once.
func (q *queueTrace) schedule() (out []sent) {
	one := time.Duration(traceFrame * 8 * int(time.Second) / q.Rate)
	begin := time.Duration(0)
	for _, o := range q.Offers {
		next := make([]time.Duration, len(o.Times))
		for i, times := range o.Times {
			next[i] = time.Duration(float64(one) / times * float64(i+1) / float64(len(next)+1))
		}
		for {
			flow := 0
			for i := range next {
				if next[i] < next[flow] {
					flow = i
				}
			}
			if next[flow] >= o.For {
				break
			}
			out = append(out, sent{begin + next[flow], flow})
			next[flow] += time.Duration(float64(one) / o.Times[flow])
		}
		begin += o.For
	}
	return out
}

// datagram is the IPv4 packet with a number, of n bytes.
func (q *queueTrace) datagram(number, flow, n int) []byte {
	b := make([]byte, n)
	h := wire.IPv4{
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), Proto: unix.IPPROTO_UDP, TTL: 9, TotalLen: uint16(n),
	}
	if q.ECT && number%2 == 0 {
		h.TOS = 2
	}
	h.Put(b[:wire.IPv4MinLen])
	u := b[wire.IPv4MinLen:]
	binary.BigEndian.PutUint16(u, uint16(10000+flow))
	binary.BigEndian.PutUint16(u[2:], 9)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	binary.BigEndian.PutUint32(u[8:], uint32(number))
	return b
}

// numberOf returns the number of a datagram and whether it is marked.
func numberOf(b []byte) (number int, marked bool) {
	return int(binary.BigEndian.Uint32(b[wire.IPv4MinLen+8:])), b[1]&3 == 3
}

// playTraces plays traces at the same time: what the machine has for Ask. One thread sends all, and what has arrived is
// looked at in the end, with the times that the kernel has written down: the machine is slow.
func playTraces(data []byte) ([]byte, error) {
	var traces []queueTrace
	if err := json.Unmarshal(data, &traces); err != nil {
		return nil, err
	}
	runtime.LockOSThread() // it sleeps in system calls
	defer runtime.UnlockOSThread()
	out, ways := make([]playedTrace, len(traces)), make([]traceWay, len(traces))
	for i := range traces {
		if err := ways[i].open(i, &traces[i]); err != nil {
			return nil, err
		}
		defer ways[i].close()
	}
	type step struct {
		sent
		trace int
	}
	var steps []step
	for i := range traces {
		for _, s := range traces[i].schedule() {
			steps = append(steps, step{s, i})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.At, b.At) })

	begin := now() + int64(time.Second) // PIE's timer begins half a second after it was made
	for _, s := range steps {
		sleepUntil(begin + int64(s.At))
		q, p := &traces[s.trace], &out[s.trace]
		b := append(ways[s.trace].header(), q.datagram(len(p.Sent), s.Flow, traceFrame-14)...)
		s.sent.At = time.Duration(now() - begin)
		p.Sent = append(p.Sent, s.sent)

		// What is dropped as it comes is ENOBUFS.
		if _, err := unix.Write(ways[s.trace].from, b); err != nil && err != unix.ENOBUFS {
			return nil, fmt.Errorf("send: %w", err)
		}
	}
	sleepUntil(now() + int64(time.Second))
	for i := range ways {
		var err error
		if out[i].Arrived, err = ways[i].arrivals(begin); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// now is the time of day in ns, by which the kernel stamps packets.
func now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_REALTIME, &t)
	return t.Nano()
}

func sleepUntil(ns int64) {
	at := unix.NsecToTimespec(ns)
	for unix.ClockNanosleep(unix.CLOCK_REALTIME, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
	}
}

// traceWay is where a trace is sent: a pair of devices, and a packet socket on each.
type traceWay struct {
	name     string
	from, to int
}

func (w *traceWay) header() []byte { return []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0} }

func (w *traceWay) open(index int, q *queueTrace) (err error) {
	w.name = fmt.Sprintf("near%d", index)
	far := fmt.Sprintf("far%d", index)
	lines := []string{
		fmt.Sprintf("ip link add %s type veth peer name %s", w.name, far),
		fmt.Sprintf("ip link set %s up", w.name),
		fmt.Sprintf("ip link set %s up", far),
	}
	if q.Own {
		lines = append(lines, fmt.Sprintf("tc qdisc add dev %s root %s", w.name, q.Qdisc))
	} else {
		lines = append(lines,
			fmt.Sprintf("tc qdisc add dev %s root handle 1: htb default 1", w.name),
			fmt.Sprintf("tc class add dev %s parent 1: classid 1:1 htb rate %dbit burst %d cburst %d", w.name, q.Rate, traceFrame, traceFrame),
			fmt.Sprintf("tc qdisc add dev %s parent 1:1 handle 2: %s", w.name, q.Qdisc))
	}
	for _, line := range lines {
		if err := tool(line); err != nil {
			return err
		}
	}
	if w.from, err = packetSocket(w.name); err != nil {
		return err
	}
	if w.to, err = packetSocket(far); err != nil {
		return err
	}
	return unix.SetsockoptInt(w.to, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

func (w *traceWay) close() {
	unix.Close(w.from)
	unix.Close(w.to)
	tool("ip link del " + w.name)
}

// tool runs a program of iproute2.
func tool(line string) error {
	words := strings.Fields(line)
	path := words[0]
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if p, err := exec.LookPath(dir + words[0]); err == nil {
			path = p
			break
		}
	}
	if b, err := exec.Command(path, words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", line, err, b)
	}
	return nil
}

// packetSocket makes a packet socket of IPv4 on a device, with buffers that take a whole trace.
func packetSocket(device string) (int, error) {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return -1, err
	}
	const ipv4 = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, ipv4)
	if err != nil {
		return -1, err
	}
	for _, name := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, name, 64<<20); err != nil {
			return fd, err
		}
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: i.Index})
}

// arrivals returns what has come, with times since begin.
func (w *traceWay) arrivals(begin int64) (out []arrived, err error) {
	b, control := make([]byte, 2*traceFrame), make([]byte, 128)
	for {
		n, c, _, _, err := unix.Recvmsg(w.to, b, control, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		messages, err := unix.ParseSocketControlMessage(control[:c])
		if err != nil || len(messages) != 1 || len(messages[0].Data) < 16 {
			return nil, fmt.Errorf("no time: %v, %v", messages, err)
		}
		if n != traceFrame {
			continue
		}
		d := messages[0].Data
		at := int64(binary.NativeEndian.Uint64(d))*int64(time.Second) + int64(binary.NativeEndian.Uint64(d[8:]))
		number, marked := numberOf(b[14:])
		out = append(out, arrived{time.Duration(at - begin), number, marked})
	}
}
