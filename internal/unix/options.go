package unix

import (
	"usock/internal/abi"
	"usock/internal/socket"
)

// Options implements socket.Proto.
func (p proto) Options() *socket.Options { return options }

// options are AF_UNIX's own rows (unix(7)).
var options = socket.NewOptions([]socket.Option{
	socket.IntOption(abi.SOL_SOCKET, abi.SO_ACCEPTCONN, func(s *socket.Socket) int {
		if pcb(s).state == listening {
			return 1
		}
		return 0
	}, nil),
	socket.BoolOption(abi.SOL_SOCKET, abi.SO_PASSCRED,
		func(s *socket.Socket) bool { return pcb(s).passCred },
		func(s *socket.Socket, on bool) error { pcb(s).passCred = on; return nil }),
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_PEERCRED,
		Get: func(s *socket.Socket, b []byte) ([]byte, error) { return pcb(s).peerCred.append(b), nil },
	},
	socket.IntOption(abi.SOL_SOCKET, abi.SO_PEEK_OFF,
		func(s *socket.Socket) int { return pcb(s).peekOff },
		func(s *socket.Socket, v int) error { pcb(s).peekOff = v; return nil }),
})
