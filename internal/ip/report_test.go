package ip

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// groupFamily is one of the two protocols, whose scripts are the same.
type groupFamily struct {
	name          string
	v6            bool
	group, other  string
	x, y, z       netip.Addr // sources, in order
	reports       string     // where the latest version's go
	leaves        string     // and the second generation's leaves
	everybody     string
	older         func(group string) []byte
	reportByOther func(group string) []byte // of the second generation
}

const routerLL = "fe80::99"

func igmp(b ...byte) []byte {
	binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))
	return b
}

// igmpPacket is a packet with an IGMP message, as the rules want it.
func igmpPacket(dst string, b []byte, edit func(*wire.IPv4, *wire.IPv6)) []byte {
	return packetBytes(peerA, dst, ProtoIGMP, igmp(b...), func(h *wire.IPv4, _ *wire.IPv6) {
		h.TTL, h.Options = 1, routerAlert4
		if edit != nil {
			edit(h, nil)
		}
	})
}

// mldPacket is a packet with an MLD message, as the rules want it.
func mldPacket(src, dst string, b []byte, edit func(*wire.IPv4, *wire.IPv6)) []byte {
	var c wire.Checksum
	c.AddPseudo(addr(src), addr(dst), ProtoICMPv6, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[2:], c.Sum())
	return packetBytes(src, dst, wire.IPv6HopByHop, append(slices.Clone(routerAlert6), b...), func(_ *wire.IPv4, h *wire.IPv6) {
		h.HopLimit = 1
		if edit != nil {
			edit(nil, h)
		}
	})
}

// question is a query of the latest version, with delays up to 12.7 s, QRV 2 and QQIC 125.
func (f *groupFamily) question(tenths int, group string, sources ...netip.Addr) []byte {
	tail := []byte{2, 125, 0, byte(len(sources))}
	for _, s := range sources {
		tail = append(tail, s.AsSlice()...)
	}
	dst := group
	if group == "" {
		dst = f.everybody
	}
	if f.v6 {
		b := []byte{wire.MLDQuery, 0, 0, 0, byte(tenths * 100 >> 8), byte(tenths * 100), 0, 0}
		g := netip.IPv6Unspecified()
		if group != "" {
			g = addr(group)
		}
		return mldPacket(routerLL, dst, append(append(b, g.AsSlice()...), tail...), nil)
	}
	g := netip.IPv4Unspecified()
	if group != "" {
		g = addr(group)
	}
	return igmpPacket(dst, append(append([]byte{wire.IGMPQuery, byte(tenths), 0, 0}, g.AsSlice()...), tail...), nil)
}

var groupFamilies = []*groupFamily{
	{
		name: "IGMP", group: "239.1.2.3", other: "239.9.9.9", x: addr("10.0.0.7"), y: addr("10.0.0.8"), z: addr("10.0.0.9"),
		reports: "224.0.0.22", leaves: "224.0.0.2", everybody: "224.0.0.1",
		older: func(group string) []byte {
			return igmpPacket("224.0.0.1", wire.AppendIGMP(nil, wire.IGMPQuery, addr(group)), nil)
		},
		reportByOther: func(group string) []byte {
			return igmpPacket(group, wire.AppendIGMP(nil, wire.IGMPv2Report, addr(group)), nil)
		},
	},
	{
		name: "MLD", v6: true, group: "ff05::1:3", other: "ff05::9:9", x: addr("2001:db8::7"), y: addr("2001:db8::8"), z: addr("2001:db8::9"),
		reports: "ff02::16", leaves: "ff02::2", everybody: "ff02::1",
		older: func(group string) []byte {
			b := wire.AppendMLD(nil, wire.MLDQuery, addr(group))
			b[4], b[5] = 0x27, 0x10 // 10 s
			return mldPacket(routerLL, "ff02::1", b, nil)
		},
		reportByOther: func(group string) []byte {
			return mldPacket(routerLL, group, wire.AppendMLD(nil, wire.MLDv1Report, addr(group)), nil)
		},
	},
}

// olderQuery is a query of the second generation with delays up to 10 s; of all if group is "".
func (f *groupFamily) olderQuery(group string) []byte {
	if group != "" {
		p := f.older(group)
		if !f.v6 {
			p[24+1] = 100
			return resum(p)
		}
		return p
	}
	if f.v6 {
		return f.older("::")
	}
	p := f.older("0.0.0.0")
	p[24+1] = 100
	return resum(p)
}

// resum fills in an IGMP message's checksum anew.
func resum(p []byte) []byte {
	igmp(append(p[24:24:24], p[24:]...)...)
	b := p[24:]
	b[2], b[3] = 0, 0
	binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))
	return p
}

// talk is a host in a script about groups.
type talk struct {
	*bench
	*groupFamily
}

// eachGroupFamily runs a script for IGMP and MLD.
func eachGroupFamily(t *testing.T, f func(t *talk)) {
	for _, g := range groupFamilies {
		t.Run(g.name, func(t *testing.T) {
			f(&talk{newBench(t, Config{Rand: rand.New(rand.NewPCG(1, 2)).Uint64}), g})
		})
	}
}

func include(a ...netip.Addr) *Filter { return &Filter{Include: true, Sources: a} }
func exclude(a ...netip.Addr) *Filter { return &Filter{Sources: a} }

func (t *talk) join(group string, f *Filter) {
	t.t.Helper()
	t.do(func() {
		if err := t.l.Join(t.eth, addr(group), f); err != nil {
			t.t.Error(err)
		}
	})
}

func (t *talk) leave(group string, f *Filter) {
	t.t.Helper()
	t.do(func() {
		if err := t.l.Leave(t.eth, addr(group), f); err != nil {
			t.t.Error(err)
		}
	})
}

// said describes what was sent since the last call, one message a line.
func (t *talk) said() string {
	t.t.Helper()
	var out []string
	for _, b := range t.sent() {
		out = append(out, t.describe(b))
	}
	return strings.Join(out, "\n")
}

// describe checks what all messages have in common, and returns the rest.
func (t *talk) describe(b []byte) string {
	t.t.Helper()
	var dst netip.Addr
	var m []byte
	if t.v6 {
		h, err := wire.ParseIPv6(b)
		if err != nil || h.HopLimit != 1 || h.Next != wire.IPv6HopByHop || h.Src != addr("fe80::1") || !slices.Equal(b[40:48], routerAlert6) {
			t.t.Errorf("%+v, %v, % x", h, err, b)
		}
		dst, m = h.Dst, b[48:]
		var c wire.Checksum
		c.AddPseudo(h.Src, h.Dst, ProtoICMPv6, len(m))
		if c.Add(m); c.Sum() != 0 {
			t.t.Error("wrong checksum")
		}
	} else {
		h, n, err := wire.ParseIPv4(b)
		if err != nil || h.TTL != 1 || h.Proto != ProtoIGMP || h.TOS != 0xc0 || h.Src != addr(hostA) || !slices.Equal(h.Options, routerAlert4) {
			t.t.Errorf("%+v, %v", h, err)
		}
		dst, m = h.Dst, b[n:]
		if wire.ChecksumOf(m) != 0 {
			t.t.Error("wrong checksum")
		}
	}
	width := addr(t.group).BitLen() / 8
	take := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b[:width]); return a }
	switch m[0] {
	case wire.IGMPv3Report, wire.MLDv2Report:
		if dst != addr(t.reports) {
			t.t.Errorf("a report to %v", dst)
		}
		n, r := binary.BigEndian.Uint16(m[6:]), m[8:]
		var out []string
		for range n {
			s := fmt.Sprint([]string{"", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"}[r[0]], " ", t.short(take(r[4:])))
			k := int(binary.BigEndian.Uint16(r[2:]))
			r = r[4+width:]
			for range k {
				s += " " + t.short(take(r))
				r = r[width:]
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	case wire.IGMPLeave, wire.MLDDone:
		return fmt.Sprint("leave ", t.short(take(m[len(m)-width:])), " to ", dst == addr(t.leaves))
	case wire.IGMPv1Report:
		return fmt.Sprint("report1 ", t.short(take(m[len(m)-width:])), " to ", dst == take(m[len(m)-width:]))
	case wire.IGMPv2Report, wire.MLDv1Report:
		return fmt.Sprint("report ", t.short(take(m[len(m)-width:])), " to ", dst == take(m[len(m)-width:]))
	}
	return fmt.Sprintf("type %d", m[0])
}

// short is the name of an address in scripts.
func (t *talk) short(a netip.Addr) string {
	for name, known := range map[string]netip.Addr{"G": addr(t.group), "H": addr(t.other), "x": t.x, "y": t.y, "z": t.z} {
		if a == known {
			return name
		}
	}
	return a.String()
}

// want fails unless exactly this was said.
func (t *talk) want(what string) {
	t.t.Helper()
	if got := t.said(); got != what {
		t.t.Errorf("said %q, want %q", got, what)
	}
}

// now has what is due happen.
func (t *talk) now() { t.clock.Advance(0) }

// within fails unless exactly this is said once in the time, and nothing else.
func (t *talk) within(d time.Duration, what string) {
	t.t.Helper()
	t.want("")
	t.clock.Advance(d)
	t.want(what)
}

// A change is reported at once and once more within a second (RFC 3376, section 5.1), whatever it
// is: of the mode with all sources, of sources with those that come and go.
func TestGroupChanges(t *testing.T) {
	eachGroupFamily(t, func(t *talk) {
		twice := func(what string) {
			t.t.Helper()
			t.now()
			t.want(what)
			t.within(time.Second, what)
			t.within(time.Minute, "")
		}
		t.join(t.group, exclude())
		twice("TO_EX G")
		t.join(t.group, exclude()) // a second socket changes nothing
		t.leave(t.group, exclude())
		t.within(time.Minute, "")
		t.do(func() {
			// A filter is changed by leaving and joining, and nobody sees the state between.
			t.l.Leave(t.eth, addr(t.group), exclude())
			t.l.Join(t.eth, addr(t.group), exclude(t.x))
		})
		twice("BLOCK G x")
		t.do(func() {
			t.l.Leave(t.eth, addr(t.group), exclude(t.x))
			t.l.Join(t.eth, addr(t.group), exclude(t.y))
		})
		twice("ALLOW G x, BLOCK G y")
		t.do(func() {
			t.l.Leave(t.eth, addr(t.group), exclude(t.y))
			t.l.Join(t.eth, addr(t.group), include(t.z, t.x))
		})
		twice("TO_IN G x z")
		t.join(t.group, include(t.y))
		twice("ALLOW G y")
		t.leave(t.group, include(t.z, t.x))
		twice("BLOCK G x z")
		t.join(t.group, exclude(t.x, t.y)) // y is wanted by somebody else
		twice("TO_EX G x")
		t.leave(t.group, include(t.y))
		twice("BLOCK G y")
		t.leave(t.group, exclude(t.x, t.y))
		twice("TO_IN G")
		if len(t.eth.reports.of[0].groupsOrNil())+len(t.eth.reports.of[1].groupsOrNil()) != 0 {
			t.t.Error("something is left of a group that was left")
		}
	})
}

func (m *reporting) groupsOrNil() map[netip.Addr]*reported {
	if m == nil {
		return nil
	}
	return m.groups
}

// Changes before the last one was told again are told together, each as often as the robustness says;
// one of mode takes the place of those of sources before it.
func TestGroupChangesMerge(t *testing.T) {
	eachGroupFamily(t, func(t *talk) {
		t.join(t.group, include(t.x))
		t.now()
		t.want("ALLOW G x")
		t.join(t.other, include(t.y))
		t.now()
		t.want("ALLOW G x, ALLOW H y") // the second time for G
		t.within(time.Second, "ALLOW H y")

		t.join(t.group, include(t.y))
		t.now()
		t.want("ALLOW G y")
		t.join(t.group, exclude()) // TO_EX tells of y, too
		t.now()
		t.want("TO_EX G")
		t.within(time.Second, "TO_EX G")
		t.within(time.Minute, "")

		// Left again before the second report: only the new mode is told.
		t.leave(t.other, include(t.y))
		t.now()
		t.want("BLOCK H y")
		t.join(t.other, exclude(t.x))
		t.now()
		t.want("TO_EX H x")
		t.leave(t.other, exclude(t.x))
		t.now()
		t.want("TO_IN H")
		t.within(time.Second, "TO_IN H")
		t.within(time.Minute, "")
	})
}

// Both queries for all groups and for one are answered after a random time within what they
// allow; of several one answer does (RFC 3376, section 5.2).
func TestGroupQueries(t *testing.T) {
	eachGroupFamily(t, func(t *talk) {
		t.join(t.group, exclude(t.x))
		t.join(t.other, include(t.x, t.y))
		t.clock.Advance(time.Minute)
		t.said()

		t.arrive(t.question(100, ""))
		t.within(10*time.Second, "IS_EX G x, IS_IN H x y")
		t.within(time.Minute, "")

		t.arrive(t.question(100, ""))
		t.arrive(t.question(50, "")) // sooner or not, one answer
		t.within(5*time.Second, "IS_EX G x, IS_IN H x y")
		t.within(time.Minute, "")

		t.arrive(t.question(10, t.group))
		t.within(time.Second, "IS_EX G x")
		t.arrive(t.question(10, t.other))
		t.within(time.Second, "IS_IN H x y")

		t.arrive(t.question(10, t.group, t.x, t.z)) // z is wanted
		t.within(time.Second, "IS_EX G x")
		t.arrive(t.question(10, t.group, t.x))
		t.within(time.Second, "")
		t.arrive(t.question(10, t.other, t.y, t.z))
		t.within(time.Second, "IS_IN H y")

		// Sources of two queries are answered together, and a query for the group says it all.
		t.arrive(t.question(10, t.other, t.y))
		t.arrive(t.question(10, t.other, t.x))
		t.within(time.Second, "IS_IN H x y")
		t.arrive(t.question(10, t.other, t.y))
		t.arrive(t.question(10, t.other))
		t.within(time.Second, "IS_IN H x y")
		t.arrive(t.question(10, t.other))
		t.arrive(t.question(10, t.other, t.y))
		t.within(time.Second, "IS_IN H x y")
		t.within(time.Minute, "")

		// An answer about all that is due before one about a group makes that needless.
		t.arrive(t.question(1, ""))
		t.arrive(t.question(120, t.group))
		t.within(100*time.Millisecond, "IS_EX G x, IS_IN H x y")
		t.clock.Advance(12 * time.Second)
		if n := strings.Count(t.said(), "G"); n > 1 {
			t.t.Errorf("%d answers more", n)
		}
	})
}

// The delays are random, and spread over the time allowed.
func TestGroupDelaysAreRandom(t *testing.T) {
	m := newReporting(rand.New(rand.NewPCG(3, 4)).Uint64)
	g := addr("239.1.2.3")
	m.set(g, want{exclude: true}, 0)
	m.expire(0)
	m.expire(time.Second)
	var lowest, highest = time.Hour, time.Duration(0)
	for i := range 1000 {
		now := time.Duration(i+1) * time.Minute
		m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration, MaxDelay: 10 * time.Second}, now)
		d := m.deadline() - now
		lowest, highest = min(lowest, d), max(highest, d)
		m.expire(now + d)
	}
	if lowest <= 0 || lowest > time.Second/10 || highest > 10*time.Second || highest < 9900*time.Millisecond {
		t.Errorf("between %v and %v", lowest, highest)
	}
	if m.deadline() != timer.Never {
		t.Error("something is due")
	}
}

// A router of the second generation is spoken to in its version until it was not heard of for long:
// RV × 125 s and the delay of its query (RFC 3376, section 8.12). Sources are not told then, and who
// leaves says so only if nobody else has reported since.
func TestGroupOlderRouter(t *testing.T) {
	eachGroupFamily(t, func(t *talk) {
		t.join(t.group, exclude())
		t.now()
		t.want("TO_EX G")
		t.arrive(t.olderQuery("")) // what was due again is dropped
		t.within(10*time.Second, "report G to true")
		t.within(time.Minute, "")

		t.join(t.other, include(t.x))
		t.now()
		t.want("report H to true")
		t.within(10*time.Second, "report H to true")
		t.within(time.Minute, "")
		t.join(t.other, include(t.y))
		t.within(time.Minute, "")

		t.arrive(t.olderQuery(t.group))
		t.arrive(t.reportByOther(t.group)) // another host has answered
		t.within(10*time.Second, "")
		t.leave(t.group, exclude())
		t.within(time.Second, "")
		t.leave(t.other, include(t.x))
		t.leave(t.other, include(t.y))
		t.now()
		t.want("leave H to true")
		t.within(time.Second, "")

		// The latest version again, when the older router is gone.
		t.arrive(t.olderQuery(""))
		t.clock.Advance(260*time.Second - 1)
		t.join(t.group, exclude())
		t.now()
		t.want("report G to true")
		t.clock.Advance(time.Second)
		t.said()
		t.within(time.Minute, "")
		t.leave(t.group, exclude())
		t.now()
		t.want("TO_IN G")
	})
}

// IGMPv1 has no leaves, and allows ten seconds.
func TestIGMPv1Router(t *testing.T) {
	b := &talk{newBench(t, Config{Rand: rand.New(rand.NewPCG(1, 2)).Uint64}), groupFamilies[0]}
	b.join(b.group, exclude())
	b.clock.Advance(time.Minute)
	b.said()
	b.arrive(b.older("0.0.0.0"))
	b.within(10*time.Second, "report1 G to true")
	b.leave(b.group, exclude())
	b.within(10*time.Second, "")
}

// Groups that every host is in, and those that stay on the host, are not told of, nor is anything on
// the loopback interface.
func TestGroupsNotReported(t *testing.T) {
	b := newBench(t, Config{})
	for _, g := range []string{"224.0.0.1", "ff02::1", "ff01::7"} {
		b.do(func() {
			if err := b.l.Join(b.eth, addr(g), exclude()); err != nil {
				t.Error(g, err)
			}
		})
	}
	b.do(func() { b.l.Join(b.lo, addr("239.1.2.3"), exclude()); b.l.Join(b.lo, addr("ff05::3"), exclude()) })
	b.clock.Advance(time.Minute)
	b.arrive(groupFamilies[0].question(10, ""))
	b.arrive(groupFamilies[1].question(10, ""))
	b.clock.Advance(time.Minute)
	if s := b.sent(); len(s) != 0 {
		t.Errorf("%d packets sent: % x", len(s), s[0])
	}
	b.do(func() { b.l.Join(b.eth, addr("224.0.0.5"), exclude()) })
	b.clock.Advance(0)
	if s := b.sent(); len(s) != 1 {
		t.Errorf("%d reports of a link-local group", len(s))
	}
}

// Queries that did not come from the link, or make no sense, are not answered (RFC 3376, sections 4
// and 9; RFC 3810, section 6.2).
func TestGroupQueriesRefused(t *testing.T) {
	eachGroupFamily(t, func(t *talk) {
		t.join(t.group, exclude())
		t.clock.Advance(time.Minute)
		t.said()
		good := t.question(10, "")
		edited := func(f func(b []byte)) []byte {
			b := slices.Clone(good)
			f(b)
			return b
		}
		bad := map[string][]byte{
			"a wrong checksum": edited(func(b []byte) { b[len(b)-3] ^= 1 }),
			"short":            good[:len(good)-1],
		}
		if t.v6 {
			all := slices.Concat([]byte{wire.MLDQuery, 0, 0, 0, 0, 10, 0, 0}, make([]byte, 16), []byte{2, 125, 0, 0})
			bad["a hop limit of 2"] = edited(func(b []byte) { b[7] = 2 })
			bad["no link-local source"] = mldPacket(peerB, t.everybody, slices.Clone(all), nil)
			bad["no router alert"] = icmpOnly(mldPacket(routerLL, t.everybody, slices.Clone(all), nil))
			bad["between the versions"] = mldPacket(routerLL, t.everybody, slices.Clone(all[:26]), nil)
			bad["another alert"] = edited(func(b []byte) { b[45] = 1 })
		} else {
			all := []byte{wire.IGMPQuery, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0}
			bad["a hop count of 2"] = igmpPacket(t.everybody, slices.Clone(all), func(h *wire.IPv4, _ *wire.IPv6) { h.TTL = 2 })
			bad["between the versions"] = igmpPacket(t.everybody, slices.Clone(all[:10]), nil)
			bad["less than a message"] = igmpPacket(t.everybody, slices.Clone(all[:7]), nil)
			bad["nothing"] = igmpPacket(t.everybody, make([]byte, 4)[:4], nil)
		}
		for name, b := range bad {
			before := t.eth.Stats().RxErrors
			t.arrive(b)
			if n := t.eth.Stats().RxErrors - before; n != 1 && !t.v6 {
				t.t.Errorf("%s: %d errors are counted", name, n)
			}
			t.clock.Advance(time.Minute)
			if got := t.said(); got != "" {
				t.t.Errorf("%s: %s", name, got)
			}
		}
		t.arrive(good)
		t.within(time.Second, "IS_EX G")
	})
}

// icmpOnly takes the hop-by-hop options out of a packet.
func icmpOnly(b []byte) []byte {
	out := slices.Concat(b[:40], b[48:])
	out[6] = ProtoICMPv6
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-40))
	return out
}

// What has no room in one message goes on in another; a list of excluded sources is cut (RFC 3376,
// section 4.2.16).
func TestGroupReportsAreCut(t *testing.T) {
	var many []netip.Addr
	for i := range 10 {
		many = append(many, netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}))
	}
	g, h := addr("239.1.2.3"), addr("239.9.9.9")
	for _, c := range []struct {
		records []wire.GroupRecord
		want    string
	}{
		{[]wire.GroupRecord{{Kind: wire.ModeIsInclude, Group: g, Sources: many[:2]}, {Kind: wire.ModeIsExclude, Group: h}}, "1:2 2:0"},
		{[]wire.GroupRecord{{Kind: wire.ModeIsInclude, Group: g, Sources: many[:4]}, {Kind: wire.ModeIsExclude, Group: h}}, "1:4 | 2:0"},
		{[]wire.GroupRecord{{Kind: wire.ModeIsExclude, Group: h}, {Kind: wire.ModeIsInclude, Group: g, Sources: many}}, "2:0 | 1:4 | 1:4 | 1:2"},
		{[]wire.GroupRecord{{Kind: wire.ChangeToExclude, Group: g, Sources: many}, {Kind: wire.ModeIsExclude, Group: h}}, "4:4 | 2:0"},
		{nil, ""},
	} {
		var out []string
		pack(c.records, 24, 8, 4, func(r []wire.GroupRecord) {
			var m []string
			for _, r := range r {
				m = append(m, fmt.Sprint(r.Kind, ":", len(r.Sources)))
			}
			out = append(out, strings.Join(m, " "))
		})
		if got := strings.Join(out, " | "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A host without a fitting address reports from the unspecified one.
func TestGroupReportsWithoutAddress(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() {
		for _, a := range b.eth.Addrs() {
			b.l.RemoveAddr(b.eth, a)
		}
		b.l.Join(b.eth, addr("239.1.2.3"), exclude())
		b.l.Join(b.eth, addr("ff05::3"), exclude())
	})
	b.clock.Advance(0)
	s := b.sent()
	if len(s) != 2 || netip.AddrFrom4([4]byte(s[0][12:16])) != netip.IPv4Unspecified() || netip.AddrFrom16([16]byte(s[1][8:24])) != netip.IPv6Unspecified() {
		t.Errorf("% x", s)
	}
}

// MLD's messages are counted by type, as ICMPv6's.
func TestGroupCounters(t *testing.T) {
	b := &talk{newBench(t, Config{}), groupFamilies[1]}
	b.join(b.group, exclude())
	b.now()
	b.arrive(b.olderQuery(""))
	b.clock.Advance(10 * time.Second)
	b.leave(b.group, exclude())
	b.now()
	b.arrive(b.reportByOther("ff02::1"))
	b.arrive(mldPacket(routerLL, "ff02::1", wire.AppendMLD(nil, wire.MLDDone, addr(b.group)), nil))
	b.arrive(mldPacket(routerLL, "ff02::1", wire.AppendGroupReport(nil, wire.MLDv2Report, nil), nil))
	want := ICMPStats{
		InMsgs: 4, InGroupMembQueries: 1, InGroupMembResponses: 1, InGroupMembReductions: 1, InMLDv2Reports: 1,
		OutMsgs: 3, OutMLDv2Reports: 1, OutGroupMembResponses: 1, OutGroupMembReductions: 1,
	}
	if b.l.Whole().ICMP != want {
		t.Errorf("%+v, want %+v", b.l.Whole().ICMP, want)
	}
}

// A query's robustness is how often changes are told from then on, and with its interval it is how
// long an older router is believed in.
func TestGroupRobustness(t *testing.T) {
	m := newReporting(rand.New(rand.NewPCG(3, 4)).Uint64)
	g := addr("239.1.2.3")
	m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration, MaxDelay: time.Second, Robustness: 3, Interval: 10 * time.Second}, 0)
	m.expire(time.Second)
	m.set(g, want{exclude: true}, time.Second)
	n := 0
	for at := m.deadline(); at != timer.Never; at = m.deadline() {
		n += len(m.expire(at))
	}
	if n != 3 {
		t.Errorf("told %d times, want 3", n)
	}
	now := time.Minute
	m.query(&wire.GroupQuery{Generation: wire.SecondGeneration, MaxDelay: 5 * time.Second}, now)
	for d, speaks := range map[time.Duration]wire.GroupGeneration{
		35*time.Second - 1: wire.SecondGeneration, 35 * time.Second: wire.ThirdGeneration,
	} {
		c := *m
		if c.adapt(now + d); c.speaks != speaks {
			t.Errorf("after %v it speaks %v", d, c.speaks)
		}
	}
	// One that says nothing of either is taken to mean what is usual.
	m.query(&wire.GroupQuery{Generation: wire.ThirdGeneration, MaxDelay: time.Second}, time.Hour)
	if m.robustness != 2 || m.every != 125*time.Second {
		t.Errorf("%d, %v", m.robustness, m.every)
	}
}
