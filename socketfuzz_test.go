package usock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/internal/abi"
)

// The bytes that a program hands to a socket: values of options, and control messages. What a call does with them must follow from them
// alone. So each input is carried out on two hosts that are the same, but for what lies behind the bytes that are handed over, and for
// what the program writes over them once the call has returned: all that the calls say must be the same.

// program is one of the two: a host, its sockets, and what it has been told.
type program struct {
	t     *testing.T
	h     *usock.Host
	clock *clock.Manual
	rest  byte // what lies behind its bytes
	socks []*usock.Socket
	told  []string
}

// behind is how many bytes lie behind those that a call is given.
const behind = 64

// lend calls f with a copy of b that a call must not look behind, nor write behind; what it may write in it is its affair. It returns the
// copy as the call has left it.
func (p *program) lend(b []byte, f func(b []byte)) []byte {
	p.t.Helper()
	room := bytes.Repeat([]byte{p.rest}, len(b)+behind)
	copy(room, b)
	f(room[:len(b)])
	left := bytes.Clone(room[:len(b)])
	for i, c := range room[len(b):] {
		if c != p.rest {
			p.t.Errorf("a byte %d behind the %d of a call was written", i, len(b))
			break
		}
	}
	for i := range room[:len(b)] {
		room[i] = ^p.rest // whoever has kept it sees this
	}
	return left
}

// tell notes what a call has said.
func (p *program) tell(format string, args ...any) {
	p.told = append(p.told, fmt.Sprintf(format, args...))
}

// number returns an error's number, which it must have.
func (p *program) number(what string, err error) syscall.Errno {
	p.t.Helper()
	var e syscall.Errno
	if err != nil && (!errors.As(err, &e) || e <= 0 || e > maxErrno) {
		p.t.Errorf("%s: %v is no errno", what, err)
	}
	return e
}

// maxErrno is the greatest number of an error that programs know (Linux, EHWPOISON).
const maxErrno = 133

// get asks for an option, with room that holds a question, and returns what is told.
func (p *program) get(s *usock.Socket, o abi.Option, question []byte) ([]byte, syscall.Errno) {
	p.t.Helper()
	var n int
	var err error
	b := p.lend(question, func(b []byte) { n, err = s.GetSockOpt(o.Level, o.Number, b) })
	e := p.number(o.Name, err)
	switch {
	case n < 0 || n > len(b), e != 0 && n != 0:
		p.t.Errorf("%s: %d bytes of %d, %v", o.Name, n, len(b), err)
		return nil, e
	case e != 0 && !bytes.Equal(b, question):
		p.t.Errorf("%s: %v, and the buffer was written", o.Name, e)
	}
	if o.Level == abi.SOL_SCTP && o.Number == abi.SCTP_GET_LOCAL_ADDRS && e == 0 {
		n += abi.Sizeof(&abi.SCTPGetaddrs{}) // which are not counted
	}
	return b[:n], e
}

// set sets an option.
func (p *program) set(s *usock.Socket, o abi.Option, v []byte) syscall.Errno {
	p.t.Helper()
	var err error
	left := p.lend(v, func(b []byte) { err = s.SetSockOpt(o.Level, o.Number, b) })
	if !bytes.Equal(left, v) && (o.Level != abi.SOL_IPV6 || o.Number != abi.IPV6_FLOWLABEL_MGR) {
		p.t.Errorf("%s: the value was written", o.Name)
	}
	return p.number(o.Name, err)
}

// kind is what socket(2) is asked for.
type kind struct{ domain, typ, protocol int }

// kinds are the sockets that have options of their own.
var kinds = []kind{
	{usock.AF_INET, usock.SOCK_STREAM, 0},
	{usock.AF_INET6, usock.SOCK_STREAM, 0},
	{usock.AF_INET, usock.SOCK_DGRAM, 0},
	{usock.AF_INET6, usock.SOCK_DGRAM, 0},
	{usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP},
	{usock.AF_INET6, usock.SOCK_SEQPACKET, usock.IPPROTO_SCTP},
	{usock.AF_INET, usock.SOCK_DGRAM, usock.IPPROTO_ICMP},
	{usock.AF_INET6, usock.SOCK_DGRAM, usock.IPPROTO_ICMPV6},
	{usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_ICMP},
	{usock.AF_INET6, usock.SOCK_RAW, usock.IPPROTO_ICMPV6},
	{usock.AF_INET6, usock.SOCK_RAW, usock.IPPROTO_UDP},
	{usock.AF_UNIX, usock.SOCK_STREAM, 0},
	{usock.AF_UNIX, usock.SOCK_DGRAM, 0},
	{usock.AF_UNIX, usock.SOCK_SEQPACKET, 0},
}

// newProgram has a socket of a kind, and a peer, which are each other's if connected.
func newProgram(t *testing.T, rest byte, kind int, privileged, connected bool) *program {
	p := &program{t: t, rest: rest, clock: new(clock.Manual)}
	p.h = newHost(t, usock.Config{Seed: 1, Clock: p.clock, Privileged: privileged})
	k := kinds[kind]
	open := func() *usock.Socket {
		s, err := p.h.Socket(k.domain, k.typ, k.protocol)
		if err != nil {
			return nil // for want of privilege
		}
		s.SetNonblock(true)
		p.socks = append(p.socks, s)
		return s
	}
	a, b := open(), open()
	if a == nil || !connected {
		return p
	}
	for i, s := range []*usock.Socket{a, b} {
		name := usock.Addr{Family: usock.AF_UNIX, Path: fmt.Sprintf("\x00%d", i)}
		switch k.domain {
		case usock.AF_INET:
			name = mustAddr(t, fmt.Sprintf("127.0.0.1:%d", 4000+i))
		case usock.AF_INET6:
			name = mustAddr(t, fmt.Sprintf("[::1]:%d", 4000+i))
		}
		if err := s.Bind(name); err != nil {
			t.Fatal(err)
		}
	}
	to, err := b.GetSockName()
	if err != nil {
		t.Fatal(err)
	}
	listens := b.Listen(1) == nil
	if err := a.Connect(to); err != nil && err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	if listens {
		if s, _, err := b.Accept(); err == nil {
			s.SetNonblock(true)
			p.socks = append(p.socks, s)
		}
	}
	return p
}

// script is a fuzzer's input as steps: each number is a byte, and 0 at the end.
type script []byte

func (s *script) next() int {
	if len(*s) == 0 {
		return 0
	}
	v := (*s)[0]
	*s = (*s)[1:]
	return int(v)
}

// bytes returns bytes with their number before them: up to 240 as they are, and behind that larger lengths, most of them zeros.
func (s *script) bytes() []byte {
	n := s.next()
	whole := n
	if n > 240 {
		n, whole = s.next(), (n-240)*64
	}
	n = min(n, len(*s), whole)
	b := make([]byte, whole)
	*s = (*s)[copy(b, (*s)[:n]):]
	return b
}

// option returns one of the options that are built, or any number at all.
func (s *script) option() abi.Option {
	n := s.next()
	if n < len(builtOptions) {
		return builtOptions[n]
	}
	return abi.Option{Level: s.next(), Number: s.next(), Name: "an option without name"}
}

var builtOptions = func() (list []abi.Option) {
	for _, o := range abi.Options {
		if o.Built {
			list = append(list, o)
		}
	}
	return list
}()

// changing are the options whose value, set as it was told, is told otherwise then: it is doubled, or is told of something else.
var changing = map[string]bool{"SO_RCVBUF": true, "SO_SNDBUF": true}

// The steps that an input has.
const (
	stepSet = iota
	stepGet
	stepEcho
	stepSend
	stepControl
	stepRecv
	stepPass
	stepKinds
)

// step carries out the next step of a script.
func (p *program) step(s *script) {
	p.t.Helper()
	op := s.next()
	k := p.socks[op/stepKinds%len(p.socks)]
	switch op % stepKinds {
	case stepSet:
		o, v := s.option(), s.bytes()
		room := make([]byte, 512)
		was, before := p.get(k, o, room)
		e := p.set(k, o, v)
		now, after := p.get(k, o, room)
		if e != 0 && o.Number != abi.SO_ERROR && (before != after || !bytes.Equal(was, now)) {
			p.t.Errorf("%s was refused with %v, and its value was %x, %v and is %x, %v", o.Name, e, was, before, now, after)
		}
		p.tell("set %s: %v, is %x, %v", o.Name, e, now, after)
	case stepGet:
		o := s.option()
		v, e := p.get(k, o, s.bytes())
		p.tell("get %s: %x, %v", o.Name, v, e)
	case stepEcho:
		o, room := s.option(), s.bytes()
		v, e := p.get(k, o, room)
		if e != 0 {
			p.tell("get %s: %v", o.Name, e)
			return
		}
		if e = p.set(k, o, v); e == 0 && !changing[o.Name] {
			if again, e := p.get(k, o, room); e != 0 || !bytes.Equal(v, again) {
				p.t.Errorf("%s was %x, was set to that, and is %x, %v", o.Name, v, again, e)
			}
		}
		p.tell("echo %s: %x, %v", o.Name, v, e)
	case stepSend:
		to, data, control := p.name(s), s.bytes(), s.bytes()
		p.send(k, to, data, control)
	case stepControl:
		to, data := p.name(s), s.bytes()
		var control []byte
		for n := s.next() % 4; n > 0; n-- {
			o := s.option()
			control = abi.AppendCmsg(control, o.Level, o.Number, s.bytes())
		}
		p.send(k, to, data, control)
	case stepRecv:
		size, room, flags := s.next(), s.next(), 0
		if size&1 != 0 {
			flags |= usock.MSG_ERRQUEUE
		}
		if size&2 != 0 {
			flags |= usock.MSG_PEEK
		}
		p.recv(k, size, room, flags)
	case stepPass:
		p.pass(time.Millisecond << (s.next() % 13))
	}
}

// pass has time pass. What is set of timers must not keep the host from its work.
func (p *program) pass(d time.Duration) {
	p.t.Helper()
	end, most := p.clock.Now()+d, 1000+100*int(d/time.Millisecond)
	for n := 0; ; n++ {
		at, ok := p.clock.Next()
		if !ok || at > end {
			break
		}
		if n > most {
			p.t.Fatalf("%d alarms within %v", n, d)
		}
		p.clock.Advance(max(0, at-p.clock.Now()))
	}
	p.clock.Advance(end - p.clock.Now())
	p.tell("%v pass", d)
}

// name returns where a step sends to: nowhere, to the second socket, or to what the script says.
func (p *program) name(s *script) (a usock.Addr) {
	switch s.next() {
	case 0:
	case 1:
		a, _ = p.socks[1].GetSockName()
	default:
		a, _ = usock.ParseSockaddr(s.bytes())
	}
	return a
}

func (p *program) send(k *usock.Socket, to usock.Addr, data, control []byte) {
	p.t.Helper()
	var n int
	var err error
	left := p.lend(control, func(control []byte) {
		p.lend(data, func(data []byte) {
			n, err = k.SendMsg(context.Background(), &usock.Msg{Name: to, Bufs: [][]byte{data}, Control: control}, usock.MSG_NOSIGNAL)
		})
	})
	if !bytes.Equal(left, control) {
		p.t.Error("the control messages of a send were written")
	}
	e := p.number("send", err)
	if _, bad := abi.ParseCmsgs(control); bad != nil && e == 0 && len(control) > 0 {
		p.t.Errorf("control messages that are none were taken: %x", control)
	}
	if n < 0 || n > len(data) {
		p.t.Errorf("%d bytes of %d were sent", n, len(data))
	}
	p.tell("send: %d, %v", n, e)
}

func (p *program) recv(k *usock.Socket, size, room, flags int) {
	p.t.Helper()
	m := usock.Msg{}
	var n int
	var err error
	var data []byte
	control := p.lend(make([]byte, room), func(control []byte) {
		data = p.lend(make([]byte, size), func(data []byte) {
			m.Bufs, m.Control = [][]byte{data}, control
			n, err = k.RecvMsg(context.Background(), &m, flags)
		})
	})
	e := p.number("receive", err)
	if len(m.Control) > room || n < 0 || n > size && flags&usock.MSG_TRUNC == 0 {
		p.t.Fatalf("%d of %d bytes, %d of %d of control messages", n, size, len(m.Control), room)
	}
	control = control[:len(m.Control)]
	if _, err := abi.ParseCmsgs(control); err != nil {
		p.t.Errorf("control messages that are none came: %x", control)
	}
	if e != 0 {
		n = 0
	}
	p.tell("receive: %x, %x, %v, %#x, %v", data[:min(n, size)], control, m.Name, m.Flags, e)
}

// carryOut has two programs carry a script out.
func carryOut(t *testing.T, kind int, privileged, connected bool, b []byte) {
	t.Helper()
	stuck := time.AfterFunc(time.Minute, func() { panic("a script does not end") })
	defer stuck.Stop()
	var ran [2]*program
	var last [2][]byte
	for i, rest := range []byte{0x5a, 0xa1} {
		p := newProgram(t, rest, kind, privileged, connected)
		ran[i] = p
		if len(p.socks) == 0 {
			return
		}
		for s := script(b); len(s) > 0; {
			p.step(&s)
		}
		last[i], _ = json.Marshal(p.h.Sockets())
		for _, s := range p.socks {
			s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, abi.AppendLinger(nil, abi.Linger{})) // no time passes any more
			s.Close()
		}
		p.h.Close()
	}
	for i, told := range ran[0].told {
		if other := ran[1].told[i]; told != other {
			t.Fatalf("call %d depends on what is not its own:\n%s\n%s", i, told, other)
		}
	}
	if !bytes.Equal(last[0], last[1]) {
		t.Errorf("the sockets depend on what is not theirs:\n%s\n%s", last[0], last[1])
	}
}

// Every option of every kind of socket is asked for, set to what it is, and set to values that are too short, or 1.
func TestSocketBytesOfOptions(t *testing.T) {
	for kind := range kinds {
		var b []byte
		for i := range builtOptions {
			b = append(b, stepEcho, byte(i), 244, 0, stepSet, byte(i), 4, 1, 0, 0, 0, stepGet, byte(i), 3, stepSet, byte(i), 0, stepSet, byte(i), 1, 1,
				stepSend, 1, 1, 'x', 0, stepPass, 9)
			if i%16 == 15 || i == len(builtOptions)-1 {
				carryOut(t, kind, true, true, b)
				carryOut(t, kind, false, false, b)
				b = b[:0]
			}
		}
	}
}

// FuzzSocketBytes carries scripts out.
func FuzzSocketBytes(f *testing.F) {
	number := func(name string) byte {
		return byte(slices.IndexFunc(builtOptions, func(o abi.Option) bool { return o.Name == name }))
	}
	for kind, name := range []string{
		"TCP_CONGESTION", "IPV6_TCLASS", "IP_ADD_MEMBERSHIP", "IPV6_PKTINFO", "SCTP_SOCKOPT_BINDX_ADD", "SCTP_PEER_ADDR_PARAMS", "IP_TTL",
		"IPV6_FLOWLABEL_MGR", "SO_ATTACH_FILTER", "ICMPV6_FILTER", "MCAST_MSFILTER", "SO_PASSCRED", "SO_LINGER", "SO_RCVTIMEO",
	} {
		n := number(name)
		f.Add(kind, true, true, []byte{
			stepEcho, n, 243, 0, stepSet, n, 8, 1, 0, 0, 0, 2, 0, 0, 0, stepGet, n, 3,
			stepControl, 1, 5, 'h', 'e', 'l', 'l', 'o', 1, n, 4, 1, 0, 0, 0,
			stepSend, 0, 2, 'h', 'i', 16, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0,
			stepRecv + stepKinds, 16, 100, stepRecv + 2*stepKinds, 16, 100,
		})
	}
	const most = 400 // that the search does not go for length
	f.Fuzz(func(t *testing.T, kind int, privileged, connected bool, b []byte) {
		carryOut(t, int(uint(kind)%uint(len(kinds))), privileged, connected, b[:min(len(b), most)])
	})
}
