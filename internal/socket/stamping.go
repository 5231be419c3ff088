package socket

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
)

// SO_TIMESTAMPING (Documentation/networking/timestamping.rst): when packets came, told with
// what is received, and when they left, told by the error queue.

// StampingOption returns the row of SO_TIMESTAMPING. refused are the flags that the
// protocol does not have: ENOPROTOOPT. fresh is called when packets are to be numbered
// from now on; it may refuse. What hardware would stamp is accepted, as on Linux, of an
// interface that has no clock: nothing is told.
func StampingOption(refused uint32, fresh func(s *Socket, flags uint32) error) Option {
	return Option{
		Level: abi.SOL_SOCKET, Name: abi.SO_TIMESTAMPING,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			return abi.AppendInt(abi.AppendInt(b, int(s.Opt.Stamping())), 0), nil
		},
		Set: func(s *Socket, v []byte) error {
			f := binary.NativeEndian.Uint32(v)
			switch {
			case f&^abi.SOF_TIMESTAMPING_MASK != 0,
				f&abi.SOF_TIMESTAMPING_OPT_ID_TCP != 0 && f&abi.SOF_TIMESTAMPING_OPT_ID == 0,
				f&abi.SOF_TIMESTAMPING_OPT_STATS != 0 && f&abi.SOF_TIMESTAMPING_OPT_TSONLY == 0:
				return syscall.EINVAL
			case f&abi.SOF_TIMESTAMPING_BIND_PHC != 0:
				return syscall.EOPNOTSUPP
			case f&refused != 0:
				return syscall.ENOPROTOOPT
			}
			if f&^s.Opt.Stamping()&abi.SOF_TIMESTAMPING_OPT_ID != 0 {
				if err := fresh(s, f); err != nil {
					return err
				}
			}
			s.setStamping(f)
			s.recall()
			return nil
		},
	}
}

// WantsArrival reports whether the time of arrival is to be noted.
func (o *Opt) WantsArrival() bool {
	return o.Flags&stamps != 0 || o.Stamping()&abi.SOF_TIMESTAMPING_RX_SOFTWARE != 0
}

// Tells reports whether software's stamps are told at all.
func (o *Opt) Tells() bool { return o.Stamping()&abi.SOF_TIMESTAMPING_SOFTWARE != 0 }

// SendStamping returns the flags of a send: those of the option, in which a control message
// may have replaced what is to be stamped.
func (o *Opt) SendStamping(said bool, flags uint32) uint32 {
	if said {
		return o.Stamping()&^abi.SOF_TIMESTAMPING_TX_RECORD | flags
	}
	return o.Stamping()
}

// AppendArrival appends the control messages about when something has come, at, in ns of
// the wall clock; 0 stands for now where SO_TIMESTAMP asks.
func (s *Socket) AppendArrival(b []byte, at int64) []byte {
	o, now := &s.Opt, at
	if now == 0 {
		now = s.Host.Stamp()
	}
	second, ns := uint64(now/1e9), uint64(now%1e9)
	if o.Has(Timestamp) {
		v := binary.NativeEndian.AppendUint64(nil, second)
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_TIMESTAMP, binary.NativeEndian.AppendUint64(v, ns/1000))
	}
	if o.Has(TimestampNS) {
		v := binary.NativeEndian.AppendUint64(nil, second)
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_TIMESTAMPNS, binary.NativeEndian.AppendUint64(v, ns))
	}
	return o.AppendStamp(b, at)
}

// AppendStamp appends SCM_TIMESTAMPING, three structs timespec of which the first is
// software's, if at is not 0 and the program wants it.
func (o *Opt) AppendStamp(b []byte, at int64) []byte {
	if at == 0 || !o.Tells() {
		return b
	}
	v := binary.NativeEndian.AppendUint64(nil, uint64(at/1e9))
	v = binary.NativeEndian.AppendUint64(v, uint64(at%1e9))
	return abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_TIMESTAMPING, append(v, make([]byte, 32)...))
}

// ZeroCopyOption is SO_ZEROCOPY. What is sent is copied all the same, as Linux's loopback
// interface does, and said to be.
var ZeroCopyOption = IntOption(abi.SOL_SOCKET, abi.SO_ZEROCOPY,
	func(s *Socket) int {
		if s.Opt.Has(ZeroCopy) {
			return 1
		}
		return 0
	},
	func(s *Socket, v int) error {
		if v < 0 || v > 1 {
			return syscall.EINVAL
		}
		s.Opt.Set(ZeroCopy, v == 1)
		return nil
	})
