//go:build linux

package uml

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// header is a struct msghdr about one buffer.
func header(data, name, control []byte) *unix.Msghdr {
	h := &unix.Msghdr{}
	if len(data) > 0 {
		iov := &unix.Iovec{Base: &data[0]}
		iov.SetLen(len(data))
		h.Iov, h.Iovlen = iov, 1
	}
	if len(name) > 0 {
		h.Name, h.Namelen = &name[0], uint32(len(name))
	}
	if len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	return h
}

func message(nr uintptr, fd int, h *unix.Msghdr, flags int) (int64, error) {
	for {
		n, _, err := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags))
		switch err {
		case 0:
			return int64(n), nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// sendMessage is sendmsg(2).
func sendMessage(r *request, out *response) (err error) {
	out.N, err = message(unix.SYS_SENDMSG, r.FD, header(r.Data, r.Addr, r.Control), r.A)
	return err
}

// receiveMessage is recvmsg(2), of r.B bytes at most with room for r.C bytes of control messages.
func receiveMessage(r *request, out *response) (err error) {
	if err := wait(r, unix.POLLIN); err != nil {
		return err
	}
	data, name, control := make([]byte, r.B), make([]byte, 128), make([]byte, r.C)
	h := header(data, name, control)
	if out.N, err = message(unix.SYS_RECVMSG, r.FD, h, r.A); err != nil {
		return err
	}
	out.Data, out.Addr = data[:min(int(out.N), len(data))], name[:min(int(h.Namelen), len(name))]
	out.Control, out.Flags = control[:h.Controllen], int(h.Flags)
	return nil
}

// Message is what sendmsg and recvmsg carry.
type Message struct {
	Data, Control []byte
	Addr          abi.Addr // of no family: none
	Flags         int
}

// SendMsg sends a message.
func (s *Socket) SendMsg(m Message) (int, error) {
	r := request{Op: "sendmsg", FD: s.fd, Data: m.Data, Control: m.Control, A: m.Flags | unix.MSG_NOSIGNAL}
	if m.Addr.Family != abi.AF_UNSPEC {
		r.Addr = abi.AppendAddr(nil, m.Addr)
	}
	out, err := s.m.call(r)
	return int(out.N), err
}

// RecvMsg receives at most n bytes, with control messages.
func (s *Socket) RecvMsg(n, flags int) (Message, error) {
	out, err := s.m.call(request{Op: "recvmsg", FD: s.fd, A: flags, B: n, C: 512, Millis: limit})
	if err != nil {
		return Message{}, err
	}
	m := Message{Data: out.Data, Control: out.Control, Flags: out.Flags}
	if len(out.Addr) > 0 {
		m.Addr, err = abi.ParseAddr(out.Addr)
	}
	return m, err
}

// Ask returns an option of at most n bytes, whose question begins with v.
func (s *Socket) Ask(level, name int, v []byte, n int) ([]byte, error) {
	r, err := s.m.call(request{Op: "get", FD: s.fd, A: level, B: name, C: n, Data: v})
	return r.Data, err
}
