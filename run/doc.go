// Package run runs unmodified Linux programs with their AF_INET and AF_INET6
// sockets served by a usock host.
//
// # How it works
//
// A seccomp filter, installed on the thread that starts the program and inherited
// by all its descendants, stops the system calls that control sockets and hands
// them to this process, the supervisor, as notifications. The supervisor carries
// each out on a socket of its host and answers it. What the program holds is a real
// descriptor of the kernel: an AF_UNIX socket whose other end, the far end, is the
// supervisor's. Bytes are pumped between the far end and the host's socket. So read,
// write, poll, select, epoll, dup, fork, exec, descriptor passing, sendfile, splice
// and close are the kernel's own and cost nothing extra. SCTP's are an exception (marked_linux.go).
//
//	program                       supervisor
//	┌──────────────┐ trapped      ┌───────────────────────────────┐
//	│ connect(fd)  ├─────────────►│ notification ► handler        │
//	│              │◄─────────────┤ answer, or a descriptor added │
//	│              │              │                               │
//	│ write(fd) ───┼─ AF_UNIX ───►│ far end ► pump ► usock.Socket │
//	│ read(fd)  ◄──┼─ AF_UNIX ────┤ far end ◄ pump ◄ usock.Socket │
//	└──────────────┘              └───────────────────────────────┘
//
// # One loop
//
// All of the supervisor's state belongs to the loop (loop_linux.go), which one thread
// runs at a time. It waits in epoll for notifications and for far ends, and the host's
// poll set wakes it through an eventfd. A handler does not wait for what a program does
// with its sockets: a call that must is parked (park_linux.go) and tried again when
// something happens to its socket. A step that a program can make the kernel take long
// over, such as reading its memory, is made away from the loop, which goes to another
// thread if it does take long (turn_linux.go). A program that calls and the loop that
// answers run on one CPU (near_linux.go).
//
// # A call
//
// Each call that the filter knows has a row (calls_linux.go): its numbers, with which
// arguments it is trapped, and its handler. call_linux.go finds the socket that its first
// argument names, has the handler carry it out, and answers. What a handler has done is
// undone, the last step first, when a later one fails.
//
// # A socket's life
//
// A stream socket is given to the program as an unconnected AF_UNIX socket, because
// only that has the poll masks of an unconnected TCP socket. On connect the
// supervisor connects a duplicate of it to a hidden listener of its own (connect_linux.go,
// join_linux.go); on listen it makes the duplicate listen at a hidden path and connects
// each connection that the host accepts to it (listen_linux.go). Each pair of ends is proven
// to be one, by a name. A datagram socket is one half of a pair (dgram_linux.go), and so is
// one of SCTP, of either style (sctp_linux.go).
// state_linux.go has all states of a socket, and the drawing of what may follow what.
// The inode identifies a socket across dup, fork and descriptor passing (task_linux.go).
//
// # What a program sees of its network
//
// Netlink sockets that tell of interfaces, routes and sockets are a pair of AF_UNIX sockets,
// too (netlink_linux.go), and requests of ioctl about interfaces are answered on all sockets
// (interface_linux.go): by the host, and not by the machine.
//
// run may import usock, link, internal/abi, internal/control and internal/rtnl. Begin with run_linux.go, then
// loop_linux.go.
package run
