//go:build linux

package pion

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/logging"
	"github.com/pion/sctp"

	"usock"
	"usock/gateway"
	"usock/internal/abi"
	"usock/internal/freeport"
)

// loopback is where both ends are, as the machine sees them.
var loopback = netip.MustParseAddr("127.0.0.1")

// udpConn is a UDP socket as a net.Conn with whoever has sent to it last, which an association over UDP follows.
type udpConn struct {
	*net.UDPConn
	mu   sync.Mutex
	peer netip.AddrPort // mu
}

func (c *udpConn) Read(b []byte) (int, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err == nil {
		c.mu.Lock()
		c.peer = from
		c.mu.Unlock()
	}
	return n, err
}

func (c *udpConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	to := c.peer
	c.mu.Unlock()
	return c.WriteToUDPAddrPort(b, to)
}

func openUDP(t *testing.T, peer netip.AddrPort) *udpConn {
	t.Helper()
	p, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &udpConn{UDPConn: p, peer: peer}
}

func (c *udpConn) port() uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// newHost returns a host that takes SCTP in UDP at a port of the machine's, and sends it to another.
func newHost(t *testing.T, outer, peers uint16) *usock.Host {
	t.Helper()
	const inner = 9899
	g, err := gateway.New(gateway.Config{Publish: []gateway.Publish{{Proto: syscall.IPPROTO_UDP, Addr: loopback, Port: outer, Inner: inner}}})
	if err != nil {
		t.Fatal(err)
	}
	s := usock.DefaultSCTPConfig()
	s.UDPPort, s.EncapPort, s.ReConf = inner, peers, true
	h, err := usock.NewHost(usock.Config{Flows: g.Flows(), Listening: g.Listening, Interfaces: []usock.Interface{g.Interface()}, SCTP: s})
	if err == nil {
		err = g.Start(h)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		g.Run()
		close(ended)
	}()
	t.Cleanup(func() {
		h.Close()
		g.Close()
		<-ended
	})
	return h
}

// pair returns the ends of an association that one of them has opened.
func pair(t *testing.T, pionOpens bool) (*usock.SCTPConn, *sctp.Association) {
	t.Helper()
	type result struct {
		a   *sctp.Association
		err error
	}
	made := make(chan result, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var c *usock.SCTPConn
	var err error
	if pionOpens {
		outer := uint16(freeport.Get(t))
		l, e := newHost(t, outer, 0).ListenSCTP("sctp", ":5000")
		if e != nil {
			t.Fatal(e)
		}
		defer l.Close()
		go func() {
			a, err := sctp.ClientWithOptions(sctp.WithNetConn(openUDP(t, netip.AddrPortFrom(loopback, outer))), sctp.WithMTU(1200))
			made <- result{a, err}
		}()
		c, err = l.AcceptSCTP()
	} else {
		p := openUDP(t, netip.AddrPort{})
		go func() {
			a, err := sctp.ServerWithOptions(sctp.WithNetConn(p), sctp.WithMTU(1200))
			made <- result{a, err}
		}()
		outer := uint16(freeport.Get(t))
		c, err = newHost(t, outer, p.port()).DialSCTP(ctx, "sctp", "127.0.0.1:5000")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.SetNoDelay(true)

	// The machine's loopback carries larger datagrams than pion reads.
	v := abi.SCTPPaddrparams{Pathmtu: 1200, Flags: abi.SPP_PMTUD_DISABLE}
	if err := c.Socket().SetSockOpt(abi.SOL_SCTP, abi.SCTP_PEER_ADDR_PARAMS, abi.AppendStruct(nil, &v)); err != nil {
		t.Fatal(err)
	}
	r := <-made
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.a.Close() })
	return c, r.a
}

// Payload protocol identifiers (RFC 8831, section 8), and message types (RFC 8832, section 8.2.1).
const (
	ppidDCEP, ppidString, ppidBinary, ppidEmptyString, ppidEmptyBinary = 50, 51, 53, 56, 57

	dataChannelACK, dataChannelOpen = 2, 3
)

// message is one of a data channel.
type message struct {
	stream uint16
	ppid   uint32
	data   string
}

func say(t *testing.T, c *usock.SCTPConn, m message) {
	t.Helper()
	if _, err := c.WriteMsg([]byte(m.data), usock.SCTPInfo{Stream: m.stream, PPID: m.ppid}); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next message, or the type of a notification as an error.
func hear(t *testing.T, c *usock.SCTPConn) (m message, err error) {
	t.Helper()
	var all []byte
	b := make([]byte, 1<<16)
	for {
		n, info, err := c.ReadMsg(b)
		if err != nil {
			return m, err
		}
		if info.Notification {
			return m, fmt.Errorf("notification %#x", binary.NativeEndian.Uint16(b))
		}
		if all = append(all, b[:n]...); info.EOR {
			return message{info.Stream, info.PPID, string(all)}, nil
		}
	}
}

// config is that of a channel of the type.
func config(typ datachannel.ChannelType) *datachannel.Config {
	return &datachannel.Config{ChannelType: typ, ReliabilityParameter: 100, Label: "label", Protocol: "protocol", LoggerFactory: logging.NewDefaultLoggerFactory()}
}

// open is DATA_CHANNEL_OPEN (RFC 8832, section 5.1) of config.
func open(c *datachannel.Config) string {
	b := []byte{dataChannelOpen, byte(c.ChannelType)}
	b = binary.BigEndian.AppendUint16(b, c.Priority)
	b = binary.BigEndian.AppendUint32(b, c.ReliabilityParameter)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.Label)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.Protocol)))
	return string(b) + c.Label + c.Protocol
}

// channelTypes are all that there are.
var channelTypes = []datachannel.ChannelType{
	datachannel.ChannelTypeReliable, datachannel.ChannelTypeReliableUnordered,
	datachannel.ChannelTypePartialReliableRexmit, datachannel.ChannelTypePartialReliableRexmitUnordered,
	datachannel.ChannelTypePartialReliableTimed, datachannel.ChannelTypePartialReliableTimedUnordered,
}

// converse exchanges messages on a channel that is open: what is sent is what comes, with its kind.
func converse(t *testing.T, c *usock.SCTPConn, d *datachannel.DataChannel) {
	t.Helper()
	id := d.StreamIdentifier()
	b := make([]byte, 1<<17)
	for _, m := range []struct {
		text      bool
		data      string
		sent, got uint32 // PPIDs; an empty message has a byte on the wire
	}{
		{true, "hello", ppidString, ppidString}, {false, "bytes", ppidBinary, ppidBinary},
		{true, "", ppidEmptyString, ppidEmptyString}, {false, "", ppidEmptyBinary, ppidEmptyBinary},
		{false, string(bytes.Repeat([]byte("0123456789"), 2000)), ppidBinary, ppidBinary},
	} {
		wire := m.data
		if wire == "" {
			wire = "\x00"
		}
		say(t, c, message{id, m.sent, wire})
		d.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, text, err := d.ReadDataChannel(b)
		if err != nil || text != m.text || string(b[:n]) != m.data {
			t.Errorf("channel %d: %d bytes of %d, text %t, %v", id, n, len(m.data), text, err)
		}
		if _, err := d.WriteDataChannel([]byte(m.data), m.text); err != nil {
			t.Error(err)
		}
		if got, err := hear(t, c); err != nil || got != (message{id, m.got, wire}) {
			t.Errorf("channel %d: %d bytes of %d, stream %d, PPID %d, %v", id, len(got.data), len(wire), got.stream, got.ppid, err)
		}
	}
}

// Channels of each type are opened by either end, and carry messages of each kind.
func TestDataChannels(t *testing.T) {
	for _, pionOpens := range []bool{false, true} {
		t.Run(fmt.Sprintf("pion opens the association: %t", pionOpens), func(t *testing.T) {
			c, a := pair(t, pionOpens)
			for i, typ := range channelTypes {
				// Those that pion opens have even numbers.
				d, err := datachannel.Dial(a, uint16(2*i%10), config(typ))
				if err != nil {
					t.Fatal(err)
				}
				id := d.StreamIdentifier()
				if got, err := hear(t, c); err != nil || got != (message{id, ppidDCEP, open(config(typ))}) {
					t.Fatalf("%+v, %v", got, err)
				}
				say(t, c, message{id, ppidDCEP, string([]byte{dataChannelACK})})
				converse(t, c, d)
				if 2*i == 8 {
					break // there are 10 streams
				}
			}
			for i, typ := range channelTypes[:5] {
				id := uint16(2*i + 1)
				say(t, c, message{id, ppidDCEP, open(config(typ))})
				d, err := datachannel.Accept(a, config(typ))
				if err != nil {
					t.Fatal(err)
				}
				got, err := hear(t, c)
				if err != nil || got.stream != id || got.ppid != ppidDCEP || got.data[0] != dataChannelACK { // pion's has 4 bytes
					t.Fatalf("%+v, %v", got, err)
				}
				if d.Config.ChannelType != typ || d.Config.Label != "label" || d.StreamIdentifier() != id {
					t.Errorf("%+v", d.Config)
				}
				converse(t, c, d)
			}
		})
	}
}

// A channel is closed by the reset of its streams (RFC 8831, section 6.7).
func TestDataChannelCloses(t *testing.T) {
	c, a := pair(t, false)
	set := func(name int, v abi.Layout) {
		t.Helper()
		if err := c.Socket().SetSockOpt(abi.SOL_SCTP, name, abi.AppendStruct(nil, v)); err != nil {
			t.Fatal(err)
		}
	}
	set(abi.SCTP_ENABLE_STREAM_RESET, &abi.SCTPAssocValue{Value: abi.SCTP_ENABLE_RESET_STREAM_REQ})
	set(abi.SCTP_EVENT, &abi.SCTPEvent{Type: abi.SCTP_STREAM_RESET_EVENT, On: 1})
	d, err := datachannel.Dial(a, 4, config(datachannel.ChannelTypeReliable))
	if err != nil {
		t.Fatal(err)
	}
	hear(t, c)
	say(t, c, message{4, ppidDCEP, string([]byte{dataChannelACK})})
	converse(t, c, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if m, err := hear(t, c); err == nil || err.Error() != fmt.Sprintf("notification %#x", abi.SCTP_STREAM_RESET_EVENT) {
		t.Fatalf("%+v, %v; want a reset", m, err)
	}
	v := abi.AppendStruct(nil, &abi.SCTPResetStreams{Flags: abi.SCTP_STREAM_RESET_OUTGOING, NumberStreams: 1})
	if err := c.Socket().SetSockOpt(abi.SOL_SCTP, abi.SCTP_RESET_STREAMS, binary.NativeEndian.AppendUint16(v, 4)); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("%d, %v; want the end", n, err)
	}
	again, err := datachannel.Dial(a, 4, config(datachannel.ChannelTypeReliable))
	if err != nil {
		t.Fatal(err)
	}
	for m, err := hear(t, c); m.ppid != ppidDCEP; m, err = hear(t, c) {
		if m.data != "" || err == nil {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	say(t, c, message{4, ppidDCEP, string([]byte{dataChannelACK})})
	converse(t, c, again)
}
