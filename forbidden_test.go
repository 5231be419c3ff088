package usock_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"net/netip"

	"usock"
)

// A port that takes a privilege is EACCES by every function that binds, and the error says
// what gives it.
func TestForbiddenPort(t *testing.T) {
	h := newHost(t, usock.Config{})
	dialer := usock.Dialer{Host: h, Local: netip.MustParseAddrPort("127.0.0.1:80")}
	for what, f := range map[string]func() error{
		"Listen":       func() error { _, err := h.Listen("tcp", "127.0.0.1:80"); return err },
		"ListenPacket": func() error { _, err := h.ListenPacket("udp", "127.0.0.1:80"); return err },
		"Dial":         func() error { _, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:9"); return err },
	} {
		err := f()
		if !errors.Is(err, syscall.EACCES) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want EACCES", what, err)
		}
		if err != nil && !strings.Contains(err.Error(), "usock.Config.Privileged") {
			t.Errorf("%s: %v does not say what gives the privilege", what, err)
		}
	}
	s, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(usock.Inet(dialer.Local)); err != syscall.EACCES {
		t.Errorf("Bind: %v, want EACCES itself", err)
	}
}
