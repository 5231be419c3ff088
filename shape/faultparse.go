package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"usock/internal/target"
)

// FaultError says what in the text of a fault cannot be read.
type FaultError struct {
	Column int    // of the word, in bytes, from 1
	Reason string // in words, with what was meant
}

func (e *FaultError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Reason) }

// ParseFault reads a fault's text. Its errors are of type *FaultError.
func ParseFault(text string) (Fault, error) {
	p := faultParser{rest: text, column: 1}
	p.next()
	f := p.fault()
	if p.err != nil {
		return Fault{}, p.err
	}
	return f, nil
}

// faultParser reads word by word. After the first error it reads on to no effect, and that error counts.
type faultParser struct {
	word   string // "": there are no more
	column int    // of the word
	rest   string
	err    *FaultError
}

// next goes to the next word.
func (p *faultParser) next() {
	p.column += len(p.word)
	trimmed := strings.TrimLeft(p.rest, " \t")
	p.column += len(p.rest) - len(trimmed)
	n := strings.IndexAny(trimmed, " \t")
	if n < 0 {
		n = len(trimmed)
	}
	p.word, p.rest = trimmed[:n], trimmed[n:]
}

func (p *faultParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &FaultError{p.column, fmt.Sprintf(format, args...)}
	}
}

// keep has the error be that of an earlier place, unless there is one.
func (p *faultParser) keep(at *faultParser) {
	if p.err == nil {
		p.err = at.err
	}
}

// wants fails as the word is none of those that may stand here.
func (p *faultParser) wants(words ...string) {
	list := words[0]
	if last := len(words) - 1; last > 0 {
		list = strings.Join(words[:last], ", ") + " or " + words[last]
	}
	switch near := nearest(p.word, words); {
	case p.word == "":
		p.fail("the text ends here; %s is wanted", list)
	case near != "":
		p.fail("%q: did you mean %q? %s is wanted", p.word, near, list)
	default:
		p.fail("%q: %s is wanted", p.word, list)
	}
}

// choose reads one of the words, and returns it.
func (p *faultParser) choose(words ...string) string {
	if !slices.Contains(words, p.word) {
		p.wants(words...)
		return ""
	}
	w := p.word
	p.next()
	return w
}

// take reads a word if it is this one.
func (p *faultParser) take(word string) bool {
	if p.word != word {
		return false
	}
	p.next()
	return true
}

func (p *faultParser) fault() (f Fault) {
	switch p.choose("connect", "reset", "read", "stop", "peer", "socket", "accept", "interrupt", "dns") {
	case "connect":
		p.connect(&f)
	case "reset":
		p.reset(&f)
	case "read":
		f.Kind = ReadPieces
		p.choose("in")
		p.choose("pieces")
		p.choose("of")
		f.Pieces = p.pieces()
		p.choose("bytes", "byte")
	case "stop":
		f.Kind = StopReading
		p.stopped(&f)
	case "peer":
		f.Kind = PeerStopsReading
		p.choose("stops")
		p.stopped(&f)
	case "socket":
		f.Kind = SocketFails
		p.fails(&f)
	case "accept":
		f.Kind = AcceptFails
		p.fails(&f)
	case "interrupt":
		f.Kind = Interrupt
		f.Call = p.choose(faultCalls...)
	case "dns":
		p.dns(&f)
	}
	for p.word != "" && p.err == nil {
		p.condition(&f)
	}
	return f
}

func (p *faultParser) connect(f *Fault) {
	switch p.choose("refused", "timed", "late") {
	case "refused":
		f.Kind = ConnectRefused
	case "timed":
		f.Kind = ConnectTimeout
		p.choose("out")
		p.choose("after")
		f.Wait = p.duration()
	case "late":
		f.Kind = ConnectLate
		p.choose("by")
		f.Wait = p.duration()
	}
}

func (p *faultParser) reset(f *Fault) {
	if p.choose("after", "at") == "at" {
		f.Kind = ResetAtAccept
		p.choose("accept")
		return
	}
	f.Kind = ResetSent
	at := *p
	if f.After = p.bytes(); f.After == 0 {
		at.fail("%q: a reset comes behind the first byte at the earliest; a connection that is broken from the first is \"reset at accept\"", at.word)
		p.keep(&at)
	}
	if p.take("received") {
		f.Kind = ResetReceived
	} else {
		p.take("sent")
	}
}

// stopped reads what follows stop.
func (p *faultParser) stopped(f *Fault) {
	p.choose("reading")
	p.choose("for")
	f.Wait = p.duration()
	p.choose("after")
	f.After = p.bytes()
}

func (p *faultParser) fails(f *Fault) {
	p.choose("fails")
	p.choose("with")
	names := make([]string, len(faultErrnos))
	for i, x := range faultErrnos {
		names[i] = x.name
	}
	if name := p.choose(names...); name != "" {
		f.Errno = faultErrnos[slices.Index(names, name)].errno
	}
}

func (p *faultParser) dns(f *Fault) {
	switch p.choose("NXDOMAIN", "SERVFAIL", "late", "wrong", "AAAA") {
	case "NXDOMAIN":
		f.Kind = NameNotFound
	case "SERVFAIL":
		f.Kind = NameServerFails
	case "late":
		f.Kind = NameLate
		p.choose("by")
		f.Wait = p.duration()
	case "wrong":
		f.Kind = NameWrongFirst
		p.choose("first")
	case "AAAA":
		f.Kind = NameAAAAOnly
		p.choose("only")
	}
}

// condition reads one condition. None may stand twice.
func (p *faultParser) condition(f *Fault) {
	at := *p
	twice := false
	switch p.choose("to", "for", "process", "at", "once") {
	case "to":
		twice = f.To != Peer{}
		if w := places[f.Kind]; w == atName || w == atSocket {
			at.fail("%q has no peer, and so no to; %s", f.what(), map[place]string{atName: "for NAME says which", atSocket: "process NAME says whose"}[w])
			p.keep(&at)
			return
		}
		f.To = p.peer()
	case "for":
		twice = f.Name != ""
		if places[f.Kind] != atName {
			at.fail("for is a condition of dns; to NAME says where %q strikes", f.what())
			p.keep(&at)
			return
		}
		f.Name = p.name()
	case "process":
		twice = f.Process != ""
		if f.Process = p.word; p.word == "" {
			p.fail("the text ends here; a program's name is wanted")
		}
		p.next()
	case "at":
		twice = f.Percent != 0 || f.Nth != 0 || f.Every != 0
		p.often(f)
	case "once":
		twice = f.Once
		f.Once = true
	}
	if twice {
		at.fail("%q stands twice", at.word)
		p.keep(&at)
	}
}

// often reads what follows at.
func (p *faultParser) often(f *Fault) {
	switch {
	case p.take("the"):
		f.Nth = p.ordinal()
	case p.take("every"):
		f.Every = p.ordinal()
	case strings.HasSuffix(p.word, "%"):
		v, err := strconv.ParseFloat(strings.TrimSuffix(p.word, "%"), 64)
		if err != nil || !(v > 0 && v <= 100) {
			p.fail("%q: more than 0%%, and at most 100%%, is wanted", p.word)
		}
		f.Percent = v
		p.next()
	default:
		p.fail("%q: how often is wanted, such as 10%%, the 3rd or every 5th", p.word)
	}
}

func (p *faultParser) ordinal() uint64 {
	digits := strings.TrimRight(p.word, "stndrh")
	n, err := strconv.ParseUint(digits, 10, 64)
	if end := p.word[len(digits):]; err != nil || n == 0 || !slices.Contains([]string{"st", "nd", "rd", "th"}, end) {
		p.fail("%q: a place in the order is wanted, such as 1st or 5th", p.word)
	}
	p.next()
	return n
}

// maxFaultTime bounds what a fault waits: longer than any test.
const maxFaultTime = 24 * time.Hour

func (p *faultParser) duration() time.Duration {
	d, err := time.ParseDuration(p.word)
	switch {
	case p.word == "":
		p.fail("the text ends here; a time is wanted, such as 500ms or 3s")
	case err != nil:
		p.fail("%q: a time is wanted, such as 500ms or 3s", p.word)
	case d < 0 || d > maxFaultTime:
		p.fail("%q: a time from 0s to 24h is wanted", p.word)
	}
	p.next()
	return d
}

// maxFaultBytes bounds where in a stream a fault is.
const maxFaultBytes = 1 << 50

// bytes reads a number of bytes, 1000 bytes or 64kb.
func (p *faultParser) bytes() uint64 {
	digits := strings.TrimRight(p.word, "bkmg")
	n, err := strconv.ParseUint(digits, 10, 64)
	unit := p.word[len(digits):]
	size := uint64(1)
	for _, u := range faultUnits {
		if u.name == unit {
			size = u.size
		}
	}
	switch {
	case p.word == "":
		p.fail("the text ends here; a number of bytes is wanted, such as 1000 bytes or 64kb")
	case err != nil || size == 1 && unit != "":
		p.fail("%q: a number of bytes is wanted, such as 1000 bytes or 64kb", p.word)
	case n > maxFaultBytes/size:
		p.fail("%q: no stream is as long", p.word)
	}
	p.next()
	if unit == "" {
		p.choose("bytes", "byte")
	}
	return n * size
}

// What pieces may be.
const (
	maxPieces = 64
	maxPiece  = 1 << 30
)

// pieces reads sizes with commas between them.
func (p *faultParser) pieces() (list []int) {
	for text := range strings.SplitSeq(p.word, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPiece {
			p.fail("%q: numbers of bytes, at least 1, are wanted with commas between them, such as 1,7,100", p.word)
		}
		list = append(list, n)
	}
	if len(list) > maxPieces {
		p.fail("there are more than %d pieces", maxPieces)
	}
	p.next()
	return list
}

// peer reads NAME, ADDRESS or PREFIX, with :PORT or not, or :PORT alone.
func (p *faultParser) peer() (peer Peer) {
	host, port := p.word, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && (strings.Count(host, ":") == 1 || strings.HasSuffix(host[:i], "]")) {
		host, port = host[:i], host[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			p.fail("%q: a port from 1 to 65535 is wanted behind the colon", p.word)
		}
		peer.Port = uint16(n)
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	switch {
	case p.word == "":
		p.fail("the text ends here; a name, an address or a port is wanted, such as api.test:443")
	case host == "" && port != "":
	case strings.Contains(bare, "/"):
		x, err := netip.ParsePrefix(bare)
		if err != nil || x != x.Masked() {
			p.fail("%q: an address and its length are wanted, such as 10.0.0.0/8", p.word)
		}
		peer.Prefix = x
	default:
		if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
			peer.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
			break
		}
		p.checkName(host)
		peer.Name = target.Bare(host)
	}
	p.next()
	return peer
}

func (p *faultParser) name() string {
	p.checkName(p.word)
	name := target.Bare(p.word)
	p.next()
	return name
}

// checkName fails if a word is no name: letters, digits, hyphens and underscores, with dots between them.
func (p *faultParser) checkName(s string) {
	rest := strings.TrimSuffix(strings.TrimPrefix(s, "*."), ".")
	for label := range strings.SplitSeq(rest, ".") {
		wrong := strings.IndexFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		if label == "" || wrong >= 0 || len(label) > 63 {
			p.fail("%q: a name is wanted, such as api.test or *.test", p.word)
			return
		}
	}
}
