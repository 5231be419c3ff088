// Code generated from internal/abi/const.txt by go generate ./internal/abi. DO NOT EDIT.

package abi

// Address families (include/linux/socket.h).
const (
	AF_UNSPEC = 0
	AF_UNIX   = 1
	AF_INET   = 2
	AF_INET6  = 10
)

// Socket types and the flags that socket(2) and accept4(2) add to them.
const (
	SOCK_STREAM    = 1
	SOCK_DGRAM     = 2
	SOCK_RAW       = 3
	SOCK_SEQPACKET = 5
	SOCK_TYPE_MASK = 0xf
	SOCK_NONBLOCK  = 0x800
	SOCK_CLOEXEC   = 0x80000
)

// Capabilities (capabilities(7)).
const (
	CAP_SETGID           = 6
	CAP_SETUID           = 7
	CAP_NET_BIND_SERVICE = 10
	CAP_NET_ADMIN        = 12
	CAP_NET_RAW          = 13
	CAP_SYS_ADMIN        = 21
)

// IP protocols.
const (
	IPPROTO_IP     = 0
	IPPROTO_ICMP   = 1
	IPPROTO_TCP    = 6
	IPPROTO_UDP    = 17
	IPPROTO_IPV6   = 41
	IPPROTO_ICMPV6 = 58
	IPPROTO_SCTP   = 132
	IPPROTO_RAW    = 255
	IPPROTO_MPTCP  = 262
)

// Flags of send and recv.
const (
	MSG_OOB          = 0x1
	MSG_PEEK         = 0x2
	MSG_DONTROUTE    = 0x4
	MSG_CTRUNC       = 0x8
	MSG_TRUNC        = 0x20
	MSG_DONTWAIT     = 0x40
	MSG_EOR          = 0x80
	MSG_WAITALL      = 0x100
	MSG_CONFIRM      = 0x800
	MSG_ERRQUEUE     = 0x2000
	MSG_NOSIGNAL     = 0x4000
	MSG_MORE         = 0x8000
	MSG_WAITFORONE   = 0x10000
	MSG_ZEROCOPY     = 0x4000000
	MSG_FASTOPEN     = 0x20000000
	MSG_CMSG_CLOEXEC = 0x40000000
)

// How of shutdown(2).
const (
	SHUT_RD   = 0
	SHUT_WR   = 1
	SHUT_RDWR = 2
)

// Option levels.
const (
	SOL_SOCKET = 1
	SOL_IP     = 0
	SOL_TCP    = 6
	SOL_UDP    = 17
	SOL_IPV6   = 41
	SOL_ICMPV6 = 58
	SOL_SCTP   = 132
	SOL_RAW    = 255
)

// Options at SOL_SOCKET (include/uapi/asm-generic/socket.h).
const (
	SO_DEBUG                 = 1
	SO_REUSEADDR             = 2
	SO_TYPE                  = 3
	SO_ERROR                 = 4
	SO_DONTROUTE             = 5
	SO_BROADCAST             = 6
	SO_SNDBUF                = 7
	SO_RCVBUF                = 8
	SO_KEEPALIVE             = 9
	SO_OOBINLINE             = 10
	SO_NO_CHECK              = 11
	SO_PRIORITY              = 12
	SO_LINGER                = 13
	SO_BSDCOMPAT             = 14 // not built: ENOPROTOOPT
	SO_REUSEPORT             = 15
	SO_PASSCRED              = 16
	SO_PEERCRED              = 17
	SO_RCVLOWAT              = 18
	SO_SNDLOWAT              = 19
	SO_RCVTIMEO              = 20
	SO_SNDTIMEO              = 21
	SO_BINDTODEVICE          = 25
	SO_ATTACH_FILTER         = 26
	SO_DETACH_FILTER         = 27
	SO_PEERNAME              = 28 // not built: ENOPROTOOPT
	SO_TIMESTAMP             = 29
	SO_ACCEPTCONN            = 30
	SO_PEERSEC               = 31 // not built: ENOPROTOOPT
	SO_SNDBUFFORCE           = 32
	SO_RCVBUFFORCE           = 33
	SO_PASSSEC               = 34 // not built: ENOPROTOOPT
	SO_TIMESTAMPNS           = 35
	SO_MARK                  = 36
	SO_TIMESTAMPING          = 37
	SO_PROTOCOL              = 38
	SO_DOMAIN                = 39
	SO_RXQ_OVFL              = 40
	SO_WIFI_STATUS           = 41 // not built: ENOPROTOOPT
	SO_PEEK_OFF              = 42
	SO_NOFCS                 = 43 // not built: ENOPROTOOPT
	SO_LOCK_FILTER           = 44
	SO_SELECT_ERR_QUEUE      = 45 // not built: ENOPROTOOPT
	SO_BUSY_POLL             = 46
	SO_MAX_PACING_RATE       = 47
	SO_BPF_EXTENSIONS        = 48 // not built: ENOPROTOOPT
	SO_INCOMING_CPU          = 49
	SO_ATTACH_BPF            = 50
	SO_ATTACH_REUSEPORT_CBPF = 51 // not built: ENOPROTOOPT
	SO_ATTACH_REUSEPORT_EBPF = 52 // not built: ENOPROTOOPT
	SO_CNX_ADVICE            = 53 // not built: ENOPROTOOPT
	SO_MEMINFO               = 55
	SO_INCOMING_NAPI_ID      = 56
	SO_COOKIE                = 57
	SO_PEERGROUPS            = 59 // not built: ENOPROTOOPT
	SO_ZEROCOPY              = 60
	SO_TXTIME                = 61
	SO_BINDTOIFINDEX         = 62
	SO_TIMESTAMP_NEW         = 63 // not built: ENOPROTOOPT
	SO_TIMESTAMPNS_NEW       = 64 // not built: ENOPROTOOPT
	SO_TIMESTAMPING_NEW      = 65 // not built: ENOPROTOOPT
	SO_RCVTIMEO_NEW          = 66
	SO_SNDTIMEO_NEW          = 67
	SO_DETACH_REUSEPORT_BPF  = 68 // not built: ENOPROTOOPT
	SO_PREFER_BUSY_POLL      = 69
	SO_BUSY_POLL_BUDGET      = 70
	SO_NETNS_COOKIE          = 71 // not built: ENOPROTOOPT
	SO_BUF_LOCK              = 72 // not built: ENOPROTOOPT
	SO_RESERVE_MEM           = 73 // not built: ENOPROTOOPT
	SO_TXREHASH              = 74 // not built: ENOPROTOOPT
	SO_RCVMARK               = 75 // not built: ENOPROTOOPT
	SO_PASSPIDFD             = 76 // not built: ENOPROTOOPT
	SO_PEERPIDFD             = 77 // not built: ENOPROTOOPT
	SO_DEVMEM_LINEAR         = 78 // not built: ENOPROTOOPT
	SO_DEVMEM_DMABUF         = 79 // not built: ENOPROTOOPT
	SO_DEVMEM_DONTNEED       = 80 // not built: ENOPROTOOPT
	SO_RCVPRIORITY           = 82 // not built: ENOPROTOOPT
	SO_PASSRIGHTS            = 83 // not built: ENOPROTOOPT
	SO_INQ                   = 84 // not built: ENOPROTOOPT
)

// SCM_TS_OPT_ID is the control message with the number of one datagram's stamps.
const (
	SCM_TS_OPT_ID = 81
)

// Flags of SO_TIMESTAMPING (include/uapi/linux/net_tstamp.h). MASK is all of them, and TX_RECORD those that a
// control message may set for one datagram.
const (
	SOF_TIMESTAMPING_TX_HARDWARE   = 1
	SOF_TIMESTAMPING_TX_SOFTWARE   = 2
	SOF_TIMESTAMPING_RX_HARDWARE   = 4
	SOF_TIMESTAMPING_RX_SOFTWARE   = 8
	SOF_TIMESTAMPING_SOFTWARE      = 16
	SOF_TIMESTAMPING_SYS_HARDWARE  = 32
	SOF_TIMESTAMPING_RAW_HARDWARE  = 64
	SOF_TIMESTAMPING_OPT_ID        = 128
	SOF_TIMESTAMPING_TX_SCHED      = 256
	SOF_TIMESTAMPING_TX_ACK        = 512
	SOF_TIMESTAMPING_OPT_CMSG      = 1024
	SOF_TIMESTAMPING_OPT_TSONLY    = 2048
	SOF_TIMESTAMPING_OPT_STATS     = 4096
	SOF_TIMESTAMPING_OPT_PKTINFO   = 8192
	SOF_TIMESTAMPING_OPT_TX_SWHW   = 16384
	SOF_TIMESTAMPING_BIND_PHC      = 32768
	SOF_TIMESTAMPING_OPT_ID_TCP    = 65536
	SOF_TIMESTAMPING_OPT_RX_FILTER = 131072
	SOF_TIMESTAMPING_TX_COMPLETION = 262144
	SOF_TIMESTAMPING_MASK          = SOF_TIMESTAMPING_TX_COMPLETION<<1 - 1
	SOF_TIMESTAMPING_TX_RECORD     = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_TX_COMPLETION
)

// Options at SOL_IP (include/uapi/linux/in.h).
const (
	IP_TOS                    = 1
	IP_TTL                    = 2
	IP_HDRINCL                = 3
	IP_OPTIONS                = 4
	IP_ROUTER_ALERT           = 5 // not built: ENOPROTOOPT
	IP_RECVOPTS               = 6
	IP_RETOPTS                = 7
	IP_PKTINFO                = 8
	IP_PKTOPTIONS             = 9 // not built: ENOPROTOOPT
	IP_MTU_DISCOVER           = 10
	IP_RECVERR                = 11
	IP_RECVTTL                = 12
	IP_RECVTOS                = 13
	IP_MTU                    = 14
	IP_FREEBIND               = 15
	IP_IPSEC_POLICY           = 16 // not built: ENOPROTOOPT
	IP_XFRM_POLICY            = 17 // not built: ENOPROTOOPT
	IP_PASSSEC                = 18 // not built: ENOPROTOOPT
	IP_TRANSPARENT            = 19 // not built: ENOPROTOOPT
	IP_RECVORIGDSTADDR        = 20
	IP_MINTTL                 = 21
	IP_NODEFRAG               = 22 // not built: ENOPROTOOPT
	IP_CHECKSUM               = 23 // not built: ENOPROTOOPT
	IP_BIND_NO_PORT           = 24
	IP_RECVFRAGSIZE           = 25 // not built: ENOPROTOOPT
	IP_RECVERR_RFC4884        = 26 // not built: ENOPROTOOPT
	IP_MULTICAST_IF           = 32
	IP_MULTICAST_TTL          = 33
	IP_MULTICAST_LOOP         = 34
	IP_ADD_MEMBERSHIP         = 35
	IP_DROP_MEMBERSHIP        = 36
	IP_UNBLOCK_SOURCE         = 37
	IP_BLOCK_SOURCE           = 38
	IP_ADD_SOURCE_MEMBERSHIP  = 39
	IP_DROP_SOURCE_MEMBERSHIP = 40
	IP_MSFILTER               = 41
	IP_MULTICAST_ALL          = 49
	IP_UNICAST_IF             = 50
	IP_LOCAL_PORT_RANGE       = 51 // not built: ENOPROTOOPT
	IP_PROTOCOL               = 52 // not built: ENOPROTOOPT
)

// Options at SOL_IP and SOL_IPV6 (RFC 3678; include/uapi/linux/in.h).
const (
	MCAST_JOIN_GROUP         = 42
	MCAST_BLOCK_SOURCE       = 43
	MCAST_UNBLOCK_SOURCE     = 44
	MCAST_LEAVE_GROUP        = 45
	MCAST_JOIN_SOURCE_GROUP  = 46
	MCAST_LEAVE_SOURCE_GROUP = 47
	MCAST_MSFILTER           = 48
)

// Values of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER.
const (
	PMTUDISC_DONT      = 0
	PMTUDISC_WANT      = 1
	PMTUDISC_DO        = 2
	PMTUDISC_PROBE     = 3
	PMTUDISC_INTERFACE = 4
	PMTUDISC_OMIT      = 5
)

// Options at SOL_IPV6 (include/uapi/linux/in6.h).
const (
	IPV6_ADDRFORM             = 1 // not built: ENOPROTOOPT
	IPV6_2292PKTINFO          = 2 // not built: ENOPROTOOPT
	IPV6_2292HOPOPTS          = 3 // not built: ENOPROTOOPT
	IPV6_2292DSTOPTS          = 4 // not built: ENOPROTOOPT
	IPV6_2292RTHDR            = 5 // not built: ENOPROTOOPT
	IPV6_2292PKTOPTIONS       = 6 // not built: ENOPROTOOPT
	IPV6_CHECKSUM             = 7
	IPV6_2292HOPLIMIT         = 8  // not built: ENOPROTOOPT
	IPV6_NEXTHOP              = 9  // not built: ENOPROTOOPT
	IPV6_AUTHHDR              = 10 // not built: ENOPROTOOPT
	IPV6_FLOWINFO             = 11
	IPV6_UNICAST_HOPS         = 16
	IPV6_MULTICAST_IF         = 17
	IPV6_MULTICAST_HOPS       = 18
	IPV6_MULTICAST_LOOP       = 19
	IPV6_ADD_MEMBERSHIP       = 20
	IPV6_DROP_MEMBERSHIP      = 21
	IPV6_ROUTER_ALERT         = 22 // not built: ENOPROTOOPT
	IPV6_MTU_DISCOVER         = 23
	IPV6_MTU                  = 24
	IPV6_RECVERR              = 25
	IPV6_V6ONLY               = 26
	IPV6_JOIN_ANYCAST         = 27 // not built: ENOPROTOOPT
	IPV6_LEAVE_ANYCAST        = 28 // not built: ENOPROTOOPT
	IPV6_MULTICAST_ALL        = 29
	IPV6_ROUTER_ALERT_ISOLATE = 30 // not built: ENOPROTOOPT
	IPV6_RECVERR_RFC4884      = 31 // not built: ENOPROTOOPT
	IPV6_FLOWLABEL_MGR        = 32
	IPV6_FLOWINFO_SEND        = 33
	IPV6_IPSEC_POLICY         = 34 // not built: ENOPROTOOPT
	IPV6_XFRM_POLICY          = 35 // not built: ENOPROTOOPT
	IPV6_HDRINCL              = 36
	IPV6_RECVPKTINFO          = 49
	IPV6_PKTINFO              = 50 // the control message alone
	IPV6_RECVHOPLIMIT         = 51
	IPV6_HOPLIMIT             = 52 // the control message alone
	IPV6_RECVHOPOPTS          = 53 // not built: ENOPROTOOPT
	IPV6_HOPOPTS              = 54 // not built: ENOPROTOOPT
	IPV6_RTHDRDSTOPTS         = 55 // not built: ENOPROTOOPT
	IPV6_RECVRTHDR            = 56 // not built: ENOPROTOOPT
	IPV6_RTHDR                = 57 // not built: ENOPROTOOPT
	IPV6_RECVDSTOPTS          = 58 // not built: ENOPROTOOPT
	IPV6_DSTOPTS              = 59 // not built: ENOPROTOOPT
	IPV6_RECVPATHMTU          = 60 // not built: ENOPROTOOPT
	IPV6_PATHMTU              = 61 // not built: ENOPROTOOPT
	IPV6_DONTFRAG             = 62
	IPV6_RECVTCLASS           = 66
	IPV6_TCLASS               = 67
	IPV6_AUTOFLOWLABEL        = 70
	IPV6_ADDR_PREFERENCES     = 72 // not built: ENOPROTOOPT
	IPV6_MINHOPCOUNT          = 73 // not built: ENOPROTOOPT
	IPV6_RECVORIGDSTADDR      = 74
	IPV6_TRANSPARENT          = 75 // not built: ENOPROTOOPT
	IPV6_UNICAST_IF           = 76
	IPV6_RECVFRAGSIZE         = 77 // not built: ENOPROTOOPT
	IPV6_FREEBIND             = 78
)

// Options at SOL_TCP (include/uapi/linux/tcp.h).
const (
	TCP_NODELAY              = 1
	TCP_MAXSEG               = 2
	TCP_CORK                 = 3
	TCP_KEEPIDLE             = 4
	TCP_KEEPINTVL            = 5
	TCP_KEEPCNT              = 6
	TCP_SYNCNT               = 7
	TCP_LINGER2              = 8
	TCP_DEFER_ACCEPT         = 9
	TCP_WINDOW_CLAMP         = 10
	TCP_INFO                 = 11
	TCP_QUICKACK             = 12
	TCP_CONGESTION           = 13
	TCP_MD5SIG               = 14 // not built: ENOPROTOOPT
	TCP_THIN_LINEAR_TIMEOUTS = 16
	TCP_THIN_DUPACK          = 17 // not built: ENOPROTOOPT
	TCP_USER_TIMEOUT         = 18
	TCP_REPAIR               = 19 // not built: ENOPROTOOPT
	TCP_REPAIR_QUEUE         = 20 // not built: ENOPROTOOPT
	TCP_QUEUE_SEQ            = 21 // not built: ENOPROTOOPT
	TCP_REPAIR_OPTIONS       = 22 // not built: ENOPROTOOPT
	TCP_FASTOPEN             = 23
	TCP_TIMESTAMP            = 24 // not built: ENOPROTOOPT
	TCP_NOTSENT_LOWAT        = 25
	TCP_CC_INFO              = 26
	TCP_SAVE_SYN             = 27 // not built: ENOPROTOOPT
	TCP_SAVED_SYN            = 28 // not built: ENOPROTOOPT
	TCP_REPAIR_WINDOW        = 29 // not built: ENOPROTOOPT
	TCP_FASTOPEN_CONNECT     = 30
	TCP_ULP                  = 31
	TCP_MD5SIG_EXT           = 32 // not built: ENOPROTOOPT
	TCP_FASTOPEN_KEY         = 33
	TCP_FASTOPEN_NO_COOKIE   = 34
	TCP_ZEROCOPY_RECEIVE     = 35 // not built: ENOPROTOOPT
	TCP_INQ                  = 36
	TCP_TX_DELAY             = 37 // not built: ENOPROTOOPT
	TCP_AO_ADD_KEY           = 38 // not built: ENOPROTOOPT
	TCP_AO_DEL_KEY           = 39 // not built: ENOPROTOOPT
	TCP_AO_INFO              = 40 // not built: ENOPROTOOPT
	TCP_AO_GET_KEYS          = 41 // not built: ENOPROTOOPT
	TCP_AO_REPAIR            = 42 // not built: ENOPROTOOPT
	TCP_IS_MPTCP             = 43 // not built: ENOPROTOOPT
	TCP_RTO_MAX_MS           = 44 // not built: ENOPROTOOPT
	TCP_RTO_MIN_US           = 45 // not built: ENOPROTOOPT
	TCP_DELACK_MAX_US        = 46 // not built: ENOPROTOOPT
)

// Options at SOL_UDP.
const (
	UDP_CORK         = 1
	UDP_ENCAP        = 100 // not built: ENOPROTOOPT
	UDP_NO_CHECK6_TX = 101 // not built: ENOPROTOOPT
	UDP_NO_CHECK6_RX = 102 // not built: ENOPROTOOPT
	UDP_SEGMENT      = 103
	UDP_GRO          = 104
)

// Options at SOL_RAW (include/uapi/linux/icmp.h).
const (
	ICMP_FILTER = 1
)

// Options at SOL_ICMPV6 (include/uapi/linux/icmpv6.h).
const (
	ICMPV6_FILTER = 1
)

// Options at SOL_SCTP (include/uapi/linux/sctp.h).
const (
	SCTP_RTOINFO                         = 0
	SCTP_ASSOCINFO                       = 1
	SCTP_INITMSG                         = 2
	SCTP_NODELAY                         = 3
	SCTP_AUTOCLOSE                       = 4
	SCTP_SET_PEER_PRIMARY_ADDR           = 5
	SCTP_PRIMARY_ADDR                    = 6
	SCTP_ADAPTATION_LAYER                = 7
	SCTP_DISABLE_FRAGMENTS               = 8
	SCTP_PEER_ADDR_PARAMS                = 9
	SCTP_DEFAULT_SEND_PARAM              = 10
	SCTP_EVENTS                          = 11
	SCTP_I_WANT_MAPPED_V4_ADDR           = 12
	SCTP_MAXSEG                          = 13
	SCTP_STATUS                          = 14
	SCTP_GET_PEER_ADDR_INFO              = 15
	SCTP_DELAYED_SACK                    = 16
	SCTP_CONTEXT                         = 17
	SCTP_FRAGMENT_INTERLEAVE             = 18
	SCTP_PARTIAL_DELIVERY_POINT          = 19
	SCTP_MAX_BURST                       = 20
	SCTP_AUTH_CHUNK                      = 21
	SCTP_HMAC_IDENT                      = 22
	SCTP_AUTH_KEY                        = 23
	SCTP_AUTH_ACTIVE_KEY                 = 24
	SCTP_AUTH_DELETE_KEY                 = 25
	SCTP_PEER_AUTH_CHUNKS                = 26
	SCTP_LOCAL_AUTH_CHUNKS               = 27
	SCTP_GET_ASSOC_NUMBER                = 28
	SCTP_GET_ASSOC_ID_LIST               = 29
	SCTP_AUTO_ASCONF                     = 30
	SCTP_PEER_ADDR_THLDS                 = 31
	SCTP_RECVRCVINFO                     = 32
	SCTP_RECVNXTINFO                     = 33
	SCTP_DEFAULT_SNDINFO                 = 34
	SCTP_AUTH_DEACTIVATE_KEY             = 35
	SCTP_REUSE_PORT                      = 36
	SCTP_PEER_ADDR_THLDS_V2              = 37
	SCTP_SOCKOPT_BINDX_ADD               = 100
	SCTP_SOCKOPT_BINDX_REM               = 101
	SCTP_SOCKOPT_PEELOFF                 = 102 // not built: ENOPROTOOPT
	SCTP_SOCKOPT_CONNECTX_OLD            = 107
	SCTP_GET_PEER_ADDRS                  = 108
	SCTP_GET_LOCAL_ADDRS                 = 109
	SCTP_SOCKOPT_CONNECTX                = 110
	SCTP_SOCKOPT_CONNECTX3               = 111 // not built: ENOPROTOOPT
	SCTP_GET_ASSOC_STATS                 = 112
	SCTP_PR_SUPPORTED                    = 113
	SCTP_DEFAULT_PRINFO                  = 114
	SCTP_PR_ASSOC_STATUS                 = 115
	SCTP_PR_STREAM_STATUS                = 116
	SCTP_RECONFIG_SUPPORTED              = 117
	SCTP_ENABLE_STREAM_RESET             = 118
	SCTP_RESET_STREAMS                   = 119
	SCTP_RESET_ASSOC                     = 120
	SCTP_ADD_STREAMS                     = 121
	SCTP_SOCKOPT_PEELOFF_FLAGS           = 122 // not built: ENOPROTOOPT
	SCTP_STREAM_SCHEDULER                = 123
	SCTP_STREAM_SCHEDULER_VALUE          = 124
	SCTP_INTERLEAVING_SUPPORTED          = 125
	SCTP_EVENT                           = 127
	SCTP_ASCONF_SUPPORTED                = 128
	SCTP_AUTH_SUPPORTED                  = 129
	SCTP_ECN_SUPPORTED                   = 130
	SCTP_EXPOSE_POTENTIALLY_FAILED_STATE = 131
	SCTP_REMOTE_UDP_ENCAPS_PORT          = 132
	SCTP_PLPMTUD_PROBE_INTERVAL          = 133
	SCTP_ACCEPT_ZERO_CHECKSUM            = 0x100
)

// What Linux's security modules know a send by that connects: no option, though its number is among them.
const (
	SCTP_SENDMSG_CONNECT = 126
)

// Numbers that stand for associations of SCTP.
const (
	SCTP_FUTURE_ASSOC  = 0
	SCTP_CURRENT_ASSOC = 1
	SCTP_ALL_ASSOC     = 2
)

// Control messages at SOL_SCTP.
const (
	SCTP_INIT      = 0
	SCTP_SNDRCV    = 1
	SCTP_SNDINFO   = 2
	SCTP_RCVINFO   = 3
	SCTP_NXTINFO   = 4
	SCTP_PRINFO    = 5
	SCTP_AUTHINFO  = 6
	SCTP_DSTADDRV4 = 7
	SCTP_DSTADDRV6 = 8
)

// Flags of messages of SCTP (sinfo_flags), and of recv.
const (
	SCTP_UNORDERED        = 0x1
	SCTP_ADDR_OVER        = 0x2
	SCTP_ABORT            = 0x4
	SCTP_SACK_IMMEDIATELY = 0x8
	SCTP_SENDALL          = 0x40
	SCTP_PR_SCTP_ALL      = 0x80
	SCTP_EOF              = 0x200
	SCTP_NOTIFICATION     = 0x8000
	MSG_NOTIFICATION      = 0x8000
)

// Policies of partial reliability of SCTP, and those who may abandon messages.
const (
	SCTP_PR_SCTP_NONE = 0
	SCTP_PR_SCTP_TTL  = 0x10
	SCTP_PR_SCTP_RTX  = 0x20
	SCTP_PR_SCTP_PRIO = 0x30
	SCTP_PR_SCTP_MASK = 0x30
)

// Types of notifications of SCTP (sn_type).
const (
	SCTP_SN_TYPE_BASE           = 0x8000
	SCTP_DATA_IO_EVENT          = 0x8000
	SCTP_ASSOC_CHANGE           = 0x8001
	SCTP_PEER_ADDR_CHANGE       = 0x8002
	SCTP_SEND_FAILED            = 0x8003
	SCTP_REMOTE_ERROR           = 0x8004
	SCTP_SHUTDOWN_EVENT         = 0x8005
	SCTP_PARTIAL_DELIVERY_EVENT = 0x8006
	SCTP_ADAPTATION_INDICATION  = 0x8007
	SCTP_AUTHENTICATION_EVENT   = 0x8008
	SCTP_SENDER_DRY_EVENT       = 0x8009
	SCTP_STREAM_RESET_EVENT     = 0x800a
	SCTP_ASSOC_RESET_EVENT      = 0x800b
	SCTP_STREAM_CHANGE_EVENT    = 0x800c
	SCTP_SEND_FAILED_EVENT      = 0x800d
	SCTP_SN_TYPE_MAX            = 0x800d
)

// States in SCTP_ASSOC_CHANGE.
const (
	SCTP_COMM_UP        = 0
	SCTP_COMM_LOST      = 1
	SCTP_RESTART        = 2
	SCTP_SHUTDOWN_COMP  = 3
	SCTP_CANT_STR_ASSOC = 4
)

// States in SCTP_PEER_ADDR_CHANGE.
const (
	SCTP_ADDR_AVAILABLE          = 0
	SCTP_ADDR_UNREACHABLE        = 1
	SCTP_ADDR_REMOVED            = 2
	SCTP_ADDR_ADDED              = 3
	SCTP_ADDR_MADE_PRIM          = 4
	SCTP_ADDR_CONFIRMED          = 5
	SCTP_ADDR_POTENTIALLY_FAILED = 6
)

// Errors in notifications of SCTP.
const (
	SCTP_FAILED_THRESHOLD       = 0
	SCTP_RECEIVED_SACK          = 1
	SCTP_HEARTBEAT_SUCCESS      = 2
	SCTP_RESPONSE_TO_USER_REQ   = 3
	SCTP_INTERNAL_ERROR         = 4
	SCTP_SHUTDOWN_GUARD_EXPIRES = 5
	SCTP_PEER_FAULTY            = 6
)

// Flags in SCTP_SEND_FAILED, indications in SCTP_PARTIAL_DELIVERY_EVENT and SCTP_AUTHENTICATION_EVENT.
const (
	SCTP_DATA_UNSENT              = 0
	SCTP_DATA_SENT                = 1
	SCTP_PARTIAL_DELIVERY_ABORTED = 0
	SCTP_AUTH_NEW_KEY             = 0
	SCTP_AUTH_FREE_KEY            = 1
	SCTP_AUTH_NO_AUTH             = 2
)

// Flags in SCTP_STREAM_RESET_EVENT, SCTP_ASSOC_RESET_EVENT and SCTP_STREAM_CHANGE_EVENT.
const (
	SCTP_STREAM_RESET_INCOMING_SSN = 1
	SCTP_STREAM_RESET_OUTGOING_SSN = 2
	SCTP_STREAM_RESET_DENIED       = 4
	SCTP_STREAM_RESET_FAILED       = 8
	SCTP_ASSOC_RESET_DENIED        = 4
	SCTP_ASSOC_RESET_FAILED        = 8
	SCTP_ASSOC_CHANGE_DENIED       = 4
	SCTP_ASSOC_CHANGE_FAILED       = 8
)

// What SCTP_ENABLE_STREAM_RESET allows, and SCTP_RESET_STREAMS asks for.
const (
	SCTP_ENABLE_RESET_STREAM_REQ = 1
	SCTP_ENABLE_RESET_ASSOC_REQ  = 2
	SCTP_ENABLE_CHANGE_ASSOC_REQ = 4
	SCTP_ENABLE_STRRESET_MASK    = 7
	SCTP_STREAM_RESET_INCOMING   = 1
	SCTP_STREAM_RESET_OUTGOING   = 2
)

// Flags of SCTP_PEER_ADDR_PARAMS.
const (
	SPP_HB_ENABLE         = 1
	SPP_HB_DISABLE        = 2
	SPP_HB_DEMAND         = 4
	SPP_PMTUD_ENABLE      = 8
	SPP_PMTUD_DISABLE     = 0x10
	SPP_SACKDELAY_ENABLE  = 0x20
	SPP_SACKDELAY_DISABLE = 0x40
	SPP_HB_TIME_IS_ZERO   = 0x80
	SPP_IPV6_FLOWLABEL    = 0x100
	SPP_DSCP              = 0x200
)

// Hashes of SCTP_HMAC_IDENT.
const (
	SCTP_AUTH_HMAC_ID_SHA1   = 1
	SCTP_AUTH_HMAC_ID_SHA256 = 3
)

// States of paths of SCTP (spinfo_state).
const (
	SCTP_INACTIVE    = 0
	SCTP_PF          = 1
	SCTP_ACTIVE      = 2
	SCTP_UNCONFIRMED = 3
	SCTP_UNKNOWN     = 0xffff
)

// States of associations of SCTP (sstat_state).
const (
	SCTP_EMPTY             = 0
	SCTP_CLOSED            = 1
	SCTP_COOKIE_WAIT       = 2
	SCTP_COOKIE_ECHOED     = 3
	SCTP_ESTABLISHED       = 4
	SCTP_SHUTDOWN_PENDING  = 5
	SCTP_SHUTDOWN_SENT     = 6
	SCTP_SHUTDOWN_RECEIVED = 7
	SCTP_SHUTDOWN_ACK_SENT = 8
)

// Methods of error detection of SCTP_ACCEPT_ZERO_CHECKSUM (RFC 9653), an option that Linux does not have.
const (
	SCTP_EDMID_NONE             = 0
	SCTP_EDMID_LOWER_LAYER_DTLS = 1
)

// Stream schedulers of SCTP; FC and WFQ as in Linux 6.4, and RR_PKT with a number of usock's own: Linux has
// none.
const (
	SCTP_SS_FCFS   = 0
	SCTP_SS_PRIO   = 1
	SCTP_SS_RR     = 2
	SCTP_SS_FC     = 3
	SCTP_SS_WFQ    = 4
	SCTP_SS_MAX    = 4
	SCTP_SS_RR_PKT = 0x100
)

// SOMAXCONN is the largest backlog (net.core.somaxconn's default).
const (
	SOMAXCONN = 4096
)
