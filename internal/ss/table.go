package ss

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"usock/internal/control"
)

// Row is a line of a table.
type Row struct {
	Run    string // whose it is, if the table has that column
	Socket *control.Socket
	Users  string // as Process.Users gives it
}

// Table prints sockets as ss does: by ss's order of protocols, else as they were added, in columns as wide as what is in them, the
// addresses at their ports. Of each it keeps what it will print, and nothing else, as a host can have very many.
//
// Where Width is less than a row needs, the processes and the details go to lines of their
// own, and then addresses lose their middles.
type Table struct {
	Run, Netid, State, Process, Detail bool // which columns there are
	Width                              int  // of the terminal; 0: any

	Service func(port uint16, proto string) string // the name of a port, "" for none; nil: numbers

	width [columns]int
	rows  [len(protocols) + 1]rows // by protocol, those of others first
	row   []byte                   // the last one, for reuse
}

// rows are the texts of rows: of each its cells, its users and the lines below, all with their lengths before them. They are in
// pieces, so that none is moved when there are more.
type rows []*strings.Builder

// piece is how long a piece of rows is.
const piece = 64 << 10

func (r *rows) add(row []byte) {
	last := len(*r) - 1
	if last < 0 || (*r)[last].Len()+len(row) > piece {
		b := new(strings.Builder)
		b.Grow(max(piece, len(row)))
		*r = append(*r, b)
		last++
	}
	(*r)[last].Write(row)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// takeText returns the first text of a row, and what is behind it.
func takeText(row string) (text, rest string) {
	n, shift, i := 0, 0, 0
	for ; row[i] >= 0x80; i++ { // as binary.Uvarint reads it
		n |= int(row[i]&0x7f) << shift
		shift += 7
	}
	n |= int(row[i]) << shift
	i++
	return row[i : i+n], row[i+n:]
}

// The columns. Of an address the port is a column of its own.
const (
	colRun = iota
	colNetid
	colState
	colRecvQ
	colSendQ
	colLocal
	colLocalPort
	colPeer
	colPeerPort
	columns
)

type cells [columns]string

// cut stands for the middle of an address.
const cut = "…"

var protocols = [...]string{"unix", "raw", "icmp", "udp", "tcp", "sctp"}

// Add adds a row.
func (t *Table) Add(r *Row) {
	var c cells
	t.cells(&c, r)
	b := t.row[:0]
	for k, s := range c {
		t.width[k] = max(t.width[k], utf8.RuneCountInString(s))
		if t.has(k) {
			b = appendText(b, s)
		}
	}
	b = appendText(b, r.Users)
	b = appendText(b, t.below(r.Socket))
	t.rows[slices.Index(protocols[:], r.Socket.Proto)+1].add(b)
	t.row = b
}

// Write prints the rows under a line of titles.
func (t *Table) Write(w io.Writer) error {
	titles := cells{"Run", "Netid", "State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address", "Port"}
	width := t.width
	for i, s := range titles {
		width[i] = max(width[i], len(s))
	}
	t.fit(&width)
	length := 0
	for k := range width {
		if t.has(k) {
			length += width[k] + 1
		}
	}

	out := bufio.NewWriterSize(w, 64<<10)
	b := t.line(nil, &titles, &width)
	if title := "Process"; t.Process && (t.Width == 0 || length+len(title) <= t.Width) {
		b = append(b, title...)
	}
	out.Write(append(b, '\n'))
	var c cells
	var users, below string
	for _, rows := range t.rows {
		for _, piece := range rows {
			for rest := piece.String(); rest != ""; {
				for k := range c {
					if t.has(k) {
						c[k], rest = takeText(rest)
					}
				}
				users, rest = takeText(rest)
				below, rest = takeText(rest)
				b = t.line(b[:0], &c, &width)
				b = t.users(b, users, length)
				b = append(append(b, '\n'), below...)
				out.Write(b)
			}
		}
	}
	return out.Flush()
}

// has reports whether the table has a column.
func (t *Table) has(k int) bool {
	switch k {
	case colRun:
		return t.Run
	case colNetid:
		return t.Netid
	case colState:
		return t.State
	}
	return true
}

// cells fills in a row's texts.
func (t *Table) cells(c *cells, r *Row) {
	s := r.Socket
	*c = cells{colRun: r.Run, colNetid: s.Proto, colState: s.State, colRecvQ: strconv.Itoa(s.RecvQ), colSendQ: strconv.Itoa(s.SendQ)}
	if s.Proto == "unix" {
		c[colLocal], c[colLocalPort] = orAny(s.Local), "*"
		c[colPeer], c[colPeerPort] = orAny(s.Peer), "*"
		return
	}
	c[colLocal], c[colLocalPort] = t.address(s, s.Local)
	c[colPeer], c[colPeerPort] = t.address(s, s.Peer)
	if s.Device != "" && !strings.Contains(c[colLocal], "%") {
		c[colLocal] += "%" + s.Device
	}
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// address is an address as ss has it: a socket of IPv6 that takes IPv4, too, is bound to *.
func (t *Table) address(s *control.Socket, addr string) (host, port string) {
	any := "0.0.0.0"
	if s.V6 {
		if any = "*"; s.V6Only {
			any = "[::]"
		}
	}
	if addr == "" {
		return any, "*"
	}
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return addr, "*"
	}
	if host, port = addr[:i], addr[i+1:]; host == "[::]" {
		host = any
	}
	if port == "0" {
		return host, "*"
	}
	if t.Service != nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			if name := t.Service(uint16(n), s.Proto); name != "" {
				port = name
			}
		}
	}
	return host, port
}

// leastHost is how narrow a column of addresses may become.
const leastHost = len("Local Address")

// fit makes the columns of addresses as narrow as the terminal wants it.
func (t *Table) fit(width *[columns]int) {
	if t.Width == 0 {
		return
	}
	over := -t.Width
	for k, n := range width {
		if t.has(k) {
			over += n + 1
		}
	}
	over-- // there is no blank behind the last one
	for ; over > 0; over-- {
		k := colLocal
		if width[colPeer] > width[colLocal] {
			k = colPeer
		}
		if width[k] <= leastHost {
			return
		}
		width[k]--
	}
}

// line appends the columns.
func (t *Table) line(b []byte, c *cells, width *[columns]int) []byte {
	for k, s := range c {
		if !t.has(k) {
			continue
		}
		n := utf8.RuneCountInString(s)
		if n > width[k] {
			s, n = shorten(s, width[k]), width[k]
		}
		right := k == colLocal || k == colPeer
		if right {
			b = pad(b, width[k]-n)
		}
		b = append(b, s...)
		switch {
		case right:
			b = append(b, ':')
		case k == colPeerPort && !t.Process:
		default:
			b = pad(b, width[k]-n+1)
		}
	}
	return b
}

// shorten leaves n characters of s and takes its middle.
func shorten(s string, n int) string {
	if n < 2 {
		return cut
	}
	r := []rune(s)
	head := (n - 1) / 2
	return string(r[:head]) + cut + string(r[len(r)-(n-1-head):])
}

const blanks = "                                                                "

func pad(b []byte, n int) []byte {
	for ; n > len(blanks); n -= len(blanks) {
		b = append(b, blanks...)
	}
	return append(b, blanks[:max(n, 0)]...)
}

// users appends the processes behind the columns, or on a line of their own.
func (t *Table) users(b []byte, users string, length int) []byte {
	if !t.Process || users == "" {
		return b
	}
	if t.Width > 0 && length+len(users) > t.Width {
		b = append(b, '\n')
		users = t.words([]string{users})
	}
	return append(b, users...)
}

// below are the lines below a socket's.
func (t *Table) below(s *control.Socket) (lines string) {
	if t.Detail && s.TCP != nil {
		lines = t.words(Details(s.TCP, s.Congestion)) + "\n"
	}
	if stall := strings.Fields(s.Stall); t.Detail && len(stall) > 0 {
		lines += t.words(append([]string{"waits:"}, stall...)) + "\n"
	}
	return lines
}

// indent is before details.
const indent = "\t "

// tab is how far a tabulator leads.
const tab = 8

// words are words on lines that the terminal has room for, but for the end of the last one.
func (t *Table) words(list []string) string {
	var out strings.Builder
	at := 0
	for i, s := range list {
		switch {
		case i == 0:
			out.WriteString(indent)
			at = tab + 1
		case t.Width > 0 && at+1+len(s) > t.Width:
			out.WriteString("\n" + indent)
			at = tab + 1
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(s)
		at += len(s)
	}
	return out.String()
}
