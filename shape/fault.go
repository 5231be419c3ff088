package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Fault is something that goes wrong at a program's calls: what it is, and the conditions under which it strikes. Its text
// is the one that ParseFault reads:
//
//	connect refused                            ECONNREFUSED, as from a host with nobody on the port
//	connect timed out after 3s                 ETIMEDOUT
//	connect late by 500ms                      the SYN leaves so much later
//	reset after 1000 bytes                     a RST behind this byte of what the program sends
//	reset after 1000 bytes received            the same of what it receives
//	reset at accept                            a connection that is broken when it is accepted
//	read in pieces of 1,7,100 bytes            receives give so much, one after the other, and again from the first
//	stop reading for 5s after 64kb             the program receives nothing for so long, and its peer meets a closed window
//	peer stops reading for 5s after 64kb       what the program sends stays here for so long
//	socket fails with EMFILE                   or ENFILE, ENOBUFS, ENOMEM
//	accept fails with ENFILE                   the same; the connection stays in the queue
//	interrupt recv                             EINTR of a recv, accept or connect that would wait
//	dns NXDOMAIN                               a name does not exist
//	dns SERVFAIL                               its server does not know
//	dns late by 2s                             the answer comes so much later
//	dns wrong first                            the first answer about each name is wrong, those that follow are right
//	dns AAAA only                              a name has no address of IPv4
//
// each with as many of these conditions as it takes, in any order:
//
//	to api.test:443       where the connecting side connects to: NAME, *.SUFFIX, ADDRESS or PREFIX, :PORT, or both
//	for api.test          the name that is asked for: NAME or *.SUFFIX
//	process curl          the program's name (comm in proc(5)); of a host without processes, the host's
//	at 10%                so often, by chance
//	at the 3rd            the third time that it could strike
//	at every 5th          the fifth, the tenth and so on
//	once                  after it has struck it is over
type Fault struct {
	Kind   FaultKind
	Errno  syscall.Errno // SocketFails, AcceptFails
	Wait   time.Duration // ConnectTimeout, ConnectLate, StopReading, PeerStopsReading, NameLate
	After  uint64        // bytes: ResetSent, ResetReceived, StopReading, PeerStopsReading
	Pieces []int         // bytes: ReadPieces
	Call   string        // Interrupt: recv, accept or connect

	To      Peer
	Name    string  // of NAME's faults, without a dot at its end; "": any; "*.x": all that end so
	Process string  // "": any
	Percent float64 // 0: always
	Nth     uint64  // 0: any
	Every   uint64  // 0: any
	Once    bool
}

// FaultKind is what goes wrong.
type FaultKind uint8

// The kinds.
const (
	NoFault FaultKind = iota
	ConnectRefused
	ConnectTimeout
	ConnectLate
	ResetSent
	ResetReceived
	ResetAtAccept
	ReadPieces
	StopReading
	PeerStopsReading
	SocketFails
	AcceptFails
	Interrupt
	NameNotFound
	NameServerFails
	NameLate
	NameWrongFirst
	NameAAAAOnly
)

// place is where it is asked whether a fault strikes.
type place uint8

const (
	nowhere    place = iota
	atConnect        // a program begins to connect
	atStream         // the same, or accepts: what happens to the connection later
	atAccept         // there is a connection to be accepted
	atAccepted       // it was
	atSocket
	atWait // a call would wait
	atName // a question about a name
)

// places are the kinds' places.
var places = [...]place{
	ConnectRefused: atConnect, ConnectTimeout: atConnect, ConnectLate: atConnect,
	ResetSent: atStream, ResetReceived: atStream, ReadPieces: atStream, StopReading: atStream, PeerStopsReading: atStream,
	ResetAtAccept: atAccepted, SocketFails: atSocket, AcceptFails: atAccept, Interrupt: atWait,
	NameNotFound: atName, NameServerFails: atName, NameLate: atName, NameWrongFirst: atName, NameAAAAOnly: atName,
}

// faultErrnos are the errors with which a socket or an accept may fail.
var faultErrnos = []struct {
	name  string
	errno syscall.Errno
}{{"EMFILE", syscall.EMFILE}, {"ENFILE", syscall.ENFILE}, {"ENOBUFS", syscall.ENOBUFS}, {"ENOMEM", syscall.ENOMEM}}

// faultCalls are the calls that can be interrupted.
var faultCalls = []string{"recv", "accept", "connect"}

// String returns the text that ParseFault reads.
func (f Fault) String() string {
	b := []byte(f.what())
	if t := f.To.String(); t != "" {
		b = append(b, " to "+t...)
	}
	if f.Name != "" {
		b = append(b, " for "+f.Name...)
	}
	if f.Process != "" {
		b = append(b, " process "+f.Process...)
	}
	if f.Percent != 0 {
		b = strconv.AppendFloat(append(b, " at "...), f.Percent, 'f', -1, 64)
		b = append(b, '%')
	}
	if f.Nth != 0 {
		b = append(b, " at the "+ordinal(f.Nth)...)
	}
	if f.Every != 0 {
		b = append(b, " at every "+ordinal(f.Every)...)
	}
	if f.Once {
		b = append(b, " once"...)
	}
	return string(b)
}

// what is String without the conditions.
func (f *Fault) what() string {
	switch f.Kind {
	case ConnectRefused:
		return "connect refused"
	case ConnectTimeout:
		return "connect timed out after " + faultTime(f.Wait)
	case ConnectLate:
		return "connect late by " + faultTime(f.Wait)
	case ResetSent:
		return "reset after " + faultBytes(f.After)
	case ResetReceived:
		return "reset after " + faultBytes(f.After) + " received"
	case ResetAtAccept:
		return "reset at accept"
	case ReadPieces:
		return "read in pieces of " + strings.Trim(strings.ReplaceAll(fmt.Sprint(f.Pieces), " ", ","), "[]") + " bytes"
	case StopReading:
		return "stop reading for " + faultTime(f.Wait) + " after " + faultBytes(f.After)
	case PeerStopsReading:
		return "peer stops reading for " + faultTime(f.Wait) + " after " + faultBytes(f.After)
	case SocketFails, AcceptFails:
		call := "socket"
		if f.Kind == AcceptFails {
			call = "accept"
		}
		return call + " fails with " + errnoName(f.Errno)
	case Interrupt:
		return "interrupt " + f.Call
	case NameNotFound:
		return "dns NXDOMAIN"
	case NameServerFails:
		return "dns SERVFAIL"
	case NameLate:
		return "dns late by " + faultTime(f.Wait)
	case NameWrongFirst:
		return "dns wrong first"
	case NameAAAAOnly:
		return "dns AAAA only"
	}
	return "no fault"
}

// MarshalText implements encoding.TextMarshaler.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fault) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFault(string(text))
	return err
}

func errnoName(e syscall.Errno) string {
	for _, x := range faultErrnos {
		if x.errno == e {
			return x.name
		}
	}
	return "?"
}

// faultTime is a duration without the zeros that time.Duration's String has at its end.
func faultTime(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// faultUnits are those of sizes, as tc(8) has them.
var faultUnits = []struct {
	name string
	size uint64
}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}}

func faultBytes(n uint64) string {
	for _, u := range faultUnits {
		if n != 0 && n%u.size == 0 {
			return strconv.FormatUint(n/u.size, 10) + u.name
		}
	}
	if n == 1 {
		return "1 byte"
	}
	return strconv.FormatUint(n, 10) + " bytes"
}

func ordinal(n uint64) string { return strconv.FormatUint(n, 10) + ordinalEnd(n) }

func ordinalEnd(n uint64) string {
	if n%100/10 != 1 {
		switch n % 10 {
		case 1:
			return "st"
		case 2:
			return "nd"
		case 3:
			return "rd"
		}
	}
	return "th"
}

// Peer is the other side of connections: all that its fields have in common.
type Peer struct {
	Name   string       // without a dot at its end; "": any; "*.x": all that end so
	Prefix netip.Prefix // not valid: any
	Port   uint16       // 0: any
}

// String returns the text that a fault has behind its to.
func (p Peer) String() string {
	host := p.Name
	if p.Prefix.IsValid() {
		if host = p.Prefix.String(); p.Prefix.IsSingleIP() {
			host = p.Prefix.Addr().String()
		}
		if p.Prefix.Addr().Is6() && p.Port != 0 {
			host = "[" + host + "]"
		}
	}
	if p.Port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(int(p.Port))
}

// matches reports whether an address is the peer's. names returns those that the address was given for.
func (p *Peer) matches(a netip.AddrPort, names func(netip.Addr) []string) bool {
	addr := a.Addr().Unmap().WithZone("")
	return (p.Port == 0 || p.Port == a.Port()) && (!p.Prefix.IsValid() || p.Prefix.Contains(addr)) &&
		(p.Name == "" || slices.ContainsFunc(names(addr), func(n string) bool { return matchesName(p.Name, n) }))
}

// matchesName reports whether a name, as target.Bare has it, is the one that is meant.
func matchesName(meant, name string) bool {
	if end, ok := strings.CutPrefix(meant, "*"); ok {
		return strings.HasSuffix(name, end)
	}
	return name == meant
}
