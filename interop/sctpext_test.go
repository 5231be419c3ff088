//go:build linux

package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/uml"
)

// sysctl sets a variable of the kernels' SCTP for the time of the test.
func (l *sctpLab) sysctl(name, value string) {
	l.t.Helper()
	for _, k := range l.kernels {
		k.set(l.t, "net/sctp/"+name, value)
	}
}

// extended has a socket set options of SCTP; it fails with errAbsent where a host does not have one, or its settings do
// not allow it.
func extended(options ...option) func(sctpSocket) error {
	return func(s sctpSocket) error {
		for _, o := range options {
			err := s.set(abi.SOL_SCTP, o.name, o.value)
			if _, host := s.(hostSCTP); host && (errors.Is(err, syscall.ENOPROTOOPT) || errors.Is(err, syscall.EPERM)) {
				return errAbsent
			}
			if err != nil {
				return fmt.Errorf("option %d: %w", o.name, err)
			}
		}
		return wide(s)
	}
}

type option struct {
	name  int
	value []byte
}

var errAbsent = errors.New("a host does not have the extension")

// associateWith is associate with an extension, and skips the test where a host does not have it.
func associateWith(t *testing.T, from, to sctpStack, options ...option) (c, s sctpSocket) {
	t.Helper()
	prepare := extended(options...)
	for _, stack := range []sctpStack{from, to} {
		k, err := stack.open(abi.SOCK_STREAM, false, prepare)
		if errors.Is(err, errAbsent) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("%s: %v", stack.name, err)
		}
		k.close()
	}
	return associate(t, from, to, false, prepare)
}

// Messages that need not arrive: over a path that loses many, those that do are in order, and the path goes on.
func TestSCTPPartialReliability(t *testing.T) {
	for _, policy := range []abi.SCTPPrinfo{{Policy: abi.SCTP_PR_SCTP_RTX}, {Policy: abi.SCTP_PR_SCTP_TTL, Value: 20}} {
		t.Run(fmt.Sprintf("policy=%#x", policy.Policy), func(t *testing.T) {
			eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
				c, s := associate(t, from, to, false, hasty)
				l.impair(0, "loss=20%")
				const messages = 300
				sent := make(chan error, 1)
				go func() {
					var err error
					for i := 0; i < messages && err == nil; i++ {
						info := abi.AppendCmsg(nil, abi.SOL_SCTP, abi.SCTP_PRINFO, structure(&policy))
						err = c.send(uml.Message{Data: binary.BigEndian.AppendUint32(make([]byte, 996), uint32(i)), Control: info})
					}
					if err == nil {
						err = say(c, &note{data: []byte("the end"), ppid: ppid})
					}
					sent <- err
				}()
				next, got := uint32(0), 0
				for {
					n, err := hear(s)
					if err != nil {
						t.Fatal(err)
					}
					if string(n.data) == "the end" {
						break
					}
					if len(n.data) != 1000 || binary.BigEndian.Uint32(n.data[996:]) < next {
						t.Fatalf("%d bytes, number %d after %d", len(n.data), binary.BigEndian.Uint32(n.data[len(n.data)-4:]), next)
					}
					next, got = binary.BigEndian.Uint32(n.data[996:])+1, got+1
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				t.Logf("%d of %d arrived", got, messages)
				if got == messages {
					t.Error("none was given up")
				}
				if policy.Policy == abi.SCTP_PR_SCTP_RTX { // others may be given up before they are sent
					l.carried(0, "sctp.chunk_type == 192")
				}
			})
		})
	}
}

// Messages that let others between. Between usock and Linux only those of one fragment pass: Linux gives the second
// fragment the number 0, where RFC 8260, section 2.1, has that for the first.
func TestSCTPInterleaving(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.sysctl("intl_enable", "1")
		c, s := associateWith(t, from, to,
			option{abi.SCTP_FRAGMENT_INTERLEAVE, integer(2)},
			option{abi.SCTP_INTERLEAVING_SUPPORTED, structure(&abi.SCTPAssocValue{Value: 1})},
		)
		sizes := []int{1000, 10, 300, 1, 1440, 7}
		if *twoKernels {
			sizes = []int{100_000, 10, 3000, 1, 1452, 65_536}
		}
		r := rand.New(rand.NewPCG(7, 8))
		for _, ends := range [][2]sctpSocket{{c, s}, {s, c}} {
			for i, n := range sizes {
				converse(t, ends[0], ends[1], []*note{{data: random(r, n), stream: uint16(i % 4), unordered: i == 3, ppid: ppid + uint32(i)}})
			}
		}
		l.carried(0, "sctp.chunk_type == 64")
		l.not(0, "sctp.chunk_type == 0")
	})
}

// Streams whose numbers begin anew, and streams that are added.
func TestSCTPReconfiguration(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.sysctl("reconf_enable", "1")
		c, s := associateWith(t, from, to,
			option{abi.SCTP_RECONFIG_SUPPORTED, structure(&abi.SCTPAssocValue{Value: 1})},
			option{abi.SCTP_ENABLE_STREAM_RESET, structure(&abi.SCTPAssocValue{Value: 7})},
		)
		notes := []*note{{data: []byte("a"), stream: 3, ppid: ppid}, {data: []byte("b"), stream: 3, ppid: ppid + 1}}
		converse(t, c, s, notes)
		reset := binary.NativeEndian.AppendUint32(nil, 0) // struct sctp_reset_streams
		for _, v := range []uint16{abi.SCTP_STREAM_RESET_OUTGOING, 1, 3} {
			reset = binary.NativeEndian.AppendUint16(reset, v)
		}
		settle(t, "stream reset", func() bool {
			err := c.set(abi.SOL_SCTP, abi.SCTP_RESET_STREAMS, reset)
			if err != nil && !errors.Is(err, syscall.EAGAIN) { // while messages are on their way
				t.Fatalf("reset: %v", err)
			}
			return err == nil
		})
		converse(t, c, s, notes)
		converse(t, s, c, notes)
		add := binary.NativeEndian.AppendUint32(nil, 0) // struct sctp_add_streams
		add = binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(add, 0), 5)
		settle(t, "streams added", func() bool {
			err := c.set(abi.SOL_SCTP, abi.SCTP_ADD_STREAMS, add)
			return err == nil || !errors.Is(err, syscall.EINPROGRESS) // while the reset is in progress
		})
		settle(t, "stream 12", func() bool { return say(c, &note{data: []byte("c"), stream: 12, ppid: ppid}) == nil })
		if n, err := hear(s); err != nil || n.stream != 12 {
			t.Errorf("%v, %v; want a message on stream 12", n, err)
		}
		l.carried(0, "sctp.chunk_type == 130")
	})
}

// DATA that is authenticated by a key that both have.
func TestSCTPAuthentication(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.sysctl("auth_enable", "1")
		key := binary.NativeEndian.AppendUint32(nil, 0) // struct sctp_authkey
		key = binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(key, 1), 6)
		key = append(key, "secret"...)
		active := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 0), 1) // struct sctp_authkeyid
		c, s := associateWith(t, from, to,
			option{abi.SCTP_AUTH_SUPPORTED, structure(&abi.SCTPAssocValue{Value: 1})},
			option{abi.SCTP_AUTH_CHUNK, []byte{0}},
			option{abi.SCTP_AUTH_KEY, key},
			option{abi.SCTP_AUTH_ACTIVE_KEY, active},
		)
		r := rand.New(rand.NewPCG(9, 10))
		for _, ends := range [][2]sctpSocket{{c, s}, {s, c}} {
			converse(t, ends[0], ends[1], []*note{{data: random(r, 5000), ppid: ppid}, {data: []byte("b"), stream: 1, ppid: ppid}})
		}
		l.carried(0, "sctp.chunk_type == 15")
		l.not(0, "sctp.chunk_type == 0 && !(sctp.chunk_type == 15)")
	})
}

// An address that is added while the association lives.
func TestSCTPAddressAdded(t *testing.T) {
	eachSide(t, 2, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.sysctl("auth_enable", "1")
		l.sysctl("addip_enable", "1")
		c, s := associateWith(t, from, to,
			option{abi.SCTP_AUTH_SUPPORTED, structure(&abi.SCTPAssocValue{Value: 1})},
			option{abi.SCTP_ASCONF_SUPPORTED, structure(&abi.SCTPAssocValue{Value: 1})},
		)
		name := abi.AppendAddr(nil, abi.AddrFrom(netip.AddrPortFrom(to.addrs[1], port)))
		if err := s.set(abi.SOL_SCTP, abi.SCTP_SOCKOPT_BINDX_ADD, name); err != nil {
			t.Fatal(err)
		}
		settle(t, "second address", func() bool {
			b, err := c.ask(abi.SCTP_GET_PEER_ADDRS, make([]byte, 8), 512)
			return err == nil && bytes.Contains(b, to.addrs[1].AsSlice())
		})
		converse(t, c, s, []*note{{data: []byte("a"), ppid: ppid}})
		l.carried(0, "sctp.chunk_type == 193")
		l.carried(0, "sctp.chunk_type == 128")
	})
}

// A path that marks packets instead of losing them: whoever receives the marks tells (ECNE), and whoever sends answers (CWR).
func TestSCTPMarks(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.impair(0, "rate=20mbit,mark=10kb,limit=1mb")
		c, s := associate(t, from, to, false, wide)
		r := rand.New(rand.NewPCG(11, 12))
		var notes []*note
		for i := range 40 {
			notes = append(notes, &note{data: random(r, 20_000), ppid: ppid + uint32(i)})
		}
		converse(t, c, s, notes)
		converse(t, s, c, notes)
		for _, ip := range []string{from.addrs[0].String(), to.addrs[0].String()} {
			l.carried(0, "sctp.chunk_type == 12 && ip.src == "+ip)
			l.carried(0, "sctp.chunk_type == 13 && ip.src == "+ip)
		}
	})
}
