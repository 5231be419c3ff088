package rtnl

import "slices"

// News is a message about something that has changed, for those who belong to a group.
type News struct {
	Group    int // RTNLGRP_*
	Datagram []byte
}

// Changes tells what is different in now from what was, in the order in which the kernel
// tells it: links, and then addresses and routes, what is gone first.
func Changes(was, now *View) (list []News) {
	for i := range was.Links {
		if o := &was.Links[i]; now.Link(o.Index) == nil {
			list = append(list, news(groupLink, o.message(rtmDelLink, afUnspec, forever, 0)))
		}
	}
	for i := range now.Links {
		l := &now.Links[i]
		o := was.Link(l.Index)
		switch {
		case o == nil:
			list = append(list, news(groupLink, l.message(rtmNewLink, afUnspec, forever, 0)))
		case o.Name != l.Name || o.MTU != l.MTU:
			list = append(list, news(groupLink, l.message(rtmNewLink, afUnspec, 0, 0)))
		}
	}
	for _, family := range []uint8{afInet, afInet6} {
		list = append(list, familyChanges(was, now, family)...)
	}
	return list
}

// familyChanges are those of a family's addresses and routes.
func familyChanges(was, now *View, family uint8) (list []News) {
	addrs, routes := groupIPv4Addr, groupIPv4Route
	if family == afInet6 {
		addrs, routes = groupIPv6Addr, groupIPv6Route
	}
	before, after := was.table(family), now.table(family)
	for i := range before {
		if !slices.Contains(after, before[i]) {
			list = append(list, news(routes, before[i].message(rtmDelRoute)))
		}
	}
	list = append(list, addrChanges(was, now, family, addrs, rtmDelAddr)...)
	list = append(list, addrChanges(now, was, family, addrs, rtmNewAddr)...)
	for i := range after {
		if !slices.Contains(before, after[i]) {
			list = append(list, news(routes, after[i].message(rtmNewRoute)))
		}
	}
	return list
}

// addrChanges are the addresses that one view has and the other has not.
func addrChanges(has, not *View, family uint8, group int, typ uint16) (list []News) {
	for i := range has.Links {
		l := &has.Links[i]
		o := not.Link(l.Index)
		for n, p := range l.Addrs {
			if familyOf(p.Addr()) == family && (o == nil || !slices.Contains(o.Addrs, p)) {
				list = append(list, news(group, l.addrMessage(typ, n)))
			}
		}
	}
	return list
}

// news has no port: it is nobody's answer.
func news(group int, a answer) News {
	var nobody Session
	return News{group, nobody.appendMessage(nil, a, 0, 0)}
}
