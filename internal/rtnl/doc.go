// Package rtnl answers netlink requests about a host's interfaces, addresses, routes and
// sockets, as Linux answers them on NETLINK_ROUTE and NETLINK_SOCK_DIAG.
//
// It knows no socket, lock or clock: a [Session] takes request datagrams and yields answer
// datagrams, and a [Source] says what there is to tell. Begin with session.go. Layouts are
// those of linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h and inet_diag.h; attributes are
// encoded by github.com/mdlayher/netlink. All numbers are Linux's, on every system.
//
// rtnl imports nothing of the module.
package rtnl
