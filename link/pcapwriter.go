package link

import (
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"usock/clock"
	"usock/internal/pcapfilter"
)

// PcapConfig says what a capture has, and where it goes. The zero value has all of all packets, in one file.
type PcapConfig struct {
	// SnapLen is how many bytes of each packet are kept; 0: all.
	SnapLen int

	// Filters, of which a packet must match each, say which are recorded.
	Filters []*PcapFilter

	// Program, if not nil, is asked for the name of a process's program when the process's first packet comes and Name
	// has not told it, and, as it may execute another, again with packets that come a quarter of a second later or more;
	// "": it is not known. It is called with locks held, and must be quick.
	Program func(pid int32) string

	// Next, if not nil, returns the writer of the next file, which is begun before one would have more than Size bytes,
	// and when one is as old as Every; each is without effect if 0. Each file is a whole capture and can be read alone (of
	// names of addresses that were told before it, the last ones, in a quarter of Size; secrets are not counted). Next
	// is called by the goroutine that writes and is to end the writer before; its error ends the recording.
	Next  func() (io.Writer, error)
	Size  int64
	Every time.Duration

	// Secrets, if not nil, returns lines of a TLS key log (draft-ietf-tls-keylogfile) that it has not returned yet, whole
	// ones. They are written before the packets that have not been written by then, each of which waits for as long as
	// Hold says (0: half a second), and up to twice as long with those behind it, as Wireshark must know a secret before it meets what it opens. The capture opens the connections to whoever
	// has it. Secrets is called by the goroutine that writes, one call at a time.
	Secrets func() []byte
	Hold    time.Duration
}

// PcapFilter says which packets a capture has.
type PcapFilter struct{ f *pcapfilter.Filter }

// ParsePcapFilter reads a filter in tcpdump's language (pcap-filter(7)): "tcp port 443 and host 192.0.2.7",
// "udp or icmp6", "tcp[tcpflags] & tcp-rst != 0". Of it there are hosts, nets, ports, ranges of ports, protocols, lengths
// and relations, for IPv4 and IPv6, with 'and', 'or', 'not' and parentheses; addresses are not given by name, and frames
// not looked at. Beside that, "process NAME" and "pid N" are packets of a process; a name with
// other characters than letters, digits, dots, hyphens and underscores is quoted.
func ParsePcapFilter(text string) (*PcapFilter, error) {
	f, err := pcapfilter.Parse(text)
	if err != nil {
		return nil, err
	}
	return &PcapFilter{f}, nil
}

// String returns the filter's text.
func (f *PcapFilter) String() string { return f.f.String() }

// PcapWriter writes a capture in pcapng (draft-ietf-opsawg-pcapng) to which any
// number of links may record. Packets are copied and stamped when they pass, and
// written by a goroutine that lives while there is something to write. What was
// recorded has reached the writer when Close returns.
//
// The traffic waits for no writer: where one falls behind by more than 16 MiB, the next
// packets are left out. Dropped counts them, and so do the statistics at the end of the
// capture. A regular file (an *os.File) blocks nobody, and nothing is left out: where
// 1 MiB waits for it, whoever records writes, too. On a clock other than the
// machine's he always does, whatever the writer, of which none can be late there. A writer that fails stops the recording;
// Err and Close tell.
//
// The times are those of the first host's clock that takes a link which records
// (clock.Wall), and until then the machine's.
type PcapWriter struct {
	w io.Writer // writing
	c PcapConfig

	machine clock.Clock // by which packets wait for secrets

	writing sync.Mutex // held by whoever calls w.Write; taken before mu
	secrets []byte     // writing: those told so far

	mu      sync.Mutex
	clock   clock.Clock   // mu
	told    bool          // mu: clock is a host's
	direct  bool          // mu: whoever records writes, once there is much
	helps   bool          // mu: likewise, if the goroutine that does falls behind
	behind  bool          // mu: a goroutine does, whatever the clock
	buf     []byte        // mu: the blocks being filled
	born    time.Duration // mu: when buf's first packet came, of the machine's clock; only with Secrets
	last    time.Duration // mu: and its last one
	count   int           // mu: packets in buf
	preface []byte        // mu: how the file of buf begins, if buf is its first blocks
	file    pcapFile      // mu: the file that is being filled
	queue   pcapQueue     // mu: blocks not yet written
	ifaces  []pcapIface   // mu
	whole   []byte        // mu: of recordOne
	flows   pcapFlows     // mu

	parts     pcapOwners[pcapfilter.Fragment] // mu: whose packets' first fragments were
	questions pcapQuestions                   // mu

	err    error        // mu
	closed bool         // mu
	names  processNames // mu
	hosts  hostNames    // mu
	notes  []string     // mu: that wait for a packet
}

// pcapFile is how far a file of a capture has come.
type pcapFile struct {
	size    int64 // bytes that are not in buf any more
	packets int
	begun   uint64 // when its first packet came, in ns
}

// pcapIface is a link that is recorded.
type pcapIface struct {
	info   Info
	counts pcapCounts // of the file
}

// pcapCounts are a link's packets.
type pcapCounts struct{ passed, matched, dropped uint64 }

// NewPcapWriter begins a capture on w, which it does not close. snapLen is how
// many bytes of each packet are kept, 0 for all.
func NewPcapWriter(w io.Writer, snapLen int) *PcapWriter {
	p, err := PcapConfig{SnapLen: max(snapLen, 0)}.NewWriter(w)
	if err != nil {
		panic(err) // there is nothing to be refused in this configuration
	}
	return p
}

// NewWriter begins a capture on w, which it does not close. Its errors are about the configuration.
func (c PcapConfig) NewWriter(w io.Writer) (*PcapWriter, error) {
	switch {
	case c.SnapLen < 0 || c.Size < 0 || c.Every < 0 || c.Hold < 0:
		return nil, errors.New("link: a capture's lengths and times are not negative")
	case (c.Size != 0 || c.Every != 0) && c.Next == nil:
		return nil, errors.New("link: a capture in several files needs a Next that opens them")
	}
	if c.SnapLen == 0 {
		c.SnapLen = maxSnapLen
	}
	if c.Hold == 0 {
		c.Hold = pcapHold
	}
	system := clock.System()
	p := &PcapWriter{w: w, c: c, machine: system, clock: system, helps: isRegular(w) && c.Secrets == nil}
	p.direct = p.helps && runtime.GOMAXPROCS(0) == 1
	p.names.ask = c.Program
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begins()
	p.queue.first = false // w is open
	p.write()
	return p, nil
}

// InBackground has a goroutine write, also where the writer is a regular file, and on any clock: who records waits for nobody.
func (p *PcapWriter) InBackground() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.direct, p.helps, p.behind = false, false, true
}

// UseClock has the writer take its times from c, if it is the first to be named.
func (p *PcapWriter) UseClock(c clock.Clock) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told {
		p.clock, p.told = c, true
		p.direct = p.direct || !p.behind && !clock.IsSystem(c)
	}
}

// now is the time of day in ns. The caller holds mu.
func (p *PcapWriter) now() uint64 { return uint64(clock.Wall(p.clock).UnixNano()) }

// maxSnapLen is tcpdump's.
const maxSnapLen = 262144

// Note says something of this moment: the next packet of the capture has it as a comment.
func (p *PcapWriter) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, text)
	if len(p.notes) > maxNotes {
		p.notes = p.notes[1:]
	}
}

// maxNotes bounds what waits for a packet.
const maxNotes = 64

// Resolved says that a name stands for an address: a reader of the capture shows it in the address's place. The name that
// was told first remains. What name servers answer to questions that pass a recorded link is known without.
func (p *PcapWriter) Resolved(a netip.Addr, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && !p.closed && p.resolved(a, name) {
		p.write()
	}
}

// resolved is Resolved for the caller who holds mu. It reports whether there is something to be written.
func (p *PcapWriter) resolved(a netip.Addr, name string) bool {
	if !p.hosts.add(a.Unmap().WithZone(""), name) || len(p.ifaces) == 0 {
		return false
	}
	p.begun()
	p.buf = appendNames(p.buf, p.hosts.list[len(p.hosts.list)-1:])
	return true
}
