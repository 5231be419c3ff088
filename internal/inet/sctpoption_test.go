package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"

	"usock/internal/abi"
)

// setStruct sets an option whose value is a structure, with what lies behind it.
func (s *sock) setStruct(name int, v abi.Layout, behind ...byte) error {
	return s.SetOpt(abi.SOL_SCTP, name, append(abi.AppendStruct(nil, v), behind...))
}

// getStruct reads an option into v, which says what is asked for.
func (s *sock) getStruct(name int, v abi.Layout) error {
	b := abi.AppendStruct(nil, v)
	if _, err := s.GetOpt(abi.SOL_SCTP, name, b); err != nil {
		return err
	}
	return abi.ParseStruct(b, v)
}

// must fails the test for an error.
func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// authenticated has associations of s authenticate chunks, by a key, and tell of new addresses.
func (s *sock) authenticated(key string) *sock {
	s.m.t.Helper()
	s.m.must(s.setStruct(abi.SCTP_AUTH_SUPPORTED, &abi.SCTPAssocValue{Value: 1}))
	s.m.must(s.setStruct(abi.SCTP_ASCONF_SUPPORTED, &abi.SCTPAssocValue{Value: 1}))
	s.m.must(s.setStruct(abi.SCTP_AUTH_CHUNK, &abi.SCTPAuthchunk{})) // DATA
	s.m.must(s.setStruct(abi.SCTP_AUTH_KEY, &abi.SCTPAuthkey{Keynumber: 1, Keylength: uint16(len(key))}, []byte(key)...))
	s.m.must(s.setStruct(abi.SCTP_AUTH_ACTIVE_KEY, &abi.SCTPAuthkeyid{Keynumber: 1}))
	return s
}

// Options about authentication are EACCES where it is off, and data pass where both ends have the key.
func TestSCTPAuthOptions(t *testing.T) {
	a, b := newPair(t, Config{})
	plain := a.open("one4")
	for _, err := range []error{
		plain.setStruct(abi.SCTP_AUTH_CHUNK, &abi.SCTPAuthchunk{}),
		plain.setStruct(abi.SCTP_AUTH_KEY, &abi.SCTPAuthkey{Keynumber: 1, Keylength: 1}, 'k'),
		plain.setStruct(abi.SCTP_AUTH_ACTIVE_KEY, &abi.SCTPAuthkeyid{}),
		plain.getStruct(abi.SCTP_HMAC_IDENT, &abi.SCTPHmacalgo{}),
		plain.getStruct(abi.SCTP_LOCAL_AUTH_CHUNKS, &abi.SCTPAuthchunks{}),
	} {
		if err != syscall.EACCES {
			t.Errorf("without authentication: %v, want EACCES", err)
		}
	}

	for _, c := range []struct {
		key  string
		want string
	}{{"secret", "sealed"}, {"another", ""}} {
		l := b.open("one4").authenticated("secret").at(addrB + ":7")
		b.must(l.Listen(5))
		x := a.open("one4").authenticated(c.key).with(addrB + ":7")
		y := l.accept()
		var on abi.SCTPAssocValue
		if err := x.getStruct(abi.SCTP_AUTH_SUPPORTED, &on); err != nil || on.Value != 1 {
			t.Errorf("agreed: %+v, %v", on, err)
		}
		if err := x.setStruct(abi.SCTP_AUTH_DELETE_KEY, &abi.SCTPAuthkeyid{Keynumber: 1}); err != syscall.EINVAL {
			t.Errorf("the active key is deleted: %v", err)
		}
		b.must(x.send("sealed", "-"))
		if got := y.text(); got != c.want {
			t.Errorf("with the key %q: %q came, want %q", c.key, got, c.want)
		}
		for _, s := range []*sock{x, y, l} {
			s.m.must(s.SetOpt(abi.SOL_SOCKET, abi.SO_LINGER, abi.AppendLinger(nil, abi.Linger{On: true})))
			s.m.must(s.Close())
		}
	}
	hmacs := a.open("one4").authenticated("k")
	for _, c := range []struct {
		ids  []uint16
		want error
	}{{[]uint16{1, 3}, nil}, {[]uint16{3}, syscall.EINVAL}, {[]uint16{1, 2}, syscall.EOPNOTSUPP}, {nil, syscall.EINVAL}} {
		var list []byte
		for _, id := range c.ids {
			list = binary.NativeEndian.AppendUint16(list, id)
		}
		if err := hmacs.setStruct(abi.SCTP_HMAC_IDENT, &abi.SCTPHmacalgo{NumIdents: uint32(len(c.ids))}, list...); err != c.want {
			t.Errorf("hashes %v: %v, want %v", c.ids, err, c.want)
		}
	}
}

// An address that a socket is bound to while it is connected is the peer's to send to, and goes again.
func TestSCTPBindxConnected(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("one4").authenticated("k").at(addrB + ":7")
	b.must(l.Listen(5))
	a.do(func() { a.must(a.st.IP.AddAddr(a.eth, netip.MustParsePrefix("10.0.0.3/24"))) })
	x := a.open("one4").authenticated("k").at(addrA + ":5000").with(addrB + ":7")
	y := l.accept()
	peers := func() uint32 {
		var v abi.SCTPGetaddrs
		b := make([]byte, 200)
		if _, err := y.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_PEER_ADDRS, b); err != nil {
			t.Fatal(err)
		}
		abi.ParseStruct(b, &v)
		return v.AddrNum
	}
	more := abi.AppendAddr(nil, x.sockaddr("10.0.0.3:5000"))
	a.must(x.SetOpt(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_ADD, more))
	if n := peers(); n != 2 {
		t.Errorf("%d addresses of the peer, want 2", n)
	}
	a.must(x.SetOpt(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_REM, more))
	if n := peers(); n != 1 {
		t.Errorf("%d addresses of the peer, want 1", n)
	}
}

// Streams are reset and added where that was agreed to and granted, and both programs are told.
func TestSCTPReconfiguration(t *testing.T) {
	a, b := newPair(t, Config{})
	allowed := func(s *sock) *sock {
		s.m.must(s.setStruct(abi.SCTP_RECONFIG_SUPPORTED, &abi.SCTPAssocValue{Value: 1}))
		s.m.must(s.setStruct(abi.SCTP_ENABLE_STREAM_RESET, &abi.SCTPAssocValue{Value: abi.SCTP_ENABLE_STRRESET_MASK}))
		return s.events(abi.SCTP_STREAM_RESET_EVENT, abi.SCTP_STREAM_CHANGE_EVENT)
	}
	l := allowed(b.open("one4")).at(addrB + ":7")
	b.must(l.Listen(5))
	x := allowed(a.open("one4")).with(addrB + ":7")
	y := l.accept()
	x.send("before", "-", sndinfo(abi.SCTPSndinfo{SID: 3}))
	y.text()
	a.must(x.setStruct(abi.SCTP_RESET_STREAMS, &abi.SCTPResetStreams{Flags: abi.SCTP_STREAM_RESET_OUTGOING, NumberStreams: 1},
		binary.NativeEndian.AppendUint16(nil, 3)...))
	for _, s := range []*sock{x, y} {
		if got := told(s.recv(0)); got != "notification 0x800a" {
			t.Errorf("told %s", got)
		}
	}
	a.must(x.setStruct(abi.SCTP_ADD_STREAMS, &abi.SCTPAddStreams{Outstrms: 5}))
	if got := told(y.recv(0)); got != "notification 0x800c" {
		t.Errorf("told %s", got)
	}
	var v abi.SCTPStatus
	if err := x.getStruct(abi.SCTP_STATUS, &v); err != nil || v.Outstrms != 15 {
		t.Errorf("%d streams, %v", v.Outstrms, err)
	}
	if err := x.setStruct(abi.SCTP_RESET_STREAMS, &abi.SCTPResetStreams{Flags: abi.SCTP_STREAM_RESET_OUTGOING, NumberStreams: 2}, 0, 0); err != syscall.EINVAL {
		t.Errorf("a list that is cut: %v", err)
	}
}
