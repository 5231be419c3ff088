package link

// DeviceConfig describes a TUN or TAP device of the kernel.
type DeviceConfig struct {
	// Name is the device's name, with %d for a number that the kernel chooses. A
	// device that does not exist is made, and goes away when the link is closed.
	// "": usock%d.
	Name string

	// MTU is set on the device if it is not zero. This takes privilege also where
	// opening the device does not.
	MTU int

	// Up switches the device on. This takes privilege too.
	Up bool

	// Address is the Ethernet address that Info tells, for the host's end of a TAP
	// device. Zero: a random one.
	Address [6]byte

	// NoOffload has each packet be one of at most the MTU with its checksums
	// filled in, both ways, for devices on which something else counts or
	// measures packets.
	NoOffload bool
}

// device is where TUN and TAP devices are made.
const device = "/dev/net/tun"

// maxName is the length of a device's name (IFNAMSIZ less the final zero).
const maxName = 15
