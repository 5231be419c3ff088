package shape

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"usock/internal/target"
)

// ParseFault reads a fault's text. Its errors are of type *TextError.
func ParseFault(text string) (Fault, error) {
	words, err := split(text)
	if err != nil {
		return Fault{}, err
	}
	return faultOf(words)
}

// faultOf makes a fault of its words.
func faultOf(words []word) (Fault, error) {
	p := faultParser{rest: words, word: &word{column: 1}}
	p.next()
	f := p.fault()
	if p.err == nil {
		p.err = p.timing.set(&f.times)
	}
	if p.err != nil {
		return Fault{}, p.err
	}
	return f, nil
}

// faultParser reads word by word. After the first error it reads on to no effect, and that error counts.
type faultParser struct {
	word   *word // without text: there are no more
	rest   []word
	timing timing
	err    error
}

// next goes to the next word.
func (p *faultParser) next() {
	if len(p.rest) == 0 {
		p.word = &word{column: p.word.column + utf8.RuneCountInString(p.word.raw)}
		return
	}
	p.word, p.rest = &p.rest[0], p.rest[1:]
}

// ends reports whether there are no more words.
func (p *faultParser) ends() bool { return p.word.raw == "" }

// text is that of the word.
func (p *faultParser) text() string { return p.word.text }

func (p *faultParser) fail(format string, args ...any) { p.keep(p.word.fault(format, args...)) }

// keep has err be the error, unless there is one.
func (p *faultParser) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

// wants fails as the word is none of those that may stand here.
func (p *faultParser) wants(words ...string) {
	list := words[0]
	if last := len(words) - 1; last > 0 {
		list = strings.Join(words[:last], ", ") + " or " + words[last]
	}
	switch near := nearest(p.text(), words); {
	case p.ends():
		p.fail("the text ends here; %s is wanted", list)
	case near != "":
		p.fail("%q: did you mean %q? %s is wanted", p.text(), near, list)
	default:
		p.fail("%q: %s is wanted", p.text(), list)
	}
}

// choose reads one of the words, and returns it.
func (p *faultParser) choose(words ...string) string {
	if p.word.quoted || !slices.Contains(words, p.text()) {
		p.wants(words...)
		return ""
	}
	w := p.text()
	p.next()
	return w
}

// take reads a word if it is this one.
func (p *faultParser) take(word string) bool {
	if p.text() != word || p.word.quoted {
		return false
	}
	p.next()
	return true
}

func (p *faultParser) fault() (f Fault) {
	switch p.choose("connect", "reset", "read", "stop", "peer", "socket", "accept", "send", "interrupt", "dns") {
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
		p.fails(&f, 0)
	case "accept":
		f.Kind = AcceptFails
		p.fails(&f, 0)
	case "send":
		f.Kind = SendFails
		p.fails(&f, sendErrnos)
	case "interrupt":
		f.Kind = Interrupt
		f.Call = p.choose(faultCalls...)
	case "dns":
		p.dns(&f)
	}
	for !p.ends() && p.err == nil {
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
		f.Wait = p.pause()
	}
}

func (p *faultParser) reset(f *Fault) {
	if p.choose("after", "at") == "at" {
		f.Kind = ResetAtAccept
		p.choose("accept")
		return
	}
	f.Kind = ResetSent
	w := p.word
	if f.After = p.bytes(); f.After == 0 {
		p.keep(w.fault("%q: a reset comes behind the first byte at the earliest; a connection that is broken from the first is \"reset at accept\"", w.text))
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
	f.Wait = p.pause()
	p.choose("after")
	f.After = p.bytes()
}

// fails reads what follows a call. The errors may be those from an index on.
func (p *faultParser) fails(f *Fault, from int) {
	p.choose("fails")
	p.choose("with")
	var names []string
	for _, x := range faultErrnos[from:] {
		names = append(names, x.name)
	}
	if name := p.choose(names...); name != "" {
		f.Errno = faultErrnos[from+slices.Index(names, name)].errno
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
		f.Wait = p.pause()
	case "wrong":
		f.Kind = NameWrongFirst
		p.choose("first")
	case "AAAA":
		f.Kind = NameAAAAOnly
		p.choose("only")
	}
}

// conditionWords are those that conditions begin with.
var conditionWords = []string{"to", "tcp", "udp", "sctp", "for", "process", "pid", "at", "once", "from", "until", "every"}

// condition reads one condition. None may stand twice.
func (p *faultParser) condition(f *Fault) {
	w, twice := p.word, false
	switch word := p.choose(conditionWords...); word {
	case "to":
		twice = f.To != Target{}
		p.end(f, &f.To, w)
	case "tcp", "udp", "sctp":
		twice = f.Proto != 0
		f.Proto = target.Protocol(word)
		p.speaks(f, f.Proto, w)
	case "for":
		if isTime(p.text()) {
			p.time(w, forTime)
			break
		}
		twice = f.Name != Target{}
		p.name(f, w)
	case "process":
		twice = f.Process != ""
		p.process(f)
	case "pid":
		twice = f.PID != 0
		var err error
		f.PID, err = parsePID(p.word)
		p.keepOf(err)
	case "at":
		if isTime(p.text()) {
			p.time(w, atTime)
			break
		}
		twice = f.Percent != 0 || f.Nth != 0 || f.Every != 0
		p.often(f)
	case "once":
		twice = f.Once
		f.Once = true
	case "from":
		if isTime(p.text()) || p.ends() {
			p.time(w, fromTime)
			break
		}
		twice = f.From != Target{}
		p.end(f, &f.From, w)
	case "until", "every":
		p.time(w, slices.Index(timeWords, word))
	}
	if twice {
		p.keep(w.fault("%q stands twice", w.text))
	}
}

// keepOf has the error of what was read off the word be the error, if it is one, and goes on to the next word.
func (p *faultParser) keepOf(err error) {
	if err != nil {
		p.keep(err)
	}
	p.next()
}

// time reads the time behind the word of an index.
func (p *faultParser) time(w *word, i int) {
	if p.ends() {
		p.fail("the text ends here; a time is wanted, such as %s 10s", w.text)
		return
	}
	p.keepOf(p.timing.add(w, i, p.word))
}

// end reads the target behind to or from, which is w.
func (p *faultParser) end(f *Fault, to *Target, w *word) {
	switch at := kinds[f.Kind].at; {
	case at == atName:
		p.keep(w.fault("%q has no peer, and so no %s; for NAME says which", f.what(), w.text))
		return
	case at == atSocket:
		p.keep(w.fault("%q has no peer, and so no %s; process NAME says whose", f.what(), w.text))
		return
	case to == &f.From && at != atConnect && at != atStream && at != atAccepted:
		p.keep(w.fault("%q is of no connection that begins, and so has no from; to says where it strikes", f.what()))
		return
	case p.ends():
		p.fail("the text ends here; a name, an address or a port is wanted, such as api.test:443")
		return
	}
	t, err := parseTarget(w.text, p.word, protocols[:len(protocols)-1]) // but icmp
	if err == nil {
		*to = Target{t, p.text()}
		if t.Proto != 0 {
			p.speaks(f, t.Proto, p.word)
		}
	}
	p.keepOf(err)
}

// speaks looks whether the fault may strike at sockets of a protocol, which is named at w.
func (p *faultParser) speaks(f *Fault, proto uint8, w *word) {
	k := &kinds[f.Kind]
	var may []string
	for _, x := range k.protos {
		may = append(may, protocolName(x))
	}
	switch {
	case k.at == atName:
		p.keep(w.fault("%q is of all protocols; leave %s out", f.what(), w.text))
	case k.protos != nil && !slices.Contains(k.protos, proto):
		p.keep(w.fault("%q is of %s alone", f.what(), strings.Join(may, " and ")))
	}
	for _, x := range [...]uint8{f.Proto, f.To.proto(), f.From.proto()} {
		if x != 0 && x != proto {
			p.keep(w.fault("no socket is of two protocols"))
		}
	}
}

// name reads the name behind for, which is w.
func (p *faultParser) name(f *Fault, w *word) {
	switch {
	case kinds[f.Kind].at != atName:
		p.keep(w.fault("for is a condition of dns; to NAME says where %q strikes", f.what()))
		return
	case p.ends():
		p.fail("the text ends here; a name is wanted, such as api.test or *.test")
		return
	}
	t, err := target.ParseName(p.text())
	if err != nil {
		err = p.word.fault("%v", err)
	}
	f.Name = Target{&t, p.text()}
	p.keepOf(err)
}

// process reads the name behind process.
func (p *faultParser) process(f *Fault) {
	if p.ends() {
		p.fail("the text ends here; a program's name is wanted")
		return
	}
	var err error
	if f.Process, err = parseProcess(p.word); err == nil && f.Process == "" {
		err = p.word.fault("a program's name is wanted")
	}
	p.keepOf(err)
}

// often reads what follows at.
func (p *faultParser) often(f *Fault) {
	switch {
	case p.take("the"):
		f.Nth = p.ordinal()
	case p.take("every"):
		f.Every = p.ordinal()
	case strings.HasSuffix(p.text(), "%"):
		v, err := strconv.ParseFloat(strings.TrimSuffix(p.text(), "%"), 64)
		if err != nil || !(v > 0 && v <= 100) {
			p.fail("%q: more than 0%%, and at most 100%%, is wanted", p.text())
		}
		f.Percent = v
		p.next()
	default:
		p.fail("%q: how often, or when, is wanted, such as 10%%, the 3rd, every 5th or 5s for 2s", p.text())
	}
}

func (p *faultParser) ordinal() uint64 {
	digits := strings.TrimRight(p.text(), "stndrh")
	n, err := strconv.ParseUint(digits, 10, 64)
	if end := p.text()[len(digits):]; err != nil || n == 0 || !slices.Contains([]string{"st", "nd", "rd", "th"}, end) {
		p.fail("%q: a place in the order is wanted, such as 1st or 5th", p.text())
	}
	p.next()
	return n
}

// maxFaultTime bounds what a fault waits: longer than any test.
const maxFaultTime = 24 * time.Hour

func (p *faultParser) duration() time.Duration {
	d, err := time.ParseDuration(p.text())
	switch {
	case p.ends():
		p.fail("the text ends here; a time is wanted, such as 500ms or 3s")
	case err != nil:
		p.fail("%q: a time is wanted, such as 500ms or 3s", p.text())
	case d < 0 || d > maxFaultTime:
		p.fail("%q: a time from 0s to 24h is wanted", p.text())
	}
	p.next()
	return d
}

// pause reads a time of which nothing would be left if it were 0.
func (p *faultParser) pause() time.Duration {
	w := p.word
	d := p.duration()
	if d == 0 {
		p.keep(w.fault("%q: nothing would happen; a time above 0s is wanted", w.text))
	}
	return d
}

// maxFaultBytes bounds where in a stream a fault is.
const maxFaultBytes = 1 << 50

// bytes reads a number of bytes, 1000 bytes or 64kb.
func (p *faultParser) bytes() uint64 {
	digits := strings.TrimRight(p.text(), "bkmg")
	n, err := strconv.ParseUint(digits, 10, 64)
	unit := p.text()[len(digits):]
	size := uint64(1)
	for _, u := range faultUnits {
		if u.name == unit {
			size = u.size
		}
	}
	switch {
	case p.ends():
		p.fail("the text ends here; a number of bytes is wanted, such as 1000 bytes or 64kb")
	case err != nil || size == 1 && unit != "":
		p.fail("%q: a number of bytes is wanted, such as 1000 bytes or 64kb", p.text())
	case n > maxFaultBytes/size:
		p.fail("%q: no stream is as long", p.text())
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
	for text := range strings.SplitSeq(p.text(), ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPiece {
			p.fail("%q: numbers of bytes, at least 1, are wanted with commas between them, such as 1,7,100", p.text())
		}
		list = append(list, n)
	}
	if len(list) > maxPieces {
		p.fail("there are more than %d pieces", maxPieces)
	}
	p.next()
	return list
}
