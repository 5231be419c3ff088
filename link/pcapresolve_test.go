package link_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/dns/dnsmessage"

	"usock"
	"usock/link"
)

// dnsAnswer is the question of a message with the answer to it.
func dnsAnswer(t *testing.T, msg []byte, addrs ...string) []byte {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	m.Response = true
	for _, a := range addrs {
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}}
		if a := netip.MustParseAddr(a); a.Is4() {
			r.Body = &dnsmessage.AResource{A: a.As4()}
		} else {
			r.Body = &dnsmessage.AAAAResource{AAAA: a.As16()}
		}
		m.Answers = append(m.Answers, r)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dnsQuestion(t *testing.T, name string, id uint16) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPcapResolves has a program on a host ask a name server there, by UDP and TCP: the recording, which has none of these packets,
// knows the names. Answers that nobody has asked for are not believed.
func TestPcapResolves(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lo.pcapng")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	only, err := link.ParsePcapFilter("port 9")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w, err := link.PcapConfig{Filters: []*link.PcapFilter{only}}.NewWriter(f)
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(t, usock.Config{Privileged: true, Loopback: func(l link.Link) link.Link { return link.Pcap(l, w, link.Sent) }})
		server, err := h.ListenPacket("udp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		c, err := h.Dial("udp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		buf := make([]byte, 1500)
		c.Write(dnsQuestion(t, "Web.example.", 1))
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		asked := bytes.Clone(buf[:n])
		server.WriteTo(dnsAnswer(t, dnsQuestion(t, "web.example.", 2), "192.0.2.66"), from)  // another question's
		server.WriteTo(dnsAnswer(t, dnsQuestion(t, "evil.example.", 1), "192.0.2.66"), from) // another name's
		server.WriteTo(dnsAnswer(t, asked, "192.0.2.7", "2001:db8::7"), from)
		server.WriteTo([]byte("no message"), from)

		l, err := h.Listen("tcp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		k, err := h.Dial("tcp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		framed := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
		k.Write(framed(dnsQuestion(t, "tcp.example.", 3)))
		n, err = s.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(framed(dnsAnswer(t, buf[2:n], "192.0.2.8")))
		if _, err := k.Read(buf); err != nil {
			t.Fatal(err)
		}

		// Packets from and to those addresses, for a reader to show.
		for _, a := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.66"} {
			if err := h.AddAddr("lo", netip.MustParsePrefix(a+"/32")); err != nil {
				t.Fatal(err)
			}
			d, err := h.Dial("udp", a+":9")
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(d, "x")
			d.Close()
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range tshark(t, file, "-N", "n", "-Y", "udp.dstport == 9", "-T", "fields", "-e", "ip.dst_host") {
		got = append(got, strings.TrimSpace(line))
	}
	if want := []string{"web.example", "tcp.example", "192.0.2.66"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
