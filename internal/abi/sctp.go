package abi

// SCTPInitmsg is struct sctp_initmsg: SCTP_INITMSG, and the control message SCTP_INIT.
type SCTPInitmsg struct {
	NumOstreams, MaxInstreams, MaxAttempts uint16
	MaxInitTimeo                           uint16 // ms
}

func (x *SCTPInitmsg) layout(c *coder) {
	c.u16(&x.NumOstreams, &x.MaxInstreams, &x.MaxAttempts, &x.MaxInitTimeo)
}

// SCTPSndrcvinfo is struct sctp_sndrcvinfo: the control message SCTP_SNDRCV, and
// SCTP_DEFAULT_SEND_PARAM.
type SCTPSndrcvinfo struct {
	Stream, Ssn, Flags uint16
	PPID               uint32 // as in the packet: programs swap it
	Context            uint32
	Timetolive         uint32 // ms
	TSN, Cumtsn        uint32
	AssocID            int32
}

func (x *SCTPSndrcvinfo) layout(c *coder) {
	c.u16(&x.Stream, &x.Ssn, &x.Flags)
	c.be32(&x.PPID)
	c.u32(&x.Context, &x.Timetolive, &x.TSN, &x.Cumtsn)
	c.i32(&x.AssocID)
}

// SCTPSndinfo is struct sctp_sndinfo: the control message SCTP_SNDINFO, and SCTP_DEFAULT_SNDINFO.
type SCTPSndinfo struct {
	SID, Flags    uint16
	PPID, Context uint32
	AssocID       int32
}

func (x *SCTPSndinfo) layout(c *coder) {
	c.u16(&x.SID, &x.Flags)
	c.be32(&x.PPID)
	c.u32(&x.Context)
	c.i32(&x.AssocID)
}

// SCTPRcvinfo is struct sctp_rcvinfo: the control message SCTP_RCVINFO.
type SCTPRcvinfo struct {
	SID, Ssn, Flags            uint16
	PPID, TSN, Cumtsn, Context uint32
	AssocID                    int32
}

func (x *SCTPRcvinfo) layout(c *coder) {
	c.u16(&x.SID, &x.Ssn, &x.Flags)
	c.be32(&x.PPID)
	c.u32(&x.TSN, &x.Cumtsn, &x.Context)
	c.i32(&x.AssocID)
}

// SCTPNxtinfo is struct sctp_nxtinfo: the control message SCTP_NXTINFO.
type SCTPNxtinfo struct {
	SID, Flags   uint16
	PPID, Length uint32
	AssocID      int32
}

func (x *SCTPNxtinfo) layout(c *coder) {
	c.u16(&x.SID, &x.Flags)
	c.be32(&x.PPID)
	c.u32(&x.Length)
	c.i32(&x.AssocID)
}

// SCTPPrinfo is struct sctp_prinfo: the control message SCTP_PRINFO.
type SCTPPrinfo struct {
	Policy uint16
	Value  uint32
}

func (x *SCTPPrinfo) layout(c *coder) {
	c.u16(&x.Policy)
	c.u32(&x.Value)
}

// SCTPAuthinfo is struct sctp_authinfo: the control message SCTP_AUTHINFO.
type SCTPAuthinfo struct{ Keynumber uint16 }

func (x *SCTPAuthinfo) layout(c *coder) { c.u16(&x.Keynumber) }

// SCTPNotification is what every notification begins with.
type SCTPNotification struct {
	Type, Flags uint16
	Length      uint32 // of the whole
}

func (x *SCTPNotification) layout(c *coder) {
	c.u16(&x.Type, &x.Flags)
	c.u32(&x.Length)
}

// Header returns x: what a notification begins with.
func (x *SCTPNotification) Header() *SCTPNotification { return x }

// Notification is one of the notifications of SCTP, without what is of variable length at its end.
type Notification interface {
	Layout
	Header() *SCTPNotification
}

// AppendNotification appends a notification with its rest, and sets its length.
func AppendNotification(b []byte, n Notification, rest []byte) []byte {
	n.Header().Length = uint32(Sizeof(n) + len(rest))
	return append(AppendStruct(b, n), rest...)
}

// SCTPAssocChange is struct sctp_assoc_change. Behind it lies what an ABORT has said.
type SCTPAssocChange struct {
	SCTPNotification
	State, Error, OutboundStreams, InboundStreams uint16
	AssocID                                       int32
}

func (x *SCTPAssocChange) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u16(&x.State)
	c.be16(&x.Error) // a cause code, as in the packet
	c.u16(&x.OutboundStreams, &x.InboundStreams)
	c.i32(&x.AssocID)
}

// SCTPPaddrChange is struct sctp_paddr_change.
type SCTPPaddrChange struct {
	SCTPNotification
	Addr                  Addr
	State, Error, AssocID int32
}

func (x *SCTPPaddrChange) layout(c *coder) {
	c.packed = true
	x.SCTPNotification.layout(c)
	c.storage(&x.Addr)
	c.i32(&x.State, &x.Error, &x.AssocID)
}

// SCTPRemoteError is struct sctp_remote_error. Behind it lies the error's cause, as it came.
type SCTPRemoteError struct {
	SCTPNotification
	Error   uint16
	AssocID int32
}

func (x *SCTPRemoteError) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.be16(&x.Error)
	c.i32(&x.AssocID)
}

// SCTPSendFailed is struct sctp_send_failed. Behind it lies the message.
type SCTPSendFailed struct {
	SCTPNotification
	Error   uint32
	Info    SCTPSndrcvinfo
	AssocID int32
}

func (x *SCTPSendFailed) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u32(&x.Error)
	c.part(&x.Info)
	c.i32(&x.AssocID)
}

// SCTPSendFailedEvent is struct sctp_send_failed_event. Behind it lies the message.
type SCTPSendFailedEvent struct {
	SCTPNotification
	Error   uint32
	Info    SCTPSndinfo
	AssocID int32
}

func (x *SCTPSendFailedEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u32(&x.Error)
	c.part(&x.Info)
	c.i32(&x.AssocID)
}

// SCTPShutdownEvent is struct sctp_shutdown_event, and struct sctp_sender_dry_event.
type SCTPShutdownEvent struct {
	SCTPNotification
	AssocID int32
}

func (x *SCTPShutdownEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.i32(&x.AssocID)
}

// SCTPAdaptationEvent is struct sctp_adaptation_event.
type SCTPAdaptationEvent struct {
	SCTPNotification
	AdaptationInd uint32
	AssocID       int32
}

func (x *SCTPAdaptationEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u32(&x.AdaptationInd)
	c.i32(&x.AssocID)
}

// SCTPPdapiEvent is struct sctp_pdapi_event.
type SCTPPdapiEvent struct {
	SCTPNotification
	Indication  uint32
	AssocID     int32
	Stream, Seq uint32
}

func (x *SCTPPdapiEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u32(&x.Indication)
	c.i32(&x.AssocID)
	c.u32(&x.Stream, &x.Seq)
}

// SCTPAuthkeyEvent is struct sctp_authkey_event.
type SCTPAuthkeyEvent struct {
	SCTPNotification
	Keynumber, Altkeynumber uint16
	Indication              uint32
	AssocID                 int32
}

func (x *SCTPAuthkeyEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.u16(&x.Keynumber, &x.Altkeynumber)
	c.u32(&x.Indication)
	c.i32(&x.AssocID)
}

// SCTPStreamResetEvent is struct sctp_stream_reset_event. Behind it lie the streams, 16 bits each.
type SCTPStreamResetEvent struct {
	SCTPNotification
	AssocID int32
}

func (x *SCTPStreamResetEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.i32(&x.AssocID)
}

// SCTPAssocResetEvent is struct sctp_assoc_reset_event.
type SCTPAssocResetEvent struct {
	SCTPNotification
	AssocID             int32
	LocalTSN, RemoteTSN uint32
}

func (x *SCTPAssocResetEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.i32(&x.AssocID)
	c.u32(&x.LocalTSN, &x.RemoteTSN)
}

// SCTPStreamChangeEvent is struct sctp_stream_change_event.
type SCTPStreamChangeEvent struct {
	SCTPNotification
	AssocID           int32
	Instrms, Outstrms uint16
}

func (x *SCTPStreamChangeEvent) layout(c *coder) {
	x.SCTPNotification.layout(c)
	c.i32(&x.AssocID)
	c.u16(&x.Instrms, &x.Outstrms)
}
