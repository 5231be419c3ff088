package unix

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Cred is struct ucred: who a process is.
type Cred struct {
	PID      int32
	UID, GID uint32
}

const (
	// nobody is the user of a socket without peer: (uid_t)-1.
	nobody = ^uint32(0)
	// overflow is the user that stands for one without number here
	// (kernel.overflowuid).
	overflow = 65534

	scmRights      = 1
	scmCredentials = 2
	sizeofCred     = 12
	maxRights      = 253 // SCM_MAX_FD
)

func (c Cred) append(b []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(c.PID))
	b = binary.NativeEndian.AppendUint32(b, c.UID)
	return binary.NativeEndian.AppendUint32(b, c.GID)
}

func parseCred(b []byte) Cred {
	return Cred{
		PID: int32(binary.NativeEndian.Uint32(b)),
		UID: binary.NativeEndian.Uint32(b[4:]),
		GID: binary.NativeEndian.Uint32(b[8:]),
	}
}

// own returns who acts through e.
func (e *endpoint) own() Cred {
	c := e.cred
	if e.sock != nil && e.sock.Owner.Load() != 0 {
		c.PID = e.sock.Owner.Load()
	}
	return c
}

// signature says who sent a message, if anyone asked when it was sent.
type signature struct {
	cred Cred
	has  bool
}

// control reads what a send says beside its data: credentials that it states.
//
// SCM_RIGHTS passes descriptors, which a library has none of: no number in it
// names an open one, which is EBADF.
func (e *endpoint) control(b []byte) (signature, error) {
	msgs, err := abi.ParseCmsgs(b)
	if err != nil {
		return signature{}, err
	}
	var by signature
	for _, m := range msgs {
		if m.Level != abi.SOL_SOCKET {
			continue
		}
		switch m.Type {
		case scmRights:
			if n := len(m.Data) / 4; n > maxRights {
				return signature{}, syscall.EINVAL
			} else if n > 0 {
				return signature{}, syscall.EBADF
			}
		case scmCredentials:
			if len(m.Data) != sizeofCred {
				return signature{}, syscall.EINVAL
			}
			by = signature{parseCred(m.Data), true}
			if !e.mayState(by.cred) {
				return signature{}, syscall.EPERM
			}
		default:
			return signature{}, syscall.EINVAL
		}
	}
	return by, nil
}

// mayState reports whether the program may state these credentials (Linux,
// scm_check_creds).
func (e *endpoint) mayState(c Cred) bool {
	own, capable := e.own(), e.domain.config.Capable
	return (c.PID == own.PID || capable(abi.CAP_SYS_ADMIN)) &&
		(c.UID == own.UID || capable(abi.CAP_SETUID)) &&
		(c.GID == own.GID || capable(abi.CAP_SETGID))
}

// sign returns the signature of what e sends to o: what the send states, or the
// sender's own if either end asks for it.
func (e *endpoint) sign(by signature, o *endpoint) signature {
	if !by.has && (e.passCred || o.passCred) {
		return signature{e.own(), true}
	}
	return by
}

// attach appends the sender's credentials to what is received, where SO_PASSCRED
// asks for them.
func (e *endpoint) attach(out *socket.Msg, by signature) {
	if !e.passCred || !out.Want || len(out.Control) > 0 {
		return
	}
	c := Cred{UID: overflow, GID: overflow}
	if by.has {
		c = by.cred
	}
	out.Control = abi.AppendCmsg(out.Control, abi.SOL_SOCKET, scmCredentials, c.append(nil))
}
