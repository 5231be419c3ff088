package measure

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/clock"
	"usock/internal/pcapfile"
	"usock/internal/pcapfilter"
	"usock/internal/wire"
	"usock/link"
	"usock/packet"
	"usock/shape"
)

const ms = time.Millisecond

// uneven is a trace of a rate that goes up and down between 2 and 22 Mbit/s, for so long.
func uneven(t *testing.T, end time.Duration) (*link.Trace, []time.Duration) {
	t.Helper()
	var at []time.Duration
	credit := 0.0
	for now := ms; now <= end; now += ms {
		credit += 1 + 0.8*math.Sin(now.Seconds()*2)
		for ; credit >= 1; credit-- {
			at = append(at, now)
		}
	}
	trace, err := link.NewTrace(at)
	if err != nil {
		t.Fatal(err)
	}
	return trace, at
}

// free is who takes packets and keeps none.
func free(batch []*link.Packet) {
	for _, p := range batch {
		p.Free()
	}
}

// udp is a packet of UDP of so many bytes.
func udp(size int) *link.Packet {
	b := make([]byte, size)
	u := wire.UDP{SrcPort: 4000, DstPort: 4001, Len: uint16(size - wire.IPv4MinLen)}
	u.Put(b[wire.IPv4MinLen:])
	h := wire.IPv4{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), TTL: 64, Proto: 17, TotalLen: uint16(size)}
	h.Put(b[:wire.IPv4MinLen])
	return packet.FromBytes(b)
}

// A capture behind a link with a trace gives that trace back: each opportunity where packets are of 1,500 bytes, and of others all
// but the rest of one, and of a packet, at any time.
func TestTraceComesBack(t *testing.T) {
	for _, size := range []int{1500, 1000, 9000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			trace, at := uneven(t, 5*time.Second)
			manual := new(clock.Manual)
			a, b := link.Pipe(link.PipeConfig{})
			worse, err := link.Impair(a, link.ImpairConfig{Clock: manual, Out: link.Impairment{Trace: trace, Limit: link.Amount{Packets: 1000}}})
			if err != nil {
				t.Fatal(err)
			}
			defer worse.Close()
			var file bytes.Buffer
			w := link.NewPcapWriter(&file, 64)
			sink := link.Pcap(b, w, link.Received)
			link.UseClock(sink, manual)
			sink.(link.Direct).Deliver(free)
			for manual.Now() < 5*time.Second {
				for {
					if out, _ := worse.Stats(); out.Waiting > 100 {
						break
					}
					worse.Send([]*link.Packet{udp(size)})
				}
				manual.Advance(ms)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			n, err := Read(&file, "udp port 4001")
			if err != nil {
				t.Fatal(err)
			}
			got := n.Up.Opportunities() // from who sends first
			offset := at[0]             // its time begins with the first packet
			if size != 1500 {
				offset = at[max(size/1500-1, 0)]
			}
			if size == 1500 {
				for i := range at {
					at[i] -= offset
				}
				if !slices.Equal(got, at) {
					t.Fatalf("%d opportunities, want %d\n%v\n%v", len(got), len(at), got[:20], at[:20])
				}
				return
			}
			for i := range got {
				k := slices.IndexFunc(at, func(x time.Duration) bool { return x-offset > got[i] })
				if k < 0 {
					k = len(at)
				}
				if behind := k - (i + 1); behind < 0 || behind*1500 > 1500+size+1500 {
					t.Fatalf("at %v: %d opportunities, and %d in the trace", got[i], i+1, k)
				}
			}
		})
	}
}

// download has a host fetch so many bytes over TCP by a link of a shape, and returns what it captures. What is lost is so at the host's
// own link, or far from there.
func download(t *testing.T, s shape.Shape, size int64, far bool) *bytes.Buffer {
	t.Helper()
	a, b := link.Pipe(link.PipeConfig{MTU: 1500})
	near, other := link.Link(b), link.Link(a)
	worse := &near
	if far {
		worse, s.Up, s.Down = &other, s.Down, s.Up
	}
	var err error
	if *worse, err = shape.Impair(*worse, s, shape.Config{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	file := new(bytes.Buffer)
	w := link.NewPcapWriter(file, 100)
	host := func(name, addr string, l link.Link) *usock.Host {
		h, err := usock.NewHost(usock.Config{Name: name, Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	server, client := host("server", "10.0.0.1/24", other), host("client", "10.0.0.2/24", link.Pcap(near, w, link.BothWays))
	defer server.Close()
	l, err := server.Listen("tcp", "10.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.CopyN(c, zeros{}, size)
		c.Close()
	}()
	c, err := client.Dial("tcp", "10.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	c.Close()
	client.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// A download over a trace gives the trace back, in each second in which it has filled it within 5 %, and the delay.
func TestDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace, _ := uneven(t, 10*time.Second)
		const delay = 20 * ms
		file := download(t, shape.Shape{
			Up: link.Impairment{Delay: delay}, Down: link.Impairment{Trace: trace, Delay: delay, Limit: link.Amount{Bytes: 300_000}},
		}, 14_000_000, false)
		n, err := Read(file, "")
		if err != nil {
			t.Fatal(err)
		}
		if d := n.Delay - delay; d < 0 || d > 2*ms { // and the wait for an opportunity, half of it
			t.Errorf("a delay of %v, want %v", n.Delay, delay)
		}
		got := n.Down.Opportunities()
		end := got[len(got)-1]
		seconds := 0
		for from := time.Second; from+time.Second <= end; from += time.Second { // the first one is that of slow start
			have := 0
			for _, at := range got {
				if at > from && at <= from+time.Second {
					have++
				}
			}
			want := trace.Count(from+time.Second-delay) - trace.Count(from-delay)
			if math.Abs(float64(have-want)) > 0.05*float64(want) {
				t.Errorf("from %v: %d opportunities, want %d", from, have, want)
			}
			seconds++
		}
		if seconds < 8 {
			t.Errorf("%d seconds were compared", seconds)
		}
	})
}

// Loss is what usock's recording says, or what retransmissions tell.
func TestDownloadLoss(t *testing.T) {
	for _, far := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const loss = 0.01
			n, err := Read(download(t, shape.Shape{Down: link.Impairment{Rate: 50e6, Delay: ms, Loss: loss}}, 20_000_000, far), "tcp")
			if err != nil {
				t.Fatal(err)
			}
			var sum Window
			for _, x := range n.Down.Windows(time.Second) {
				sum.Lost, sum.Delivered = sum.Lost+x.Lost, sum.Delivered+x.Delivered
			}
			if got := sum.Loss(); got < loss*0.8 || got > loss*1.2 {
				t.Errorf("far %v: a loss of %v, want %v", far, got, loss)
			}
		})
	}
}

// What is written as CSV is a trace, whose steps are the windows.
func TestCSV(t *testing.T) {
	n := Network{Delay: 15 * ms}
	n.Down.packets = []delivery{{0, 1500}, {50 * ms, 1000}, {100 * ms, 2500}, {250 * ms, 1250}, {260 * ms, 0}, {399 * ms, 500}}
	var out strings.Builder
	if err := n.WriteCSV(&out, 100*ms, link.BothWays); err != nil {
		t.Fatal(err)
	}
	want := `time,down_rate,down_delay,down_loss
0,200000,15.000,0
0.2,100000,15.000,0.5
0.3,40000,15.000,0
0.4,repeat
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
	trace, err := shape.ParseTrace(strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	var s shape.Shape
	if err := trace.Apply(&s, link.BothWays); err != nil {
		t.Fatal(err)
	}
	if got := s.Course.Steps[1].Down; s.Course.Every != 400*ms || got != (link.Impairment{Rate: 100_000, Delay: 15 * ms, Loss: 0.5}) {
		t.Errorf("%+v", s.Course)
	}
	if err := n.WriteCSV(io.Discard, 100*ms, link.Sent); err == nil || err.Error() != "nothing was delivered" {
		t.Errorf("no packets: %v", err)
	}
	if err := n.WriteCSV(io.Discard, time.Nanosecond, link.Received); err == nil || err.Error() != "more than 100000 windows of 1ns; give a longer one" {
		t.Errorf("a short window: %v", err)
	}
}

func TestMahimahi(t *testing.T) {
	w := Way{packets: []delivery{{0, 1000}, {5 * ms, 500}, {7900 * time.Microsecond, 3100}, {9 * ms, 1399}}}
	var out strings.Builder
	if err := w.WriteMahimahi(&out); err != nil || out.String() != "5\n7\n7\n" {
		t.Errorf("%q, %v", &out, err)
	}
	w.packets = w.packets[:1]
	if err := w.WriteMahimahi(&out); err == nil || err.Error() != "too little was delivered for a trace: a trace without opportunities" {
		t.Error(err)
	}
}

// seen is a packet of TCP in a capture.
type seen struct {
	at    time.Duration
	from  int // 1 or 2
	flags wire.TCPFlags
	seq   uint32
	ack   uint32
	data  int
	flag  link.Directions
}

// captured returns a capture of those packets.
func captured(t testing.TB, list []seen) *bytes.Buffer {
	t.Helper()
	manual := new(clock.Manual)
	file := new(bytes.Buffer)
	w := link.NewPcapWriter(file, 0)
	w.UseClock(manual)
	i := w.Interface(link.Info{Name: "eth0", Medium: link.IP})
	ends := [...]netip.Addr{1: netip.MustParseAddr("2001:db8::1"), 2: netip.MustParseAddr("2001:db8::2")}
	ports := [...]uint16{1: 1000, 2: 80}
	for _, s := range list {
		manual.Advance(s.at - manual.Now())
		b := make([]byte, wire.IPv6Len+wire.TCPMinLen+s.data)
		h := wire.TCP{SrcPort: ports[s.from], DstPort: ports[3-s.from], Seq: s.seq, Ack: s.ack, Flags: s.flags}
		h.Put(b[wire.IPv6Len:])
		ip := wire.IPv6{Src: ends[s.from], Dst: ends[3-s.from], Next: 6, HopLimit: 64, PayloadLen: uint16(wire.TCPMinLen + s.data)}
		ip.Put(b[:wire.IPv6Len])
		p := packet.FromBytes(b)
		i.Record(s.flag, []*link.Packet{p})
		p.Free()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// The connection's side that connects sends up, whoever has captured; the handshake tells the round trip, on either side of whoever
// has, and data that comes again tells of a loss.
func TestConnection(t *testing.T) {
	connection := func(sent, received link.Directions) []seen {
		return []seen{
			{0, 2, wire.ACK, 70, 1, 5, sent}, // of another connection, that went before
			{10 * ms, 1, wire.SYN, 100, 0, 0, received},
			{14 * ms, 2, wire.SYN | wire.ACK, 500, 101, 0, sent},
			{50 * ms, 1, wire.ACK, 101, 501, 0, received},
			{51 * ms, 1, wire.ACK, 101, 501, 100, received},
			{60 * ms, 2, wire.ACK, 501, 201, 1000, sent},
			{61 * ms, 2, wire.ACK, 2501, 201, 1000, sent},
			{62 * ms, 2, wire.ACK, 1501, 201, 1000, sent}, // fills a hole
			{63 * ms, 2, wire.ACK, 501, 201, 1000, sent},  // comes again
			{64 * ms, 2, wire.ACK, 3500, 201, 1, sent},    // asks whether the peer is there
			{65 * ms, 2, wire.ACK, 3501, 201, 500, sent},
		}
	}
	lost := func(w *Way) (n, data int) {
		for _, p := range w.packets {
			if p.size == 0 {
				n++
			}
			data += int(p.size)
		}
		return n, data
	}
	for name, c := range map[string]struct{ sent, received link.Directions }{
		"one direction": {link.Sent, link.Sent},
		"by the server": {link.Sent, link.Received},
	} {
		n, err := Read(captured(t, connection(c.sent, c.received)), "")
		if err != nil {
			t.Fatal(err)
		}
		up, down := &n.Up, &n.Down
		if c.received == link.Received {
			up, down = down, up // what the server sends goes up for the server
		}
		if n.Delay != 20*ms {
			t.Errorf("%s: a delay of %v, want 20ms", name, n.Delay)
		}
		if lost, _ := lost(up); lost != 0 || len(up.packets) != 3 {
			t.Errorf("%s: up %d lost of %d", name, lost, len(up.packets))
		}
		if lost, data := lost(down); lost != 2 || data != 9*60-60+4506 || len(down.packets) != 10 {
			t.Errorf("%s: down %d lost, %d bytes, of %d", name, lost, data, len(down.packets))
		}
	}
}

// A SYN that is sent twice tells no round trip, and one with another number begins another connection, whose numbers may be lower.
func TestConnectionsAnew(t *testing.T) {
	begins := func(at time.Duration, seq uint32, again bool) (list []seen) {
		list = append(list, seen{at, 1, wire.SYN, seq, 0, 0, link.Sent})
		if again {
			list = append(list, seen{at + 30*ms, 1, wire.SYN, seq, 0, 0, link.Sent})
		}
		return append(list,
			seen{at + 40*ms, 2, wire.SYN | wire.ACK, 70, seq + 1, 0, link.Received},
			seen{at + 40*ms, 1, wire.ACK, seq + 1, 71, 1000, link.Sent},
			seen{at + 90*ms, 2, wire.ACK, 71, seq + 1001, 1000, link.Received})
	}
	for _, c := range []struct {
		list []seen
		want time.Duration
	}{
		{begins(0, 1000, true), 0},
		{begins(0, 1000, false), 20 * ms},
		{slices.Concat(begins(0, 9000, true), begins(time.Second, 500, false)), 20 * ms},
		{slices.Concat(begins(0, 9000, false), begins(time.Second, 500, true)), 20 * ms},
		{[]seen{{0, 2, wire.SYN | wire.ACK, 70, 5, 0, link.Received}, {ms, 1, wire.ACK, 5, 71, 0, link.Sent}}, 0},
	} {
		n, err := Read(captured(t, c.list), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []*Way{&n.Up, &n.Down} {
			if slices.ContainsFunc(w.packets, func(d delivery) bool { return d.size == 0 }) {
				t.Errorf("%v: a loss", c.list)
			}
		}
		if n.Delay != c.want || len(n.Up.packets) == 0 {
			t.Errorf("%v: a delay of %v, want %v", c.list, n.Delay, c.want)
		}
	}
}

// What a fragment of TCP that is not the first begins with is data, which tells of no loss.
func TestFragments(t *testing.T) {
	m := meter{flows: map[pcapfilter.Flow]*flow{}}
	for _, seq := range []uint32{2000, 1000} {
		b := udp(200).AppendTo(nil)
		h := wire.TCP{Seq: seq, Flags: wire.ACK}
		h.Put(b[wire.IPv4MinLen:])
		b[7], b[9] = 100, protoTCP // 800 bytes behind the first
		m.packet(&pcapfile.Packet{}, b, len(b))
	}
	for _, s := range m.seen {
		if s.kind != delivered {
			t.Errorf("%+v", s)
		}
	}
}

// Of several interfaces a capture may have packets in another order than that of their times.
func TestOrder(t *testing.T) {
	var n Network
	f := &flow{lowBegins: true}
	m := meter{seen: []sighting{{at: 3e9, size: 3, flow: f}, {at: 1e9, size: 1, flow: f}, {at: 2e9, size: 2, flow: f, low: true}, {at: 15e8, size: 4, flow: f, low: true}}}
	m.split(&n)
	if want := []delivery{{0, 1}, {2 * time.Second, 3}}; !slices.Equal(n.Down.packets, want) {
		t.Errorf("down %v", n.Down.packets)
	}
	if want := []delivery{{500 * ms, 4}, {time.Second, 2}}; !slices.Equal(n.Up.packets, want) {
		t.Errorf("up %v", n.Up.packets)
	}
}

// What usock says that it has dropped, at once or later, was not delivered, and is lost if it was by chance; retransmissions do not count then.
func TestDropped(t *testing.T) {
	t.Run("queue full", func(t *testing.T) {
		testDropped(t, link.Impairment{Loss: 0.1, Rate: 8e6, Limit: link.Amount{Packets: 500}})
	})
	t.Run("CoDel", func(t *testing.T) {
		testDropped(t, link.Impairment{Loss: 0.1, Rate: 8e6, Queue: link.Discipline{Kind: link.CoDel}})
	})
}

func testDropped(t *testing.T, imp link.Impairment) {
	synctest.Test(t, func(t *testing.T) {
		a, b := link.Pipe(link.PipeConfig{})
		worse, err := link.Impair(a, link.ImpairConfig{Seed: 1, Out: imp})
		if err != nil {
			t.Fatal(err)
		}
		defer worse.Close()
		b.Deliver(free)
		var file bytes.Buffer
		w := link.NewPcapWriter(&file, 0)
		stop, ok := w.Interface(worse.Info()).Watch(worse)
		if !ok {
			t.Fatal("an impaired link cannot be watched")
		}
		for range 1000 {
			worse.Send([]*link.Packet{udp(1000)})
		}
		time.Sleep(2 * time.Second) // until all has left, of the time that the test makes
		stop()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out, _ := worse.Stats()
		n, err := Read(&file, "")
		if err != nil {
			t.Fatal(err)
		}
		sum := n.Up.Windows(time.Hour)[0]
		if uint64(sum.Lost) != out.Lost || uint64(sum.Delivered) != out.Packets-out.Lost-out.Dropped || uint64(sum.Delivered) != out.Carried || out.Dropped == 0 {
			t.Errorf("%+v, and the link has counted %+v", sum, out)
		}
	})
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{"udp", "no packet of IP is in it that the filter lets pass"},
		{"nonsense!", "at \"nonsense!\""},
	} {
		if _, err := Read(captured(t, []seen{{0, 1, wire.SYN, 1, 0, 0, link.Sent}}), c.filter); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.filter, err, c.want)
		}
	}
	if _, err := Read(strings.NewReader("no capture"), ""); err == nil || err.Error() != "this is no capture: neither pcapng nor pcap" {
		t.Error(err)
	}

	// What was captured before the end is taken.
	var whole bytes.Buffer
	whole.ReadFrom(captured(t, []seen{{0, 1, wire.SYN, 1, 0, 0, link.Sent}, {ms, 1, wire.ACK, 2, 0, 500, link.Sent}}))
	text := whole.Bytes()
	n, err := Read(bytes.NewReader(text[:len(text)-200]), "")
	if err != nil || !n.Cut || len(n.Up.packets) != 1 {
		t.Errorf("%+v, %v", n, err)
	}
}
