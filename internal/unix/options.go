package unix

import (
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Options implements socket.Proto.
func (p proto) Options() *socket.Options { return options }

// options are AF_UNIX's rows. It has options at SOL_SOCKET alone.
var options = func() *socket.Options {
	t := socket.NewOptions(rows, socket.UnseenOptions(may))
	t.Missing = func(_ *socket.Socket, level int, _ bool) error {
		if level == abi.SOL_SOCKET {
			return syscall.ENOPROTOOPT
		}
		return syscall.EOPNOTSUPP
	}
	return t
}()

// may is socket.May.
func may(s *socket.Socket, oneOf ...int) bool {
	return slices.ContainsFunc(oneOf, pcb(s).domain.config.Capable)
}

// rows are AF_UNIX's own options (unix(7)).
var rows = []socket.Option{
	socket.IntOption(abi.SOL_SOCKET, abi.SO_ACCEPTCONN, func(s *socket.Socket) int {
		if pcb(s).state == listening {
			return 1
		}
		return 0
	}, nil),
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_REUSEPORT,
		Get: func(_ *socket.Socket, b []byte) ([]byte, error) { return abi.AppendInt(b, 0), nil },
		Set: func(_ *socket.Socket, v []byte) error {
			// Linux has it for the Internet domains alone; to turn it off is no error.
			on, err := abi.ParseInt(v)
			if err == nil && on != 0 {
				err = syscall.EOPNOTSUPP
			}
			return err
		},
	},
	socket.PriorityOption(may),
	// Messages are not stamped here.
	{Level: abi.SOL_SOCKET, Name: abi.SO_TIMESTAMP},
	{Level: abi.SOL_SOCKET, Name: abi.SO_TIMESTAMPNS},
	socket.ForceOption(abi.SO_RCVBUFFORCE, may, func(s *socket.Socket, v int) { s.Opt.RcvBuf = socket.Force(v, socket.MinRcvBuf) }),
	socket.ForceOption(abi.SO_SNDBUFFORCE, may, func(s *socket.Socket, v int) {
		s.Opt.SndBuf = socket.Force(v, socket.MinSndBuf)
		s.RoomMade()
	}),
	socket.BoolOption(abi.SOL_SOCKET, abi.SO_PASSCRED,
		func(s *socket.Socket) bool { return pcb(s).passCred },
		func(s *socket.Socket, on bool) error { pcb(s).passCred = on; return nil }),
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_PEERCRED,
		Get: func(s *socket.Socket, b []byte) ([]byte, error) { return pcb(s).peerCred.append(b), nil },
	},
	socket.PeekOff,
}
