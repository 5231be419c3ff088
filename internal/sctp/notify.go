package sctp

import "net/netip"

// EventType is the type of a notification, with the numbers of enum sctp_sn_type.
type EventType uint16

// The types.
const (
	EventDataIO          EventType = 0x8000 + iota // no notification: sctp_sndrcvinfo with each message
	EventAssocChange                               // struct sctp_assoc_change
	EventPeerAddrChange                            // struct sctp_paddr_change
	EventSendFailed                                // struct sctp_send_failed
	EventRemoteError                               // struct sctp_remote_error
	EventShutdown                                  // struct sctp_shutdown_event
	EventPartialDelivery                           // struct sctp_pdapi_event
	EventAdaptation                                // struct sctp_adaptation_event
	EventAuth                                      // struct sctp_authkey_event
	EventSenderDry                                 // struct sctp_sender_dry_event
	EventStreamReset                               // struct sctp_stream_reset_event
	EventAssocReset                                // struct sctp_assoc_reset_event
	EventStreamChange                              // struct sctp_stream_change_event
	EventSendFailedEvent                           // struct sctp_send_failed_event
)

// EventMask is a set of types.
type EventMask uint32

// Has reports whether the type is in the set.
func (m EventMask) Has(t EventType) bool { return m>>(t-EventDataIO)&1 != 0 }

// With returns the set with the type added or removed.
func (m EventMask) With(t EventType, on bool) EventMask {
	if on {
		return m | 1<<(t-EventDataIO)
	}
	return m &^ (1 << (t - EventDataIO))
}

// What State of a notification can be, by its type, with Linux's numbers.
const (
	CommUp       = 0 // AssocChange
	CommLost     = 1
	Restart      = 2
	ShutdownComp = 3
	CantStart    = 4

	AddrAvailable   = 0 // PeerAddrChange
	AddrUnreachable = 1
	AddrRemoved     = 2
	AddrAdded       = 3
	AddrMadePrim    = 4
	AddrConfirmed   = 5
	AddrPF          = 6

	ReceivedSACK     = 1 // PeerAddrChange: of its Error, where the path works
	HeartbeatSuccess = 2

	PartialDeliveryAborted = 0 // PartialDelivery

	AuthNewKey  = 0 // Auth: Ind is its number
	AuthFreeKey = 1
	NoAuth      = 2 // the peer does not authenticate chunks

	DataUnsent = 0 // SendFailed: of its Flags
	DataSent   = 1
)

// Notification is something that has happened, in the order of the messages.
type Notification struct {
	Type  EventType
	Flags uint16
	State int32
	Error uint32 // cause code, as in the packet; of PeerAddrChange what shows that the path works; of PartialDelivery 0

	OutStreams, InStreams uint16 // AssocChange, StreamChange

	Addr    netip.Addr // PeerAddrChange
	Ind     uint32     // Adaptation; of PartialDelivery the sequence number
	Stream  uint16     // PartialDelivery
	Info    SendInfo   // SendFailed
	Data    []byte     // the causes of AssocChange's ABORT or RemoteError; SendFailed's message
	Streams []uint16   // StreamReset

	LocalTSN, RemoteTSN uint32 // AssocReset
}
