//go:build !linux

package link

import (
	"fmt"
	"runtime"
)

// TUN opens a TUN device. There is none on this system.
func TUN(DeviceConfig) (Link, error) { return nil, noDevice("TUN") }

// TAP opens a TAP device. There is none on this system.
func TAP(DeviceConfig) (Link, error) { return nil, noDevice("TAP") }

func noDevice(kind string) error {
	return fmt.Errorf("%s devices are made on Linux only, and this is %s", kind, runtime.GOOS)
}
