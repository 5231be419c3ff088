package shape

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"usock/internal/target"
)

// Fault is something that goes wrong at a program's calls: what it is, and the conditions under which it strikes. Its text
// is the one that ParseFault reads:
//
//	connect refused                            ECONNREFUSED, as from a host with nobody on the port
//	connect timed out after 3s                 ETIMEDOUT
//	connect late by 500ms                      the SYN, or INIT, leaves so much later
//	reset after 1000 bytes                     a RST behind this byte of what the program sends; of SCTP an ABORT
//	reset after 1000 bytes received            the same of what it receives
//	reset at accept                            a connection that is broken when it is accepted
//	read in pieces of 1,7,100 bytes            receives give so much, one after the other, and again from the first
//	stop reading for 5s after 64kb             the program receives nothing for so long, and its peer meets a closed window
//	peer stops reading for 5s after 64kb       what the program sends stays here for so long
//	socket fails with EMFILE                   or ENFILE, ENOBUFS, ENOMEM
//	accept fails with ENFILE                   the same; the connection stays in the queue
//	send fails with ENOBUFS                    or ENOMEM, of a datagram of UDP, which is not sent
//	interrupt recv                             EINTR of a recv, send, accept or connect that would wait
//	dns NXDOMAIN                               a name does not exist
//	dns SERVFAIL                               its server does not know
//	dns late by 2s                             the answer comes so much later
//	dns wrong first                            the first answer about each name is wrong, those that follow are right
//	dns AAAA only                              a name has no address of IPv4
//
// each with as many of these conditions as it takes, in any order:
//
//	to api.test:443       where the connecting side connects to: a target as rules have it (ParseRule)
//	from 10.0.0.0/8       the connecting side, likewise; of connections that begin
//	tcp, udp, sctp        the socket's protocol
//	for api.test          the name that is asked for: NAME or *.SUFFIX
//	process curl          the program's name (comm in proc(5)); of a host without processes, the host's
//	pid 4711              the process's number
//	at 10%                so often, by chance
//	at the 3rd            the third time that it could strike
//	at every 5th          the fifth, the tenth and so on
//	once                  after it has struck it is over
//	from 10s until 20s    the time of the call, since the beginning; as rules have times
type Fault struct {
	Kind   FaultKind
	Errno  syscall.Errno // SocketFails, AcceptFails, SendFails
	Wait   time.Duration // ConnectTimeout, ConnectLate, StopReading, PeerStopsReading, NameLate
	After  uint64        // bytes: ResetSent, ResetReceived, StopReading, PeerStopsReading
	Pieces []int         // bytes: ReadPieces
	Call   string        // Interrupt: recv, send, accept or connect

	To      Target
	From    Target
	Proto   uint8   // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP; 0: any
	Name    Target  // NAME's faults: by name
	Process string  // "": any
	PID     int32   // 0: any
	Percent float64 // 0: always
	Nth     uint64  // 0: any
	Every   uint64  // 0: any
	Once    bool

	times times
}

// Target is hosts, with ports and a protocol, as the texts of rules and faults have them. Its zero value: all.
type Target struct {
	of   *target.Target // nil: all
	text string
}

// proto is the protocol that it names, 0 for none.
func (t Target) proto() uint8 {
	if t.of == nil {
		return 0
	}
	return t.of.Proto
}

// String returns the text that it was read from; "" for the zero value.
func (t Target) String() string { return t.text }

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
	SendFails
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
	atSend // of a datagram
	atWait // a call would wait
	atName // a question about a name
	places
)

// kinds are the facts about the kinds.
var kinds = [...]struct {
	at     place
	protos []uint8 // of the sockets that it may strike at; nil: of all
}{
	ConnectRefused: {atConnect, connections}, ConnectTimeout: {atConnect, connections}, ConnectLate: {atConnect, connections},
	ResetSent: {atStream, connections}, ResetReceived: {atStream, connections}, ResetAtAccept: {atAccepted, connections},
	ReadPieces: {atStream, streams}, StopReading: {atStream, streams}, PeerStopsReading: {atStream, streams},
	SocketFails: {atSocket, nil}, AcceptFails: {atAccept, streams}, SendFails: {atSend, datagrams}, Interrupt: {atWait, nil},
	NameNotFound: {atName, nil}, NameServerFails: {atName, nil}, NameLate: {atName, nil}, NameWrongFirst: {atName, nil}, NameAAAAOnly: {atName, nil},
}

var (
	connections = []uint8{target.TCP, target.SCTP}
	streams     = []uint8{target.TCP}
	datagrams   = []uint8{target.UDP}
)

// faultErrnos are the errors with which a socket, an accept or a send may fail.
var faultErrnos = []struct {
	name  string
	errno syscall.Errno
}{{"EMFILE", syscall.EMFILE}, {"ENFILE", syscall.ENFILE}, {"ENOBUFS", syscall.ENOBUFS}, {"ENOMEM", syscall.ENOMEM}}

// sendErrnos is where those begin that are of a send.
const sendErrnos = 2

// faultCalls are the calls that can be interrupted.
var faultCalls = []string{"recv", "send", "accept", "connect"}

// String returns the text that ParseFault reads.
func (f Fault) String() string {
	b := []byte(f.what())
	for _, x := range [...]struct{ word, value string }{
		{"to", f.To.text}, {"from", f.From.text}, {"", protocolName(f.Proto)}, {"for", f.Name.text}, {"process", quotedName(f.Process)}, {"pid", number(uint64(f.PID))},
		{"at", percent(f.Percent)}, {"at the", ordinal(f.Nth)}, {"at every", ordinal(f.Every)},
		{"from", timeText(f.times.from)}, {"every", timeText(f.times.every)}, {"for", timeText(f.times.length)}, {"until", timeText(f.times.until)},
	} {
		if x.value == "" {
			continue
		}
		if x.word != "" {
			b = append(b, " "+x.word...)
		}
		b = append(b, " "+x.value...)
	}
	if f.Once {
		b = append(b, " once"...)
	}
	return string(b)
}

// protocolName returns the word for a protocol, "" for 0.
func protocolName(proto uint8) string {
	for _, name := range protocols {
		if target.Protocol(name) == proto {
			return name
		}
	}
	return ""
}

// quotedName is a program's name as a word of a text.
func quotedName(name string) string {
	if _, err := strconv.Atoi(name); err == nil || strings.ContainsFunc(name, unicode.IsSpace) || strings.HasPrefix(name, "#") {
		return `"` + name + `"`
	}
	return name
}

// number, percent, ordinal and timeText are values as conditions have them, "" for 0.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func percent(p float64) string {
	if p == 0 {
		return ""
	}
	return strconv.FormatFloat(p, 'f', -1, 64) + "%"
}

func ordinal(n uint64) string {
	if n == 0 {
		return ""
	}
	return number(n) + ordinalEnd(n)
}

func timeText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return faultTime(d)
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
	case SocketFails:
		return "socket fails with " + errnoName(f.Errno)
	case AcceptFails:
		return "accept fails with " + errnoName(f.Errno)
	case SendFails:
		return "send fails with " + errnoName(f.Errno)
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
