package sctp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// receives is a receiver alone. TSNs are counted from 1 in its tests.
type receives struct {
	t   testing.TB
	now time.Duration
	receiver
	first uint64
}

func newReceives(t testing.TB, set ...func(r *receives)) *receives {
	r := &receives{t: t, now: time.Second}
	r.bufSize, r.mtu = 1<<16, testMTU
	r.sackDelay, r.sackFreq = 200*time.Millisecond, 2
	for _, f := range set {
		f(r)
	}
	r.mixed = r.mixed || r.interleaved
	r.begin(1<<32-3, 10)
	r.first = r.cum + 1
	t.Cleanup(r.free)
	return r
}

// chunk takes a chunk: of a TSN, stream, Stream Sequence Number or MID, flags as "BEUI" and, of I-DATA,
// the FSN.
func (r *receives) chunk(tsn int, stream, number uint32, flags, data string, fsn ...uint32) dataResult {
	r.t.Helper()
	d := inData{Data: wire.Data{
		TSN: uint32(r.first) + uint32(tsn) - 1, Stream: uint16(stream), SSN: uint16(number), PPID: 77,
	}, mid: number}
	for i, letter := range "EBUI" {
		if strings.ContainsRune(flags, letter) {
			d.Flags |= 1 << i
		}
	}
	if len(fsn) > 0 {
		d.fsn = fsn[0]
	}
	// What is in front and behind is not the chunk's, which lies in two views.
	var p packet.Vec
	p.Append(packet.Copy([]byte("xx" + data[:len(data)/2])))
	p.Append(packet.Copy([]byte(data[len(data)/2:] + "yyy")))
	res := r.data(&d, &p, 2, len(data))
	p.Release()
	return res
}

// packet takes a packet with one chunk, a whole message of a stream.
func (r *receives) message(tsn int, stream, number uint32, flags string, data string) {
	r.t.Helper()
	if res := r.chunk(tsn, stream, number, flags, data); res != dataTaken {
		r.t.Fatalf("TSN %d: %d", tsn, res)
	}
	r.packet(r.now)
}

// want fails unless the program reads these messages: "stream.number:data", U where unordered, and ...
// where it is not the end.
func (r *receives) want(want ...string) {
	r.t.Helper()
	var have []string
	for {
		g, ok := r.takeMessage(1 << 20)
		if !ok {
			break
		}
		have = append(have, g)
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		r.t.Fatalf("read %q, want %q", have, want)
	}
}

func (r *receives) takeMessage(n int) (string, bool) {
	var m inMessage
	views, ok := r.take(n, nil, &m)
	if !ok {
		return "", false
	}
	s := fmt.Sprintf("%d.%d", m.stream, m.mid)
	if m.unordered {
		s += "U"
	}
	s += ":"
	for _, v := range views {
		s += string(v.Bytes())
		v.Release()
	}
	if !m.eor {
		s += "..."
	}
	if m.ppid != 77 {
		r.t.Errorf("PPID %d", m.ppid)
	}
	return s, true
}

// sack returns the SACK that is due: "cum from-to ... dup", with the duplicates behind a comma, "" if
// none is.
func (r *receives) sack() string {
	r.t.Helper()
	if !r.sackDue(r.now) {
		return ""
	}
	return r.anySack(1400)
}

func (r *receives) anySack(room int) string {
	b := r.appendSack(nil, room)
	if len(b) > room {
		r.t.Fatalf("SACK takes %d bytes of %d", len(b), room)
	}
	k, err := wire.ParseSack(b[wire.ChunkHeaderLen:])
	if err != nil {
		r.t.Fatal(err)
	}
	s := fmt.Sprint(int64(wide(r.first, k.CumTSN)) - int64(r.first) + 1)
	for i := range k.Gaps() {
		s += fmt.Sprintf(" %d-%d", k.Gap(i).Start, k.Gap(i).End)
	}
	for i := range k.Dups() {
		s += fmt.Sprintf(",%d", wide(r.first, k.Dup(i))-r.first+1)
	}
	return s
}

func (r *receives) wantSack(want string) {
	r.t.Helper()
	if have := r.sack(); have != want {
		r.t.Fatalf("SACK %q, want %q", have, want)
	}
}
