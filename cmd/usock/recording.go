package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"usock/link"
)

// recording is what is recorded of a host's packets, and where.
type recording struct {
	pcap    fileValue
	filter  filterValue
	whose   whoseValue
	snapLen snapValue
	size    sizeValue
	every   time.Duration
	most    int // files
	tlsKeys bool

	keys *keyLog
	file *os.File // that is written to
	old  []oldFile
	next int // its number
	w    *link.PcapWriter
}

// oldFile is a file before the one that is written to.
type oldFile struct {
	name string
	is   fs.FileInfo
}

// remove removes the file, if the name is still its.
func (o *oldFile) remove() error {
	is, err := os.Lstat(o.name)
	if err == nil && os.SameFile(is, o.is) {
		err = os.Remove(o.name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *recording) flags(f *pflag.FlagSet) {
	r.pcap.hint = "give one, such as trace.pcapng, or - for stdout"
	f.Var(&r.pcap, "pcap", "record all packets to this `FILE`, in pcapng; - is stdout, a FIFO waits for its reader")
}

// The flags about a recording that only usock run has.
const (
	filterFlag = "pcap-filter"
	forFlag    = "pcap-for"
	snapFlag   = "pcap-snaplen"
	sizeFlag   = "pcap-size"
	everyFlag  = "pcap-every"
	filesFlag  = "pcap-files"
	keysFlag   = "tls-keys"
)

func (r *recording) runFlags(f *pflag.FlagSet) {
	f.Var(&r.filter, filterFlag, "record only what this `EXPRESSION` in tcpdump's language matches, such as 'tcp port 443 and not host 192.0.2.7'; 'process curl' is one, too")
	f.Var(&r.whose, forFlag, "record only the packets of `WHOM`: a program by its name, pid:NUMBER, or :PORT; once for each")
	f.Var(&r.snapLen, snapFlag, "record so many `BYTES` of each packet, 40 to 262144; without it all of them")
	f.Var(&r.size, sizeFlag, "begin a new file before one has more than this `SIZE`, such as 100mb: of trace.pcapng they are trace-00001.pcapng, trace-00002.pcapng and so on")
	f.DurationVar(&r.every, everyFlag, 0, "begin a new file when one is as old, such as 10m")
	f.IntVar(&r.most, filesFlag, 0, "keep so many files, the last ones")
	f.BoolVar(&r.tlsKeys, keysFlag, false, "have the program log the secrets of its TLS connections (SSLKEYLOGFILE; Node's option), and record them, so that Wireshark opens the connections: so can whoever reads the file")
}

// split reports whether the recording goes to several files.
func (r *recording) split() bool { return r.size != 0 || r.every != 0 }

// check looks whether the flags fit together.
func (r *recording) check() error {
	if r.pcap.name == "" {
		for _, x := range []struct {
			flag  string
			given bool
		}{
			{filterFlag, r.filter.f != nil}, {forFlag, len(r.whose.list) > 0}, {snapFlag, r.snapLen != 0}, {sizeFlag, r.size != 0},
			{everyFlag, r.every != 0}, {filesFlag, r.most != 0}, {keysFlag, r.tlsKeys},
		} {
			if x.given {
				return fmt.Errorf("--%s is about a recording, and there is none: add --pcap FILE", x.flag)
			}
		}
		return nil
	}
	switch {
	case r.every < 0:
		return fmt.Errorf("--%s %v: it cannot be negative", everyFlag, r.every)
	case r.every != 0 && r.every < time.Second:
		return fmt.Errorf("--%s %v: a file lasts a second at least", everyFlag, r.every)
	case r.most < 0:
		return fmt.Errorf("--%s %d: it cannot be negative", filesFlag, r.most)
	case r.most != 0 && !r.split():
		return fmt.Errorf("--%s says how many files are kept, and there is one: add --%s or --%s", filesFlag, sizeFlag, everyFlag)
	}
	if _, ok := descriptor(r.pcap.name); ok && r.split() {
		return fmt.Errorf("%s %s is one file: name another, or leave out --%s and --%s", pcapFlag, r.pcap.name, sizeFlag, everyFlag)
	}
	if r.split() {
		return regular(r.pcap.name)
	}
	return nil
}

// regular looks whether a file of several is one, if it is there: to open a FIFO would wait for its reader.
func regular(name string) error {
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s %s is no regular file: name one, or leave out --%s and --%s", pcapFlag, name, sizeFlag, everyFlag)
	}
	return nil
}

// open opens the file, and the log of secrets.
func (r *recording) open() error {
	if r.pcap.name == "" {
		return nil
	}
	if err := r.openFile(); err != nil {
		return err
	}
	if !r.tlsKeys {
		return nil
	}
	var err error
	if r.keys, err = openKeyLog(os.Environ()); err != nil {
		return fmt.Errorf("--%s: %w; make room, or set TMPDIR to a folder that you can write", keysFlag, err)
	}
	tell(os.Stderr, fmt.Sprintf("--%s: whoever reads %s can read what the program says and hears over TLS", keysFlag, r.pcap.name))
	return nil
}

// openFile opens the file that is next.
func (r *recording) openFile() error {
	name := r.pcap.name
	if r.split() {
		r.next++
		ext := filepath.Ext(name)
		if filepath.Base(name) == ext { // hidden, and without extension
			ext = ""
		}
		name = fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(name, ext), r.next, ext)
		if err := regular(name); err != nil {
			return err
		}
	}
	var mode fs.FileMode = anyMode
	if r.tlsKeys {
		mode = 0o600
	}
	f, err := openOutput(pcapFlag, name, mode, os.Stderr)
	if err != nil {
		return err
	}
	if st, err := f.Stat(); r.tlsKeys && err == nil && st.Mode().IsRegular() {
		if err := f.Chmod(mode); err != nil {
			f.Close()
			return fmt.Errorf("%s %s: %w: with --%s nobody else may read it; name a file of your own", pcapFlag, name, errors.Unwrap(err), keysFlag)
		}
	}
	r.file = f
	return nil
}

// nextFile ends a file and begins the next. Of too many the first ones are removed.
func (r *recording) nextFile() (io.Writer, error) {
	done := r.file
	if err := r.openFile(); err != nil {
		return nil, err
	}
	is, err := done.Stat()
	if e := done.Close(); err == nil {
		err = e
	}
	r.old = append(r.old, oldFile{done.Name(), is})
	for r.most > 0 && len(r.old) >= r.most {
		if e := r.old[0].remove(); err == nil {
			err = e
		}
		r.old = r.old[1:]
	}
	return r.file, err
}

// record begins the recording.
func (r *recording) record() error {
	if r.file == nil {
		return nil
	}
	c := link.PcapConfig{SnapLen: int(r.snapLen), Size: int64(r.size), Every: r.every}
	if r.split() {
		c.Next = r.nextFile
	}
	if r.filter.f != nil {
		c.Filters = append(c.Filters, r.filter.f)
	}
	whose, err := r.whose.filter()
	if err != nil {
		return err
	}
	if whose != nil {
		c.Filters = append(c.Filters, whose)
	}
	if r.keys != nil {
		c.Secrets = r.keys.news
	}
	r.w, err = c.NewWriter(r.file)
	return err
}

// environ returns the environment of the program, which is to log secrets if they are recorded.
func (r *recording) environ(env []string) []string {
	if r.keys == nil {
		return env
	}
	return r.keys.environ(env)
}

// close ends the recording. Its error says that packets are missing.
func (s *recording) close() error {
	if s.w == nil {
		return nil
	}
	err := s.w.Close()
	if e := s.file.Close(); err == nil { // ends a Write that is stuck
		err = e
	}
	s.keys.close()
	return recordingError(s.pcap.name, err, s.w.Dropped())
}

// recordingError says what became of a recording from which packets were left out. After an
// error nobody has counted them.
func recordingError(name string, err error, missing uint64) error {
	if name == "-" {
		name = "stdout"
	}
	packets := fmt.Sprintf("%d packets are missing", missing)
	if missing == 1 {
		packets = "1 packet is missing"
	}
	switch {
	case err == nil && missing == 0:
		return nil
	case err == nil:
		return fmt.Errorf("the recording to %s has gaps: %s, as what reads it fell behind; record to a file", name, packets)
	case errors.Is(err, link.ErrPcapStuck):
		return fmt.Errorf("the recording to %s has no end: what reads it takes nothing; %s", name, packets)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the recording to %s was cut short: its reader has gone", name)
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "; make room, or record to another disk"
	case errors.Is(err, syscall.EFBIG):
		hint = "; raise the limit of file sizes (ulimit -f)"
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		err = e // without the path, which is there already
	}
	return fmt.Errorf("the recording to %s was cut short: %w%s", name, err, hint)
}

// filterValue is --pcap-filter.
type filterValue struct{ f *link.PcapFilter }

// String implements pflag.Value.
func (v *filterValue) String() string {
	if v.f == nil {
		return ""
	}
	return v.f.String()
}

// Type implements pflag.Value.
func (v *filterValue) Type() string { return "EXPRESSION" }

// Set implements pflag.Value.
func (v *filterValue) Set(text string) (err error) {
	before := v.String()
	if v.f, err = link.ParsePcapFilter(text); err != nil || before == "" {
		return err
	}
	return once(before, v.String(), oneFilter)
}

// whoseValue is --pcap-for.
type whoseValue struct{ list []string }

// String implements pflag.Value.
func (v *whoseValue) String() string { return strings.Join(v.list, " ") }

// Type implements pflag.Value.
func (v *whoseValue) Type() string { return "WHOM" }

// Set implements pflag.Value.
func (v *whoseValue) Set(text string) error {
	v.list = append(v.list, text)
	if _, err := v.filter(); err != nil {
		v.list = v.list[:len(v.list)-1]
		return errors.New("give the name of a program, such as curl, pid:4711 or :443")
	}
	return nil
}

// filter returns what matches the packets of any in the list; nil: there is none.
func (v *whoseValue) filter() (*link.PcapFilter, error) {
	if len(v.list) == 0 {
		return nil, nil
	}
	var terms []string
	for _, text := range v.list {
		pid, isPID := strings.CutPrefix(text, "pid:")
		port, isPort := strings.CutPrefix(text, ":")
		quote := `"`
		if strings.Contains(text, quote) {
			quote = "'"
		}
		switch {
		case isPID:
			terms = append(terms, "pid "+pid)
		case isPort:
			terms = append(terms, "port "+port)
		default:
			terms = append(terms, "process "+quote+text+quote)
		}
	}
	return link.ParsePcapFilter(strings.Join(terms, " or "))
}

// The least and the most that --pcap-snaplen takes: a header of IPv6, and tcpdump's most.
const (
	minSnap = 40
	maxSnap = 262144
)

// snapValue is --pcap-snaplen; 0: it was not given.
type snapValue int

// String implements pflag.Value.
func (v *snapValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// Type implements pflag.Value.
func (v *snapValue) Type() string { return "BYTES" }

// Set implements pflag.Value.
func (v *snapValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < minSnap || n > maxSnap {
		return fmt.Errorf("a number of bytes is wanted, %d to %d", minSnap, maxSnap)
	}
	*v = snapValue(n)
	return nil
}

// minFileSize is what a file of a recording holds at least: the largest packet, and what is about it.
const minFileSize = 128 << 10

// sizeValue is --pcap-size in bytes; 0: it was not given.
type sizeValue int64

// String implements pflag.Value.
func (v *sizeValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10) + "b"
}

// Type implements pflag.Value.
func (v *sizeValue) Type() string { return "SIZE" }

// Set implements pflag.Value. The units are those of --limit.
func (v *sizeValue) Set(text string) error {
	digits := strings.TrimRight(text, "bkmg")
	n, err := strconv.ParseFloat(digits, 64)
	scale, ok := map[string]float64{"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}[text[len(digits):]]
	switch {
	case err != nil || !(n >= 0):
		return errors.New("a size is wanted, such as 100mb")
	case !ok:
		return errors.New("the unit is missing: b, kb, mb or gb, as in 100mb")
	case n*scale < minFileSize:
		return errors.New("a file has 128kb at least")
	case n*scale > 1<<50:
		return errors.New("that is more than any disk has")
	}
	*v = sizeValue(n * scale)
	return nil
}
