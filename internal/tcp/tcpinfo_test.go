package tcp

import (
	"encoding/binary"
	"reflect"
	"testing"
)

// Where each field stands in struct tcp_info of Linux 6.18 (include/uapi/linux/tcp.h).
var infoOffsets = map[string]int{
	"State": 0, "CAState": 1, "Retransmits": 2, "Probes": 3, "Backoff": 4, "Options": 5,
	"RTO": 8, "ATO": 12, "SndMSS": 16, "RcvMSS": 20, "Unacked": 24, "Sacked": 28, "Lost": 32, "Retrans": 36,
	"LastDataSent": 44, "LastDataRecv": 52, "LastAckRecv": 56, "PMTU": 60, "RcvSSThresh": 64,
	"RTT": 68, "RTTVar": 72, "SndSSThresh": 76, "SndCwnd": 80, "AdvMSS": 84, "Reordering": 88, "RcvRTT": 92, "RcvSpace": 96,
	"TotalRetrans": 100, "PacingRate": 104, "MaxPacingRate": 112, "BytesAcked": 120, "BytesReceived": 128,
	"SegsOut": 136, "SegsIn": 140, "NotSentBytes": 144, "MinRTT": 148, "DataSegsIn": 152, "DataSegsOut": 156,
	"DeliveryRate": 160, "BusyTime": 168, "RwndLimited": 176, "SndbufLimited": 184, "Delivered": 192, "DeliveredCE": 196,
	"BytesSent": 200, "BytesRetrans": 208, "DSACKDups": 216, "ReordSeen": 220, "RcvOOOPack": 224, "SndWnd": 228, "RcvWnd": 232,
	"Rehash": 236, "TotalRTO": 240, "TotalRTORecoveries": 242, "TotalRTOTime": 244, "ReceivedCE": 248, "ECNMode": 276,
}

func TestInfoLayout(t *testing.T) {
	typ := reflect.TypeFor[Info]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		var in Info
		v := reflect.ValueOf(&in).Elem().Field(i)
		want := make([]byte, InfoLen)
		switch f.Name {
		case "SndWScale":
			in.SndWScale, want[6] = 11, 11
		case "RcvWScale":
			in.RcvWScale, want[6] = 13, 13<<4
		case "AppLimited":
			in.AppLimited, want[7] = true, 1
		case "FastOpenFail":
			in.FastOpenFail, want[7] = 3, 3<<1
		case "CwndLimited", "NagleLimited":
			continue // Linux does not have them
		default:
			at, ok := infoOffsets[f.Name]
			if !ok {
				t.Errorf("%s: where is it?", f.Name)
				continue
			}
			switch f.Type.Size() {
			case 1:
				v.SetUint(0x5a)
				want[at] = 0x5a
			case 2:
				v.SetUint(0x5a5b)
				binary.NativeEndian.PutUint16(want[at:], 0x5a5b)
			case 4:
				v.SetUint(0x5a5b5c5d)
				binary.NativeEndian.PutUint32(want[at:], 0x5a5b5c5d)
			case 8:
				v.SetUint(0x5a5b5c5d5e5f6061)
				binary.NativeEndian.PutUint64(want[at:], 0x5a5b5c5d5e5f6061)
			}
		}
		got := make([]byte, InfoLen)
		if in.Put(got); string(got) != string(want) {
			t.Errorf("%s is not where it belongs:\n%x", f.Name, got)
		}
	}
}

// wantInfo compares some fields of TCP_INFO.
func (s *script) wantInfo(what string, want map[string]uint64) {
	s.t.Helper()
	var in Info
	s.c.Info(s.now, &in)
	v := reflect.ValueOf(in)
	for name, n := range want {
		if got := v.FieldByName(name).Uint(); got != n {
			s.t.Errorf("%s: %s is %d, want %d", what, name, got, n)
		}
	}
}

// What TCP_INFO tells as a connection goes on, by what each field is for (tcp(7); tcp_get_info).
func TestInfoFields(t *testing.T) {
	var none Conn
	var in Info
	if none.Info(0, &in); in.SndMSS != 536 || in.SndCwnd != 10 || in.Reordering != 3 || in.BytesReceived != 0 || in.Delivered != 0 {
		t.Errorf("before anything: %+v", in)
	}

	ctl := &recorder{}
	tc := newScript(t, recorded(ctl))
	tc.p.MSS = 1012
	tc.p.RcvBuf = 40000
	tc.connectIn(msec(100))
	tc.wantInfo("connected", map[string]uint64{
		"LastDataSent": 0, "LastAckRecv": 0, "PMTU": 1052, "AdvMSS": 1012, "SndMSS": 1000, "Delivered": 1, "SegsOut": 2, "SegsIn": 1,
		"ECNMode": 0, "BytesReceived": 0, "ATO": 0, "RcvRTT": 0,
	})
	tc.sleep(msec(30))
	tc.write(2500)
	tc.rest("P. 1..2501/1000 ack 1")
	tc.sleep(msec(20))
	tc.wantInfo("sent", map[string]uint64{
		"Unacked": 3, "NotSentBytes": 0, "BytesSent": 2500, "DataSegsOut": 3, "SegsOut": 5, "LastDataSent": 20, "LastAckRecv": 50,
		"BusyTime": 20000, "RwndLimited": 0, "SndbufLimited": 0, "SndSSThresh": noSSThresh,
	})
	tc.recv("P. 1+100 ack 2501")
	tc.rest(". 2501 ack 101")
	tc.sleep(msec(7))
	tc.wantInfo("answered", map[string]uint64{
		"LastDataSent": 27, "LastDataRecv": 7, "LastAckRecv": 7, "BytesReceived": 100, "DataSegsIn": 1, "Delivered": 4,
		"BytesAcked": 2501, "ATO": 40000, "BusyTime": 20000,
	})
	tc.recv("P. 201+100 ack 2501")
	tc.rest(". 2501 ack 101 <sack 201-301>")
	tc.wantInfo("out of order", map[string]uint64{"RcvOOOPack": 1, "BytesReceived": 100, "SegsIn": 3})

	// The peer's window closes for 300 ms.
	tc.recv(". 301 ack 2501 win 0")
	tc.out = nil
	tc.write(500)
	tc.sleep(msec(150))
	tc.wantIdle("the window is closed")
	tc.wantInfo("closed", map[string]uint64{"SndWnd": 0, "NotSentBytes": 500, "RwndLimited": 150_000, "BusyTime": 170_000})
	tc.recv(". 301 ack 2501 win 5000")
	tc.rest("P. 2501+500 ack 101 <sack 201-301>")
	tc.wantInfo("open", map[string]uint64{"SndWnd": 5000, "RwndLimited": 150_000, "BusyTime": 170_000})
	tc.recv(". 301 ack 3001")

	// A rate that the controller gives, and the program's bound.
	ctl.rate = 5000
	tc.wantInfo("paced", map[string]uint64{"PacingRate": 5000, "MaxPacingRate": 1<<64 - 1})
	tc.c.SetMaxPacing(4000)
	tc.wantInfo("bounded", map[string]uint64{"PacingRate": 4000, "MaxPacingRate": 4000})
	ctl.rate = 0
	tc.c.SetMaxPacing(1<<64 - 1)
	if tc.c.Info(tc.now, &in); in.PacingRate < 50_000 { // a window in a round trip, and more
		t.Errorf("without pacing %d is told", in.PacingRate)
	}
}

// Timeouts: how many, and in how many rows (tcpi_total_rto, tcpi_total_rto_recoveries).
func TestInfoTimeouts(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.wantAfter(msec(300), "P. 1+1000 ack 1")
	tc.wantAfter(msec(600), "P. 1+1000 ack 1")
	tc.wantInfo("twice", map[string]uint64{
		"TotalRTO": 2, "TotalRTORecoveries": 1, "Retransmits": 2, "Backoff": 2, "TotalRetrans": 2, "CAState": 4, "Lost": 1, "Retrans": 1,
		"BytesSent": 3000, "BytesRetrans": 2000, "DataSegsOut": 3,
	})
	tc.recv(". 1 ack 1001")
	tc.write(1000)
	tc.want("P. 1001+1000 ack 1")
	tc.wantAfter(msec(1200), "P. 1001+1000 ack 1")
	tc.wantInfo("again", map[string]uint64{"TotalRTO": 3, "TotalRTORecoveries": 2, "Retransmits": 1})
}

// Duplicates without SACK count as SACKed, and DSACKs by the segments that they tell of.
func TestInfoDuplicates(t *testing.T) {
	tc := inFlight(t, 5, noSACK)
	tc.recv(". 1 ack 1") // the window
	tc.recv(". 1 ack 1")
	tc.recv(". 1 ack 1")
	tc.wantInfo("two duplicates", map[string]uint64{"Sacked": 2, "CAState": 1, "Unacked": 5})

	tc = inFlight(t, 5)
	tc.recv(". 1 ack 3001 <sack 1-1001>")
	tc.wantInfo("a DSACK", map[string]uint64{"DSACKDups": 1})
	tc.recv(". 1 ack 3001 <sack 1-2002>")
	tc.wantInfo("one of three", map[string]uint64{"DSACKDups": 4})
}

// ECN: what was agreed, what was seen, and what was echoed.
func TestInfoECN(t *testing.T) {
	tc := ecnConnect(t)
	tc.wantInfo("agreed", map[string]uint64{"ECNMode": 1, "Options": InfoECN, "DeliveredCE": 0})
	tc.recv("P. 1+10 ack 1 ce")
	tc.rest(".E 1 ack 11")
	tc.wantInfo("marked", map[string]uint64{"Options": InfoECN | InfoECNSeen})
	tc.write(4500)
	tc.out = nil
	tc.sleep(msec(100))
	tc.recv(".E 11 ack 2001")
	tc.wantInfo("echoed", map[string]uint64{"DeliveredCE": 2, "CAState": 2})
	tc.recv(".E 11 ack 2501")
	tc.wantInfo("echoed again", map[string]uint64{"DeliveredCE": 3})
	tc.recv(". 11 ack 4501")
	tc.wantInfo("no more", map[string]uint64{"DeliveredCE": 3, "CAState": 0})
}

// The time that a full send buffer was what held the sender back.
func TestInfoSndbufLimited(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS, tc.p.SndBuf = 1000, 3000
	tc.connectIn(msec(100))
	tc.write(3000)
	tc.rest("P. 1..3001/1000 ack 1")
	if tc.c.SendSpace() != 0 {
		t.Fatal("there is room")
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 501") // all is sent, and the program has found no room
	tc.sleep(msec(40))
	tc.wantInfo("limited", map[string]uint64{"BusyTime": 140_000, "SndbufLimited": 40_000, "RwndLimited": 0})
	tc.recv(". 1 ack 3001")
	tc.sleep(msec(50))
	tc.wantInfo("idle", map[string]uint64{"BusyTime": 140_000, "SndbufLimited": 40_000})
}

// TCP_CC_INFO is the controller's own, of the one in use or of the one that will be.
func TestCCInfo(t *testing.T) {
	tc := newScript(t, plain)
	if b := tc.c.AppendCCInfo([]byte{7}); len(b) != 1 {
		t.Errorf("reno tells %x", b)
	}
	if err := tc.c.SetCC(tc.now, "bbr"); err != nil {
		t.Fatal(err)
	}
	unused := tc.c.AppendCCInfo([]byte{7})
	if len(unused) != 1+20 || unused[0] != 7 {
		t.Errorf("bbr, not in use, tells %x", unused)
	}
	tc.connectIn(msec(50))
	tc.write(1000)
	tc.out = nil
	b := tc.c.AppendCCInfo(nil)
	if len(b) != 20 || string(b) == string(unused[1:]) {
		t.Errorf("bbr tells %x", b)
	}
}
