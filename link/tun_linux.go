package link

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/offload"
	"usock/packet"
)

// TUN opens a TUN device, which carries IP packets between the host and the
// kernel. It takes CAP_NET_ADMIN, or a device that root has made for the user:
//
//	ip tuntap add dev NAME mode tun user USER
//
// The device is made in the network namespace of the calling thread. TCP segments
// of up to 64 KiB pass it whole and without checksums, both ways, by the virtio-net
// header.
//
// With several queues (DeviceConfig.Queues) the link is Queued.
func TUN(c DeviceConfig) (Link, error) { return openDevice(c, IP) }

// TAP opens a TAP device, which carries Ethernet frames. Frames makes of it a
// link that carries IP.
func TAP(c DeviceConfig) (Link, error) { return openDevice(c, Ethernet) }

// kernelDevice is a TUN or TAP device, or a queue of one. Reading and writing wait in the runtime's
// poller; each wake-up carries as many packets as there are, one system call each.
type kernelDevice struct {
	file *os.File
	raw  syscall.RawConn
	info Info
	skip int // bytes of link header

	closed atomic.Bool

	in  deviceIn
	out deviceOut
}

// deviceIn is the receiving side. Nobody but the Recv that runs touches it, and
// Close when there is none any more.
type deviceIn struct {
	batchIn
	small *packet.Block // for the next packet, or for the beginning of a large one
	large *packet.Block // for what does not fit small
	head  [vnetLen]byte
	iov   [3]unix.Iovec
}

// batchIn is a batch that a descriptor fills. Receiving waits in the runtime's poller.
type batchIn struct {
	mu    sync.Mutex            // held by recv, and by who releases what read uses
	read  func(fd uintptr) bool // fills batch, counts in n and reports whether it met anything
	batch []*Packet
	n     int
	err   error // what ended read, if not the want of packets
}

// recv waits for packets and returns how many there are in batch; ErrClosed once closed is set.
func (in *batchIn) recv(raw syscall.RawConn, closed *atomic.Bool, batch []*Packet) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		in.batch, in.n, in.err = batch, 0, nil
		err := raw.Read(in.read)
		in.batch = nil
		switch {
		case in.n > 0:
			return in.n, nil
		case err == nil && in.err == nil:
			continue // everything that came was refused
		case closed.Load():
			return 0, ErrClosed
		case err != nil:
			return 0, err
		}
		return 0, in.err
	}
}

// deviceOut is the sending side. Nobody but the Send that runs touches it.
type deviceOut struct {
	batchOut
	head [vnetLen]byte
	iov  [2 + packet.VecCap]unix.Iovec
}

// batchOut is a batch on its way to a descriptor.
type batchOut struct {
	write func(fd uintptr) bool // writes and frees all of batch, and counts in n what was taken
	batch []*Packet
	n     int
}

// send has the batch written and returns how many packets were taken. What a closed descriptor does not
// take is dropped.
func (o *batchOut) send(raw syscall.RawConn, batch []*Packet) int {
	o.batch, o.n = batch, 0
	if err := raw.Write(o.write); err != nil {
		for _, p := range batch {
			p.Free()
		}
	}
	o.batch = nil
	return o.n
}

const (
	smallBlock = 2 << 10
	// copyLarge is up to where the rest of a large packet is copied into a block
	// that fits it, rather than that it keeps one of 64 KiB.
	copyLarge = 16 << 10
)

func openDevice(c DeviceConfig, m Medium) (Link, error) {
	if c.Name == "" {
		c.Name = "usock%d"
	}
	if len(c.Name) > maxName {
		return nil, fmt.Errorf("%s: a device's name has at most %d bytes", c.Name, maxName)
	}
	if err := c.checkQueues(m); err != nil {
		return nil, err
	}
	fds, err := attach(&c, m)
	var info Info
	if err == nil {
		info, err = setUp(c, m)
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	// Only now: the poller takes no descriptor that has no device yet.
	var queues []Link
	for _, fd := range fds {
		queues = append(queues, newDevice(fd, info))
	}
	if len(queues) == 1 {
		return queues[0], nil
	}
	return newQueued(info, queues), nil
}

// newDevice returns the device, or the queue of one, that fd is attached to.
func newDevice(fd int, info Info) *kernelDevice {
	d := &kernelDevice{file: os.NewFile(uintptr(fd), device), info: info}
	d.raw, _ = d.file.SyscallConn() // fails without a file only
	if info.Medium == Ethernet {
		d.skip = ethernetLen
	}
	d.in.read, d.out.write = d.read, d.write
	return d
}

// kind is what a device of the medium is called.
func kind(m Medium) string {
	if m == Ethernet {
		return "TAP"
	}
	return "TUN"
}

// attach opens as many descriptors as the device shall have queues, and attaches them to it. It
// gives c the name of the device. The descriptors are the caller's, also with an error.
func attach(c *DeviceConfig, m Medium) (fds []int, err error) {
	for range max(c.Queues, 1) {
		fd, err := unix.Open(device, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fds, openError(err)
		}
		fds = append(fds, fd)
		if c.Queues > 1 && len(fds) == 1 {
			if has, err := unix.IoctlGetUint32(fd, unix.TUNGETFEATURES); err != nil || has&unix.IFF_MULTI_QUEUE == 0 {
				return fds, errNoQueues
			}
		}

		// The first one may make the device and choose its number.
		if c.Name, err = attachOne(fd, *c, m); err != nil {
			return fds, err
		}
	}
	return fds, nil
}

// attachOne attaches fd to the device and says what is carried by it. It returns the device's name.
func attachOne(fd int, c DeviceConfig, m Medium) (string, error) {
	ifr, err := unix.NewIfreq(c.Name)
	if err != nil {
		return "", fmt.Errorf("device %s: %w", c.Name, err)
	}
	flags := uint16(unix.IFF_TUN)
	if m == Ethernet {
		flags = unix.IFF_TAP
	}
	if c.Queues > 1 {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr.SetUint16(flags | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", attachError(c, m, err)
	}
	name := ifr.Name()
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetLen); err != nil {
		return "", deviceError(name, m, "set the header's size", err)
	}
	offloads := 0

	// The kernel is told what we take: whole segments, and sums that hold the pseudo-header's
	// alone.
	if !c.NoOffload {
		offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
		return "", deviceError(name, m, "set offloads", err)
	}
	return name, nil
}

func deviceError(name string, m Medium, what string, err error) error {
	return fmt.Errorf("%s device %s: %s: %w", kind(m), name, what, err)
}

// setUp sets up the device, which is there, and describes it.
func setUp(c DeviceConfig, m Medium) (Info, error) {
	info := Info{Name: c.Name, Medium: m, Checksum: !c.NoOffload, CRC32c: true, Segments: !c.NoOffload}
	if m == Ethernet {
		info.Address = c.Address
		if info.Address == (hardware{}) {
			info.Address = randomAddress()
		}
	}
	fail := func(what string, err error) (Info, error) { return Info{}, deviceError(c.Name, m, what, err) }
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail("open a socket", err)
	}
	defer unix.Close(s)
	if c.MTU != 0 {
		ifr, _ := unix.NewIfreq(info.Name)
		ifr.SetUint32(uint32(c.MTU))
		if err := unix.IoctlIfreq(s, unix.SIOCSIFMTU, ifr); err != nil {
			return fail(fmt.Sprintf("set the MTU to %d", c.MTU), err)
		}
	}
	ifr, err := unix.NewIfreq(info.Name)
	if err == nil {
		err = unix.IoctlIfreq(s, unix.SIOCGIFMTU, ifr)
	}
	if err != nil {
		return fail("get the MTU", err)
	}
	info.MTU = int(ifr.Uint32())
	if c.Up {
		if err := switchOn(s, info.Name); err != nil {
			return fail("switch it on", err)
		}
	}
	return info, nil
}

func switchOn(s int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, ifr); err != nil {
		return err
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr)
}

// openError says what to do about a device file that cannot be opened.
func openError(err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		hint = ": load the kernel's module tun, or give the container the device"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": let the user read and write it, or give the container the device"
	}
	return fmt.Errorf("open %s: %w%s", device, err, hint)
}

// errNoQueues is of kernels before 3.8 and of systems that imitate Linux.
var errNoQueues = fmt.Errorf("this kernel has no TUN devices with several queues: open one with one: %w", errors.ErrUnsupported)

// attachError says what to do about a device that cannot be made or attached to.
func attachError(c DeviceConfig, m Medium, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM):
		hint = ": this takes CAP_NET_ADMIN, or a device made by root: ip tuntap add dev " + c.Name + " mode " + strings.ToLower(kind(m))
		if c.Queues > 1 {
			hint += " multi_queue"
		}
		hint += " user NAME"
	case errors.Is(err, unix.EBUSY):
		hint = ": another program has it open"
	case errors.Is(err, unix.EINVAL) && c.Queues > 1:
		hint = ": there is a device of that name that is no " + kind(m) + " device of several queues (multi_queue of ip tuntap)"
	case errors.Is(err, unix.EINVAL):
		hint = ": there is a device of that name that is no single-queue " + kind(m) + " device"
	case errors.Is(err, unix.E2BIG):
		hint = fmt.Sprintf(": a device has at most %d queues, those of other programs included", maxQueues)
	}
	return fmt.Errorf("%s device %s: %w%s", kind(m), c.Name, err, hint)
}

// Info implements Link.
func (d *kernelDevice) Info() Info { return d.info }

// Recv implements Link.
func (d *kernelDevice) Recv(batch []*Packet) (int, error) { return d.in.recv(d.raw, &d.closed, batch) }

// read reads packets until there are no more, and reports whether it met any.
func (d *kernelDevice) read(fd uintptr) bool {
	in := &d.in
	met := false
	for in.n < len(in.batch) {
		n, err := d.readOne(fd)
		switch err {
		case 0:
			met = true
			if p := d.packet(n); p != nil {
				in.batch[in.n] = p
				in.n++
			}
		case unix.EAGAIN:
			return met
		case unix.EINTR:
		default:
			in.err = fmt.Errorf("read %s: %w", d.info.Name, err)
			return true
		}
	}
	return true
}

func (d *kernelDevice) readOne(fd uintptr) (int, syscall.Errno) {
	in := &d.in
	if in.small == nil {
		in.small = packet.NewBlock(smallBlock)
	}
	if in.large == nil {
		in.large = packet.NewBlock(packet.MaxBlock)
	}
	setIovec(&in.iov[0], in.head[:])

	// Into a small block and, for what does not fit, a large one: a packet of the MTU does not
	// take 64 KiB, and one call reads either.
	setIovec(&in.iov[1], in.small.Bytes())
	setIovec(&in.iov[2], in.large.Bytes())

	// The descriptor does not block: the runtime need not be told of a call that returns at
	// once.
	n, _, err := unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&in.iov[0])), uintptr(len(in.iov)))
	return int(n), err
}

// gather has iov name the bytes of p, and returns how many entries that takes.
func gather(iov []unix.Iovec, p *Packet) int {
	n := 0
	if h := p.Head(); len(h) > 0 {
		setIovec(&iov[n], h)
		n++
	}
	for _, v := range p.Payload.Views() {
		setIovec(&iov[n], v.Bytes())
		n++
	}
	return n
}

func setIovec(v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
}

// packet makes a packet of the n bytes read, nil if it cannot be one.
func (d *kernelDevice) packet(n int) *Packet {
	in := &d.in
	n -= vnetLen
	if n <= d.skip {
		return nil
	}
	p := packet.New()
	if c := in.small.Cap(); n <= c {
		p.Payload.Append(in.small.View(0, n))
		in.small = nil
	} else {
		p.Payload.Append(in.small.View(0, c))
		in.small = nil
		if n -= c; n <= copyLarge {
			p.Payload.Append(packet.Copy(in.large.Bytes()[:n]))
		} else {
			p.Payload.Append(in.large.View(0, n))
			in.large = nil
		}
	}
	if !setVnet(&in.head, p, d.skip) {
		p.Free()
		return nil
	}
	return p
}

// Send implements Link.
func (d *kernelDevice) Send(batch []*Packet) int { return d.out.send(d.raw, batch) }

// write writes the batch. A packet that the device does not take is dropped.
func (d *kernelDevice) write(fd uintptr) bool {
	out := &d.out
	for _, p := range out.batch {
		// A device without offloads takes no large segments: they are cut here.
		if !d.info.Segments && p.SegmentSize != 0 && d.skip == 0 {
			sent := true
			offload.Segment(p, func(s *Packet) { sent = d.writeOne(fd, s) && sent })
			if sent {
				out.n++
			}
			continue
		}
		// The header of virtio-net knows the Internet checksum only.
		if (p.CRC32c || !d.info.Checksum) && !offload.Complete(p, -d.skip) {
			p.Free()
			continue
		}
		if d.writeOne(fd, p) {
			out.n++
		}
	}
	return true
}

// writeOne writes p, frees it and reports whether the device took it.
func (d *kernelDevice) writeOne(fd uintptr, p *Packet) bool {
	out := &d.out
	defer p.Free()
	if !putVnet(&out.head, p, d.skip) {
		return false
	}
	setIovec(&out.iov[0], out.head[:])
	n := 1 + gather(out.iov[1:], p)
	for {
		_, _, err := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&out.iov[0])), uintptr(n))
		if err != unix.EINTR {
			clear(out.iov[:n])
			return err == 0
		}
	}
}

// Close implements Link. When the file is closed no read goes on or begins any
// more.
func (d *kernelDevice) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	err := d.file.Close()

	// The file is closed: a Recv that runs comes back, and gives its blocks up before they are
	// released.
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	if d.in.small != nil {
		d.in.small.Release()
	}
	if d.in.large != nil {
		d.in.large.Release()
	}
	d.in.small, d.in.large = nil, nil
	return err
}
