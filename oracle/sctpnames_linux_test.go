package oracle

import "usock/internal/abi"

func init() {
	for name, typ := range map[string]int{"one": abi.SOCK_STREAM, "many": abi.SOCK_SEQPACKET} {
		kinds[name] = [3]int{abi.AF_INET, typ, abi.IPPROTO_SCTP}
		kinds[name+"6"] = [3]int{abi.AF_INET6, typ, abi.IPPROTO_SCTP}
	}
}

// solSCTP is the level of SCTP's options and control messages.
const solSCTP = 132

// msgNotification is the flag of a message that is a notification.
const msgNotification = 0x8000

// Options that scripts use without their names. The values of the last two have descriptors.
const (
	sctpNodelay      = 3
	sctpDelayedSACK  = 16
	sctpPeeloff      = 102
	sctpPeeloffFlags = 122
)

// sctpOption is an option with its number and the form of its value.
type sctpOption struct {
	name   string
	number int
	form   form
}

const (
	assocValue = "assoc:id u32:value"
	sndrcvForm = "u16:stream u16:ssn u16:flags pad2 be32:ppid u32:context u32:ttl tsn:tsn tsn:cumtsn assoc:id"
	sndForm    = "u16:sid u16:flags be32:ppid u32:context assoc:id"
	keyForm    = "assoc:id u16:key pad2"
	pathForm   = "assoc:id addr:addr i32:state u32:cwnd time:srtt u32:rto u32:mtu"
	thldsForm  = "assoc:id pad4 addr:addr u16:maxrxt u16:pf "
	statsForm  = "assoc:id pad4 addr:addr u64:maxrto u64:isacks u64:osacks u64:opackets u64:ipackets u64:rtxchunks u64:outofseqtsns u64:idupchunks " +
		"u64:gapcnt u64:ouodchunks u64:iuodchunks u64:oodchunks u64:iodchunks u64:octrlchunks u64:ictrlchunks"
)

// sctpOptions are all that Linux 6.1 has whose values are bytes, with names that scripts have for
// them: sctp:NAME. The others are peeloff, which is a line of its own, and SCTP_SOCKOPT_CONNECTX3, whose value has a pointer.
var sctpOptions = []sctpOption{
	{"rtoinfo", 0, newForm("assoc:id u32:initial u32:max u32:min")},
	{"associnfo", 1, newForm("assoc:id u16:maxrxt u16:dests u32:peer_rwnd u32:local_rwnd u32:cookie_life")},
	{"initmsg", 2, newForm("u16:out u16:in u16:attempts u16:timeo")},
	{"nodelay", 3, newForm("i32")},
	{"autoclose", 4, newForm("i32")},
	{"set_peer_primary", 5, newForm("assoc:id addr:addr")},
	{"primary", 6, newForm("assoc:id addr:addr")},
	{"adaptation", 7, newForm("u32")},
	{"disable_fragments", 8, newForm("i32")},
	{"path", 9, newForm("assoc:id addr:addr u32:hb u16:maxrxt u32:mtu u32:sackdelay u32:flags u32:flowlabel u8:dscp pad1")},
	{"default_send_param", 10, newForm(sndrcvForm)},
	{"events", 11, newForm("u8:data u8:assoc u8:address u8:failure u8:error u8:shutdown u8:partial u8:adaptation u8:auth u8:dry " +
		"u8:stream_reset u8:assoc_reset u8:stream_change u8:failure_event")},
	{"mapped", 12, newForm("i32")},
	{"maxseg", 13, newForm(assocValue)},
	{"status", 14, newForm("assoc:id i32:state u32:rwnd u16:unack u16:pend u16:in u16:out u32:frag assoc:pid addr:addr i32:pstate u32:cwnd time:srtt u32:rto u32:mtu")},
	{"path_info", 15, newForm(pathForm)},
	{"delayed_sack", 16, newForm("assoc:id u32:delay u32:freq")},
	{"context", 17, newForm(assocValue)},
	{"interleave", 18, newForm("i32")},
	{"pd_point", 19, newForm("u32")},
	{"max_burst", 20, newForm(assocValue)},
	{"auth_chunk", 21, newForm("u8")},
	{"hmac_ident", 22, newForm("u32:n u16s:ids")},
	{"auth_key", 23, newForm("assoc:id u16:key u16:len bytes:bytes")},
	{"auth_active_key", 24, newForm(keyForm)},
	{"auth_delete_key", 25, newForm(keyForm)},
	{"peer_auth_chunks", 26, newForm("assoc:id u32:n u8s:chunks")},
	{"local_auth_chunks", 27, newForm("assoc:id u32:n u8s:chunks")},
	{"assoc_number", 28, newForm("u32")},
	{"assoc_ids", 29, newForm("u32:n assocs:ids")},
	{"auto_asconf", 30, newForm("i32")},
	{"thlds", 31, newForm(thldsForm + "pad4")},
	{"recvrcvinfo", 32, newForm("i32")},
	{"recvnxtinfo", 33, newForm("i32")},
	{"default_sndinfo", 34, newForm(sndForm)},
	{"auth_deactivate_key", 35, newForm(keyForm)},
	{"reuse_port", 36, newForm("i32")},
	{"thlds_v2", 37, newForm(thldsForm + "u16:ps pad2")},
	{"bindx_add", 100, newForm("addrs")},
	{"bindx_rem", 101, newForm("addrs")},
	{"connectx_old", 107, newForm("addrs")},
	{"paddrs", 108, newForm("assoc:id u32:n addrs:addrs")},
	{"laddrs", 109, newForm("assoc:id u32:n addrs:addrs")},
	{"connectx", 110, newForm("addrs")},
	{"stats", 112, newForm(statsForm)},
	{"pr_supported", 113, newForm(assocValue)},
	{"default_prinfo", 114, newForm("assoc:id u32:value u16:policy pad2")},
	{"pr_assoc_status", 115, newForm("assoc:id u16:sid u16:policy u64:unsent u64:sent")},
	{"pr_stream_status", 116, newForm("assoc:id u16:sid u16:policy u64:unsent u64:sent")},
	{"reconfig_supported", 117, newForm(assocValue)},
	{"enable_stream_reset", 118, newForm(assocValue)},
	{"reset_streams", 119, newForm("assoc:id u16:flags u16:n u16s:list")},
	{"reset_assoc", 120, newForm("assoc:id")},
	{"add_streams", 121, newForm("assoc:id u16:in u16:out")},
	{"scheduler", 123, newForm(assocValue)},
	{"scheduler_value", 124, newForm("assoc:id u16:sid u16:value")},
	{"interleaving_supported", 125, newForm(assocValue)},
	{"sendmsg_connect", 126, newForm("addrs")},
	{"event", 127, newForm("assoc:id u16:type u8:on pad1")},
	{"asconf_supported", 128, newForm(assocValue)},
	{"auth_supported", 129, newForm(assocValue)},
	{"ecn_supported", 130, newForm(assocValue)},
	{"expose_pf", 131, newForm(assocValue)},
	{"encaps_port", 132, newForm("assoc:id pad4 addr:addr be16:port pad6")},
	{"probe_interval", 133, newForm("assoc:id pad4 addr:addr u32:interval pad4")},
}

// sctpControls are the control messages by their types.
var sctpControls = []struct {
	name string
	form form
}{
	{"init", newForm("u16:out u16:in u16:attempts u16:timeo")},
	{"sndrcv", newForm(sndrcvForm)},
	{"sndinfo", newForm(sndForm)},
	{"rcvinfo", newForm("u16:sid u16:ssn u16:flags pad2 be32:ppid tsn:tsn tsn:cumtsn u32:context assoc:id")},
	{"nxtinfo", newForm("u16:sid u16:flags be32:ppid u32:length assoc:id")},
	{"prinfo", newForm("u16:policy pad2 u32:value")},
	{"authinfo", newForm("u16:key")},
	{"dstaddrv4", newForm("ip4")},
	{"dstaddrv6", newForm("ip6")},
}

// sctpNotifications are the notifications by their types, less 0x8000; all begin with type, flags and length.
var sctpNotifications = []struct {
	name string
	form form
}{
	{"data_io", nil},
	{"assoc_change", newForm("u16:state u16:error u16:out u16:in assoc:id bytes:info")},
	{"peer_addr_change", newForm("addr:addr i32:state i32:error assoc:id")},
	{"send_failed", newForm("u32:error " + "u16:stream u16:ssn u16:flags pad2 be32:ppid u32:context u32:ttl tsn:tsn tsn:cumtsn assoc:sid assoc:id bytes:data")},
	{"remote_error", newForm("be16:error pad2 assoc:id bytes:data")},
	{"shutdown", newForm("assoc:id")},
	{"partial_delivery", newForm("u32:indication assoc:id u32:stream u32:seq")},
	{"adaptation", newForm("u32:indication assoc:id")},
	{"authentication", newForm("u16:key u16:altkey u32:indication assoc:id")},
	{"sender_dry", newForm("assoc:id")},
	{"stream_reset", newForm("assoc:id u16s:list")},
	{"assoc_reset", newForm("assoc:id tsn:local tsn:remote")},
	{"stream_change", newForm("assoc:id u16:in u16:out")},
	{"send_failed_event", newForm("u32:error u16:sid u16:flags be32:ppid u32:context assoc:info_id assoc:id bytes:data")},
}
