package usock_test

import (
	"encoding/binary"
	"syscall"
	"testing"

	"usock"
)

// A host's settings of SCTP are what its sockets begin with, and what they may ask for.
func TestSCTPConfig(t *testing.T) {
	const assocValue = 8 // bytes of struct sctp_assoc_value
	on := make([]byte, assocValue)
	binary.NativeEndian.PutUint32(on[4:], 1)
	for _, interleave := range []bool{false, true} {
		c := usock.DefaultSCTPConfig()
		c.Interleave, c.SndBuf = interleave, 100000
		h := newHost(t, usock.Config{SCTP: c})
		s, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_SNDBUF); n != 100000 || err != nil {
			t.Errorf("SO_SNDBUF is %d, %v", n, err)
		}
		if err := s.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_FRAGMENT_INTERLEAVE, 1); err != nil {
			t.Fatal(err)
		}
		want := error(syscall.EPERM)
		if interleave {
			want = nil
		}
		if err := s.SetSockOpt(usock.SOL_SCTP, usock.SCTP_INTERLEAVING_SUPPORTED, on); err != want {
			t.Errorf("SCTP_INTERLEAVING_SUPPORTED where it is %v: %v, want %v", interleave, err, want)
		}
		s.Close()
	}
}
