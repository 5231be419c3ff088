//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSCTPFragmentsThatLie has a program make fragments that are of no packet.
func TestSCTPFragmentsThatLie(t *testing.T) {
	data := make([]byte, 4000)
	for _, v4 := range []bool{true, false} {
		first, second, last := cut(data, 2000, v4, 1)[0], cut(data, 1600, v4, 1)[1], cut(data, 2000, v4, 1)[1]
		for name, list := range map[string][][]byte{
			"no beginning":   {last, last},
			"an overlap":     {first, second, last},
			"beyond the end": {last, first, cut(make([]byte, 6000), 2000, v4, 1)[0], cut(make([]byte, 1000), 1000, v4, 1)[0]},
		} {
			f := make(fragments)
			for i, b := range list {
				if whole := f.add(bytes.Clone(b), v4); whole != nil && !(name == "beyond the end" && i == 1) {
					t.Errorf("IPv4 %v, %s: a packet of %d bytes", v4, name, len(whole))
				}
			}
		}
	}
}

// TestSCTPQuotes reads ports from as little of a packet as an ICMP error has to quote.
func TestSCTPQuotes(t *testing.T) {
	q := queued{to: netip.MustParseAddrPort("192.0.2.1:0"), data: []byte{0x13, 0x88, 0, 80, 1, 2, 3, 4}}
	if k, ok := quoted(&q); !ok || k.src.Port() != 5000 || k.dst != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("%v to %v, %v", k.src, k.dst, ok)
	}
	q.data = q.data[:7]
	if _, ok := quoted(&q); ok {
		t.Error("7 bytes are enough")
	}
}

// TestSCTPErrorsOfOthers tells an error of a send, with which its packet is refused, from what ICMP says, which may be about any.
func TestSCTPErrorsOfOthers(t *testing.T) {
	r := newRun(t, Config{})
	for _, c := range []struct {
		network, host string
		size          int
		byICMP        bool
	}{
		{"udp4", "127.0.0.1", 1, true},
		{"udp6", "::1", 1<<16 - 9, false}, // longer than the MTU
	} {
		nobody, err := net.ListenPacket(c.network, net.JoinHostPort(c.host, "0"))
		if err != nil {
			t.Logf("without %s: %v", c.network, err)
			continue
		}
		to := netip.MustParseAddrPort(nobody.LocalAddr().String())
		nobody.Close()
		fd, e := outerSocket(to.Addr(), unix.SOCK_DGRAM, 0)
		if e != 0 {
			t.Fatal(e)
		}
		defer sysClose(fd)
		preparePackets(fd, to.Addr().Is4())
		if to.Addr().Is6() {
			setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
		}
		var m message
		m.send(fd, to, [][]byte{make([]byte, c.size)}, nil)
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 5000); n != 1 {
			t.Fatalf("%v: no error, %v", to, err)
		}
		r.turned(func() {
			x := &rawSCTP{g: r.g, v4: to.Addr().Is4(), fd: fd}
			if n, told := x.takeErrors(); n == 0 || c.byICMP != (told > 0) {
				t.Errorf("%v: %d errors, %d of them told", to, n, told)
			}
		})
	}
}

// TestSCTPFlowsEnd has a flow end that is idle and nobody's, and not before.
func TestSCTPFlowsEnd(t *testing.T) {
	r := newRun(t, Config{})
	r.turned(func() {
		x := &rawSCTP{g: r.g, v4: true, fd: -1, flows: make(map[sctpKey]*sctpFlow)}
		f := x.newFlow(sctpKey{netip.MustParseAddrPort("192.0.2.1:80"), 5000})
		f.src = netip.MustParseAddr("198.18.77.2")
		was := f.used - time.Second
		f.used = was
		b := make([]byte, minIPv4+lenSCTP+4)
		b[0], b[8], b[9], b[21], b[23], b[minIPv4+lenSCTP] = 0x45, defaultHops, unix.IPPROTO_SCTP, 5000&0xff, 80, chunkAbort
		b[20] = 5000 >> 8
		copy(b[12:], f.src.AsSlice())
		copy(b[16:], []byte{192, 0, 2, 1})
		if x.out(b, false); f.used != was {
			t.Error("used by an ABORT")
		}
		x.sweep(f.used + mappingIdle)
		if len(x.flows) != 1 {
			t.Error("ended while it was in use")
		}
		x.sweep(f.used + mappingIdle + time.Second)
		if len(x.flows) != 0 {
			t.Error("it has not ended")
		}
	})
}

// TestSCTPFromOthers has a program name sources that are not its host's: nothing leaves, and nothing is kept.
func TestSCTPFromOthers(t *testing.T) {
	r := newRun(t, Config{})
	r.turned(func() {
		x := &rawSCTP{g: r.g, v4: true, fd: -1, flows: make(map[sctpKey]*sctpFlow), parts: make(fragments)}
		for _, src := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1"), r.g.addrs.router(true)} {
			b := make([]byte, minIPv4+lenSCTP)
			b[0], b[8], b[9] = 0x45, defaultHops, unix.IPPROTO_SCTP
			copy(b[12:], src.AsSlice())
			copy(b[16:], []byte{192, 0, 2, 2})
			x.out(b, false)
			if len(x.flows) != 0 {
				t.Errorf("%v has a flow", src)
			}
		}
	})
}

// FuzzSCTPPackets has a program make any packets, each of step bytes.
func FuzzSCTPPackets(f *testing.F) {
	data := make([]byte, 100)
	for _, v4 := range []bool{true, false} {
		list := cut(data, 40, v4, 1)
		f.Add(bytes.Join(list, nil), byte(len(list[0])), v4)
	}
	f.Add(append([]byte{0x40, 19: 0}, data...), byte(200), true)
	f.Fuzz(func(t *testing.T, data []byte, step byte, v4 bool) {
		least, addrs := minIPv4, func(b []byte) []byte { return b[12:20] }
		if !v4 {
			least, addrs = lenIPv6, func(b []byte) []byte { return b[8:40] }
		}
		parts := make(fragments)
		for len(data) > 0 {
			b := bytes.Clone(data[:min(int(step)+1, len(data))])
			data = data[len(b):]
			if len(b) < least {
				return
			}
			was := bytes.Clone(addrs(b))
			if isFragment(b, v4) {
				if b = parts.add(b, v4); b == nil {
					continue
				}
				if len(b) < least || len(b) > 60+maxWhole || !bytes.Equal(addrs(b), was) || isFragment(b, v4) {
					t.Fatalf("put together: %x", b)
				}
			}
			checkSCTP(t, b, v4)
		}
		if len(parts) > maxFragmented {
			t.Errorf("%d packets wait", len(parts))
		}
	})
}

// checkSCTP takes a packet apart, and answers it.
func checkSCTP(t *testing.T, b []byte, v4 bool) {
	k, ok := parseSCTP(b, v4)
	if !ok {
		return
	}
	if len(k.body) < lenSCTP || len(b)-len(k.body) < minIPv4 || k.dst.Addr().Is4() != v4 {
		t.Fatalf("%+v of %x", k, b)
	}
	answer := k.abort()
	if answer == nil {
		return
	}
	if k.last() {
		t.Errorf("%x is answered", k.body)
	}
	back := sctpPacket{body: answer}
	if !back.ends(k.dst.Addr(), k.src.Addr(), lenSCTP) || back.src != k.dst || back.dst != k.src || back.abort() != nil {
		t.Errorf("the answer to %x is %x", k.body, answer)
	}
	sum := binary.LittleEndian.Uint32(answer[sumSCTP:])
	copy(answer[sumSCTP:], make([]byte, 4))
	putCRC32c(answer, sumSCTP)
	if sum != binary.LittleEndian.Uint32(answer[sumSCTP:]) {
		t.Errorf("the sum of %x", answer)
	}
}
