package inet

import (
	"encoding/binary"
	"syscall"
	"testing"

	"usock/internal/abi"
)

// A filter's value may be as long as a socket's option memory, whatever is in it (Linux,
// ip_set_mcast_msfilter).
func TestFilterTooLong(t *testing.T) {
	v := binary.NativeEndian.AppendUint32(make([]byte, 8), filterExclude)
	v = append(v, make([]byte, maxOptionMemory)...)
	for _, c := range []struct {
		n    int
		want error
	}{{maxOptionMemory + 1, syscall.ENOBUFS}, {maxOptionMemory, nil}, {groupFilterLen, nil}, {groupFilterLen - 1, syscall.EINVAL}} {
		if err := fitsOption(v[:c.n], groupFilterLen); err != c.want {
			t.Errorf("%d bytes: %v, want %v", c.n, err, c.want)
		}
	}
	for _, row := range sourceRows(&Stack{}) {
		if row.Name == abi.IP_MSFILTER || row.Name == abi.MCAST_MSFILTER {
			if err := row.Set(nil, v[:maxOptionMemory+1]); err != syscall.ENOBUFS {
				t.Errorf("option %d: %v, want ENOBUFS", row.Name, err)
			}
		}
	}
}
