package wire

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestGroupQueries(t *testing.T) {
	a4, s4 := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("10.0.0.9")
	a6, s6 := netip.MustParseAddr("ff05::1:3"), netip.MustParseAddr("2001:db8::9")
	mld := "82000000" + "03e80000"
	all6 := "00000000000000000000000000000000"
	of6 := "ff050000000000000000000000010003"
	for _, c := range []struct {
		name, hex string
		parse     func([]byte) (GroupQuery, error)
		want      *GroupQuery // nil: malformed
	}{
		{"IGMPv1", "1100000000000000", ParseIGMPQuery, &GroupQuery{Generation: FirstGeneration, MaxDelay: 10 * time.Second}},
		{"IGMPv2, all", "1164000000000000", ParseIGMPQuery, &GroupQuery{Generation: SecondGeneration, MaxDelay: 10 * time.Second}},
		{"IGMPv2, a group, the longest", "11ff0000ef010203", ParseIGMPQuery,
			&GroupQuery{Generation: SecondGeneration, Group: a4, MaxDelay: 25500 * time.Millisecond}},
		{"IGMPv3, all", "11640000" + "00000000" + "027d0000", ParseIGMPQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: 10 * time.Second, Robustness: 2, Interval: 125 * time.Second}},
		{"IGMPv3, floating", "11800000" + "00000000" + "0f9f0000", ParseIGMPQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: 12800 * time.Millisecond, Robustness: 7, Interval: 31 << 4 * time.Second}},
		{"IGMPv3, the longest", "11ff0000" + "00000000" + "00ff0000", ParseIGMPQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: 31 << 10 * time.Second / 10, Interval: 31 << 10 * time.Second}},
		{"IGMPv3, a source", "11010000" + "ef010203" + "02010001" + "0a000009", ParseIGMPQuery,
			&GroupQuery{Generation: ThirdGeneration, Group: a4, Sources: []netip.Addr{s4}, MaxDelay: time.Second / 10, Robustness: 2, Interval: time.Second}},
		{"too short", "11640000000000", ParseIGMPQuery, nil},
		{"between the versions", "1164000000000000000000", ParseIGMPQuery, nil},
		{"fewer sources than it says", "11010000" + "ef010203" + "02010002" + "0a000009", ParseIGMPQuery, nil},
		{"sources of all groups", "11010000" + "00000000" + "02010001" + "0a000009", ParseIGMPQuery, nil},
		{"no group", "116400000a000001", ParseIGMPQuery, nil},
		{"MLDv1", mld + all6, ParseMLDQuery, &GroupQuery{Generation: SecondGeneration, MaxDelay: time.Second}},
		{"MLDv2, all", mld + all6 + "027d0000", ParseMLDQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: time.Second, Robustness: 2, Interval: 125 * time.Second}},
		{"MLDv2, floating", "82000000" + "80000000" + all6 + "02000000", ParseMLDQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: 32768 * time.Millisecond, Robustness: 2}},
		{"MLDv2, the longest", "82000000" + "ffff0000" + all6 + "02000000", ParseMLDQuery,
			&GroupQuery{Generation: ThirdGeneration, MaxDelay: 0x1fff << 10 * time.Millisecond, Robustness: 2}},
		{"MLDv2, a source", mld + of6 + "02010001" + "20010db8000000000000000000000009", ParseMLDQuery,
			&GroupQuery{Generation: ThirdGeneration, Group: a6, Sources: []netip.Addr{s6}, MaxDelay: time.Second, Robustness: 2, Interval: time.Second}},
		{"MLD, too short", mld, ParseMLDQuery, nil},
		{"MLD, between the versions", mld + all6 + "0000", ParseMLDQuery, nil},
		{"MLDv2, no sources", mld + of6 + "02010001", ParseMLDQuery, nil},
	} {
		q, err := c.parse(unhex(c.hex))
		if (err == nil) != (c.want != nil) || err == nil && !reflect.DeepEqual(q, *c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, q, err, c.want)
		}
	}
}

func FuzzGroupQuery(f *testing.F) {
	f.Add(unhex("1100000000000000"), false)
	f.Add(unhex("11010000ef01020302010001"+"0a000009"), false)
	f.Add(unhex("8200000003e80000ff05000000000000000000000001000302010001"+"20010db8000000000000000000000009"), true)
	f.Fuzz(func(t *testing.T, b []byte, v6 bool) {
		parse, width, head := ParseIGMPQuery, 4, igmpV3Query
		if v6 {
			parse, width, head = ParseMLDQuery, 16, mldV2Query
		}
		q, err := parse(b)
		if err != nil {
			return
		}
		if q.Group.IsValid() && (!q.Group.IsMulticast() || q.Group.Is4() == v6) || !q.Group.IsValid() && len(q.Sources) > 0 {
			t.Fatalf("%+v", q)
		}
		if n := len(q.Sources); n > 0 && (q.Generation != ThirdGeneration || head+n*width > len(b)) {
			t.Fatalf("%d sources in %d bytes", n, len(b))
		}
		if q.MaxDelay < 0 || q.Interval < 0 || q.MaxDelay > 3*time.Hour || q.Robustness < 0 || q.Robustness > 7 {
			t.Fatalf("%+v", q)
		}
	})
}
