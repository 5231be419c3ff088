package inet

import (
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/packet"
)

// sctpControl is what the control messages of a send say (Linux, struct sctp_cmsgs).
type sctpControl struct {
	init  *abi.SCTPInitmsg
	info  *abi.SCTPSndrcvinfo // of SCTP_SNDRCV and SCTP_SNDINFO, which comes first
	snd   bool                // it is of SCTP_SNDINFO
	timed bool                // it has the time to live of SCTP_SNDRCV
	pr    *abi.SCTPPrinfo
	auth  *abi.SCTPAuthinfo
	peers []abi.Cmsg // SCTP_DSTADDRV4 and SCTP_DSTADDRV6
}

// sendFlags are what a program may ask for of a message.
const sendFlags = abi.SCTP_UNORDERED | abi.SCTP_ADDR_OVER | abi.SCTP_SACK_IMMEDIATELY | abi.SCTP_SENDALL |
	abi.SCTP_PR_SCTP_MASK | abi.SCTP_ABORT | abi.SCTP_EOF

// parseSCTPControl reads the control messages of a send (Linux, sctp_msghdr_parse).
func (t *sctpProto) parseSCTPControl(s *socket.Socket, b []byte) (c sctpControl, err error) {
	if len(b) == 0 {
		return c, nil
	}
	list, err := abi.ParseCmsgs(b)
	if err != nil {
		return c, err
	}
	for _, m := range list {
		if m.Level != abi.SOL_SCTP {
			continue
		}
		if err := c.parse(m); err != nil {
			return c, err
		}
	}
	return c, nil
}

// exact reads the structure that is all of b.
func exact(b []byte, v abi.Layout) error {
	if len(b) != abi.Sizeof(v) {
		return syscall.EINVAL
	}
	return abi.ParseStruct(b, v)
}

func (c *sctpControl) parse(m abi.Cmsg) error {
	switch m.Type {
	case abi.SCTP_INIT:
		c.init = new(abi.SCTPInitmsg)
		return exact(m.Data, c.init)
	case abi.SCTP_SNDRCV:
		var v abi.SCTPSndrcvinfo
		if err := exact(m.Data, &v); err != nil {
			return err
		}
		if int(v.Flags)&^sendFlags != 0 {
			return syscall.EINVAL
		}
		if c.timed = true; !c.snd {
			c.info = &v
		} else {
			c.info.Timetolive = v.Timetolive
		}
	case abi.SCTP_SNDINFO:
		var v abi.SCTPSndinfo
		if err := exact(m.Data, &v); err != nil {
			return err
		}
		if int(v.Flags)&^sendFlags != 0 {
			return syscall.EINVAL
		}
		life := uint32(0)
		if c.info != nil {
			life = c.info.Timetolive
		}
		c.snd = true
		c.info = &abi.SCTPSndrcvinfo{
			Stream: v.SID, Flags: v.Flags, PPID: v.PPID, Context: v.Context, Timetolive: life, AssocID: v.AssocID,
		}
	case abi.SCTP_PRINFO:
		c.pr = new(abi.SCTPPrinfo)
		if err := exact(m.Data, c.pr); err != nil {
			return err
		}
		if c.pr.Policy&^abi.SCTP_PR_SCTP_MASK != 0 {
			return syscall.EINVAL
		}
		if c.pr.Policy == abi.SCTP_PR_SCTP_NONE {
			c.pr.Value = 0
		}
	case abi.SCTP_AUTHINFO:
		c.auth = new(abi.SCTPAuthinfo)
		return exact(m.Data, c.auth)
	case abi.SCTP_DSTADDRV4, abi.SCTP_DSTADDRV6:
		c.peers = append(c.peers, m)
	default:
		return syscall.EINVAL
	}
	return nil
}

// sctpMessage is a message that is to be sent.
type sctpMessage struct {
	sctpControl
	n       int // bytes
	flags   int // SCTP_*
	stream  uint16
	ppid    uint32
	context uint32
	life    uint32 // ms, or the value of a policy
	id      int32
	dst     netip.AddrPort // not valid: that of the association
}

// parseSend reads what a send asks for (Linux, sctp_sendmsg_parse and sctp_sendmsg_get_daddr).
func (t *sctpProto) parseSend(e *sctpEndpoint, m *socket.Msg) (w sctpMessage, err error) {
	if e.one() && e.stage == sctpListening {
		return w, syscall.EPIPE
	}
	for _, v := range m.Data {
		w.n += v.Len()
	}
	if w.n > int(e.s.Opt.SndBuf) {
		return w, syscall.EMSGSIZE
	}
	if w.sctpControl, err = t.parseSCTPControl(e.s, m.Control); err != nil {
		return w, err
	}
	if c := w.info; c != nil {
		w.stream, w.flags, w.ppid, w.context, w.life, w.id = c.Stream, int(c.Flags), c.PPID, c.Context, c.Timetolive, c.AssocID
	}
	if w.pr != nil {
		w.life = w.pr.Value
		w.flags = w.flags&^abi.SCTP_PR_SCTP_MASK | int(w.pr.Policy)
	}
	ends := w.flags&(abi.SCTP_EOF|abi.SCTP_ABORT) != 0
	switch {
	case w.flags == 0 && w.n > 0:
	case e.one() && ends,
		w.flags&abi.SCTP_EOF != 0 && w.n > 0,
		!ends && w.n == 0,
		w.flags&abi.SCTP_ADDR_OVER != 0 && !m.HasAddr:
		return w, syscall.EINVAL
	}
	if m.HasAddr && !e.peeled {
		dst, err := t.peerAddr(e, m.Addr)
		if err != nil {
			return w, err
		}
		w.dst = netip.AddrPortFrom(dst, m.Addr.Port)
	}
	return w, nil
}

// Send implements socket.Proto (Linux, sctp_sendmsg).
//
// A message that opens an association is queued at once, and the call waits for the outcome, of which
// it says nothing: m.Sender is the association then.
func (t *sctpProto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := sctpOf(s)
	if x, ok := m.Sender.(*sctpAssoc); ok && m.Waited {
		return t.opened(x, m)
	}
	m.Sender = nil
	n, err := t.send(e, m)
	if err == syscall.EPIPE {
		if pending := s.TakeErr(); pending != nil {
			err = pending
		}
	}
	return n, err
}

// opened is Send of a message that has opened x.
func (t *sctpProto) opened(x *sctpAssoc, m *socket.Msg) (int, error) {
	n := int(m.Base)
	if x.state == sctp.CookieWait || x.state == sctp.CookieEchoed {
		m.Opening, m.Len = syscall.EAGAIN, n
		return 0, syscall.EAGAIN
	}
	return n, nil
}

func (t *sctpProto) send(e *sctpEndpoint, m *socket.Msg) (int, error) {
	w, err := t.parseSend(e, m)
	if err != nil {
		return 0, err
	}
	if w.flags&abi.SCTP_SENDALL != 0 && e.many {
		return t.sendAll(e, m, &w)
	}
	var x *sctpAssoc
	opens := false
	switch {
	case w.dst.IsValid():
		if x = t.findOf(e, w.dst); x == nil {
			opens = true
			if x, err = t.openFor(e, m, &w); err != nil {
				return 0, err
			}
		}
	default:
		if x = e.assoc(w.id); x == nil {
			return 0, syscall.EPIPE
		}
	}
	if !opens {
		if done, err := t.ends(x, m, &w); done {
			return 0, err
		}
	}
	n, err := t.queue(x, m, &w)
	switch {
	case err != nil && opens:
		t.update(x, x.core.Abort(t.now(), nil))
	case err == nil && opens && m.Flags&abi.MSG_DONTWAIT == 0:
		m.Sender, m.Base = x, uint64(n)
		return t.opened(x, m)
	}
	return n, err
}

// openFor opens the association that a message is the first of (Linux, sctp_sendmsg_new_asoc).
func (t *sctpProto) openFor(e *sctpEndpoint, m *socket.Msg, w *sctpMessage) (*sctpAssoc, error) {
	switch {
	case w.flags&(abi.SCTP_EOF|abi.SCTP_ABORT) != 0:
		return nil, syscall.EINVAL
	case e.one() && e.stage != sctpClosed:
		return nil, syscall.EADDRNOTAVAIL
	}
	opts := e.options
	if w.init != nil {
		o := *opts
		setInit(&o, w.init)
		opts = &o
	}
	peers := []abi.Addr{m.Addr}
	for _, k := range w.peers {
		a := abi.Addr{Port: m.Addr.Port}
		switch {
		case k.Type == abi.SCTP_DSTADDRV4 && len(k.Data) >= 4:
			a.Family, a.IP = abi.AF_INET, netip.AddrFrom4([4]byte(k.Data[:4]))
		case k.Type == abi.SCTP_DSTADDRV6 && len(k.Data) >= 16:
			a.Family, a.IP = abi.AF_INET6, netip.AddrFrom16([16]byte(k.Data[:16]))
		default:
			return nil, syscall.EINVAL
		}
		peers = append(peers, a)
	}
	p, err := t.reach(e, peers, opts)
	switch {
	case err != nil:
		return nil, err
	case w.stream >= opts.OutStreams:
		return nil, syscall.EINVAL
	}
	return t.open(e, p), nil
}

// ends does what the flags of a message say of its association's end, and reports whether that was all
// (Linux, sctp_sendmsg_check_sflags).
func (t *sctpProto) ends(x *sctpAssoc, m *socket.Msg, w *sctpMessage) (done bool, err error) {
	switch {
	case x.core.State() == sctp.Closed && x.e.one():
		return true, syscall.EPIPE
	case w.flags&abi.SCTP_SENDALL != 0 && x.e.many && x.core.State() != sctp.Established:
		return true, nil
	case w.flags&abi.SCTP_EOF != 0:
		t.update(x, x.core.Shutdown(t.now()))
		packet.ReleaseAll(m.Data)
		m.Data = m.Data[:0]
		return true, nil
	case w.flags&abi.SCTP_ABORT != 0:
		var reason []byte
		for _, v := range m.Data {
			reason = append(reason, v.Bytes()...)
		}
		t.update(x, x.core.Abort(t.now(), reason))
		packet.ReleaseAll(m.Data)
		m.Data = m.Data[:0]
		return true, nil
	}
	return false, nil
}

// queue hands a message over to the core (Linux, sctp_sendmsg_update_sinfo and sctp_sendmsg_to_asoc).
func (t *sctpProto) queue(x *sctpAssoc, m *socket.Msg, w *sctpMessage) (int, error) {
	e := x.e
	info := x.info(w)
	info.More = m.Flags&abi.MSG_MORE != 0
	if w.auth != nil {
		info.Key, info.HasKey = w.auth.Keynumber, true
	}
	if w.dst.IsValid() && (e.one() || w.flags&abi.SCTP_ADDR_OVER != 0) {
		info.Dst = w.dst.Addr()
	}
	f := t.faultyOf(x)
	switch {
	case w.auth != nil && !x.core.AuthKeyFor(w.auth.Keynumber):
		return 0, syscall.EINVAL
	case x.core.Options().NoFragment && w.n > x.core.FragmentPoint():
		return 0, syscall.EMSGSIZE
	case x.state >= sctp.ShutdownPending:
		return 0, syscall.ESHUTDOWN
	case f != nil && f.full():
		return 0, syscall.EAGAIN
	case e.space() <= 0 && !t.cfg.SndBufPolicy, x.core.SendSpace() <= 0:
		return 0, syscall.EAGAIN
	}
	ev, errno := x.core.Send(t.now(), &info, m.Data)
	if errno != 0 {
		return 0, errno
	}
	m.Data = m.Data[:0]
	e.txBytes += uint64(w.n)
	t.carried(x, 0, w.n)
	if f != nil {
		f.sent += uint64(w.n)
	}
	t.update(x, ev)
	return w.n, nil
}

// info is what the core is told of a message: what it says itself, or the association's defaults.
func (x *sctpAssoc) info(w *sctpMessage) sctp.SendInfo {
	d := &x.core.Options().Default
	info := sctp.SendInfo{Stream: w.stream, PPID: w.ppid, Context: w.context}
	flags, life := w.flags, w.life
	if w.info == nil {
		info.Stream, info.PPID, info.Context = d.Stream, d.PPID, d.Context
		if w.pr == nil {
			flags = int(x.flags)
		}
	}
	if !w.timed && w.pr == nil {
		life = x.timeToLive
	}
	info.Unordered = flags&abi.SCTP_UNORDERED != 0
	info.SackNow = flags&abi.SCTP_SACK_IMMEDIATELY != 0
	info.PR, info.PRValue = sctp.PRPolicy(flags&abi.SCTP_PR_SCTP_MASK), life
	if info.PR == sctp.PRNone && life != 0 {
		info.PR = sctp.PRTTL
	}
	return info
}

// sendAll sends a message to every association of a socket of one-to-many style (SCTP_SENDALL).
func (t *sctpProto) sendAll(e *sctpEndpoint, m *socket.Msg, w *sctpMessage) (int, error) {
	data := m.Data
	n, err := 0, error(nil)
	for x := e.assocs; x != nil && err == nil; {
		next := x.next
		m.Data = append([]packet.View(nil), data...)
		for _, v := range m.Data {
			v.Retain()
		}
		done := false
		if done, err = t.ends(x, m, w); !done {
			var k int
			k, err = t.queue(x, m, w)
			n = max(n, k)
		}
		packet.ReleaseAll(m.Data)
		x = next
	}
	m.Data = data
	if err == nil {
		packet.ReleaseAll(m.Data)
		m.Data = m.Data[:0]
	}
	return n, err
}
