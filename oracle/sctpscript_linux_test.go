package oracle

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"usock/internal/abi"
)

// peeler is a system that takes associations out of sockets of many (sctp_peeloff).
type peeler interface {
	// peeloff has no flags if they are negative.
	peeloff(s int, assoc int32, flags int) (int, error)
}

// quicken has a socket neither hold messages back nor acknowledgments, so that what has been sent is there at once: kinds
// of sockets with an exclamation mark.
func (c *script) quicken(s int) error {
	err := c.sys.setopt(s, solSCTP, sctpNodelay, abi.AppendInt(nil, 1))
	if err != nil {
		return err
	}
	return c.sys.setopt(s, solSCTP, sctpDelayedSACK, c.pack(newForm("assoc:id u32:delay u32:freq"), []string{"freq=1"}))
}

// sctpOptionLine carries out
//
//	a set sctp:NAME[/SIZE] FIELDS…     a get sctp:NAME[/SIZE] FIELDS…
//
// where the fields are those of the option's form, and SIZE cuts the structure or fills it up with zeroes.
func (c *script) sctpOptionLine(s int, verb string, args []string) string {
	name, size, sized := strings.Cut(strings.TrimPrefix(args[0], "sctp:"), "/")
	i := slices.IndexFunc(sctpOptions, func(o sctpOption) bool { return o.name == name })
	if i < 0 {
		panic("no such option: " + args[0])
	}
	o := sctpOptions[i]
	v := c.pack(o.form, args[1:])
	if verb == "get" {
		v = append(v, make([]byte, max(o.form.size()-len(v), 0))...)
	}
	if sized {
		n := number(size)
		v = append(v, make([]byte, max(n-len(v), 0))...)[:n]
	}
	if verb == "set" {
		return errname(c.sys.setopt(s, solSCTP, o.number, v))
	}
	full := o.form.size()
	v, err := c.sys.getopt(s, solSCTP, o.number, v)
	if err != nil {
		return errname(err)
	}
	if len(v) == 4 && full == 8 && o.form[0].kind == "assoc" {
		return fmt.Sprintf("4 bytes %d", binary.NativeEndian.Uint32(v)) // the option's older form: a number alone
	}
	out := c.show(o.form, v)
	if len(v) != full || out == "" {
		out = strings.TrimSuffix(fmt.Sprintf("%d bytes %s", len(v), out), " ")
	}
	return out
}

// with appends the control message that words begin with: NAME[/SIZE] FIELDS…, to the first word that is none
// of its fields. It returns how many words it took.
func (c *script) with(m *message, words []string) int {
	name, size, sized := strings.Cut(words[0], "/")
	i := slices.IndexFunc(sctpControls, func(k struct {
		name string
		form form
	}) bool {
		return k.name == name
	})
	if i < 0 {
		panic("no such control message: " + name)
	}
	n := 1
	for n < len(words) && strings.Contains(words[n], "=") {
		n++
	}
	fields := slices.Clone(words[1:n])
	for j := range fields {
		fields[j] = strings.TrimPrefix(fields[j], "=") // of the field without a name
	}
	v := c.pack(sctpControls[i].form, fields)
	if sized {
		k := number(size)
		v = append(v, make([]byte, max(k-len(v), 0))...)[:k]
	}
	m.control = abi.AppendCmsg(m.control, solSCTP, i, v)
	return n
}

// notification writes a notification.
func (c *script) notification(b []byte) string {
	if len(b) < 8 {
		return fmt.Sprintf("cut to %d bytes", len(b))
	}
	i := int(binary.NativeEndian.Uint16(b)) - 0x8000
	if i < 0 || i >= len(sctpNotifications) {
		return fmt.Sprintf("notification %#x", 0x8000+i)
	}
	out := sctpNotifications[i].name
	if f := binary.NativeEndian.Uint16(b[2:]); f != 0 {
		out += fmt.Sprintf(" flags=%#x", f)
	}
	if n := binary.NativeEndian.Uint32(b[4:]); int(n) != len(b) {
		out += fmt.Sprintf(" length=%d", n)
	}
	return strings.TrimSuffix(out+" "+c.show(sctpNotifications[i].form, b[8:]), " ")
}

// peeloff carries out p = peeloff a ID [FLAGS].
func (c *script) peeloff(name string, args []string) string {
	s, ok := c.fds[args[0]]
	if !ok {
		return "no socket"
	}
	p, ok := c.sys.(peeler)
	if !ok {
		return "no peeloff"
	}
	flags := -1
	if len(args) > 2 {
		flags = number(args[2])
	}
	fd, err := p.peeloff(s, c.seen.id(args[1]), flags)
	if err == nil {
		c.fds[name] = fd
	}
	return errname(err)
}
