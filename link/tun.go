package link

import "fmt"

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

	// Queues is how many queues a TUN device has, at most 256; 0 is 1. With more than one the link is
	// Queued, and packets of different flows pass it at once, on as many processors. A device that
	// exists must have been made with several queues (multi_queue of ip tuntap), and with one
	// must not. Other programs that open the same device with several queues share its packets.
	//
	// The kernel sends a flow's packets by the queue by which it has last received one of the flow, if that
	// was less than three seconds ago, and else by a queue of its own choice. So the first packets that
	// come after a pause may be overtaken by those behind them.
	Queues int
}

// device is where TUN and TAP devices are made.
const device = "/dev/net/tun"

// maxQueues is how many queues the kernel gives a device (MAX_TAP_QUEUES).
const maxQueues = 256

// checkQueues finds fault with the number of queues.
func (c *DeviceConfig) checkQueues(m Medium) error {
	switch {
	case c.Queues < 0 || c.Queues > maxQueues:
		return fmt.Errorf("link: %d queues: a device has 1 to %d", c.Queues, maxQueues)
	case c.Queues > 1 && m == Ethernet:
		return fmt.Errorf("link: %d queues: a TAP device has one", c.Queues)
	}
	return nil
}

// maxName is the length of a device's name (IFNAMSIZ less the final zero).
const maxName = 15
