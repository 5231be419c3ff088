package rtnl

// Protocols of AF_NETLINK.
const (
	NETLINK_ROUTE     = 0
	NETLINK_SOCK_DIAG = 4
)

// Errno is an error's number on Linux; 0 is none.
type Errno int32

// The errors that answers tell.
const (
	EPERM         Errno = 1
	ENOENT        Errno = 2
	EBUSY         Errno = 16
	ENODEV        Errno = 19
	EINVAL        Errno = 22
	ERANGE        Errno = 34
	EOPNOTSUPP    Errno = 95
	EADDRNOTAVAIL Errno = 99
	ENETUNREACH   Errno = 101
	ESTALE        Errno = 116
	EHOSTUNREACH  Errno = 113
)

// Address families (include/linux/socket.h).
const (
	afUnspec = 0
	afInet   = 2
	afInet6  = 10
	afBridge = 7
	afIPMR   = 128 // RTNL_FAMILY_IPMR
	afIP6MR  = 129
	afMax    = 46
)

// Messages of all protocols (linux/netlink.h).
const (
	nlmsgError   = 2
	nlmsgDone    = 3
	nlmsgMinType = 16

	nlmRequest = 0x1
	nlmMulti   = 0x2
	nlmAck     = 0x4
	nlmFilter  = 0x20  // NLM_F_DUMP_FILTERED
	nlmDump    = 0x300 // NLM_F_ROOT | NLM_F_MATCH
	nlmCapped  = 0x100 // of an error: the request is not whole
	nlmTLVs    = 0x200 // of an error or an end: attributes follow

	nlmsgerrMsg = 1 // the attribute that is a text

	headerSize = 16
)

// Messages of NETLINK_ROUTE (linux/rtnetlink.h). The lowest two bits say which of the kinds new,
// del, get and set one is.
const (
	rtmNewLink     = 16
	rtmDelLink     = 17
	rtmGetLink     = 18
	rtmNewAddr     = 20
	rtmDelAddr     = 21
	rtmGetAddr     = 22
	rtmNewRoute    = 24
	rtmDelRoute    = 25
	rtmGetRoute    = 26
	rtmGetNeigh    = 30
	rtmNewRule     = 32
	rtmGetRule     = 34
	rtmNewQdisc    = 36
	rtmGetQdisc    = 38
	rtmGetTClass   = 42
	rtmGetTFilter  = 46
	rtmGetChain    = 102
	rtmGetNeighTbl = 66
	rtmGetNetconf  = 82
	rtmGetMDB      = 86
	rtmNewNSID     = 88
	rtmGetNSID     = 90
	rtmGetNexthop  = 106
	rtmMax         = 123
	rtmKind        = 3
	rtmKindGet     = 2
)

// Groups of NETLINK_ROUTE (RTNLGRP_*).
const (
	groupLink      = 1
	groupIPv4Addr  = 5
	groupIPv4Route = 7
	groupIPv6Addr  = 9
	groupIPv6Route = 11
)

// Sizes of the structures that follow a message's header.
const (
	sizeRtgenmsg  = 1
	sizeIfinfomsg = 16
	sizeIfaddrmsg = 8
	sizeRtmsg     = 12
	sizeNdmsg     = 12
	sizeRulehdr   = 12

	netnsaNSID = 1
	netnsaPID  = 2
	netnsaFD   = 3
	noNSID     = -1 // NETNSA_NSID_NOT_ASSIGNED

	tcaKind = 1
	tcRoot  = 0xffffffff // TC_H_ROOT
)

// Of links (linux/if_link.h, if.h, if_arp.h).
const (
	iflaAddress   = 1
	iflaBroadcast = 2
	iflaIfname    = 3
	iflaMTU       = 4
	iflaQdisc     = 6
	iflaStats     = 7
	iflaMaster    = 10
	iflaTxqlen    = 13
	iflaMap       = 14
	iflaOperstate = 16
	iflaLinkmode  = 17
	iflaLinkinfo  = 18
	iflaStats64   = 23
	iflaGroup     = 27
	iflaExtMask   = 29
	iflaPromisc   = 30
	iflaNumTxQ    = 31
	iflaNumRxQ    = 32
	iflaCarrier   = 33
	iflaCarrierCh = 35
	iflaProtoDown = 39
	iflaAltIfname = 53
	iflaMinMTU    = 50
	iflaMaxMTU    = 51

	iflaTypeMask = 0x3fff

	extSkipStats = 8 // RTEXT_FILTER_SKIP_STATS

	arphrdLoopback = 772
	arphrdNone     = 0xfffe

	operUnknown = 0
	operUp      = 6
)

// Flags of interfaces (IFF_*).
const (
	FlagUp        = 0x1
	FlagBroadcast = 0x2
	FlagLoopback  = 0x8
	FlagRunning   = 0x40
	FlagNoARP     = 0x80
	FlagMulticast = 0x1000
	FlagLowerUp   = 0x10000
)

// Of addresses (linux/if_addr.h).
const (
	ifaAddress   = 1
	ifaLocal     = 2
	ifaLabel     = 3
	ifaBroadcast = 4
	ifaCacheinfo = 6
	ifaFlags     = 8

	ifaSecondary = 0x1
	ifaPermanent = 0x80

	forever = 0xffffffff
)

// Of routes and rules (linux/rtnetlink.h, fib_rules.h).
const (
	rtaDst      = 1
	rtaSrc      = 2
	rtaIif      = 3
	rtaOif      = 4
	rtaGateway  = 5
	rtaPriority = 6
	rtaPrefsrc  = 7
	rtaMetrics  = 8
	rtaCache    = 12
	rtaTable    = 15
	rtaMark     = 16
	rtaPref     = 20
	rtaUID      = 25
	rtaIPProto  = 27
	rtaSport    = 28
	rtaDport    = 29

	rtaxMTU = 2

	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255

	protoUnspec = 0
	protoKernel = 2
	protoStatic = 4

	scopeUniverse = 0
	scopeLink     = 253
	scopeHost     = 254

	typeUnicast   = 1
	typeLocal     = 2
	typeBroadcast = 3
	typeMulticast = 5

	rtmFCloned      = 0x200
	rtmFPrefix      = 0x800
	rtmFLookupTable = 0x1000
	rtmFFibMatch    = 0x2000
	rtcfBroadcast   = 0x10000000
	rtcfMulticast   = 0x20000000
	rtcfLocal       = 0x80000000

	fraPriority = 6
	fraTable    = 15
	fraSuppress = 14
	frActTable  = 1
)
