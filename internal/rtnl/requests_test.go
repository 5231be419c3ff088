package rtnl

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// loopbackHost is a host with a loopback interface and nothing else.
func loopbackHost() *Source {
	lo4, lo6 := netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")
	return &Source{
		View: func() *View {
			return &View{Links: []Link{{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Addrs: []netip.Prefix{lo4, lo6}}}}
		},
		Find: func(q Query) (Path, Errno) {
			if q.Dst.IsLoopback() {
				src := lo6.Addr()
				if q.Dst.Is4() {
					src = lo4.Addr()
				}
				return Path{Src: src, Link: 1, Local: true}, 0
			}
			return Path{}, ENETUNREACH
		},
		Sockets: inParts(nil),
	}
}

// inParts lists the sockets one by one.
func inParts(all []Socket) func(uint8) func() ([]Socket, bool) {
	return func(uint8) func() ([]Socket, bool) {
		i := 0
		return func() ([]Socket, bool) {
			if i == len(all) {
				return nil, false
			}
			i++
			return all[i-1 : i], true
		}
	}
}

// tell has the session answer a datagram.
func tell(s *Session, b []byte) (answers [][]byte) {
	s.Take(slices.Clone(b))
	for s.Pending() {
		if p := s.Next(); p != nil {
			answers = append(answers, p)
		}
	}
	return answers
}

// msg makes a request.
func msg(typ, flags uint16, body ...byte) []byte {
	b := appendHeader(nil, headerSize+len(body), typ, flags|nlmRequest, 7, 0)
	b = append(b, body...)
	return append(b, make([]byte, align(len(body))-len(body))...)
}

func attr(typ uint16, v ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	return append(b, make([]byte, align(len(v))-len(v))...)
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// rtnlRequests are what a program may ask, rightly or not.
func rtnlRequests() map[string][]byte {
	ifi := func(family, index byte) []byte {
		return []byte{family, 0, 0, 0, index, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	ifa := func(family, index byte) []byte { return []byte{family, 0, 0, 0, index, 0, 0, 0} }
	rt := func(b ...byte) []byte { return append(b, make([]byte, sizeRtmsg-len(b))...) }
	one, lo4, far4 := []byte{1, 0, 0, 0}, []byte{127, 0, 0, 1}, []byte{10, 1, 1, 1}
	lo6 := netip.IPv6Loopback().AsSlice()
	return map[string][]byte{
		"links":                     msg(rtmGetLink, nlmDump, ifi(0, 0)...),
		"links, acknowledged":       msg(rtmGetLink, nlmDump|nlmAck, ifi(0, 0)...),
		"links of a family":         msg(rtmGetLink, nlmDump, ifi(afInet6, 0)...),
		"links, in short":           msg(rtmGetLink, nlmDump, 0),
		"links, in one word":        msg(rtmGetLink, nlmDump, 0, 0, 0, 0),
		"links with an index":       msg(rtmGetLink, nlmDump, ifi(0, 1)...),
		"links with junk":           msg(rtmGetLink, nlmDump, join(ifi(0, 0)[:2], one, ifi(0, 0)[6:])...),
		"links with a mask":         msg(rtmGetLink, nlmDump, join(ifi(0, 0), attr(iflaExtMask, extSkipStats, 0, 0, 0))...),
		"links with a name":         msg(rtmGetLink, nlmDump, join(ifi(0, 0), attr(iflaIfname, 'l', 'o', 0))...),
		"links of a master":         msg(rtmGetLink, nlmDump, join(ifi(0, 0), attr(iflaMaster, 1, 0, 0, 0))...),
		"bridges":                   msg(rtmGetLink, nlmDump, ifi(afBridge, 0)...),
		"link 1":                    msg(rtmGetLink, 0, ifi(0, 1)...),
		"link 1, acknowledged":      msg(rtmGetLink, nlmAck, ifi(0, 1)...),
		"link 9":                    msg(rtmGetLink, 0, ifi(0, 9)...),
		"link 9, acknowledged":      msg(rtmGetLink, nlmAck, ifi(0, 9)...),
		"link 0":                    msg(rtmGetLink, 0, ifi(0, 0)...),
		"link by name":              msg(rtmGetLink, 0, join(ifi(0, 0), attr(iflaIfname, 'l', 'o', 0))...),
		"link by another name":      msg(rtmGetLink, 0, join(ifi(0, 0), attr(iflaAltIfname, 'l', 'o', 0))...),
		"link by an unknown name":   msg(rtmGetLink, 0, join(ifi(0, 0), attr(iflaIfname, 'x', 0))...),
		"link with junk":            msg(rtmGetLink, 0, join(ifi(0, 1)[:8], one, ifi(0, 0)[12:])...),
		"link, in short":            msg(rtmGetLink, 0, 0, 0, 0, 0),
		"link without a body":       msg(rtmGetLink, 0),
		"new link":                  msg(rtmNewLink, nlmAck, ifi(0, 1)...),
		"addresses":                 msg(rtmGetAddr, nlmDump, ifa(0, 0)...),
		"addresses of IPv4":         msg(rtmGetAddr, nlmDump, ifa(afInet, 0)...),
		"addresses of IPv6":         msg(rtmGetAddr, nlmDump, ifa(afInet6, 0)...),
		"addresses of packets":      msg(rtmGetAddr, nlmDump, ifa(17, 0)...),
		"addresses, in short":       msg(rtmGetAddr, nlmDump, afInet),
		"addresses of link 1":       msg(rtmGetAddr, nlmDump, ifa(afInet, 1)...),
		"addresses of link 9":       msg(rtmGetAddr, nlmDump, ifa(afInet, 9)...),
		"addresses with junk":       msg(rtmGetAddr, nlmDump, afInet, 3, 0, 0, 0, 0, 0, 0),
		"addresses with attributes": msg(rtmGetAddr, nlmDump, join(ifa(afInet, 0), attr(ifaLocal, lo4...))...),
		"address of IPv4":           msg(rtmGetAddr, 0, join(ifa(afInet, 0), attr(ifaLocal, lo4...))...),
		"address of IPv6":           msg(rtmGetAddr, 0, join(ifa(afInet6, 0), attr(ifaAddress, lo6...))...),
		"address that is not there": msg(rtmGetAddr, 0, join(ifa(afInet6, 0), attr(ifaAddress, make([]byte, 16)...))...),
		"address of nothing":        msg(rtmGetAddr, 0, ifa(afInet6, 0)...),
		"routes of IPv4":            msg(rtmGetRoute, nlmDump, rt(afInet)...),
		"routes of IPv6":            msg(rtmGetRoute, nlmDump, rt(afInet6)...),
		"routes, in short":          msg(rtmGetRoute, nlmDump, afInet),
		"routes of table local":     msg(rtmGetRoute, nlmDump, rt(afInet, 0, 0, 0, tableLocal)...),
		"routes of table 100":       msg(rtmGetRoute, nlmDump, rt(afInet, 0, 0, 0, 100)...),
		"routes of a table":         msg(rtmGetRoute, nlmDump, join(rt(afInet), attr(rtaTable, tableLocal, 0, 0, 0))...),
		"routes of kind broadcast":  msg(rtmGetRoute, nlmDump, rt(afInet, 0, 0, 0, 0, 0, 0, typeBroadcast)...),
		"routes through link 1":     msg(rtmGetRoute, nlmDump, join(rt(afInet), attr(rtaOif, one...))...),
		"routes through link 9":     msg(rtmGetRoute, nlmDump, join(rt(afInet), attr(rtaOif, 9, 0, 0, 0))...),
		"routes with a destination": msg(rtmGetRoute, nlmDump, join(rt(afInet, 32), attr(rtaDst, lo4...))...),
		"cached routes":             msg(rtmGetRoute, nlmDump, rt(afInet, 0, 0, 0, 0, 0, 0, 0, 0, 2)...),
		"route to oneself":          msg(rtmGetRoute, 0, join(rt(afInet, 32), attr(rtaDst, lo4...))...),
		"route to oneself, IPv6":    msg(rtmGetRoute, 0, join(rt(afInet6, 128), attr(rtaDst, lo6...))...),
		"route from oneself":        msg(rtmGetRoute, 0, join(rt(afInet, 32, 32), attr(rtaDst, lo4...), attr(rtaSrc, lo4...))...),
		"route to nowhere":          msg(rtmGetRoute, 0, join(rt(afInet, 32), attr(rtaDst, far4...))...),
		"route of length 24":        msg(rtmGetRoute, 0, join(rt(afInet, 24), attr(rtaDst, lo4...))...),
		"route through link 9":      msg(rtmGetRoute, 0, join(rt(afInet, 32), attr(rtaDst, lo4...), attr(rtaOif, 9, 0, 0, 0))...),
		"route to half an address":  msg(rtmGetRoute, 0, join(rt(afInet, 32), attr(rtaDst, 127, 0))...),
		"route in the table":        msg(rtmGetRoute, 0, join(rt(afInet, 32, 0, 0, 0, 0, 0, 0, 0, 0x20), attr(rtaDst, lo4...))...),
		"route of no family":        msg(rtmGetRoute, 0, rt(0)...),
		"new route":                 msg(rtmNewRoute, 0, rt(afInet)...),
		"del route":                 msg(rtmDelRoute, nlmAck, rt(afInet)...),
		"rules of IPv4":             msg(rtmGetRule, nlmDump, rt(afInet)...),
		"rules of IPv6":             msg(rtmGetRule, nlmDump, rt(afInet6)...),
		"neighbours":                msg(rtmGetNeigh, nlmDump, rt(afInet)...),
		"neighbours, in short":      msg(rtmGetNeigh, nlmDump, afInet),
		"neighbours of the bridge":  msg(rtmGetNeigh, nlmDump, rt(afBridge)...),
		"namespaces":                msg(rtmGetNSID, nlmDump, 0, 0, 0, 0),
		"namespace of a process":    msg(rtmGetNSID, 0, join([]byte{0, 0, 0, 0}, attr(netnsaPID, 1, 0, 0, 0))...),
		"namespace of nobody":       msg(rtmGetNSID, 0, 0, 0, 0, 0),
		"type 123":                  msg(123, 0, 0),
		"type 124":                  msg(124, 0, 0),
		"type 200, acknowledged":    msg(200, nlmAck, 0),
		"type 16 without a body":    msg(16, 0),
		"type 3":                    msg(nlmsgDone, nlmAck, 0),
		"type 1 without flags":      msg(1, 0),
		"two":                       join(msg(rtmGetLink, 0, ifi(0, 9)...), msg(rtmGetLink, 0, ifi(0, 8)...)),
		"an answer and a list":      join(msg(rtmGetLink, nlmAck, ifi(0, 1)...), msg(rtmGetAddr, nlmDump, ifa(afInet, 0)...)),
		"with bytes after it":       join(msg(rtmGetLink, 0, ifi(0, 9)...), make([]byte, 100)),
		"cut short":                 msg(rtmGetLink, 0, ifi(0, 9)...)[:24],
		"fifteen bytes":             make([]byte, 15),
		"no length":                 make([]byte, 40),
		"no request":                appendHeader(nil, 16, rtmGetLink, 0, 7, 0),
		"no request, acknowledged":  appendHeader(nil, 16, rtmGetLink, nlmAck, 7, 0),
	}
}

// diagRequests are what a program may ask of NETLINK_SOCK_DIAG.
func diagRequests() map[string][]byte {
	req := func(family, protocol byte, more ...byte) []byte {
		b := make([]byte, sizeDiagReq)
		b[0], b[1] = family, protocol
		copy(b[4:8], []byte{255, 255, 255, 255})
		return append(b, more...)
	}
	code := func(b ...byte) []byte { return req(afInet, protocolTCP, attr(diagReqBytecode, b...)...) }
	old := make([]byte, sizeDiagOld)
	old[0] = afInet
	return map[string][]byte{
		"TCP":                        msg(sockDiagByFamily, nlmDump, req(afInet, protocolTCP)...),
		"TCP, acknowledged":          msg(sockDiagByFamily, nlmDump|nlmAck, req(afInet, protocolTCP)...),
		"UDP":                        msg(sockDiagByFamily, nlmDump, req(afInet6, protocolUDP)...),
		"a protocol without sockets": msg(sockDiagByFamily, nlmDump, req(afInet, 99)...),
		"a protocol, by attribute":   msg(sockDiagByFamily, nlmDump, req(afInet, 6, attr(diagReqProtocol, 99, 0, 0, 0)...)...),
		"in short":                   msg(sockDiagByFamily, nlmDump, afInet, protocolTCP, 0, 0),
		"one byte":                   msg(sockDiagByFamily, nlmDump, afInet),
		"a family too high":          msg(sockDiagByFamily, nlmDump, req(200, 0)...),
		"a family without diag":      msg(sockDiagByFamily, nlmDump, req(3, 0)...),
		"one that is not there":      msg(sockDiagByFamily, 0, req(afInet, protocolTCP)...),
		"one, of UDP":                msg(sockDiagByFamily, 0, req(afInet, protocolUDP)...),
		"one, of no protocol":        msg(sockDiagByFamily, 0, req(afInet, 99)...),
		"code":                       msg(sockDiagByFamily, nlmDump, code(bcSportGE, 8, 12, 0, 0, 0, 80, 0)...),
		"code without an operand":    msg(sockDiagByFamily, nlmDump, code(bcSportGE, 4, 8, 0)...),
		"code that stands still":     msg(sockDiagByFamily, nlmDump, code(bcJump, 0, 0, 0)...),
		"code that leads astray":     msg(sockDiagByFamily, nlmDump, code(bcJump, 4, 100, 0)...),
		"code of no instruction":     msg(sockDiagByFamily, nlmDump, code(99, 4, 8, 0)...),
		"half an instruction":        msg(sockDiagByFamily, nlmDump, code(bcNop, 4)...),
		"no code":                    msg(sockDiagByFamily, nlmDump, code()...),
		"code about an address":      msg(sockDiagByFamily, nlmDump, code(bcSource, 16, 20, 0, afInet, 32, 0, 0, 255, 255, 255, 255, 127, 0, 0, 1)...),
		"code about a long prefix":   msg(sockDiagByFamily, nlmDump, code(bcSource, 16, 20, 0, afInet, 33, 0, 0, 255, 255, 255, 255, 127, 0, 0, 1)...),
		"code about no family":       msg(sockDiagByFamily, nlmDump, code(bcSource, 12, 16, 0, 99, 0, 0, 0, 255, 255, 255, 255)...),
		"the old way":                msg(tcpDiagGetSock, nlmDump, old...),
		"the old way, in short":      msg(tcpDiagGetSock, nlmDump, old[:20]...),
		"the old way, one":           msg(tcpDiagGetSock, 0, old...),
		"the way of DCCP":            msg(19, nlmDump, old...),
		"type 30":                    msg(30, 0, old...),
		"type 30, acknowledged":      msg(30, nlmAck, old...),
		"two":                        join(msg(30, 0, 0), msg(sockDiagByFamily, nlmDump, req(afInet, protocolTCP)...)),
	}
}
