package ss

import "testing"

func TestRate(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0bps", 100: "800bps", 125: "1kbps", 1_543_210: "12.3Mbps", 12_500_000: "100Mbps",
		65_498_123_456: "524Gbps", 291_250_000_000: "2330Gbps",
	} {
		if got := Rate(bytes); got != want {
			t.Errorf("%d: got %s, want %s", bytes, got, want)
		}
	}
}
