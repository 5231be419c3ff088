package inet

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// reconfRows are about the reconfiguration of streams (RFC 6525).
func (t *sctpProto) reconfRows() []socket.Option {
	return []socket.Option{
		supportRow(abi.SCTP_RECONFIG_SUPPORTED, func(o *sctp.Options) *bool { return &o.ReConf }, func(x sctp.Extensions) bool { return x.ReConf }),
		valueRow(abi.SCTP_ENABLE_STREAM_RESET, false,
			func(_ *sctpEndpoint, _ *sctpAssoc, o *sctp.Options) uint32 { return o.Reset },
			func(e *sctpEndpoint, v *abi.SCTPAssocValue) error {
				if v.Value&^abi.SCTP_ENABLE_STRRESET_MASK != 0 {
					return syscall.EINVAL
				}
				return e.each(v.AssocID, func(_ *sctpAssoc, o *sctp.Options) { o.Reset = v.Value })
			}),
		{Level: abi.SOL_SCTP, Name: abi.SCTP_RESET_STREAMS, Set: func(s *socket.Socket, b []byte) error {
			return sctpOf(s).resetStreams(b)
		}},
		lengthOf(4, socket.IntOption(abi.SOL_SCTP, abi.SCTP_RESET_ASSOC, nil, func(s *socket.Socket, id int) error {
			return sctpOf(s).reconfigure(int32(id), func(x *sctpAssoc) syscall.Errno { return x.core.ResetAssoc(x.now()) })
		})),
		structRow(abi.SCTP_ADD_STREAMS, nil, func(e *sctpEndpoint, v *abi.SCTPAddStreams) error {
			return e.reconfigure(v.AssocID, func(x *sctpAssoc) syscall.Errno {
				return x.core.AddStreams(x.now(), v.Outstrms, v.Instrms)
			})
		}),
	}
}

// reconfigure has an association ask the peer for something.
func (e *sctpEndpoint) reconfigure(id int32, ask func(*sctpAssoc) syscall.Errno) error {
	x := e.assoc(id)
	if x == nil {
		return syscall.EINVAL
	}
	errno := ask(x)
	e.proto.update(x, 0)
	return orNil(errno)
}

// resetStreams is SCTP_RESET_STREAMS: a structure, and the streams behind it.
func (e *sctpEndpoint) resetStreams(b []byte) error {
	var v abi.SCTPResetStreams
	if err := abi.ParseStruct(b, &v); err != nil {
		return err
	}
	rest := b[abi.Sizeof(&v):]
	if len(rest) < 2*int(v.NumberStreams) {
		return syscall.EINVAL
	}
	var streams []uint16
	for i := range int(v.NumberStreams) {
		streams = append(streams, binary.NativeEndian.Uint16(rest[2*i:]))
	}
	out, in := v.Flags&abi.SCTP_STREAM_RESET_OUTGOING != 0, v.Flags&abi.SCTP_STREAM_RESET_INCOMING != 0
	return e.reconfigure(v.AssocID, func(x *sctpAssoc) syscall.Errno {
		return x.core.ResetStreams(x.now(), out, in, streams)
	})
}
