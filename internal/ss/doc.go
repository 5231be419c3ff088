// Package ss is what ss(8) of iproute2 has beside the kernel: its filters and its table.
//
// filter.go has the grammar of filters, match.go what they mean, table.go the columns,
// details.go the line of a connection's TCP, services.go the names of ports and users_linux.go
// the processes that hold a socket. The sockets are those of package control.
package ss
