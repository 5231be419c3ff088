package unix

import (
	"fmt"
	"strings"
	"syscall"

	"usock/internal/abi"
)

// maxName is the longest name in bytes (struct sockaddr_un).
const maxName = 108

// name is where a socket is bound. Accepted sockets share their listener's.
type name struct{ path string }

// abstract reports whether n is in the abstract namespace.
func abstract(path string) bool { return path[0] == 0 }

// node is a path in the table. It outlives its socket.
type node struct{ e *endpoint } // e is nil once the socket is closed

// abstractKey is what an abstract name is found by: each type has its own.
type abstractKey struct {
	typ  int
	path string
}

// checkAddr returns the name in a, or EINVAL (unix_validate_addr).
func checkAddr(a abi.Addr) (string, error) {
	if a.Family != abi.AF_UNIX || a.Path == "" || len(a.Path) > maxName {
		return "", syscall.EINVAL
	}
	if abstract(a.Path) {
		return a.Path, nil
	}
	path, _, _ := strings.Cut(a.Path, "\x00")
	return path, nil
}

func (n *name) addr() abi.Addr {
	a := abi.Addr{Family: abi.AF_UNIX}
	if n != nil {
		a.Path = n.path
	}
	return a
}

// bind gives e a name.
func (e *endpoint) bind(a abi.Addr) error {
	if a.Family == abi.AF_UNIX && a.Path == "" {
		return e.autobind()
	}
	path, err := checkAddr(a)
	if err != nil {
		return err
	}
	d := e.domain
	if abstract(path) {
		if e.name != nil {
			return syscall.EINVAL
		}
		k := abstractKey{e.typ, path}
		if d.abstract[k] != nil {
			return syscall.EADDRINUSE
		}
		d.abstract[k] = e
		e.name = &name{path}
		return nil
	}
	// Linux makes the file first, and finds then that the socket has a name.
	if d.paths[path] != nil {
		return syscall.EADDRINUSE
	}
	if e.name != nil {
		return syscall.EINVAL
	}
	d.paths[path] = &node{e}
	e.name = &name{path}
	return nil
}

// autobind gives e an abstract name of five hexadecimal digits, unless it has a
// name.
func (e *endpoint) autobind() error {
	if e.name != nil {
		return nil
	}
	const names = 1 << 20
	d := e.domain
	for range names {
		d.next = (d.next + 1) % names
		path := fmt.Sprintf("\x00%05x", d.next)
		k := abstractKey{e.typ, path}
		if d.abstract[k] == nil {
			d.abstract[k] = e
			e.name = &name{path}
			return nil
		}
	}
	return syscall.ENOSPC
}

// unbind takes e's name out of the tables. e still knows it.
func (e *endpoint) unbind() {
	if e.name == nil {
		return
	}
	d, path := e.domain, e.name.path
	if abstract(path) {
		if k := (abstractKey{e.typ, path}); d.abstract[k] == e {
			delete(d.abstract, k)
		}
	} else if n := d.paths[path]; n != nil && n.e == e {
		n.e = nil
	}
}

// find returns the socket of e's type that is bound to a: unix_find_other.
func (e *endpoint) find(a abi.Addr) (*endpoint, error) {
	path, err := checkAddr(a)
	if err != nil {
		return nil, err
	}
	if abstract(path) {
		if o := e.domain.abstract[abstractKey{e.typ, path}]; o != nil {
			return o, nil
		}
		return nil, syscall.ECONNREFUSED
	}
	n := e.domain.paths[path]
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case n.e == nil:
		return nil, syscall.ECONNREFUSED
	case n.e.typ != e.typ:
		return nil, syscall.EPROTOTYPE
	}
	return n.e, nil
}

// Unlink frees a path, whether its socket is open or not (unlink(2)); ENOENT if
// nothing is bound there, EINVAL for an abstract name. Locked.
func (d *Domain) Unlink(path string) error {
	if strings.IndexByte(path, 0) >= 0 {
		return syscall.EINVAL
	}
	if d.paths[path] == nil {
		return syscall.ENOENT
	}
	delete(d.paths, path)
	return nil
}
