package run

import (
	"io"
	"os"
	"syscall"

	"usock"
)

// KernelNeeded is the first Linux on which Run works.
const KernelNeeded = "5.14"

// Options say what to run and on which host.
type Options struct {
	Host *usock.Host // serves the sockets
	Path string      // the executable
	Argv []string    // its arguments, the name first
	Env  []string
	Dir  string // "": the current one

	Stdin, Stdout, Stderr *os.File

	// Packets says that somebody sees the host's packets, or that they are few: a
	// recording, a link that is slow or loses some. TCP_CORK and MSG_MORE decide then
	// how a stream is cut into packets, as tcp(7) and send(2) say, which costs a trap
	// each time. Else they are accepted without effect.
	Packets bool

	// EveryCall has every read, write and close of the programs stop, whatever it is of: so what else is right under some of a
	// program's descriptor numbers alone is under all. SCTP's messages are read in parts, whatever dup2(2) has made of their
	// sockets, and close(2) waits for SO_LINGER, of TCP's, too. Each costs some 15 µs, of files as well.
	EveryCall bool

	// Caller is whom Host asks for capabilities, if its Config says so: its Capable is then
	// that of the program that calls. nil: Host's Config decides by itself.
	Caller *Caller

	// Outside, if not nil, is what goes on beside the programs, such as a gateway: the loop
	// that serves them waits for its descriptors too.
	Outside Worker

	// Reaches says that the run is to reach other networks: that it has no route there is then
	// told once on Warn.
	Reaches bool

	// Absent are paths of AF_UNIX sockets whose servers are not to be seen: a program's
	// connect fails with ENOENT, as if there were none. A path that ends in a slash stands for
	// all that are in that directory. /var/run in a path is /run. It is a
	// convenience, which has programs take the other way that they have, and no barrier:
	// other paths lead to the same socket, and a thread can change the address between the
	// look and the kernel's connect.
	Absent []string

	// Guard is a command whose process calls [Guard]. It ends the programs that would
	// wait for ever should this process be killed. Empty: none.
	Guard []string

	// Prepared is what Prepare has made, with the guard's command, while the caller has made
	// the host. nil: Run prepares by itself.
	Prepared *Prepared

	// Named, if not nil, is called when a socket comes to belong to a process, with the name
	// of that process's program (comm in proc(5)), for captures. It must not wait.
	Named func(pid int32, name string)

	// Ends, if not nil, tells of the programs' ends of sockets while the run goes on.
	Ends *Ends

	// Title, if not empty, is the first line that Log receives: what is run, and how.
	Title string

	// Log, if not nil, receives a line for each call that asks for something that
	// usock does not have.
	Log io.Writer

	// Warn, if not nil, receives what the user must know, such as that descriptors
	// have run out: each thing once. Neither writer holds up the run.
	Warn io.Writer
}

// Worker has work to do at the events of its descriptors.
type Worker interface {
	// Attach has it watch them by an epoll set, which may be closed when Attach has returned
	// and stays open then as long as the worker wants. The events' data are its own, but
	// that they begin with a negative number, of 32 bits.
	Attach(epoll int) error

	// Event is called with each event, its data cut in two: id is that number. It must not
	// wait. An event may be one of a descriptor that is watched no more.
	Event(events uint32, id, rest int32)
}

func (o *Options) caller() *Caller {
	if o.Caller == nil {
		return new(Caller)
	}
	return o.Caller
}

// Status is how the program ended.
type Status struct {
	Code   int            // exit status, if Signal is 0
	Signal syscall.Signal // the signal that killed it
}
