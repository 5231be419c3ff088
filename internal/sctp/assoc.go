package sctp

import (
	"net/netip"
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/packet"
)

// Assoc is one association.
type Assoc struct{}

// Endpoint is what answers packets on a port without keeping anything.
type Endpoint struct {
	Config  *Config
	Port    uint16
	Local   []netip.Addr // addresses that associations have at this end: those bound, or all of the host
	Options Options      // of associations that peers open
	Listen  bool         // associations that peers open are welcome
}

// Answer takes a packet for which there is no association. It returns the association that the packet
// brings about, which the owner then treats as if he had called Packet; and whether *out is to be sent.
func (e *Endpoint) Answer(now time.Duration, in *In, out *Out) (a *Assoc, send bool) {
	return nil, false
}

// OutOfTheBlue answers a packet to a port on which there is no endpoint (RFC 9260, section 8.4).
func OutOfTheBlue(in *In, out *Out) (send bool) { return false }

// Addrs calls f with the addresses that an INIT, INIT ACK or ASCONF at the packet's start names: an
// association that is not found by the source address may be by one of these (RFC 9260, section 5.1.2).
func (in *In) Addrs(f func(netip.Addr) bool) {}

// Connect opens the association: INIT is sent.
func (a *Assoc) Connect(now time.Duration, e *Endpoint, p *Params) wait.Events { return 0 }

// Packet takes a packet from the association's peer, or an INIT that names one of his addresses. The
// references of in.Body pass to the association.
func (a *Assoc) Packet(now time.Duration, in *In) wait.Events { return 0 }

// ICMP takes an ICMP error.
func (a *Assoc) ICMP(now time.Duration, e *ICMPError) wait.Events { return 0 }

// Expire is called when Deadline has passed.
func (a *Assoc) Expire(now time.Duration) wait.Events { return 0 }

// Deadline returns when Expire is to be called; timer.Never: not at all.
func (a *Assoc) Deadline() time.Duration { return 0 }

// Unrouted returns an address of the peer whose route the association has to know, if any.
func (a *Assoc) Unrouted() (dst netip.Addr, ok bool) { return dst, false }

// SetRoute says how dst is reached: from which address, not valid where there is no route, and with
// which MTU. The owner calls it anew when routes change.
func (a *Assoc) SetRoute(dst, src netip.Addr, mtu int) {}

// Poll builds the next packet into *out, or declines.
func (a *Assoc) Poll(now time.Duration, out *Out) bool { return false }

// Send queues a message, whose references pass to the association if it returns no error: EAGAIN
// where there is no room (SendSpace), EMSGSIZE, EINVAL for a stream that there is not, EPIPE.
func (a *Assoc) Send(now time.Duration, info *SendInfo, data []packet.View) (wait.Events, syscall.Errno) {
	return 0, 0
}

// SendSpace returns how many bytes of messages fit into the send buffer.
func (a *Assoc) SendSpace() int { return 0 }

// Recv takes up to n bytes of the message at the head of the queue and appends their views, which the
// caller owns, to dst; or it takes the notification there. It reports false if there is neither.
func (a *Assoc) Recv(now time.Duration, n int, dst []packet.View) (views []packet.View, r Received, ok bool) {
	return dst, r, false
}

// Peek is Recv of what stays in the queue.
func (a *Assoc) Peek(n int, dst []packet.View) (views []packet.View, r Received, ok bool) {
	return dst, r, false
}

// Queued returns how many messages and notifications, or parts of a message that is partially
// delivered, have come to the head of the queue since the association began: with it an owner of
// several associations keeps the order among them.
func (a *Assoc) Queued() uint64 { return 0 }

// Shutdown ends the association once all that was sent is acknowledged.
func (a *Assoc) Shutdown(now time.Duration) wait.Events { return 0 }

// Abort ends the association with an ABORT that carries the reason (User-Initiated Abort).
func (a *Assoc) Abort(now time.Duration, reason []byte) wait.Events { return 0 }

// Release frees everything that the association holds. It is CLOSED afterwards.
func (a *Assoc) Release() {}

// State returns the state.
func (a *Assoc) State() State { return 0 }

// Ready returns what can be done now.
func (a *Assoc) Ready() wait.Events { return 0 }

// TakeError returns the pending error and forgets it.
func (a *Assoc) TakeError() syscall.Errno { return 0 }

// Options returns the options.
func (a *Assoc) Options() *Options { return nil }

// Status returns what SCTP_STATUS tells.
func (a *Assoc) Status() Status { return Status{} }

// Ports returns this end's and the peer's port.
func (a *Assoc) Ports() (port, peer uint16) { return 0, 0 }

// Tags returns this end's verification tag, which arriving packets carry, and the peer's.
func (a *Assoc) Tags() (tag, peer uint32) { return 0, 0 }

// Peers returns the peer's addresses, the primary path's first. The owner looks at it after each call
// of which AddrsChanged says so.
func (a *Assoc) Peers(dst []netip.Addr) []netip.Addr { return dst }

// AddrsChanged reports whether Peers has changed since it was last called.
func (a *Assoc) AddrsChanged() bool { return false }

// Local returns the addresses of this end that the peer knows.
func (a *Assoc) Local() []netip.Addr { return nil }

// Path returns what is known of the path to an address of the peer, false if there is none; an
// address that is not valid is the primary path's.
func (a *Assoc) Path(addr netip.Addr) (PathInfo, bool) { return PathInfo{}, false }

// SetPath changes the parameters of the path to addr, of all paths if addr is not valid.
func (a *Assoc) SetPath(now time.Duration, addr netip.Addr, o *PathOptions) syscall.Errno { return 0 }

// SetPrimary makes the path to addr the primary one.
func (a *Assoc) SetPrimary(now time.Duration, addr netip.Addr) syscall.Errno { return 0 }

// Heartbeat sends a HEARTBEAT to addr now (SPP_HB_DEMAND).
func (a *Assoc) Heartbeat(now time.Duration, addr netip.Addr) syscall.Errno { return 0 }
